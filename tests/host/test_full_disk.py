"""Where nothing can be written, or no more: one sentence with the name that was asked for, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earwitness.identity import Identity
from earwitness.keystore import Keystore
from earwitness.library import Library
from tests.host.program import RATE, Sealer, environment, names, run, run_process, tone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX file systems and limits")
_FORMATS = ("flac", "wav", "opus")
_Disk = Callable[..., Path]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a key and two recordings, checked."""
    home = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARWITNESS_HOME", str(home))
        identity = Identity.generate()
        Keystore().save(identity, "file", recovery="saved")
        sealer, library = Sealer(identity.recipient), Library()
        for _ in range(2):
            sealer.record(home / "new.ewr", tone(30), marks=((2 * RATE, 1),))
            library.add(home / "new.ewr", how="card")
        (home / "new.ewr").unlink()
        library.close()
    assert run(home, "verify", "--all").returncode == 0
    return home


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil. An index belongs to one place, and this one has none yet."""
    home = Path(shutil.copytree(filled, tmp_path / "home"))
    for index in (home / "state").glob("index-*"):
        index.unlink()
    return home


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[_Disk]:
    """Makes small disks: `disk(name, kilobytes)`; `disk(name, options="remount,ro")` to change one."""
    mounted: list[Path] = []

    def mount(name: str, kilobytes: int = 0, options: str = "") -> Path:
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", options or f"size={kilobytes}k", "none", str(place)]
        if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("This account cannot mount a disk.")
        mounted.append(place)
        return place

    yield mount
    for place in set(mounted):
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    """Leave no room at all."""
    with (place / "filler").open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                pass


def no_room(done: subprocess.CompletedProcess[str], path: Path) -> None:
    """What is said of a full disk."""
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert f"earwitness: There is no room left on the disk for {path}." in said
    assert said[-1].strip() == "Make room there, or choose another place; then run it again."


@pytest.mark.parametrize(
    ("suffix", "master"), [*((suffix, False) for suffix in _FORMATS), ("flac", True), ("wav", True)]
)
@pytest.mark.parametrize("kilobytes", [8, 40])
def test_an_export_to_a_full_disk(home: Path, disk: _Disk, suffix: str, master: bool, kilobytes: int) -> None:
    place = disk("full", kilobytes)
    name = place / f"a.{suffix}"
    done = run(home, "export", "1", "-o", str(name), *["--master"] * master)
    no_room(done, name)
    assert names(place) == []


@pytest.mark.parametrize("suffix", _FORMATS)
def test_an_export_larger_than_a_file_may_be(home: Path, tmp_path: Path, suffix: str) -> None:
    """As on FAT32 from 4 GB on."""
    import resource

    place = tmp_path / "out"
    place.mkdir()

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    words = ("export", "1", "-o", str(place / f"a.{suffix}"))
    done = run_process(home, *words, preexec_fn=small)
    assert done.returncode == 1 and f"a.{suffix} becomes larger than a file may be there." in done.stderr
    assert "A fault in" not in done.stderr and names(place) == []


@pytest.mark.parametrize("suffix", _FORMATS)
@pytest.mark.parametrize("missing", [1, 100, 2000])
def test_a_copy_whose_very_end_does_not_fit_is_no_copy(home: Path, tmp_path: Path, suffix: str, missing: int) -> None:
    import resource

    name = tmp_path / f"a.{suffix}"
    assert run(home, "export", "1", "-o", str(name)).returncode == 0
    whole, no_limit = name.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole - missing, no_limit[1]))
        done = run(home, "export", "1", "-o", str(name), "-f")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, no_limit)
    assert done.returncode == 1 and f"{name} becomes larger than a file may be there." in done.stderr
    assert name.stat().st_size == whole, "the one from before is still there"


def test_an_export_to_a_pipe_without_room_for_what_it_needs_meanwhile(home: Path, disk: _Disk) -> None:
    place = disk("full", 8)
    no_room(run(home, "export", "1", "-o", "-", "--format", "wav", env={"TMPDIR": str(place)}), place)


@pytest.mark.parametrize(
    "words", [("disclose", "1", "--keep", "0:02-0:20", "-o", "a.ewd"), ("report", "1", "-o", "a.pdf")]
)
def test_other_files_on_a_full_disk(home: Path, disk: _Disk, words: tuple[str, ...]) -> None:
    place = disk("full", 8)
    name = place / words[-1]
    no_room(run(home, *words[:-1], str(name)), name)
    assert names(place) == []


@pytest.mark.parametrize(
    "words",
    [
        ("export", "1", "-o", "a.flac"),
        ("disclose", "1", "--keep", "0:02-0:20", "-o", "a.ewd"),
        ("report", "1", "-o", "a.pdf"),
        ("key", "backup", "-o", "a.pdf"),
    ],
)
def test_a_read_only_place_is_told_by_the_name_that_was_asked_for(
    home: Path, disk: _Disk, words: tuple[str, ...]
) -> None:
    place = disk("fixed", options="ro")
    done = run(home, *words[:-1], words[-1], cwd=place)
    said = done.stderr.splitlines()
    assert done.returncode == 1 and ".earwitness-part" not in done.stderr
    assert f"earwitness: {words[-1]} cannot be written: the disk there is read-only." in said
    assert said[-1].strip() == "Make it writable, or choose another place."


def test_a_listing_to_a_full_disk(home: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "earwitness", "list"],
            env=environment(home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1 and "There is no room left on the disk." in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("words", [("list",), ("show", "1")])
@pytest.mark.parametrize("known", [True, False])
def test_a_library_that_can_only_be_read_is_read(home: Path, disk: _Disk, words: tuple[str, ...], known: bool) -> None:
    place = disk("stick", 4000)
    shutil.copytree(home, place, dirs_exist_ok=True)
    if known:
        assert run_process(place, "verify", "--all").returncode == 0  # nothing stays open for writing
    disk("stick", options="remount,ro")
    done = run(place, *words)
    assert done.returncode == 0, done.stderr
    dated = known or words[0] == "show"  # it opens the recording
    assert ("2026-11-23" in done.stdout) == dated
    assert ("index cannot be written" in done.stderr) == (not known or words[0] == "show")


def test_what_has_to_be_written_into_a_read_only_library_is_named(home: Path, disk: _Disk, tmp_path: Path) -> None:
    place = shutil.copytree(home, disk("stick", 4000), dirs_exist_ok=True)
    disk("stick", options="remount,ro")
    verified = run(place, "verify", "1")
    assert (
        verified.returncode in (0, 4)
        and "Is it as it was sealed?" in verified.stdout
        and "could not be written" in verified.stderr
    )
    for words in (("export", "1", "-o", str(tmp_path / "a.flac")), ("label", "1", "A title")):
        done = run(place, *words)
        assert done.returncode == 1 and "the disk there is read-only" in done.stderr, done.stderr
        assert str(place / "library") in done.stderr and "A fault in" not in done.stderr


def test_a_full_state_folder_is_no_fault(home: Path, disk: _Disk, tmp_path: Path) -> None:
    """The index is only a copy: what is asked for is done without it."""
    shutil.copytree(home / "state", state := tmp_path / "old")
    place = disk("home/state", 400)
    shutil.copytree(state, place, dirs_exist_ok=True)
    fill(place)
    for words in (("verify", "1"), ("export", "1", "-o", str(tmp_path / "a.flac")), ("show", "2")):
        done = run(home, *words)
        assert done.returncode == 0 and "A fault in" not in done.stderr, done.stderr
    (card := tmp_path / "card").mkdir()
    (recording,) = (home / "library").glob("*-000001.ewr")
    recording.rename(card / "EW000001.EWR")
    assert run(home, "sync", "--via", "card", str(card)).returncode == 0 and recording.exists()


def test_a_full_library_is_told(home: Path, disk: _Disk, tmp_path: Path) -> None:
    (card := tmp_path / "card").mkdir()
    for number in (1, 2):
        (recording,) = (home / "library").glob(f"*-{number:06d}.ewr")
        recording.rename(card / f"EW{number:06d}.EWR")
    place = disk("home/library", 100)
    fill(place)
    done = run(home, "sync", "--via", "card", str(card))
    assert done.returncode == 1 or "There is no room for recording 1" in done.stdout
    assert "A fault in" not in done.stderr and "oom" in done.stderr + done.stdout


def test_an_index_that_is_damaged_further_on_is_made_anew(tmp_path: Path) -> None:
    from earwitness.index import Index, Row

    rows = [Row(f"{number:060d}.ewr", 1, 1, "00", "00", number) for number in range(500)]
    index = Index(tmp_path, tmp_path)
    index.put(rows)
    index.close()
    (path,) = tmp_path.glob("index-*.sqlite")
    data = bytearray(path.read_bytes())
    assert len(data) > 10 * 4096
    data[5 * 4096 : -4096] = bytes(len(data) - 6 * 4096)
    path.write_bytes(data)
    index = Index(tmp_path, tmp_path)
    assert len(index.rows()) < 500
    index.put(rows)
    assert len(index.rows()) == 500
    index.close()


def test_an_index_in_use_for_long_is_told_and_kept(home: Path) -> None:
    assert run(home, "list").returncode == 0
    (path,) = (home / "state").glob("index-*.sqlite")
    before = path.stat().st_ino
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    done = run(home, "list")
    other.close()
    assert done.returncode == 1 and "index is in use by another program" in done.stderr
    assert path.stat().st_ino == before
