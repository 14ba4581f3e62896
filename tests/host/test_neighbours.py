"""In sequence, with a library and the recorder's own word at hand: only what the recorder has signed counts."""

from __future__ import annotations

import builtins
import io
import struct
from pathlib import Path
from typing import Any

import pytest

from earwitness.commands._neighbours import Neighbours
from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.library import Library
from earwitness.verdict import Verdict
from earwitness.verify import verify
from tests.host import maker
from tests.host.maker import PAGE, Device, Owner, Recording

OWNER = Owner()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path))
    return Library()


def three() -> list[Recording]:
    device = Device()
    return [maker.normal(2, device=device, seed=seed)[0] for seed in range(3)]


def put(library: Library, *recordings: Recording) -> None:
    for recording in recordings:
        recording.write(library.root / f"{recording.seq}-{recording.id.hex()[:4]}.ewr")


def told(device: Device, newest: int, note: bytes) -> None:
    """This computer is paired with `device`, which has told that it closed `newest` with `note`."""
    record = DeviceRecord(
        public_key=device.public.hex(),
        link_secret="00" * 32,
        receipt_seed="00" * 32,
        name="x",
        recipients=("00" * 32,),
        epoch=1,
        pairing_note="",
        paired_utc="",
        newest=newest,
        newest_hash=maker.sha(note).hex(),
    )
    DeviceStore().put(record)


def said(library: Library, recording: Recording) -> Verdict:
    (entry,) = [entry for entry in library.entries() if entry.recording_id == recording.id.hex()]
    chain, pinned = Neighbours(library.entries()).of(entry)
    return verify(entry.path, OWNER, pinned=pinned, chain=chain)


def forged(recording: Recording, seq: int, prev: bytes, recording_id: bytes = b"Z" * 16) -> bytes:
    """A page 0 under a recorder's public key, as anybody can write one."""
    head = struct.pack(
        "<4sBBHI16sQ32s32sH", b"EWR1", 1, 1, 0, PAGE, recording_id, seq, prev, recording.device.public, 232
    )
    return (head + recording.envelope).ljust(PAGE, b"\0")


def test_an_end_made_with_a_copied_key_contradicts_what_the_recorder_has_told(library: Library) -> None:
    genuine, copied = maker.normal(2, seed=1)[0], maker.normal(2, seed=2)[0]
    put(library, copied)
    told(copied.device, 1, copied.final)
    assert said(library, copied).exit_code == 0
    told(copied.device, 1, genuine.final)
    verdict = said(library, copied)
    assert verdict.by.state == "paired" and verdict.complete.state == "complete"
    assert verdict.in_sequence.state == "conflict" and verdict.exit_code == 13
    assert "copied key" in verdict.in_sequence.reason


def test_a_recording_that_does_not_follow_what_the_recorder_has_told_is_a_conflict(library: Library) -> None:
    first, second, _ = three()
    put(library, second)
    told(second.device, 1, first.final)
    assert said(library, second).in_sequence.state == "neighbour missing"
    told(second.device, 1, second.final)
    assert said(library, second).in_sequence.state == "conflict"


def test_an_end_that_the_recorder_has_told_of_and_that_is_not_here_was_cut_off(library: Library) -> None:
    (first, *_) = three()
    final = first.final
    first.file.pop()
    put(library, first)
    assert said(library, first).complete.state == "unfinished"
    told(first.device, 1, final)
    assert said(library, first).complete.state == "cut short"


@pytest.mark.parametrize("more", [b"", bytes(PAGE), b"EWR1\3\1" + bytes(PAGE - 6)], ids=["alone", "zero", "bad"])
def test_a_header_that_the_recorder_did_not_sign_hides_no_missing_neighbour_and_makes_no_conflict(
    library: Library, more: bytes
) -> None:
    first, second, third = three()
    put(library, first)
    told(first.device, 3, third.final)
    assert said(library, first).in_sequence.state == "neighbour missing"
    for seq, prev in ((2, second.prev), (2, b"\7" * 32), (1, bytes(32))):
        (library.root / "f.ewr").write_bytes(forged(first, seq, prev) + more)
        assert len(library.entries()) == 2, "it is listed like any other file"
        verdict = said(library, first)
        assert verdict.in_sequence.state == "neighbour missing" and verdict.exit_code == 0


def test_another_recordings_checkpoint_behind_a_forged_header_does_not_vouch_for_it(library: Library) -> None:
    first, second, third = three()
    put(library, first)
    told(first.device, 3, third.final)
    for genuine in (third, maker.normal(device=Device(2))[0]):
        (library.root / "f.ewr").write_bytes(forged(first, 2, second.prev, genuine.id) + genuine.file[1])
        assert said(library, first).in_sequence.state == "neighbour missing"


def test_an_unsigned_successor_does_not_call_an_unfinished_recording_cut_short(library: Library) -> None:
    first, second, _ = three()
    first.file.pop()
    put(library, first)
    (library.root / "f.ewr").write_bytes(forged(first, 2, second.prev))
    assert said(library, first).complete.state == "unfinished"
    put(library, second)
    assert said(library, first).complete.state == "cut short"


def test_a_neighbour_whose_checkpoint_0_is_damaged_is_known_by_its_signed_end(library: Library) -> None:
    first, second, third = three()
    second.file[1] = bytes(PAGE)
    put(library, first, second, third)
    verdict = said(library, third)
    assert verdict.in_sequence.ok is True and "recording 2 is here" in verdict.in_sequence.reason


def test_two_pages_are_read_of_a_neighbour_and_nothing_of_the_others(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    recordings = [maker.normal(2, device=device, seed=seed)[0] for seed in range(6)]
    put(library, *recordings)
    entries = library.entries()
    read: list[tuple[str, int]] = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(-1 if size is None else size)
            read.append((Path(str(self.name)).name[0], len(data)))
            return data

    real = builtins.open

    def counted(file: Any, mode: str = "r", *more: Any, **rest: Any) -> Any:
        return Counted(file) if str(file).endswith(".ewr") else real(file, mode, *more, **rest)

    monkeypatch.setattr(io, "open", counted)
    Neighbours(entries).of(next(entry for entry in entries if entry.seq == 3))
    assert {name for name, _ in read} == {"2", "3", "4"}
    assert all(sum(size for name, size in read if name == one) == 2 * PAGE for one in "234")
