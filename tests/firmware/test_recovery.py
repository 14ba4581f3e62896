"""Recovery after power cuts, damage and worse. What it leaves is checked by a verifier of its own, written from FORMAT.md."""

from __future__ import annotations

import base64
import hashlib
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from earwitness.verify import verify as read_by_us

RIGS = Path(__file__).parent / "rigs"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
PUBLIC = KEY.public_bytes_raw()
NAME = "earwitness/" + hashlib.sha256(PUBLIC).hexdigest()[:16]

PRELUDE = """
sys.path.append(ARGS["rigs"])
import gc
import storage
flash = storage.Flash().install()
import life
from hashlib import sha256
from life import Life
from recorder.errors import CardError
from recorder.store import journal as entries
from recorder.store.journal import Journal
from recorder.store.recovery import recover
from recorder.store.volume import Volume
who = life.identity()
def new_card():
    return storage.Blocks(ARGS["image"])
def start(card, late=3):
    one = Life(Volume(card), Journal(), who, late)
    one.begin()
    return one
def mend(card):
    # The next boot: (the card as it then is, what recovery says)
    card = card.again()
    flash.next_boot()
    outcome = recover(Journal(), Volume(card), who)
    return card, outcome
def told(outcome):
    return None if outcome is None else [outcome.seq, outcome.state, outcome.n, outcome.seen]
def read(card, seq=1, most=500):
    volume = Volume(card)
    pages = []
    for place in range(min(volume.pages(seq), most)):
        page = bytearray(4096)
        volume.read_page(seq, place, page)
        pages.append(page)
    return pages
def digest(card, seq=1):
    whole = sha256()
    for page in read(card, seq):
        whole.update(page)
    return whole.digest()
def dump(card, name, seq=1):
    with open(ARGS["out"] + "/" + name, "wb") as file:
        for page in read(card, seq):
            file.write(page)
def change(card, place, page, seq=1):
    volume = Volume(card)
    handle = volume.open(seq, "r+b")
    handle.seek(place * 4096)
    handle.write(page)
    handle.close()
def places(card, kind, seq=1):
    return [at for at, page in enumerate(read(card, seq)) if page[:4] == b"EWR1" and page[4] == kind]
"""


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(root(leaves[:split]), root(leaves[split:]))


def compact_range(leaves: list[bytes]) -> list[bytes]:
    found = []
    at = 0
    for bit in range(20, -1, -1):
        if len(leaves) >> bit & 1:
            found.append(root(leaves[at : at + (1 << bit)]))
            at += 1 << bit
    return found


def read_note(text: bytes, recording_id: bytes) -> dict[str, Any]:
    body, _, line = text.decode().rpartition("\n\n")
    body += "\n"
    raw = base64.b64decode(line.split(" ")[2], validate=False)
    assert line == f"\u2014 {NAME} {base64.b64encode(raw).decode()}\n"
    assert raw[:4] == hashlib.sha256(NAME.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    KEY.verify(raw[4:], body.encode())
    lines = body.split("\n")
    assert lines[0] == f"earwitness/v1/checkpoint/{NAME[11:]}/{recording_id.hex()}"
    found: dict[str, Any] = {"n": int(lines[1]), "root": base64.b64decode(lines[2])}
    found.update(line.split(" ") for line in lines[3:-1])
    return found


def verify(data: bytes, damaged: tuple[int, ...] = ()) -> dict[str, Any]:
    """FORMAT.md, all that can be told without the owner's key. `damaged`: pages that are known to be bad."""
    pages = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    recording_id = data[12:28] if 0 not in damaged else data[4096 + 12 : 4096 + 28]
    leaves: list[bytes] = []
    before = 0
    final = None
    skipped = False
    for place, page in enumerate(pages):
        ours = page[:4] == b"EWR1" and page[12:28] == recording_id
        if final is not None:
            assert not ours, f"page {place} of this recording behind the final note"
        elif place in damaged:
            skipped = True
            if page[4] != 3:  # its leaf is known from the list of the checkpoint that covers it
                leaves.append(b"")
        elif not ours:
            raise AssertionError(f"page {place} is not of this recording")
        elif page[4] in (1, 2):
            assert page[8:12] == struct.pack("<I", len(leaves) if page[4] == 2 else 4096)
            digest = hashlib.sha256(page[:4048]).digest()
            leaves.append(hashlib.sha256(b"\0" + digest + page[4048:]).digest())
        else:
            n, _, p, length = struct.unpack_from("<I16sIH", page, 8)
            note = read_note(page[34 : 34 + length], recording_id)
            listed = [page[at : at + 32] for at in range(34 + length, 34 + length + 32 * (n - p), 32)]
            for index, leaf in enumerate(listed):
                if p + index < len(leaves) and not leaves[p + index]:
                    leaves[p + index] = leaf
            assert 0 <= n - p <= 64
            assert n <= len(leaves) <= n + 32, f"checkpoint of {n} behind {len(leaves)} leaves"
            assert p == before or skipped
            assert note["n"] == n
            assert note["root"] == root(leaves[:n])
            assert note["seq"] == str(struct.unpack_from("<Q", data, 28)[0])
            expected = page[:34] + page[34 : 34 + length] + b"".join(leaves[p:n]) + b"".join(compact_range(leaves[:p]))
            if p == 0:
                assert (place, n) == (1, 1)
                end = 102 + struct.unpack_from("<H", data, 100)[0]
                expected += data[:end] + data[4080:4096]
            assert page == expected.ljust(4096, b"\0")
            before = n
            if note["state"] != "running":
                assert n == len(leaves)
                final = note
                final["page"] = place
    assert final is not None
    return final


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("card") / "fat32.img"
    with path.open("wb") as file:
        file.truncate(300 << 20)
    mkfs = shutil.which("mkfs.vfat") or "/usr/sbin/mkfs.vfat"
    subprocess.run([mkfs, "-F", "32", "-s", "8", str(path)], check=True, capture_output=True)
    return str(path)


@pytest.fixture
def run(mpy, card: str, tmp_path: Path):
    def go(source: str, **more: Any) -> list[Any]:
        return mpy(PRELUDE + source, heap="96M", args={"rigs": str(RIGS), "image": card, "out": str(tmp_path), **more})

    return go


def test_a_recording_that_ended_is_left_alone(run, tmp_path: Path) -> None:
    source = """
card = new_card()
one = start(card)
one.write(150)
one.end()
card, outcome = mend(card)
emit([told(outcome), card.writes])
dump(card, "whole.ewr")
"""
    assert run(source) == [[None, []]]
    found = verify((tmp_path / "whole.ewr").read_bytes())
    assert (found["state"], found["n"], "seen" in found) == ("end", 151, False)


@pytest.mark.parametrize("late", [0, 30])
def test_cut_between_any_two_pages(run, tmp_path: Path, late: int) -> None:
    """As many leaves as were written are kept, whether a checkpoint is due, late, or just there."""
    counts = [0, 1, 2, 62, 63, 64, 65, 93, 94, 95, 96, 97, 127, 128, 140, 200]
    source = """
for count in ARGS["counts"]:
    flash.cells[:] = b"\\xff" * flash.SIZE
    card = new_card()
    one = start(card, ARGS["late"])
    one.write(count)
    covered = Journal().open.n
    card, outcome = mend(card)
    emit([told(outcome), covered])
    dump(card, "%d.ewr" % count)
    card, outcome = mend(card)
    emit([told(outcome), card.writes, Journal().open is None])
"""
    found = run(source, counts=counts, late=late)
    for index, count in enumerate(counts):
        outcome, covered = found[2 * index]
        assert outcome == [1, "recovered", count + 1, covered]
        assert found[2 * index + 1] == [None, [], True]
        final = verify((tmp_path / f"{count}.ewr").read_bytes())
        assert (final["state"], final["n"], final["seen"]) == ("recovered", count + 1, str(covered))


def test_only_page_0_was_written(run, tmp_path: Path) -> None:
    """Checkpoint 0 is made again, so that the file has its beginning."""
    source = """
card = new_card()
one = Life(Volume(card), Journal(), who)
card.cut_at = len(card.writes) + 2
try:
    one.begin()
except storage.Cut:
    pass
card, outcome = mend(card)
emit(told(outcome))
dump(card, "short.ewr")
"""
    assert run(source) == [[1, "recovered", 1, 0]]
    assert verify((tmp_path / "short.ewr").read_bytes())["n"] == 1


def test_cut_at_every_write_of_a_recording(run) -> None:
    """Card and flash: every page that append returned for is kept, nothing is called damaged, and the chain goes on."""
    source = """
def whole(card, done):
    one = Life(Volume(card), Journal(), who)
    one.begin()
    done[0] = 1
    for turn in range(72):
        one.write(1)
        done[0] += 1
    one.end()
    done[1] = True
wrong = []
states = {}
flash.next_boot()
card = new_card()
whole(card, [0, False])
card_writes, flash_works = len(card.writes), flash.works
def attempt(cut_card, kept, cut_flash, torn):
    flash.cells[:] = b"\\xff" * flash.SIZE
    flash.next_boot()
    flash.cut_at, flash.torn = cut_flash, torn
    card = new_card()
    card.cut_at, card.kept = cut_card, kept
    done = [0, False]
    try:
        whole(card, done)
    except storage.Cut:
        pass
    begun = Journal().newest_seq
    card, outcome = mend(card)
    log = Journal()
    if outcome is None:
        state = "none" if not begun else "ended"
        if begun and not log.final_note(1):
            wrong.append([cut_card, kept, cut_flash, "no note"])
    else:
        state = outcome.state
        if outcome.n < done[0] and state != "end":
            wrong.append([cut_card, kept, cut_flash, "lost", outcome.n, done[0]])
    states[state] = states.get(state, 0) + 1
    if log.newest_seq != begun or log.open is not None:
        wrong.append([cut_card, kept, cut_flash, "open"])
    again, outcome = mend(card)
    if outcome is not None or again.writes:
        wrong.append([cut_card, kept, cut_flash, "again", told(outcome)])
    two = start(again)
    two.write(3)
    two.end()
    if Journal().newest_seq != begun + 1 or two.log._prev != (sha256(log.final_note(begun)).digest() if begun else bytes(32)):
        wrong.append([cut_card, kept, cut_flash, "chain"])
    gc.collect()
for cut in range(1, card_writes + 1):
    attempt(cut, 5 if cut % 4 and cut < card_writes - 2 else 0, 0, 0)
for torn in (0, 60):
    for cut in range(1, flash_works + 1):
        attempt(0, 0, cut, torn)
emit(wrong[:5])
emit(states)
"""
    wrong, states = run(source)
    assert wrong == []
    assert set(states) == {"none", "ended", "end", "recovered", "lost"}
    # "lost": cut after the journal knew of it and before page 0 was whole; nothing had been recorded.
    assert states["lost"] <= 6
    assert states["recovered"] > 60


def test_cut_at_every_write_of_the_recovery_itself(run, tmp_path: Path) -> None:
    """Again and again, the same file comes out, and the same note. A gap leaves pages to zero; more than 64 leaves are open."""
    source = """
def broken():
    # 65 leaves are covered, 89 more stand; then a gap, and later pages of this recording behind it.
    flash.cells[:] = b"\\xff" * flash.SIZE
    flash.next_boot()
    card = new_card()
    one = start(card, 30)
    one.write(153)
    for number in (155, 156, 157):
        one.file.append(life.audio(who, one.id, number)[0])
    return card
card = broken()
cells = bytes(flash.cells)
blocks = dict(card.written)
card, outcome = mend(card)
emit(told(outcome))
dump(card, "mended.ewr")
good = digest(card)
note = Journal().final_note(1)
card_writes, flash_works = len(card.writes), flash.works
emit([card_writes, flash_works])
wrong = []
tried = 0
for kept in (0, 4, 8):
    for first in range(1, card_writes + flash_works + 1):
        for second in range(0, card_writes + flash_works + 1, 3):
            flash.cells[:] = cells
            card = storage.Blocks(ARGS["image"], dict(blocks))
            for cut in (first, second, 0):
                card = card.again()
                flash.next_boot()
                if cut <= card_writes:
                    card.cut_at, card.kept = cut, kept
                else:
                    flash.cut_at, flash.torn = cut - card_writes, kept * 12
                try:
                    recover(Journal(), Volume(card), who)
                except storage.Cut:
                    tried += 1
            if digest(card) != good or Journal().final_note(1) != note or Journal().open is not None:
                wrong.append([kept, first, second])
        gc.collect()
emit([tried > 40, wrong[:5]])
"""
    outcome, (writes, works), verdict = run(source)
    assert outcome == [1, "recovered", 154, 65]
    # three pages zeroed in two writes each, a running checkpoint, the final note; one entry in the journal
    assert (writes, works) == (8, 1)
    assert verdict == [True, []]
    assert verify((tmp_path / "mended.ewr").read_bytes())["n"] == 154


def test_the_final_note_is_put_back(run, tmp_path: Path) -> None:
    """Cut between the journal's entry and the card: the same page that the session would have written."""
    source = """
for count in (0, 70, 150):
    flash.cells[:] = b"\\xff" * flash.SIZE
    card = new_card()
    one = start(card)
    one.write(count)
    one.end()
    good = read(card)
    for kept in (0, 3):
        flash.cells[:] = b"\\xff" * flash.SIZE
        flash.next_boot()
        card = new_card()
        one = start(card)
        one.write(count)
        one.journal.append = (lambda append: lambda kind, seq, payload: (
            append(kind, seq, payload), kind == entries.FINAL and setattr(card, "cut_at", len(card.writes) + 1),
            setattr(card, "kept", kept)))(one.journal.append)
        try:
            one.end()
        except storage.Cut:
            pass
        there = read(card.again())[: len(good)] == good  # the first blocks may be all that is not zero
        emit([Journal().open is None, there if kept == 0 else False])
        card, outcome = mend(card)
        emit([told(outcome) if not there else [1, "end", count + 1, count + 1], read(card)[: len(good)] == good])
        card, outcome = mend(card)
        emit([told(outcome), card.writes])
    dump(card, "%d.ewr" % count)
"""
    found = run(source)
    for index, count in enumerate((0, 70, 150)):
        for kept in range(2):
            at = 6 * index + 3 * kept
            assert found[at] == [True, False]
            assert found[at + 1] == [[1, "end", count + 1, count + 1], True]
            assert found[at + 2] == [None, []]
        assert verify((tmp_path / f"{count}.ewr").read_bytes())["state"] == "end"


def test_a_final_note_that_cannot_be_put_back_is_told(run) -> None:
    source = """
card = new_card()
one = start(card)
one.write(100)
one.log.begin("end")
one._signed()
one.journal.append(entries.FINAL, 1, one.log.note)
change(card, 90, bytes(4096))
before = read(card)
card, outcome = mend(card)
emit([told(outcome), card.writes])
"""
    (outcome, writes) = run(source)[0]
    assert outcome[1] == "cut short"
    assert outcome[2] < outcome[3] == 101
    assert writes == []


def test_a_bad_page_under_a_checkpoint_costs_that_page_only(run, tmp_path: Path) -> None:
    source = """
for place in (0, 1, 5, 40, 66):
    flash.cells[:] = b"\\xff" * flash.SIZE
    card = new_card()
    one = start(card)
    one.write(150)
    page = read(card)[place]
    page[1000] ^= 1
    change(card, place, page)
    card, outcome = mend(card)
    emit(told(outcome))
    dump(card, "%d.ewr" % place)
"""
    assert run(source) == [[1, "recovered", 151, 129]] * 5
    for place in (0, 1, 5, 40, 66):
        assert verify((tmp_path / f"{place}.ewr").read_bytes(), (place,))["n"] == 151


def test_a_gap_behind_the_last_checkpoint_ends_the_recording_there(run, tmp_path: Path) -> None:
    """Fewer leaves than the journal saw are `damaged`; leaves it never saw may go without that."""
    source = """
for leaf in (20, 70, 140):
    flash.cells[:] = b"\\xff" * flash.SIZE
    card = new_card()
    one = start(card)
    one.write(150)
    pages = read(card)
    for place, page in enumerate(pages):
        if page[:4] == b"EWR1" and page[4] == 2 and page[8] == leaf:
            change(card, place, bytes(4096))
    if leaf < 128:
        # and no later checkpoint is whole
        for place in places(card, 3):
            page = pages[place]
            if page[8] > leaf:
                page[4090] ^= 1
                change(card, place, page)
    card, outcome = mend(card)
    emit(told(outcome))
    dump(card, "%d.ewr" % leaf)
"""
    assert run(source) == [[1, "damaged", 20, 129], [1, "damaged", 70, 129], [1, "recovered", 140, 129]]
    for leaf in (20, 70, 140):
        assert verify((tmp_path / f"{leaf}.ewr").read_bytes())["n"] == leaf


@pytest.mark.parametrize("at", [200, 420], ids=["note", "list"])
def test_damaged_checkpoints_cost_no_leaf(run, tmp_path: Path, at: int) -> None:
    """The last one, the last two, all: leaves with device tags are kept, and the last 96 are listed. It is damage to a reader,
    no hand's work, also where the note of what is spoilt is whole."""
    source = """
for spoiled in (1, 2, 4):
    flash.cells[:] = b"\\xff" * flash.SIZE
    card = new_card()
    one = start(card)
    one.write(230)
    bad = places(card, 3)[-spoiled:]
    for place in bad:
        page = read(card)[place]
        page[ARGS["at"]] ^= 1
        change(card, place, page)
    card, outcome = mend(card)
    emit([told(outcome), bad])
    dump(card, "%d.ewr" % spoiled)
"""
    found = run(source, at=at)
    for spoiled, (outcome, bad) in zip((1, 2, 4), found, strict=True):
        assert outcome == [1, "recovered", 231, 193]
        assert len(bad) == spoiled
        path = tmp_path / f"{spoiled}.ewr"
        assert verify(path.read_bytes(), tuple(bad))["n"] == 231
        said = read_by_us(path, None)
        assert said.intact.state == "damaged" and said.damaged == spoiled and said.pages == 230, said.intact
        assert said.complete.state == "recovered"


def test_what_somebody_wrote_to_the_card_is_not_believed(run, tmp_path: Path) -> None:
    """Forged leaves and checkpoints behind the real ones, and leaves of another recording: none counted, ours zeroed."""
    source = """
from recorder.seal import checkpoint, note
card = new_card()
one = start(card)
one.write(100)
other = life.identity(bytes(32))
leaf_page, leaf = life.audio(other, one.id, 101)
one.file.append(leaf_page)
foreign, _ = life.audio(who, bytes(16), 102)
one.file.append(foreign)
# A checkpoint over the forged leaf, signed with another key under this recorder's name
tree_range = one.log._tree.range()
from recorder.seal.merkle import Tree
from recorder.seal.merkle_range import from_range
from recorder.seal.ed25519 import Signing
tree = from_range(one.log.n, tree_range)
listed = [bytes(one.log._leaves[at : at + 32]) for at in range(0, 32 * one.log.pending, 32)] + [bytes(leaf)]
for each in listed:
    tree.append(each)
text = note.body(who.public, one.id, tree.size, tree.root(), 1, "running", bytes(32))
signing = Signing(other.seed, other.public, text)
while not signing.step():
    pass
forged = note.signed(text, who.public, signing.signature)
one.file.append(checkpoint.page(one.id, tree.size, one.log.n, forged, listed, tree_range))
# The recorder's own signature over other leaves of the list
page = read(card)[places(card, 3)[-2]]
page[34 + 400] ^= 1
one.file.append(page)
card, outcome = mend(card)
emit(told(outcome))
dump(card, "forged.ewr")
"""
    assert run(source) == [[1, "recovered", 101, 65]]
    data = (tmp_path / "forged.ewr").read_bytes()
    final = verify(data)
    assert final["n"] == 101
    behind = [data[at : at + 4] for at in range((final["page"] + 1) * 4096, (final["page"] + 5) * 4096, 4096)]
    assert behind == [b"EWR1", b"\0\0\0\0", b"\0\0\0\0", b"\0\0\0\0"]  # the foreign page is not ours to touch


def test_old_checkpoint_put_in_place_of_newer_pages_is_damaged(run) -> None:
    """Somebody cuts the end off: what is left is valid, and the note says how much the journal saw."""
    source = """
card = new_card()
one = start(card)
one.write(150)
for place in range(70, 170):
    change(card, place, bytes(4096))
card, outcome = mend(card)
emit(told(outcome))
"""
    assert run(source) == [[1, "damaged", 68, 129]]


def test_a_file_that_is_gone_is_lost_and_the_chain_goes_on(run) -> None:
    source = """
card = new_card()
one = start(card)
one.write(100)
other = new_card()
card, outcome = mend(other)
emit(told(outcome))
text = Journal().final_note(1).decode().split("\\n")
emit([text[1], text[2], text[4], text[6]])
emit(card.writes)
card, outcome = mend(card)
emit(told(outcome))
two = start(card)
emit([two.seq, two.log._prev == sha256(Journal().final_note(1)).digest()])
two.end()
"""
    empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    assert run(source) == [[1, "lost", 0, 65], ["0", empty, "state lost", "seen 65"], [], None, [2, True]]


def test_another_file_of_that_name_is_left_as_it_is(run) -> None:
    """Another recorder's card in the slot, or this recorder paired anew: nothing there is this key's to change."""
    source = """
card = new_card()
one = start(card)
one.write(100)
before = digest(card)
again = life.identity(bytes(range(1, 33)))
card = card.again()
outcome = recover(Journal(), Volume(card), again)
emit([told(outcome), card.writes, digest(card) == before])
emit(told(recover(Journal(), Volume(card), again)))
emit(told(recover(Journal(), Volume(card), who)))
"""
    assert run(source) == [[[1, "lost", 0, 65], [], True], None, None]


def test_a_card_that_cannot_be_read_is_not_a_lost_recording(run) -> None:
    source = """
card = new_card()
one = start(card)
one.write(100)
card = card.again()
volume = Volume(card)
card.dead = True
card.last_error = "card pulled"
try:
    recover(Journal(), volume, who)
    emit("recovered")
except CardError as error:
    emit(error.kind)
emit(Journal().open.seq)
card.dead = False
card.last_error = None
emit(told(recover(Journal(), Volume(card), who)))
"""
    assert run(source) == ["card pulled", 1, [1, "recovered", 101, 65]]


def test_an_unreadable_page_is_a_bad_page(run) -> None:
    source = """
for leaf in (30, 99):
    flash.cells[:] = b"\\xff" * flash.SIZE
    card = new_card()
    one = start(card)
    one.write(98)
    block = card.writes[-1][0]
    one.write(2)
    card = card.again()
    card.fail_read = block + (3 if leaf == 30 else 8 + 3)
    if leaf == 30:
        card.fail_read -= 8 * 40
    emit(told(recover(Journal(), Volume(card), who)))
"""
    assert run(source) == [[1, "recovered", 101, 65], [1, "recovered", 99, 65]]


def test_hours_of_recording_are_not_read_through(run) -> None:
    """Some seven hundred pages are looked at, most only at their heads, however much stands before or is allocated behind."""
    source = """
card = new_card()
one = start(card)
one.write(2400)
card = card.again()
volume = Volume(card)
log = Journal()
card.reads = 0
fed = []
outcome = recover(log, volume, who, lambda: fed.append(1))
emit([told(outcome)[1:3], card.reads < 1500, len(fed) > 5])
card.reads = 0
emit([told(recover(Journal(), Volume(card), who)), card.reads < 150])
"""
    assert run(source) == [[["recovered", 2401], True, True], [None, True]]


def test_every_page_of_the_space_taken_is_used(run, tmp_path: Path) -> None:
    """No page is left in the file: the final note extends it."""
    source = """
volume = Volume(new_card())
card = volume.card
handle = volume.fat.open("FILL.BIN", "wb")
count = volume.measure() - 256
handle.seek((count - 1) * 4096)
handle.write(bytes(4096))
handle.close()
one = start(card)
try:
    one.write(1000)
except CardError as error:
    emit(error.kind)
card = card.again()
Volume(card).fat.remove("FILL.BIN")
card, outcome = mend(card)
emit(told(outcome)[:2])
dump(card, "full.ewr")
"""
    assert run(source) == ["card full", [1, "recovered"]]
    assert verify((tmp_path / "full.ewr").read_bytes())["state"] == "recovered"
