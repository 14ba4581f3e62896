"""What is said of a file: good ones, cut ones, damaged ones, tampered ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earwitness.commands._story import length
from earwitness.errors import FormatError, IntegrityError, KeyMissingError
from earwitness.verify import Chain, Verdict, verify
from host import maker
from host.maker import PAGE, Device, Owner, Recording

OWNER = Owner()


@pytest.fixture
def say(tmp_path: Path):
    def run(recording: Recording | bytes, owner: Owner | None = OWNER, **more: object) -> Verdict:
        data = recording if isinstance(recording, bytes) else recording.bytes()
        path = tmp_path / "a.ewr"
        path.write_bytes(data)
        verdict = verify(path, owner, **more)
        json.dumps(verdict.to_json())
        return verdict

    return run


def flip(recording: Recording, page: int, at: int = 100) -> None:
    data = bytearray(recording.file[page])
    data[at] ^= 4
    recording.file[page] = bytes(data)


def test_a_whole_recording_by_a_paired_device_passes_every_question(say):
    recording, samples = maker.normal()
    verdict = say(recording, pinned=recording.device.public)
    assert (verdict.intact.ok, verdict.complete.ok, verdict.continuous.ok, verdict.by.ok) == (True,) * 4
    assert verdict.exit_code == 0
    assert (verdict.pages, verdict.samples, verdict.stop_reason) == (7, len(samples), "switch")
    assert verdict.clock == "2025-10-09T08:53:20Z"
    assert "unknown" not in verdict.intact.reason


def test_by_an_unknown_device_is_said_in_both_answers(say):
    verdict = say(maker.normal()[0])
    assert "by an unknown device" in verdict.intact.reason and "by an unknown device" in verdict.complete.reason
    assert verdict.by.ok is None


def test_another_device_than_the_pinned_is_refused(say):
    verdict = say(maker.normal()[0], pinned=Device(2).public)
    assert verdict.by.ok is False and verdict.exit_code == 13


def test_without_a_key_the_seals_are_checked_and_nothing_is_opened(say):
    verdict = say(maker.normal()[0], None)
    assert verdict.intact.state == "sealed" and "not opened" in verdict.intact.reason
    assert verdict.complete.state == "sealed as complete" and "STOP not checked" in verdict.complete.reason
    assert verdict.continuous.ok is None and verdict.samples == 0 and verdict.exit_code == 0


def test_every_recipient_opens_it_and_a_stranger_does_not(say):
    owners = [Owner(1), Owner(2), Owner(3)]
    recording, _ = maker.normal(owners=owners)
    for owner in owners:
        assert say(recording, owner).exit_code == 0
    with pytest.raises(KeyMissingError):
        say(recording, Owner(4))


@pytest.mark.parametrize("pages", [1, 62, 63, 64, 65, 130, 200])
def test_any_number_of_checkpoints(say, pages):
    recording, samples = maker.normal(pages)
    verdict = say(recording)
    assert verdict.exit_code == 0, verdict.intact
    assert verdict.pages == pages + 1 and verdict.samples == len(samples)


@pytest.mark.parametrize("late", [1, 32])
def test_a_checkpoint_may_be_32_leaves_late(say, late):
    recording, _ = maker.begin()
    for number in range(20 + late):
        recording.sound(maker.tone(30, number))
    recording.checkpoint(n=22)
    recording.finish()
    assert say(recording).exit_code == 0


def test_a_checkpoint_33_leaves_late_is_a_failure(say):
    recording, _ = maker.begin()
    for number in range(20 + 33):
        recording.sound(maker.tone(30, number))
    recording.checkpoint(n=21)
    recording.finish()
    assert say(recording).intact.state == "not intact"


def test_marks_losses_and_mutes_are_listed_and_a_mute_is_not_a_loss(say):
    recording, _ = maker.begin()
    recording.sound(
        maker.tone(100), events=maker.mark(510) + maker.mark(520, 2) + maker.mark(530, 3) + maker.muted(600)
    )
    recording.page(lost_before=480_000)
    recording.sound(maker.tone(50), lost_before=1000, events=maker.unmuted(481_600))
    recording.finish()
    verdict = say(recording)
    assert [(m.sample, m.kind) for m in verdict.marks] == [(510, "moment"), (520, "disputed"), (530, "notice given")]
    assert [(g.sample, g.count) for g in verdict.mutes] == [(600, 481_000)] and not verdict.losses
    assert verdict.continuous.ok is True and "Off the record" in verdict.continuous.reason and verdict.exit_code == 0


def test_a_loss_makes_it_not_continuous_and_is_listed(say):
    recording, _ = maker.begin()
    recording.sound(maker.tone(50), lost_before=777, events=maker.lost(500, 777))
    recording.finish()
    verdict = say(recording)
    assert [(g.sample, g.count, g.reason) for g in verdict.losses] == [(500, 777, "lost")]
    assert verdict.continuous.ok is False and verdict.intact.ok and verdict.complete.ok and verdict.exit_code == 4
    assert not any("account" in detail for detail in verdict.continuous.details)


def test_a_dead_microphone_makes_it_not_continuous_and_is_listed_from_when_to_when(say):
    recording, _ = maker.begin()
    recording.pcm(maker.tone(50) + [0] * 900 + maker.tone(50), events=maker.silent(550) + maker.heard(1450))
    recording.pcm([7] * 600, events=maker.heard(1500) + maker.silent(1500) + maker.silent(1600))
    recording.finish()
    verdict = say(recording)
    assert [(s.sample, s.count) for s in verdict.silences] == [(550, 900), (1500, 600)]
    assert not verdict.gaps and verdict.intact.ok and verdict.complete.ok and verdict.exit_code == 4
    assert "the microphone gave nothing for 0.094 s in 2 places" in verdict.continuous.reason
    assert verdict.to_json()["silences"] == [
        {"sample": 550, "count": 900, "seconds": 0.05625},
        {"sample": 1500, "count": 600, "seconds": 0.0375},
    ]


def test_a_dead_microphone_that_the_owner_muted_is_counted_once(say):
    recording, _ = maker.begin()
    recording.pcm([0] * 500, events=maker.silent(500) + maker.muted(1000))
    recording.pcm([0] * 500, lost_before=1000, events=maker.unmuted(2000))
    recording.finish()
    verdict = say(recording)
    assert [(gap.sample, gap.count, gap.reason) for gap in verdict.unheard] == [
        (500, 2000, "silent"),
        (1000, 1000, "muted"),
    ]
    assert length(verdict).endswith("0.12 s of it without sound")


@pytest.mark.parametrize(("low", "high"), [(0, 1 << 40), (1 << 40, 3), (900, 600)])
def test_a_silence_that_nobody_can_have_heard_is_no_more_than_the_recording(say, low, high):
    recording, _ = maker.begin()
    recording.pcm(maker.tone(300), events=maker.silent(low) + maker.heard(high))
    recording.finish()
    verdict = say(recording)
    (silence,) = verdict.silences
    assert silence.sample >= 0 and silence.count >= 0 and silence.sample + silence.count <= verdict.samples
    assert verdict.continuous.ok is False


def test_a_loss_without_an_entry_is_said(say):
    recording, _ = maker.begin()
    recording.sound(maker.tone(50), lost_before=777)
    recording.finish()
    assert any("account for 0 of 777" in detail for detail in say(recording).continuous.details)


def test_a_loss_within_a_mute_is_told_apart(say):
    recording, _ = maker.begin()
    recording.sound(maker.tone(100), events=maker.muted(600))
    recording.sound(maker.tone(50), lost_before=500, events=maker.unmuted(900) + maker.lost(900, 200))
    recording.finish()
    assert [(g.sample, g.count, g.reason) for g in say(recording).gaps] == [(600, 300, "muted"), (900, 200, "lost")]


@pytest.mark.parametrize(("late_us", "ok"), [(4_900, True), (5_200, False), (-5_200, False)])
def test_time_and_sample_count_agree_within_5_ms(say, late_us, ok):
    recording, _ = maker.begin()
    recording.sound(maker.tone(50), late_us=late_us)
    recording.finish()
    assert say(recording).continuous.ok is ok


@pytest.mark.parametrize(("off_us", "ok"), [(50_000, True), (200_000, False)])
def test_time_is_checked_against_the_clock(say, off_us, ok):
    recording, _ = maker.begin()
    recording.sound(maker.tone(50), events=maker.clock(500, 1_760_000_000_000_000 + 31_250 + off_us))
    recording.finish()
    assert say(recording).continuous.ok is ok


def test_unknown_events_are_kept_and_shown(say):
    recording, _ = maker.begin()
    recording.sound(maker.tone(50), events=maker.event(77, 1, b"new"))
    recording.finish()
    verdict = say(recording)
    assert verdict.exit_code == 0
    assert [(e.name, e.data) for e in verdict.events if e.type == 77] == [("unknown 77", b"new")]


def unfinished(tail: int = 5) -> Recording:
    recording, _ = maker.begin()
    recording.sound(maker.tone(30))
    recording.checkpoint()
    for number in range(tail):
        recording.covered = len(recording.hashes)  # so that no checkpoint comes by itself
        recording.sound(maker.tone(30, number))
    return recording


@pytest.mark.parametrize("owner", [OWNER, None])
def test_unfinished_with_a_tail_that_nobody_vouches_for(say, owner):
    verdict = say(unfinished(), owner)
    assert verdict.intact.ok is True and verdict.complete.state == "unfinished" and verdict.exit_code == 4
    assert (verdict.pages, verdict.unproven) == (2, 5)
    assert verdict.samples in (0, 530)


def test_a_tail_of_96_is_the_most(say):
    assert say(unfinished(96)).intact.ok is True
    assert say(unfinished(97)).intact.state == "not intact"


@pytest.mark.parametrize("tail", [1024, 1025, 1026])
def test_a_tail_that_is_longer_than_what_is_held_is_no_less_a_failure(say, tail):
    recording, _ = maker.begin()
    recording.checkpoint()
    recording.covered = -tail  # so that no checkpoint comes by itself
    for _ in range(tail):
        recording.page()
    verdict = say(recording, None)
    assert verdict.intact.state == "not intact" and (verdict.pages, verdict.unproven) == (1, tail)


def test_a_torn_page_at_the_end_is_debris(say):
    recording = unfinished()
    flip(recording, -1, 2000)
    data = recording.bytes() + b"EWR1 and a bit"
    verdict = say(data)
    assert verdict.intact.ok is True and verdict.unproven == 4 and len(verdict.debris) == 2


def test_unused_space_behind_an_unfinished_recording(say):
    other, _ = maker.normal(device=Device(5))
    verdict = say(unfinished().bytes() + other.bytes() + bytes(3 * PAGE))
    assert verdict.intact.ok is True and verdict.unused_pages == len(other.file) + 3 and not verdict.debris


def test_stale_pages_behind_the_final_note_are_unused_space(say):
    recording, _ = maker.normal()
    other, _ = maker.normal(device=Device(5))
    verdict = say(recording.bytes() + other.bytes() + bytes(PAGE) + b"odd")
    assert verdict.exit_code == 0 and verdict.unused_pages == len(other.file) + 1


@pytest.mark.parametrize("page", [0, 1, 2, 4, -1])
@pytest.mark.parametrize("owner", [OWNER, None])
def test_a_later_page_of_this_recording_is_a_failure(say, page, owner):
    recording, _ = maker.normal()
    verdict = say(recording.bytes() + bytes(PAGE) + recording.file[page], owner)
    assert verdict.intact.state == "not intact" and verdict.exit_code == 13


def recovered(state: str = "recovered", seen: int = 3) -> Recording:
    recording = unfinished()
    recording.covered = 3
    recording.checkpoint(state, seen=seen)
    return recording


def test_recovered_is_intact_and_whole_up_to_there(say):
    verdict = say(recovered())
    assert verdict.intact.ok is True and verdict.complete.state == "recovered" and verdict.exit_code == 4
    assert verdict.unproven == 0 and verdict.pages == 7


def test_a_torn_page_before_the_recovery_is_debris(say):
    recording = recovered()
    recording.file.insert(-1, b"torn".ljust(PAGE, b"\xff"))
    verdict = say(recording)
    assert verdict.intact.ok is True and verdict.debris


def test_another_recordings_page_before_the_recovery_is_not_called_torn(say):
    """Whatever was put there was not torn by a power cut if it is a whole page of another recording."""
    foreign = maker.normal(device=Device(5))[0].file
    recording = recovered()
    recording.file[-1:-1] = [foreign[2], foreign[3], b"torn".ljust(PAGE, b"\xff")]
    verdict = say(recording)
    first = len(recording.file) - 4
    assert verdict.intact.ok is True and verdict.exit_code == 4
    assert verdict.debris == (
        f"pages {first} to {first + 1} are not of this recording",
        f"page {first + 2} is torn by the power cut, or never written",
    )


def test_the_place_of_a_running_checkpoint_within_the_leaves_it_may_be_late_changes_nothing_that_is_said(say):
    """FORMAT.md: it is not signed and means nothing. Beyond those leaves it is a failure."""
    recording, samples = maker.normal(100)
    before = say(recording)
    (at,) = [place for place, page in enumerate(recording.file) if page[4] == 3][1:-1]
    for later, ok in ((20, True), (33, False)):
        pages = list(recording.file)
        pages.insert(at + later, pages.pop(at))
        verdict = say(b"".join(pages))
        assert verdict.intact.ok is ok
        if ok:
            assert verdict == before and verdict.samples == len(samples)


def test_what_the_recorder_found_damaged_says_so(say):
    verdict = say(recovered("damaged", 40))
    assert (
        verdict.complete.state == "damaged" and verdict.complete.ok is False and "39 pages" in verdict.complete.reason
    )


@pytest.mark.parametrize("at", [0, 4, 12, 20, 40, 70, 101, 150, 3000, 4060, 4090])
def test_one_flipped_byte_in_the_header_is_named_and_it_stays_openable(say, at):
    recording, samples = maker.normal()
    flip(recording, 0, at)
    verdict = say(recording)
    assert verdict.intact.state == "damaged" and "page 0" in verdict.intact.reason and verdict.exit_code == 13
    assert verdict.samples == len(samples) and verdict.complete.ok is True


@pytest.mark.parametrize("at", [0, 12, 30, 60, 200, 400, 500, 900, 4095])
def test_a_flipped_byte_in_checkpoint_0_is_named(say, at):
    recording, samples = maker.normal()
    flip(recording, 1, at)
    verdict = say(recording)
    assert verdict.intact.state == "damaged" and "page 1 " in verdict.intact.reason and verdict.complete.ok is False
    assert verdict.samples == len(samples)


def test_header_and_its_copy_both_spoilt(say):
    recording, _ = maker.normal()
    flip(recording, 0, 110)
    flip(recording, 1, 500)
    with pytest.raises(IntegrityError):
        say(recording)


@pytest.mark.parametrize("pages", [6, 150])
@pytest.mark.parametrize("at", [0, 5, 8, 12, 29, 33, 2000, 4050, 4090])
def test_one_bad_page_condemns_one_page(say, pages, at):
    recording, samples = maker.normal(pages)
    flip(recording, 4, at)
    for owner in (OWNER, None):
        verdict = say(recording, owner)
        assert verdict.intact.state == "damaged" and "page 4 " in verdict.intact.reason, verdict.intact
        assert verdict.pages == pages and verdict.damaged == 1
    assert say(recording).samples == len(samples)
    assert [(g.sample, g.count, g.reason) for g in say(recording).gaps] == [(1100 - 300, 300, "damaged")]


@pytest.mark.parametrize("at", [0, 8, 12, 28, 32, 60, 200, 300, 500, 2000, 4000])
def test_a_damaged_checkpoint_is_named_and_the_leaves_keep_their_proof(say, at):
    recording, samples = maker.normal(200)
    place = [i for i, page in enumerate(recording.file) if page[4] == 3][2]
    flip(recording, place, at)
    verdict = say(recording)
    assert verdict.intact.state == "damaged" and f"page {place} " in verdict.intact.reason
    assert verdict.pages == 201 and verdict.samples == len(samples) and verdict.complete.ok is True


def test_a_damaged_checkpoint_and_a_damaged_page_that_it_lists(say):
    recording, _ = maker.normal(200)
    place = [i for i, page in enumerate(recording.file) if page[4] == 3][2]
    flip(recording, place, 60)
    flip(recording, place - 3, 60)
    verdict = say(recording)
    assert verdict.intact.state == "damaged" and verdict.pages == 201 - 64
    assert any("one by one" in detail for detail in verdict.intact.details)


@pytest.mark.parametrize("at", [60, 4000])
def test_a_damaged_final_page_is_never_complete(say, at):
    recording, _ = maker.normal()
    flip(recording, -1, at)
    verdict = say(recording)
    assert verdict.complete.ok is False and verdict.exit_code != 0


def test_pages_cut_out_of_the_middle(say):
    recording, _ = maker.normal()
    del recording.file[4:6]
    for owner in (OWNER, None):
        verdict = say(recording, owner)
        assert (
            verdict.intact.ok is False
            and verdict.complete.state == "cut short"
            and "2 are not here" in verdict.complete.reason
        )
        assert verdict.exit_code == 13


def test_the_end_cut_off_is_unfinished(say):
    recording, _ = maker.normal()
    del recording.file[-1]
    verdict = say(recording)
    assert verdict.complete.state == "unfinished" and verdict.exit_code == 4


def test_pages_swapped(say):
    recording, _ = maker.normal()
    recording.file[3], recording.file[4] = recording.file[4], recording.file[3]
    assert say(recording).intact.state == "not intact"


def test_a_page_twice(say):
    recording, _ = maker.normal()
    recording.file.insert(4, recording.file[3])
    assert say(recording).intact.state == "not intact"


def test_a_page_of_another_recording_in_place(say):
    recording, _ = maker.normal()
    other, _ = maker.normal(seed=2)
    recording.file[4] = other.file[4]
    verdict = say(recording)
    assert verdict.intact.state == "damaged" and verdict.complete.ok is False


def test_a_page_of_another_recording_put_in(say):
    recording, _ = maker.normal()
    other, _ = maker.normal(seed=2)
    recording.file.insert(4, other.file[4])
    assert say(recording).intact.ok is False


def test_a_checkpoint_taken_out(say):
    recording, _ = maker.normal(200)
    place = [i for i, page in enumerate(recording.file) if page[4] == 3][2]
    del recording.file[place]
    verdict = say(recording)
    assert verdict.intact.state == "not intact" and "checkpoint is missing" in verdict.intact.reason


def test_checkpoint_0_taken_out(say):
    recording, _ = maker.normal()
    del recording.file[1]
    verdict = say(recording)
    assert verdict.intact.ok is False and verdict.complete.ok is False


def test_no_checkpoint_at_all_is_nobodys(say):
    recording, _ = maker.normal()
    recording.file = [page for page in recording.file if page[4] != 3]
    verdict = say(recording)
    assert verdict.intact.state == "not intact" and "no checkpoint" in verdict.intact.reason and verdict.pages == 0


def test_the_owners_key_alone_cannot_add_pages(say):
    """Whoever can open a recording can make pages with good tags, but no checkpoint over them."""
    recording, _ = maker.begin()
    recording.finish()
    forged, _ = maker.begin()
    for number in range(5):
        forged.sound(maker.tone(40, number))
    recording.file[-1:] = [forged.file[-1], recording.file[-1]]
    assert say(recording).intact.state == "not intact"


def test_a_foreign_signature_is_no_checkpoint(say):
    recording, _ = maker.normal(device=Device(1))
    thief = Device(2)
    recording.device.key = thief.key
    recording.file.pop()
    recording.checkpoint("end", p=1)
    verdict = say(recording)
    assert verdict.complete.ok is False and verdict.pages == 0


@pytest.mark.parametrize("wrong", [{"seq": 9}])
def test_a_note_about_another_recording_is_refused(say, wrong):
    recording, _ = maker.begin()
    recording.checkpoint("end", **wrong)
    assert say(recording).complete.ok is False


def test_a_final_note_that_does_not_cover_all_leaves(say):
    recording, _ = maker.begin()
    recording.sound(maker.tone(30))
    recording.checkpoint("end", n=2)
    assert say(recording).intact.state == "not intact"


def test_no_stop_is_not_complete(say):
    recording, _ = maker.begin()
    recording.checkpoint("end")
    verdict = say(recording)
    assert verdict.intact.ok and verdict.complete.state == "not complete" and verdict.exit_code == 4


@pytest.mark.parametrize("events", [maker.stop(500) * 2, maker.stop(500) + maker.mark(400)])
def test_stop_is_one_and_last(say, events):
    recording, _ = maker.begin()
    recording.page(events=events)
    recording.checkpoint("end")
    assert say(recording).complete.ok is False


@pytest.mark.parametrize(
    "plain",
    [
        bytes(4015) + b"\1",  # padding
        maker.struct.pack("<QQHHHBBII", 500, 0, 0, 0, 0, 0, 1, 0, 0),  # flags
        maker.struct.pack("<QQHHHBBII", 500, 0, 0, 0, 0, 0, 0, 0, 1),  # zero field
        maker.struct.pack("<QQHHHBBII", 500, 0, 0, 3000, 3000, 0, 0, 0, 0),  # longer than the page
        maker.struct.pack("<QQHHHBBII", 500, 0, 3, 0, 4, 0, 0, 0, 0),  # 3 samples in 4 bytes
        maker.struct.pack("<QQHHHBBII", 500, 0, 0, 0, 0, 9, 0, 0, 0),  # codec
        maker.struct.pack("<QQHHHBBII", 501, 0, 0, 0, 0, 0, 0, 0, 0),  # the count jumps
        maker.struct.pack("<QQHHHBBII", 499, 0, 0, 0, 0, 0, 0, 0, 0),  # the count goes back
        maker.struct.pack("<QQHHHBBII", 1 << 60, 0, 0, 0, 0, 0, 0, 0, 0),
        maker.struct.pack("<QQHHHBBII", 500, 0, 0, 2, 0, 0, 0, 0, 0) + b"\1\1",  # event too short
        maker.struct.pack("<QQHHHBBII", 500, 0, 0, 10, 0, 0, 0, 0, 0) + maker.event(1, 0),  # mark without fields
        maker.struct.pack("<QQHHHBBII", 500, 0, 20, 0, 60, 1, 0, 0, 0) + maker.verbatim(501, maker.tone(20)),
        maker.struct.pack("<QQHHHBBII", 500, 0, 19, 0, 60, 1, 0, 0, 0) + maker.verbatim(500, maker.tone(20)),
        maker.struct.pack("<QQHHHBBII", 500, 0, 15, 0, 41, 1, 0, 0, 0) + maker.verbatim(500, maker.tone(15)),
    ],
)
def test_a_sealed_page_that_breaks_the_format_is_named(say, plain):
    recording, _ = maker.begin()
    recording.body(plain.ljust(4016, b"\0"))
    recording.finish()
    verdict = say(recording)
    assert verdict.intact.state == "not intact" and "sealed and yet invalid" in verdict.intact.reason
    assert "page 3 " in verdict.intact.reason


def test_the_first_page_begins_at_sample_0(say):
    recording = Recording(Device(), [OWNER])
    recording.sound(maker.tone(30), lost_before=10)
    recording.finish()
    assert say(recording).intact.state == "not intact"


def test_a_proven_page_with_a_wrong_tag(say):
    recording, _ = maker.begin()
    recording.body(bytes(4016), wrong_tag=True)
    recording.finish()
    assert "tag" in say(recording).intact.reason
    assert say(recording, None).intact.ok is True  # nobody sees it without the key


SPOILT = maker.verbatim(500, maker.tone(100)).replace(maker.struct.pack(">h", maker.tone(100)[50]), b"\x7f\x11", 1)


@pytest.mark.parametrize(
    ("audio", "samples"),
    [
        (SPOILT, 100),
        (maker.verbatim(500, maker.tone(20)), 40),
        (maker.verbatim(500, maker.tone(20)) + maker.verbatim(520, maker.tone(20)), 20),
        (maker.verbatim(500, maker.tone(20)) + maker.verbatim(521, maker.tone(20)), 40),
        (maker.verbatim(500, maker.tone(20)) + b"\0\0", 20),
        (maker.verbatim(500, maker.tone(20))[:-1], 20),
    ],
)
def test_sound_that_does_not_decode_to_its_samples_is_found_when_asked(say, audio, samples):
    recording, _ = maker.begin()
    recording.page(audio, samples)
    recording.sound(maker.tone(64))
    recording.finish()
    assert say(recording).exit_code == 0
    verdict = say(recording, decode=True)
    assert verdict.intact.state == "not intact" and "page 3 " in verdict.intact.reason


def test_a_weak_device_key_is_refused(say):
    device = Device()
    device.public = bytes(32)
    recording = Recording(device, [OWNER])
    recording.finish()
    with pytest.raises(IntegrityError, match="anybody can sign"):
        say(recording, None)


@pytest.mark.parametrize("data", [b"", b"EWR1", bytes(PAGE), b"RIFF" * 2048])
def test_no_recording(say, data):
    with pytest.raises(FormatError):
        say(data)


def test_a_later_suite_is_named(say):
    recording, _ = maker.normal()
    flip(recording, 0, 5)
    flip(recording, 1, 5)
    with pytest.raises(FormatError, match="suite"):
        say(recording)


# In sequence.


def three() -> list[Recording]:
    device = Device()
    return [maker.normal(2, device=device, seed=seed)[0] for seed in range(3)]


def chain(recordings: list[Recording], **more: object) -> Chain:
    return Chain(
        {r.seq: frozenset({(r.id, r.prev)}) for r in recordings},
        {r.seq: frozenset({r.final}) for r in recordings},
        **more,
    )


def test_neighbours_present(say):
    first, second, third = three()
    known = chain([first, second, third])
    for recording in (first, second, third):
        assert say(recording, chain=known).in_sequence.ok is True
    assert "last that is known" in say(third, chain=known).in_sequence.reason
    fresh = chain([first, second, third], newest=3, fresh=True)
    assert "newest" in say(third, chain=fresh).in_sequence.reason


def test_a_neighbour_missing_or_freed(say):
    first, second, third = three()
    verdict = say(second, chain=chain([second, third]))
    assert verdict.in_sequence.state == "neighbour missing" and "recording 1 is missing" in verdict.in_sequence.reason
    freed = Chain({2: frozenset({(second.id, second.prev)})}, {1: frozenset({first.final})}, frozenset({1}))
    assert say(second, chain=freed).in_sequence.ok is True
    assert say(second, chain=chain([first, second], newest=3)).in_sequence.ok is False


def test_two_recordings_with_one_number_are_a_failure(say):
    first, second, third = three()
    twin, _ = maker.normal(device=Device(seq=1, prev=second.prev), seed=9)
    known = chain([first, second, third])
    verdict = say(twin, chain=known)
    assert verdict.in_sequence.state == "conflict" and verdict.exit_code == 13


def test_a_recording_that_does_not_follow_its_neighbour(say):
    first, second, third = three()
    stranger, _ = maker.normal(2, device=Device(seq=1, prev=bytes(31) + b"\1"), seed=8)
    assert say(stranger, chain=chain([first])).in_sequence.state == "conflict"
    assert say(second, chain=chain([stranger, third])).in_sequence.state == "conflict"


def test_cut_short_is_proven_by_the_chain(say):
    first, second, third = three()
    whole = chain([first, second, third])
    second.file.pop()
    assert say(second, chain=whole).complete.state == "cut short"
    del whole.finals[2]
    assert say(second, chain=whole).complete.state == "cut short"
