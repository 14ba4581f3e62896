"""What the demo does to a person's files and with unusable input. The story itself is looked at in test_story.py."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tools import demo, environment
from tools.virtual.tape import TapeError

SECONDS = 25


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    sf.write(path, np.random.default_rng(1).integers(-900, 900, SECONDS * 16_000).astype(np.int16), 16_000)
    return path


@pytest.fixture
def short_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """The story without its minute of work: it leaves the files that the real one leaves."""

    def tell(story: demo.Story, _source: Path, tape: Path, _seconds: float) -> None:
        for folder in ("home", "recorder"):
            (story.out / folder).mkdir()
            (story.out / folder / "inside").write_text("new")
        (story.out / "recorder" / "mic.s16").write_bytes(tape.read_bytes())
        (story.out / "identity.txt").write_text("new")

    monkeypatch.setattr(demo, "_tell", tell)


def _main(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setenv("EARWITNESS_ENVIRONMENT", "own")
    monkeypatch.setattr(sys, "argv", ["demo.py", *map(str, words)])
    return demo.main()


def _all(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


# --- what lies in the folder already


@pytest.mark.usefixtures("short_story")
@pytest.mark.parametrize("looks_like_it", ["home", "recorder", "identity.txt", demo._MARKER])
def test_a_folder_that_is_not_the_demos_is_left_alone(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], looks_like_it: str
) -> None:
    out = tmp_path / "mine"
    (out / "home").mkdir(parents=True)
    (out / "home" / "diary.txt").write_text("dear diary")
    (out / "letter.txt").write_text("dear all")
    if not (out / looks_like_it).exists():
        (out / looks_like_it).write_text("somebody's own")
    before = _all(out)
    assert _main(monkeypatch, "--input", sound, "--out", out) == 2
    assert _all(out) == before
    assert "not the demo's" in capsys.readouterr().err


def test_the_root_of_the_disk_is_refused(sound: Path) -> None:
    with pytest.raises(demo.UnusableError):
        demo.check_places(Path("/"), sound)


@pytest.mark.usefixtures("short_story")
def test_a_second_run_replaces_its_own_and_leaves_a_letter(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert _main(monkeypatch, "--input", sound, "--out", out, "--keep") == 0
    (out / "letter.txt").write_text("dear all")
    (out / "home" / "inside").write_text("old")
    (out / "recording1.opus").write_text("old")
    (out / "folder").mkdir()
    (out / "folder" / "note.txt").write_text("mine")
    assert _main(monkeypatch, "--input", sound, "--out", out) == 0
    assert (out / "letter.txt").read_text() == "dear all"
    assert (out / "folder" / "note.txt").read_text() == "mine"
    assert (out / "home" / "inside").read_text() == "new"
    assert not (out / "recording1.opus").exists()
    assert not (out / "microphone.s16").exists()
    assert not (out / "recorder").exists()


@pytest.mark.usefixtures("short_story")
def test_links_in_the_folder_are_not_followed(tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    assert _main(monkeypatch, "--input", sound, "--out", out) == 0
    (out / "home" / "inside").unlink()
    (out / "home").rmdir()
    elsewhere.mkdir()
    (elsewhere / "letter.txt").write_text("dear all")
    (out / "home").symlink_to(elsewhere)
    assert _main(monkeypatch, "--input", sound, "--out", out) == 0
    assert (elsewhere / "letter.txt").read_text() == "dear all"


@pytest.mark.usefixtures("short_story")
def test_an_input_among_the_results_is_refused_and_kept(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _main(monkeypatch, "--input", sound, "--out", out) == 0
    for name in ("microphone.s16", "home/sound.wav"):
        mine = out / name
        mine.write_bytes(sound.read_bytes())
        before = _all(out)
        assert _main(monkeypatch, "--input", mine, "--out", out) == 2
        assert _all(out) == before
        assert "Copy it" in capsys.readouterr().err


@pytest.mark.usefixtures("short_story")
def test_an_input_of_ones_own_in_the_folder_stays(tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert _main(monkeypatch, "--input", sound, "--out", out) == 0
    sound.rename(out / "mine.wav")
    before = (out / "mine.wav").read_bytes()
    assert _main(monkeypatch, "--input", out / "mine.wav", "--out", out) == 0
    assert (out / "mine.wav").read_bytes() == before


# --- unusable input


def _unusable(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("This is a letter.\n" * 9)
    elif kind == "no samples":
        sf.write(path, np.zeros(0, np.int16), 16_000)
    elif kind == "too short":
        sf.write(path, np.ones(16_000, np.int16), 16_000)
    elif kind == "raw and odd":
        path = path.with_suffix(".s16")
        path.write_bytes(b"x")
    return path


@pytest.mark.usefixtures("short_story")
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "no samples", "too short", "raw and odd"])
def test_unusable_input_is_refused_in_a_sentence_and_earlier_results_stay(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source = _unusable(tmp_path, kind)
    new, earlier = tmp_path / "new", tmp_path / "earlier"
    assert _main(monkeypatch, "--input", source, "--out", new) == 2
    assert not new.exists(), "nothing, least of all what was said"
    assert _main(monkeypatch, "--input", sound, "--out", earlier) == 0
    before = _all(earlier)
    capsys.readouterr()
    assert _main(monkeypatch, "--input", source, "--out", earlier) == 2
    assert _all(earlier) == before
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert source.name in told


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may read everything, so root is somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_input_that_one_may_not_read_is_refused(sound: Path) -> None:
    sound.chmod(0)
    with _as_nobody(), pytest.raises(TapeError, match="who may read it"):
        demo.check_source(sound)


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_in_the_place_of_the_folder_is_refused(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], below: str
) -> None:
    (tmp_path / "README.md").write_text("read me")
    assert _main(monkeypatch, "--input", sound, "--out", tmp_path / "README.md" / below) in (1, 2)
    assert (tmp_path / "README.md").read_text() == "read me"
    assert capsys.readouterr().err.count("\n") == 1


# --- a story that fails


@pytest.mark.parametrize("error", [demo.DemoError("not as told"), KeyboardInterrupt(), OSError(28, "No space left")])
def test_a_story_that_fails_leaves_nothing_in_the_clear(
    tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(story: demo.Story, _source: Path, tape: Path, _seconds: float) -> None:
        (story.out / "recorder").mkdir()
        (story.out / "recorder" / "mic.s16").write_bytes(tape.read_bytes())
        raise error

    monkeypatch.setattr(demo, "_tell", fail)
    out = tmp_path / "out"
    assert _main(monkeypatch, "--input", sound, "--out", out) in (1, 130)
    assert not out.exists()
    assert _main(monkeypatch, "--input", sound, "--out", out, "--keep") in (1, 130)
    assert (out / "recorder" / "mic.s16").exists(), "with --keep one can look at what happened"


# --- what is printed


def test_a_command_line_that_is_printed_works_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a folder; 'quoted'"
    story = demo.Story(out, quiet=True)
    for here in (tmp_path, demo.ROOT):
        monkeypatch.chdir(here)
        line = story.typed("list", "--json")
        done = subprocess.run(
            ["/bin/sh", "-c", line], capture_output=True, text=True, check=False, env={"PATH": "/bin"}
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert story.home.is_dir()


def test_what_a_person_types_is_shown_as_the_shell_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("pair", "--name", "Demo recorder", "--port", "nowhere")
    with pytest.raises(demo.DemoError):
        demo.Story(tmp_path, quiet=False).earwitness(*words)
    assert shlex.split(capsys.readouterr().out) == ["$", "earwitness", *words]


# --- installing


def test_installing_that_fails_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail() -> None:
        raise subprocess.CalledProcessError(1, ["pip"])

    monkeypatch.setattr(environment, "make_venv", fail)
    monkeypatch.setattr(environment, "VENV", tmp_path / "venv")
    monkeypatch.delenv("EARWITNESS_ENVIRONMENT", raising=False)
    with pytest.raises(SystemExit, match="installing failed"):
        environment.use_environment()


def test_installing_tells_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = tmp_path / "python"
    pip.write_text(
        "#!/bin/sh\nprintf 'Collecting one\\nCollecting two\\nInstalling collected packages\\n'\nexit $CODE\n"
    )
    pip.chmod(0o755)
    lock = tmp_path / "lock"
    lock.write_text("one==1 \\\n    --hash=sha256:00\ntwo==2 \\\n    --hash=sha256:11\n")
    monkeypatch.setattr(environment, "PYTHON", pip)
    monkeypatch.setattr(environment, "_TELL_S", -1.0)
    monkeypatch.setenv("CODE", "0")
    environment._install_lock(lock)
    assert "package 1 of 2" in capsys.readouterr().err
    monkeypatch.setenv("CODE", "1")
    with pytest.raises(subprocess.CalledProcessError):
        environment._install_lock(lock)
