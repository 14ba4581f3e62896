"""Where nothing can be written, or no more: one sentence with the name that was asked for, and nothing left behind."""

from __future__ import annotations

import os
import shutil
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
    """A copy that a test may spoil."""
    return Path(shutil.copytree(filled, tmp_path / "home"))


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


@pytest.mark.parametrize("master", [False, True])
@pytest.mark.parametrize("suffix", _FORMATS)
@pytest.mark.parametrize("kilobytes", [8, 40])
def test_an_export_to_a_full_disk(home: Path, disk: _Disk, suffix: str, master: bool, kilobytes: int) -> None:
    if master and suffix == "opus":
        pytest.skip("Opus cannot hold the exact samples.")
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
