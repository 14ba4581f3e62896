"""The tampering matrix: whatever somebody does to a file is named for what it is, never called whole, never a traceback."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import pytest

from earwitness.audio import Audio
from earwitness.devices import DeviceRecord, advance
from earwitness.errors import EarwitnessError, FormatError, IntegrityError, KeyMissingError
from earwitness.link.messages import Status
from earwitness.verify import Chain, Verdict, verify
from host import maker
from host.maker import PAGE, Device, Owner, Recording

OWNER = Owner()
HEADER, AUDIO, CHECKPOINT = 1, 2, 3

# The recording that is tampered with: header, checkpoint 0, leaves 1 to 3, checkpoint, leaves 4 and 5 (STOP), end.
CHECKPOINT_0, LEAF_1, LEAF_2, LEAF_3, RUNNING, LEAF_4, STOP, END = range(1, 9)


def subject(**more: object) -> Recording:
    recording, _ = maker.begin(owners=[OWNER], **more)  # type: ignore[arg-type]
    for number in (1, 2, 3):
        recording.sound(maker.tone(300, number), maker.rice)
        if number == 2:
            recording.checkpoint()
    recording.finish()
    assert len(recording.file) == END + 1
    return recording


GOOD = subject()


@pytest.fixture
def say(tmp_path: Path) -> Callable[..., Verdict]:
    def run(pages: list[bytes] | bytes, owner: Owner | None = OWNER, **more: object) -> Verdict:
        path = tmp_path / "a.ewr"
        path.write_bytes(pages if isinstance(pages, bytes) else b"".join(pages))
        verdict = verify(path, owner, **more)  # type: ignore[arg-type]
        json.dumps(verdict.to_json())
        if verdict.intact.ok is False and verdict.intact.state != "damaged" and owner:
            with pytest.raises(EarwitnessError):
                Audio(path, owner)
        return verdict

    return run


def flipped(page: int, at: int, mask: int = 0x10) -> list[bytes]:
    pages = list(GOOD.file)
    data = bytearray(pages[page])
    data[at] ^= mask
    pages[page] = bytes(data)
    return pages


def both(say: Callable[..., Verdict], pages: list[bytes] | bytes, **more: object) -> Iterator[Verdict]:
    """With the owner's key and without."""
    for owner in (OWNER, None):
        yield say(pages, owner, **more)


def named(verdict: Verdict, state: str, words: str, code: int = 13) -> None:
    said = " ".join((verdict.intact.reason, *verdict.intact.details, verdict.complete.reason))
    assert verdict.intact.state == state and verdict.exit_code == code and words in said, verdict.intact


def test_untouched_it_is_whole(say):
    verdicts = list(both(say, GOOD.file))
    assert [(v.exit_code, v.intact.state) for v in verdicts] == [(0, "intact"), (0, "sealed")]


# Bytes: every field of every kind of page.

HEADER_FIELDS = {
    "magic": (0, 4),
    "type": (4, 1),
    "suite": (5, 1),
    "zero": (6, 2),
    "page size": (8, 4),
    "recording id": (12, 16),
    "seq": (28, 8),
    "prev": (36, 32),
    "device key": (68, 32),
    "envelope length": (100, 2),
    "age version": (102, 22),
    "age stanza": (124, 98),
    "age mac": (222, 48),
    "age nonce": (270, 16),
    "age payload": (286, 48),
    "zeros": (334, 3714),
    "tag": (4048, 32),
    "device tag": (4080, 16),
}
AUDIO_FIELDS = {
    "magic": (0, 4),
    "type": (4, 1),
    "suite": (5, 1),
    "zero": (6, 2),
    "index": (8, 4),
    "recording id": (12, 16),
    "zero 2": (28, 4),
    "body": (32, 4016),
    "tag": (4048, 32),
    "device tag": (4080, 16),
}
NOTE_BYTES = len(GOOD.final) - len("end") + len("running")
LIST = 34 + NOTE_BYTES
CHECKPOINT_FIELDS = {
    "magic": (0, 4),
    "type": (4, 1),
    "suite": (5, 1),
    "zero": (6, 2),
    "n": (8, 4),
    "recording id": (12, 16),
    "p": (28, 4),
    "note length": (32, 2),
    "note": (34, NOTE_BYTES - 100),
    "signature": (34 + NOTE_BYTES - 100, 100),
    "list": (LIST, 64),
    "range": (LIST + 64, 32),
    "zeros": (LIST + 96, PAGE - LIST - 96),
}


def places(field: tuple[int, int]) -> set[int]:
    """First byte, last byte and one in each 512."""
    first, count = field
    return {first, first + count - 1, *range(first, first + count, 512)}


@pytest.mark.parametrize("field", HEADER_FIELDS)
def test_a_changed_header_is_named_and_its_copy_keeps_the_recording(say, field):
    for at in places(HEADER_FIELDS[field]):
        for verdict in both(say, flipped(0, at)):
            named(verdict, "damaged", "page 0, the header, is damaged")
            assert verdict.pages == 5 and verdict.recording_id == GOOD.id


@pytest.mark.parametrize("field", AUDIO_FIELDS)
@pytest.mark.parametrize("page", [LEAF_1, LEAF_2, STOP])
def test_a_changed_page_of_sound_is_named_and_the_others_stay_proven(say, page, field):
    for at in places(AUDIO_FIELDS[field]):
        for verdict in both(say, flipped(page, at)):
            named(verdict, "damaged", f"page {page} is damaged")
            assert verdict.pages == 4 and verdict.damaged == 1 and verdict.complete.ok is False


@pytest.mark.parametrize("field", CHECKPOINT_FIELDS)
@pytest.mark.parametrize("page", [CHECKPOINT_0, RUNNING])
def test_a_changed_checkpoint_is_named_and_all_sound_stays_proven(say, page, field):
    for at in places(CHECKPOINT_FIELDS[field]):
        for verdict in both(say, flipped(page, at)):
            named(
                verdict, "damaged", f"page {page} is damaged: the checkpoint in it" if at > 28 else f"page {page} is "
            )
            assert verdict.pages == 5


@pytest.mark.parametrize("field", CHECKPOINT_FIELDS)
def test_a_changed_end_is_no_end(say, field):
    """Nothing shows that a page that nobody signed was ever the end: without its note the recording is unfinished."""
    for at in places(CHECKPOINT_FIELDS[field]):
        for verdict in both(say, flipped(END, at)):
            assert verdict.exit_code in (4, 13) and verdict.complete.ok is False
            if verdict.complete.state == "unfinished":
                assert verdict.final_note == b"" and (verdict.debris or verdict.unused_pages) and verdict.pages == 3
            else:
                named(verdict, "damaged", f"page {END} is damaged: the checkpoint in it")


@pytest.mark.parametrize("page", range(END + 1))
def test_a_single_bit_of_what_a_page_says_that_it_is_is_damage(say, page):
    """A bit that turns over is no hand's work, also where a checkpoint says then that it is a header.

    There is one exception: checkpoint 0 with type 2 claims to be leaf 1, and a second leaf 1 is what a hand would bring.
    """
    for bit in range(12 * 8):
        for verdict in both(say, flipped(page, bit // 8, 1 << bit % 8)):
            assert verdict.exit_code != 0
            if (page, bit) != (CHECKPOINT_0, 32):
                assert verdict.intact.state == "damaged" or (page == END and verdict.complete.state == "unfinished")


@pytest.mark.long
@pytest.mark.parametrize("page", range(END + 1))
def test_every_single_byte(say, page):
    for at in range(PAGE):
        for verdict in both(say, flipped(page, at, 1 << at % 8)):
            assert verdict.exit_code == (13 if page != END or verdict.complete.state != "unfinished" else 4)


# Pages: dropped, doubled, swapped, brought in.

SOUND = [LEAF_1, LEAF_2, LEAF_3, LEAF_4, STOP]


@pytest.mark.parametrize("page", SOUND)
def test_a_page_taken_out_is_cut_short(say, page):
    pages = list(GOOD.file)
    del pages[page]
    for verdict in both(say, pages):
        named(verdict, "damaged", "1 page of sound is missing")
        assert verdict.complete.state == "cut short" and verdict.pages == 4


@pytest.mark.parametrize(
    ("page", "words"), [(CHECKPOINT_0, "a checkpoint is missing"), (RUNNING, "checkpoint is missing")]
)
def test_a_checkpoint_taken_out_is_named(say, page, words):
    pages = list(GOOD.file)
    del pages[page]
    for verdict in both(say, pages):
        named(verdict, "not intact", words)


def test_a_checkpoint_taken_out_before_an_end_that_lists_nothing_is_named(say):
    recording, _ = maker.begin(owners=[OWNER])
    recording.page(events=maker.stop(500))
    recording.checkpoint()
    recording.checkpoint("end")
    assert say(recording.file).exit_code == 0
    del recording.file[-2]
    for verdict in both(say, recording.file):
        named(verdict, "not intact", "a checkpoint is missing")


@pytest.mark.parametrize("page", range(END + 1))
@pytest.mark.parametrize("place", range(1, END + 2))
def test_a_page_doubled_is_named(say, page, place):
    pages = list(GOOD.file)
    pages.insert(place, GOOD.file[page])
    for verdict in both(say, pages):
        assert verdict.intact.ok is False and verdict.exit_code == 13


@pytest.mark.parametrize("one", range(END + 1))
@pytest.mark.parametrize("other", range(END + 1))
def test_pages_swapped_are_named(say, one, other):
    if one >= other or (one, other) == (RUNNING, LEAF_4):
        return  # where among the next 32 leaves a running checkpoint stands means nothing: signing takes its time
    pages = list(GOOD.file)
    pages[one], pages[other] = pages[other], pages[one]
    for owner in (OWNER, None):
        try:
            verdict = say(pages, owner)
        except (FormatError, IntegrityError):
            assert one == 0
        else:
            assert verdict.intact.ok is False and verdict.exit_code == 13


@pytest.mark.parametrize("page", range(END + 1))
@pytest.mark.parametrize(
    "other",
    [subject(seed=2), subject(device=Device(9)), subject(device=Device(seq=1, prev=maker.sha(GOOD.final)))],
    ids=["another recording", "another device", "the next recording"],
)
def test_a_page_of_another_recording_is_named(say, page, other):
    pages = list(GOOD.file)
    pages[page] = other.file[page]
    for verdict in both(say, pages) if page else [say(pages, None)]:
        if page == END:
            assert verdict.complete.state == "unfinished" and verdict.exit_code == 4
        else:
            assert verdict.intact.ok is False and verdict.exit_code == 13
    pages = list(GOOD.file)
    pages.insert(max(page, 1), other.file[page])
    for verdict in both(say, pages):
        assert verdict.intact.ok is False and verdict.exit_code == 13


def test_a_page_put_behind_its_own_end_is_named(say):
    for page in GOOD.file:
        for verdict in both(say, [*GOOD.file, bytes(PAGE), page]):
            named(verdict, "not intact", "behind its final note")


# The tail.


@pytest.mark.parametrize("left", range(END + 1))
def test_the_tail_cut_at_any_page_is_never_whole(say, left):
    pages = GOOD.file[:left]
    if not left:
        with pytest.raises(FormatError):
            say(pages)
        return
    for verdict in both(say, pages):
        if left == 1:
            named(verdict, "not intact", "no checkpoint")
        else:
            assert verdict.intact.ok is True and verdict.complete.state == "unfinished" and verdict.exit_code == 4
            assert verdict.pages + verdict.unproven == sum(page[4] == AUDIO for page in pages)
            assert verdict.pages == (3 if left > RUNNING else 0)


@pytest.mark.parametrize("left", range(2, END + 1))
def test_the_tail_cut_inside_a_page_is_debris(say, left):
    for odd in (1, 512, 4095):
        for verdict in both(say, b"".join(GOOD.file)[: left * PAGE + odd]):
            assert verdict.complete.ok is False and verdict.exit_code == 4 and verdict.debris


@pytest.mark.parametrize("left", range(2, END + 1))
def test_a_cut_tail_is_cut_short_to_who_knows_the_end(say, left):
    known = Chain(finals={1: frozenset({GOOD.final})})
    for verdict in both(say, GOOD.file[:left], chain=known):
        assert verdict.complete.state == "cut short" and verdict.exit_code == 4


@pytest.mark.parametrize("older", [CHECKPOINT_0, RUNNING])
def test_an_older_checkpoint_put_last_is_named(say, older):
    for pages in ([*GOOD.file[:-1], GOOD.file[older]], [*GOOD.file, GOOD.file[older]]):
        for verdict in both(say, pages):
            assert verdict.intact.state == "not intact" and verdict.exit_code == 13


def test_an_older_checkpoint_that_lists_nothing_put_again_is_named(say):
    recording, _ = maker.begin(owners=[OWNER])
    recording.checkpoint()
    recording.checkpoint()
    recording.finish()
    for verdict in both(say, recording.file):
        named(verdict, "damaged", "page 4 is damaged: the checkpoint in it")


def test_the_sealing_taken_out_is_named(say):
    for verdict in both(say, [page for page in GOOD.file if page[4] != CHECKPOINT]):
        named(verdict, "not intact", "no checkpoint of any recorder")
        assert verdict.pages == 0 and verdict.complete.ok is False


def test_checkpoint_0_has_its_place(say):
    pages = list(GOOD.file)
    pages[1:3] = [pages[2], pages[1]]
    for verdict in both(say, pages):
        named(verdict, "not intact", "checkpoint 0 does not stand right behind the header")


# What the owner's key can make, and what it cannot.


def owners_tail(count: int) -> Recording:
    """Whoever can open a recording can seal pages onto it, with tags that fit; the device tag and the note they cannot."""
    recording = subject()
    forged, _ = maker.begin(owners=[OWNER])
    forged.device.secret = bytes(32)
    for number in (1, 2):
        forged.sound(maker.tone(300, number), maker.rice)
    for number in range(count):
        forged.body(struct.pack("<QQHHHBBII", 1100, maker.mono(1100 + number), 0, 0, 0, 0, 0, 0, 0).ljust(4016, b"\0"))
    recording.file[RUNNING + 1 :] = forged.file[-count:]
    return recording


@pytest.mark.parametrize(("count", "code"), [(1, 4), (96, 4), (97, 13)])
def test_a_tail_that_the_owner_made_is_never_vouched_for(say, count, code):
    for verdict in both(say, owners_tail(count).file):
        assert verdict.exit_code == code and verdict.complete.ok is False and verdict.pages == 3
        if code == 4:
            assert verdict.unproven == count and "not vouched for" in " ".join(verdict.intact.details)
            assert "not vouched for" in verdict.complete.reason and verdict.samples in (0, 1100)
        else:
            named(verdict, "not intact", "more than 96 pages")


def test_a_tail_doubled_or_out_of_order_is_named(say):
    pages = GOOD.file[: STOP + 1]
    for tail in ([pages[STOP]], [pages[LEAF_1]], [pages[LEAF_4]]):
        for verdict in both(say, [*pages, *tail]):
            named(verdict, "not intact", "twice or out of order")
    pages[LEAF_4], pages[STOP] = pages[STOP], pages[LEAF_4]
    for verdict in both(say, pages):
        named(verdict, "not intact", "twice or out of order")


@pytest.mark.parametrize("page", [CHECKPOINT_0, RUNNING, END])
@pytest.mark.parametrize("in_our_name", [True, False])
def test_a_note_signed_again_by_another_key_is_no_note(say, page, in_our_name):
    thief = Device() if in_our_name else Device(2)
    thief.key = Device(2).key
    data = GOOD.file[page]
    length = int.from_bytes(data[32:34], "little")
    note = thief.sign(data[34 : 34 + length].split(b"\n\n")[0] + b"\n")
    assert len(note) == length
    pages = list(GOOD.file)
    pages[page] = data[:34] + note + data[34 + length :]
    for verdict in both(say, pages):
        if page == END:
            assert verdict.complete.state == "unfinished" and verdict.exit_code == 4 and verdict.debris
        else:
            named(verdict, "damaged", f"page {page} is damaged: the checkpoint in it")


def test_a_recording_made_anew_under_another_key_is_by_nobody_known(say):
    twin = subject(device=Device(4))
    verdict = say(twin.file, pinned=GOOD.device.public)
    assert verdict.by.state == "another device" and verdict.exit_code == 13
    verdict = say(twin.file)
    assert verdict.by.ok is None and "by an unknown device" in verdict.intact.reason + verdict.complete.reason


def test_a_wrong_owner_opens_nothing(say):
    with pytest.raises(KeyMissingError) as caught:
        say(GOOD.file, Owner(2))
    assert caught.value.exit_code == 12


# Version and suite.


@pytest.mark.parametrize(("at", "value"), [(3, ord("2")), (5, 2), (5, 0), (6, 1)])
def test_another_version_or_suite_in_all_pages_is_refused_by_name(say, at, value):
    pages = [page[:at] + bytes([value]) + page[at + 1 :] for page in GOOD.file]
    for owner in (OWNER, None):
        with pytest.raises((FormatError, IntegrityError)) as caught:
            say(pages, owner)
        assert caught.value.exit_code in (13, 14)


@pytest.mark.parametrize("page", range(1, END + 1))
def test_another_suite_in_one_page_is_named(say, page):
    data = GOOD.file[page]
    pages = [*GOOD.file[:page], data[:5] + b"\2" + data[6:], *GOOD.file[page + 1 :]]
    for verdict in both(say, pages):
        assert (verdict.exit_code == (4 if page == END else 13) and verdict.complete.ok is not True) or page == RUNNING


# The device's chain.


def chain_of(*recordings: Recording) -> Chain:
    found = Chain({}, {})
    for recording in recordings:
        ids = found.recordings.get(recording.seq, frozenset()) | {(recording.id, recording.prev)}
        ends = found.finals.get(recording.seq, frozenset()) | ({recording.final} if recording.final else set())
        found = replace(
            found, recordings={**found.recordings, recording.seq: ids}, finals={**found.finals, recording.seq: ends}
        )
    return found


def test_two_headers_for_one_number_are_a_conflict(say):
    twin = subject(seed=7)
    for verdict in (say(GOOD.file, chain=chain_of(GOOD, twin)), say(twin.file, None, chain=chain_of(GOOD))):
        assert verdict.in_sequence.state == "conflict" and verdict.exit_code == 13


def test_a_journal_rolled_back_gives_two_ends_and_is_a_conflict(say):
    """The same recording closed once in order and once, from an older copy of the journal, as recovered."""
    again, _ = maker.begin(owners=[OWNER])
    for number in (1, 2):
        again.sound(maker.tone(300, number), maker.rice)
    again.checkpoint("recovered", seen=2)
    assert again.id == GOOD.id and again.final != GOOD.final
    for verdict in (say(again.file, chain=chain_of(GOOD)), say(GOOD.file, None, chain=chain_of(again))):
        assert verdict.in_sequence.state == "conflict" and verdict.exit_code == 13
        assert "two different ends" in verdict.in_sequence.reason


def test_a_journal_rolled_back_is_seen_in_the_status():
    record = DeviceRecord("00" * 32, "", "", "red", (), 1, "", "", newest=5, newest_hash="aa" * 32)
    for newest, said in ((4, b"\xaa" * 32), (5, b"\xbb" * 32)):
        status = Status(bytes(32), 1, bytes(16), 0, newest, said, 0, b"")
        with pytest.raises(IntegrityError, match="Rollback or a copied key"):
            advance(record, status)


def test_a_broken_link_to_the_recording_before_is_a_conflict(say):
    stranger = subject(device=Device(seq=1, prev=bytes(31) + b"\1"))
    assert say(stranger.file, chain=chain_of(GOOD, stranger)).exit_code == 13
    verdict = say(GOOD.file, None, chain=chain_of(GOOD, stranger))
    assert verdict.in_sequence.state == "conflict" and "does not follow" in verdict.in_sequence.reason


def test_a_recording_taken_away_is_missing(say):
    device = Device()
    first, second, third = (subject(device=device) for _ in range(3))
    verdict = say(third.file, chain=chain_of(first, third))
    assert verdict.in_sequence.state == "neighbour missing" and "recording 2 is missing" in verdict.in_sequence.reason
    assert say(second.file, chain=chain_of(first, second, third)).in_sequence.ok is True


# Power cuts, honest and not.


def closed(state: str, seen: int) -> Recording:
    """Power goes after leaf 3; the recorder closes what it finds."""
    recording, _ = maker.begin(owners=[OWNER])
    recording.sound(maker.tone(300, 1), maker.rice)
    recording.checkpoint(state, seen=seen)
    return recording


def test_a_card_trimmed_before_recovery_is_told_by_the_recorder(say):
    for verdict in both(say, closed("damaged", seen=40).file):
        assert verdict.intact.ok is True and verdict.complete.state == "damaged" and verdict.exit_code == 4
        assert "39 pages" in verdict.complete.reason


def test_a_card_trimmed_by_less_than_the_journal_knew_is_recovered_and_never_whole(say):
    for verdict in both(say, closed("recovered", seen=2).file):
        assert verdict.complete.state == "recovered" and verdict.complete.ok is False and verdict.exit_code == 4


def test_power_cut_before_the_first_page_of_sound(say):
    recording = Recording(Device(), [OWNER])
    recording.checkpoint("recovered", seen=0)
    for verdict in both(say, recording.file):
        assert verdict.intact.ok is True and verdict.complete.state == "recovered" and verdict.pages == 0


@pytest.mark.parametrize("behind_note", [-270, -5, 0, 70, 1000])
def test_a_changed_note_of_a_recovery_is_not_passed_off_as_torn(say, behind_note):
    pages = list(closed("recovered", seen=2).file)
    data = bytearray(pages[-1])
    data[34 + int.from_bytes(data[32:34], "little") + behind_note] ^= 1
    pages[-1] = bytes(data)
    for verdict in both(say, pages):
        if behind_note < 0:
            assert verdict.complete.state == "unfinished"
        else:
            named(verdict, "damaged", "the checkpoint in it")


def test_a_recovery_cut_off_again_is_unfinished(say):
    for verdict in both(say, closed("recovered", seen=2).file[:-1]):
        assert verdict.complete.state == "unfinished" and verdict.exit_code == 4


def cut_off(listed: int, torn: int = 0) -> tuple[list[bytes], int]:
    """Power goes after the running checkpoint and `listed` leaves more; the pages, and the place of that checkpoint."""
    recording, _ = maker.begin(owners=[OWNER])
    recording.sound(maker.tone(300, 1), maker.rice)
    recording.checkpoint()
    place = len(recording.file) - 1
    for number in range(listed):
        recording.sound(maker.tone(300, 2 + number), maker.rice)
    recording.file += [b"torn".ljust(PAGE, bytes([0xA0 + number])) for number in range(torn)]
    recording.checkpoint("recovered", seen=2)
    return recording.file, place


SPOILT = {
    "flash page": lambda page: bytes(PAGE),
    "first sector": lambda page: bytes(512) + page[512:],
    "all but its beginning": lambda page: page[:300] + bytes(PAGE - 300),
    "bit of the note": lambda page: page[:200] + bytes([page[200] ^ 1]) + page[201:],
    "bit of the signature": lambda page: page[:330] + bytes([page[330] ^ 1]) + page[331:],
}


@pytest.mark.parametrize("listed", [0, 1, 2])
@pytest.mark.parametrize("torn", [0, 1, 2])
def test_pages_of_a_recovered_recording_that_an_accident_spoils_are_never_a_hands_work(say, listed, torn):
    """One page after the other, and two at a time: whatever stands in for them, all others are where they were."""
    pages, _ = cut_off(listed, torn)
    for places_ in [*((at,) for at in range(1, len(pages))), *combinations(range(1, len(pages)), 2)]:
        for ways in product(SPOILT.values(), repeat=len(places_)):
            spoilt = list(pages)
            for at, way in zip(places_, ways, strict=True):
                spoilt[at] = way(pages[at])
            verdict = say(spoilt, None)
            if len(places_) == 2 and verdict.pages == 0 and verdict.final_note == b"" and not verdict.intact.ok:
                assert places_[0] == 1  # both checkpoints, and nobody vouches for anything
            else:
                assert verdict.intact.state in ("damaged", "sealed"), (places_, verdict.intact)
                changed = [at for at in places_ if spoilt[at] != pages[at] and at < len(pages) - torn - 1]
                assert verdict.intact.ok is not True or not changed or verdict.complete.state == "unfinished"


@pytest.mark.parametrize("behind", [32, 33, 96, 97])
@pytest.mark.parametrize("way", SPOILT)
def test_the_last_checkpoint_of_an_unfinished_recording_spoilt_explains_what_it_would_have_listed(say, way, behind):
    """64 leaves more may wait then, for each; not where it was taken out."""
    recording, _ = maker.begin(owners=[OWNER])
    for _ in range(63 + 64):
        recording.sound([0] * 16)
    place = len(recording.file) - 1
    for _ in range(behind):
        recording.sound([0] * 16)
    pages = [page for at, page in enumerate(recording.file) if at <= place or page[4] == AUDIO]
    for verdict in both(say, [*pages[:place], SPOILT[way](pages[place]), *pages[place + 1 :]]):
        assert verdict.complete.state == "unfinished" and verdict.pages == 64 and verdict.unproven == 64 + behind
        assert (
            verdict.intact.ok if behind == 32 else verdict.intact.state == ("damaged" if behind < 97 else "not intact")
        )
    for verdict in both(say, [*pages[:place], *pages[place + 1 :]]):
        assert verdict.intact.ok is (behind == 32)


@pytest.mark.parametrize("torn", [0, 1, 3])
@pytest.mark.parametrize("way", SPOILT)
def test_the_last_checkpoint_before_a_power_cut_spoilt_later_is_damage(say, torn, way):
    pages, place = cut_off(0, torn)
    pages[place] = SPOILT[way](pages[place])
    for verdict in both(say, pages):
        named(verdict, "damaged", "heckpoint")
        assert verdict.pages == 2 and verdict.damaged == 1 and verdict.complete.state == "recovered"


def test_the_last_checkpoint_before_a_power_cut_taken_out_is_named(say):
    """Nothing stands in for it; or as many pages as there are leaves missing, which account for these and not for it."""
    for listed, gone in ((0, 0), (1, 0), (1, 1), (2, 2)):
        pages, place = cut_off(listed, gone)
        del pages[place : place + 1 + gone]
        for verdict in both(say, pages):
            named(verdict, "not intact", "a checkpoint is missing")
            assert verdict.complete.ok is False


@pytest.mark.parametrize("way", SPOILT)
def test_leaves_taken_out_do_not_pass_for_torn_when_a_checkpoint_is_spoilt_as_well(say, way):
    """Whoever spoils the checkpoint too is told no less than who takes the leaves alone."""
    pages, place = cut_off(2, torn=3)
    for taken in (1, 2):
        alone = [*pages[: place + 3 - taken], *pages[place + 3 :]]
        with_it = list(alone)
        with_it[place] = SPOILT[way](pages[place])
        for found in (alone, with_it):
            for verdict in both(say, found):
                assert verdict.intact.state == "damaged" and verdict.complete.state == "cut short"
                named(verdict, "damaged", f"{taken} page")


def test_a_checkpoint_taken_out_before_torn_pages_is_never_intact(say):
    pages, place = cut_off(0, torn=2)
    del pages[place]
    for verdict in both(say, pages):
        named(verdict, "damaged", "a checkpoint is missing, or among the pages before page 6")
        assert verdict.complete.state == "recovered" and verdict.pages == 2


def signed_late() -> Recording:
    """As a recorder makes it: each checkpoint stands behind some leaves of the next one, because signing takes its time."""
    recording, _ = maker.begin(owners=[OWNER])
    for number in range(9):
        recording.sound(maker.tone(30, number))
        if number in (3, 7):
            recording.checkpoint(n=len(recording.hashes) - 3)
    recording.finish()
    return recording


LATE = signed_late()
NUMBERS = {f"bit {bit} of its number": lambda page, bit=bit: with_bit(page, 64 + bit) for bit in range(20)}


def with_bit(page: bytes, bit: int) -> bytes:
    return page[: bit // 8] + bytes([page[bit // 8] ^ 1 << bit % 8]) + page[bit // 8 + 1 :]


@pytest.mark.parametrize("at", [at for at, page in enumerate(LATE.file) if page[4] == AUDIO])
@pytest.mark.parametrize("way", [*SPOILT, *NUMBERS])
def test_a_page_spoilt_anywhere_is_one_damaged_page(say, at, way):
    """Also before a checkpoint that does not list it yet; and when it is only its number, and waits as if it came later."""
    pages = list(LATE.file)
    pages[at] = (SPOILT | NUMBERS)[way](pages[at])
    for verdict in both(say, pages):
        named(verdict, "damaged", f"page {at} is damaged")
        assert verdict.complete.state == "not complete" and verdict.damaged == 1 and verdict.pages == 10


@pytest.mark.parametrize("at", [at for at, page in enumerate(LATE.file) if page[4] == AUDIO])
def test_a_page_taken_out_or_doubled_anywhere_is_named(say, at):
    for verdict in both(say, [*LATE.file[:at], *LATE.file[at + 1 :]]):
        named(verdict, "damaged", "1 page of sound is missing")
        assert verdict.complete.state == "cut short" and verdict.damaged == 1
    for place in range(2, len(LATE.file)):
        for verdict in both(say, [*LATE.file[:place], LATE.file[at], *LATE.file[place:]]):
            assert verdict.intact.state == "not intact" and verdict.exit_code == 13


@pytest.mark.parametrize(("left", "last"), [(8, 7), (10, 7), (13, 12), (14, 12)])
def test_a_page_doubled_before_the_last_checkpoint_of_an_unfinished_recording_is_named(say, left, last):
    pages = LATE.file[:left]
    for at in (2, 3, last - 1):
        for verdict in both(say, [*pages[:last], pages[at], *pages[last:]]):
            assert verdict.intact.state == "not intact" and verdict.exit_code == 13


@pytest.mark.parametrize(("left", "at"), [(8, 3), (10, 3), (13, 8), (14, 8)])
@pytest.mark.parametrize("wrong", [1, 2, 9])
def test_a_number_spoilt_before_the_last_checkpoint_of_an_unfinished_recording_is_damage(say, left, at, wrong):
    pages = LATE.file[:left]
    number = int.from_bytes(pages[at][8:12], "little") + wrong
    pages[at] = pages[at][:8] + number.to_bytes(4, "little") + pages[at][12:]
    for verdict in both(say, pages):
        named(verdict, "damaged", f"page {at} is damaged")
        assert verdict.complete.state == "unfinished" and verdict.damaged == 1


@pytest.mark.parametrize("left", [4, 11, 12, 15])
def test_a_number_spoilt_behind_the_last_checkpoint_of_an_unfinished_recording_is_never_a_hands_work(say, left):
    """But where it then claims to be a leaf that is proven: that may be a copy."""
    pages = LATE.file[:left]
    waiting = [at for at in range(2, left) if pages[at][4] == AUDIO and not any(p[4] == CHECKPOINT for p in pages[at:])]
    for at, bit in product(waiting, range(20)):
        spoilt = [*pages[:at], with_bit(pages[at], 64 + bit), *pages[at + 1 :]]
        for verdict in both(say, spoilt):
            assert verdict.complete.state == "unfinished"
            if int.from_bytes(spoilt[at][8:12], "little") > int.from_bytes(pages[at][8:12], "little"):
                assert verdict.intact.ok or verdict.intact.state == "damaged"


def test_a_doubled_page_does_not_pass_for_a_checkpoint_taken_out(say):
    pages = [*LATE.file[:3], LATE.file[14], *LATE.file[3:7], *LATE.file[8:]]
    for verdict in both(say, pages):
        named(verdict, "not intact", "1 page too many stands")


def test_a_clock_that_was_set_otherwise_is_not_hidden_by_a_later_one(say):
    start = 1_760_000_000_000_000
    exact = [maker.clock(0, start, 0), maker.clock(0, start + 10_000_000, 0), maker.clock(480, start + 30_000, 0)]
    recording = Recording(Device(), [OWNER])
    recording.sound(maker.tone(500), maker.rice, events=maker.meta() + b"".join(exact) + maker.stop(500))
    recording.checkpoint("end")
    verdict = say(recording.file)
    assert verdict.continuous.ok is False and "sound and clock disagree" in verdict.continuous.reason
