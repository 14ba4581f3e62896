"""The library keeps what it is given, finds it again, and its index and logs survive what happens to files."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from pathlib import Path

import pytest

from earwitness import places
from earwitness.atomic import remove_leftovers, replacing
from earwitness.errors import FormatError, UsageError
from earwitness.identity import Identity
from earwitness.library import Library
from tests.host.program import Sealer, names, tone


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(Identity.generate().recipient)


@pytest.fixture
def library() -> Library:
    return Library()


def add(library: Library, sealer: Sealer, seconds: float = 1) -> str:
    path = library.root / ".incoming.part"
    recording_id = sealer.record(path, tone(seconds))
    library.add(path, how="USB")
    return recording_id.hex()


def test_a_recording_gets_a_name_that_tells_a_stranger_nothing_new(library: Library, sealer: Sealer) -> None:
    add(library, sealer)
    (entry,) = library.entries()
    assert entry.path.name == f"{entry.device}-000001.ewr"
    assert not list(library.root.glob(".*.part"))
    assert [step.act for step in entry.custody.read().steps] == ["synced"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_nobody_else_on_this_computer_may_read_it(library: Library, sealer: Sealer, tmp_path: Path) -> None:
    source = tmp_path / "copy.ewr"
    sealer.record(source, tone(1))
    entry = library.add(source, how="card")
    assert entry.path.stat().st_mode & 0o077 == 0 and library.root.stat().st_mode & 0o077 == 0


def test_it_is_found_by_whatever_a_person_has_of_its_name(library: Library, sealer: Sealer) -> None:
    ids = [add(library, sealer) for _ in range(3)]
    device = library.entries()[0].device
    for text in ("2", ids[1], ids[1][:8].upper(), f"{device[:6]}/2", f"{device}-000002.ewr"):
        assert library.find(text).recording_id == ids[1], text
    assert library.find("last").recording_id == ids[2]
    with pytest.raises(UsageError, match="no recording 7"):
        library.find("7")


def test_a_recording_that_lies_elsewhere_is_told_so(library: Library, tmp_path: Path) -> None:
    """What a second owner gets: a file."""
    (tmp_path / "got.ewr").write_bytes(b"EWR1")
    with pytest.raises(UsageError, match=r"got\.ewr is not in the library") as caught:
        library.find(str(tmp_path / "got.ewr"))
    assert str(library.root) in caught.value.hint


def test_one_number_on_two_recorders_must_be_said_in_full(library: Library) -> None:
    sealers = [Sealer(Identity.generate().recipient) for _ in range(2)]
    for sealer in sealers:
        add(library, sealer)
    with pytest.raises(UsageError, match="could be 2 recordings"):
        library.find("1")
    for entry in library.entries():
        assert library.find(f"{entry.device[:8]}/1") == entry


def test_two_recordings_under_one_number_of_one_recorder_are_both_kept(library: Library, sealer: Sealer) -> None:
    first = add(library, sealer)
    sealer.seq, sealer.prev = 0, bytes(32)
    second = add(library, sealer)
    assert {entry.recording_id for entry in library.entries()} == {first, second}


def test_adding_again_replaces_and_tells(library: Library, sealer: Sealer, tmp_path: Path) -> None:
    source = tmp_path / "copy.ewr"
    sealer.record(source, tone(1))
    library.add(source, how="card")
    library.add(source, how="card")
    (entry,) = library.entries()
    assert len(entry.custody.read().steps) == 2


def test_no_recording_is_taken_for_one(library: Library, tmp_path: Path) -> None:
    (library.root / "stray.ewr").write_bytes(b"holiday" * 1000)
    assert library.entries() == []
    with pytest.raises(FormatError):
        library.add(library.root / "stray.ewr", how="card")


def test_titles_and_notes_outlive_the_index(library: Library, sealer: Sealer) -> None:
    add(library, sealer)
    entry = library.entries()[0]
    library.annotate(entry, "label", "First try")
    library.annotate(entry, "label", "School meeting")
    library.annotate(entry, "label", "they said Tuesday", mark=2)
    library.annotate(entry, "note", "ask for the minutes", at_s=62.5)
    library.close()
    for path in places.state_dir().glob("index-*"):
        path.unlink()
    again = Library()
    entry = again.entries()[0]
    assert entry.row.label == "School meeting"
    assert again.mark_labels(entry) == {2: "they said Tuesday"}
    assert [(note.text, note.at_s) for note in again.notes(entry) if note.kind == "note"] == [
        ("ask for the minutes", 62.5)
    ]


def test_a_damaged_index_is_made_anew(library: Library, sealer: Sealer) -> None:
    recording_id = add(library, sealer)
    library.entries()
    library.close()
    (path,) = places.state_dir().glob("index-*.sqlite")
    path.write_bytes(b"not a database" * 500)
    assert [entry.recording_id for entry in Library().entries()] == [recording_id]


def test_one_file_that_cannot_be_indexed_keeps_no_other_from_the_list(library: Library, sealer: Sealer) -> None:
    """A number that no recorder counts to, a link to nowhere, a folder, a name that is no text, notes of another kind."""
    recording_id = add(library, sealer)
    good = library.entries()[0].path
    crafted = bytearray(good.read_bytes())
    crafted[28:68] = struct.pack("<Q", (1 << 64) - 1) + b"\1" * 32
    crafted[4096:] = b""
    (library.root / "crafted.ewr").write_bytes(crafted)
    (library.root / "folder.ewr").mkdir()
    if os.name == "posix":
        (library.root / "nowhere.ewr").symlink_to("nothing")
        Path(os.fsdecode(os.fsencode(library.root) + b"/\xff.ewr")).write_bytes(good.read_bytes())
    lines = [b"\xff", b"[1]", b'{"kind":"label","text":{},"mark":null,"at_s":null,"utc":""}', b"[" * 100_000]
    lines.append(b'{"kind":"label","text":"x","mark":[1],"at_s":null,"utc":""}')
    good.with_suffix(".notes.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    library.close()
    for path in places.state_dir().glob("index-*"):
        path.unlink()
    for _ in range(2):
        again = Library()
        assert {entry.recording_id for entry in again.entries()} == {recording_id}
        assert again.entries()[0].row.label is None
        again.close()


def test_a_value_that_the_index_cannot_hold_is_left_out(library: Library, sealer: Sealer) -> None:
    add(library, sealer)
    library.remember(library.entries()[0], began_us=1 << 63, marks=3)
    row = library.entries()[0].row
    assert (row.began_us, row.marks) == (None, 3)


def test_a_removed_file_leaves_the_list(library: Library, sealer: Sealer) -> None:
    add(library, sealer)
    library.entries()[0].path.unlink()
    assert library.entries() == []


@pytest.mark.parametrize(("count", "seconds"), [(1000, 0.02), pytest.param(10_000, 0.2, marks=pytest.mark.long)])
def test_ten_thousand_are_listed_at_once(library: Library, sealer: Sealer, count: int, seconds: float) -> None:
    add(library, sealer)
    entry = library.entries()[0]
    pages = entry.path.read_bytes()[:8192]
    for number in range(2, count + 1):
        head = bytearray(pages)
        head[28:36] = struct.pack("<Q", number)
        head[36:68] = b"\1" * 32
        (library.root / f"{entry.device}-{number:06d}.ewr").write_bytes(bytes(head))
    assert len(library.entries()) == count  # fills the index
    best = min(_timed(library, count) for _ in range(5))
    assert best < seconds, f"{best:.3f} s"


def _timed(library: Library, count: int) -> float:
    start = time.process_time()  # other work on the machine does not count
    assert len(library.entries()) == count
    return time.process_time() - start


def test_a_changed_custody_log_shows(library: Library, sealer: Sealer) -> None:
    add(library, sealer)
    entry = library.entries()[0]
    for act in ("verified", "played", "exported"):
        entry.custody.add(act, part="whole")
    good = entry.custody.path.read_bytes()
    assert not entry.custody.read().faults
    lines = good.splitlines(keepends=True)
    for bad in (
        b"".join([*lines[:2], *lines[3:]]),  # a line taken out
        good.replace(b"played", b"copied"),
        b"".join([lines[0], lines[2], lines[1], lines[3]]),
    ):
        entry.custody.path.write_bytes(bad)
        assert entry.custody.read().faults


def test_a_custody_line_torn_by_a_crash_is_named_and_the_log_goes_on(library: Library, sealer: Sealer) -> None:
    add(library, sealer)
    entry = library.entries()[0]
    entry.custody.add("verified")
    path = entry.custody.path
    path.write_bytes(path.read_bytes()[:-20])
    entry.custody.add("played")
    history = entry.custody.read()
    assert [step.act for step in history.steps] == ["synced", "played"]
    assert len(history.faults) == 1 and "Line 2" in history.faults[0]
    entry.custody.add("exported")
    assert len(entry.custody.read().faults) == 1


def test_custody_steps_hold_no_more_than_the_act(library: Library, sealer: Sealer) -> None:
    add(library, sealer)
    (line,) = library.entries()[0].custody.path.read_text().splitlines()
    assert set(json.loads(line)) == {"n", "utc", "act", "details", "prev"}


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(target) as file:
        file.write(b"new")
        raise RuntimeError
    assert target.read_bytes() == b"old" and names(tmp_path) == ["out.wav"]


def test_leftovers_of_killed_runs_go_and_those_of_running_ones_stay(tmp_path: Path) -> None:
    dead = tmp_path / ".a.wav.999999999.00000000.earwitness-part"
    living = tmp_path / f".b.wav.{os.getppid()}.00000000.earwitness-part"
    dead.touch()
    living.touch()
    remove_leftovers(tmp_path)
    assert not dead.exists()
    assert living.exists() == (os.name != "nt")


def test_without_unnamed_files_the_result_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    with replacing(tmp_path / "out") as file:
        assert [name for name in names(tmp_path) if name.endswith(".earwitness-part")]
        file.write(b"whole")
    assert names(tmp_path) == ["out"] and (tmp_path / "out").read_bytes() == b"whole"


def test_a_library_can_be_copied_elsewhere(library: Library, sealer: Sealer, tmp_path: Path) -> None:
    recording_id = add(library, sealer)
    shutil.copytree(library.root, tmp_path / "stick")
    assert Library(tmp_path / "stick").find("1").recording_id == recording_id
