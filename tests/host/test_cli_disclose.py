"""Making an excerpt, and what somebody who has nothing but that file can do with it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.identity import Identity
from earwitness.keystore import Keystore
from earwitness.library import Library
from tests.host.program import RATE, Sealer, names, run, tone
from tests.host.test_cli_recordings import PLAYER

PAGE = 1600  # samples in each page of these recordings


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a key, and a recording of 12 s with two marks and a second off the record."""
    home = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARWITNESS_HOME", str(home))
        identity = Identity.generate()
        Keystore().save(identity, "file", recovery="saved")
        sealer, library, path = Sealer(identity.recipient), Library(), home / "new.ewr"
        sealer.record(path, tone(12), marks=((2 * RATE, 1), (8 * RATE, 2)), muted=(3 * RATE, RATE))
        library.add(path, how="card")
        library.close()
        path.unlink()
    (home / "public.txt").write_text(sealer.public.hex())
    return home


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """The home of somebody who has no key, no recorder and no settings."""
    (tmp_path / "stranger").mkdir()
    return tmp_path / "stranger"


@pytest.fixture
def excerpt(home: Path, tmp_path: Path) -> Path:
    """All but 5.05 s to 6.25 s, so pages 5.0 s to 6.3 s are withheld, and all from 9 s on."""
    path = tmp_path / "x.ewd"
    done = run(home, "disclose", "1", "--hide", "5.05-6.25,0:09-", "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


def test_the_owner_is_told_what_is_really_disclosed_and_what_it_shows(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.ewd"
    done = run(home, "disclose", "1", "--keep", "0:00-0:05.05", "--hide", "2.5-2.52", "-o", str(path))
    assert done.returncode == 0 and done.stdout == f"{path}\n"
    assert "Disclosed: 0:00:00.0 to 0:00:02.5, 0:00:02.6 to 0:00:05.0." in done.stderr
    assert "Withheld: 0:00:02.5 to 0:00:02.6, 0:00:05.0 to the end. Rounded outward" in done.stderr
    assert "1 mark" in done.stderr and "name (Kitchen)" in done.stderr and "2026-11-23T09:00:00Z" in done.stderr
    assert "cannot be taken back" in done.stderr


def test_without_the_first_page_neither_name_nor_date_is_in_it(home: Path, tmp_path: Path) -> None:
    done = run(home, "disclose", "1", "--keep", "1-2", "-o", str(tmp_path / "x.ewd"), "--json")
    data = json.loads(done.stdout)
    assert (data["recorder"], data["clock"], data["marks"]) == (None, None, 0)
    assert data["disclosed"] == [{"from_s": 1.0, "to_s": 2.0}] and data["disclosed_pages"] == 10
    assert data["withheld"] == [{"from_s": 0.0, "to_s": 1.0, "pages": 10}, {"from_s": 2.0, "to_s": None, "pages": 90}]
    assert "shows no date" in done.stderr and "Kitchen" not in done.stderr
    shown = run(home, "verify", str(tmp_path / "x.ewd"), "--json").stdout
    assert "Kitchen" not in shown and "2026" not in shown


def test_the_custody_log_says_what_was_disclosed(home: Path, excerpt: Path) -> None:
    (log,) = (home / "library").glob("*.custody.jsonl")
    step = json.loads(log.read_text().splitlines()[-1])
    assert step["act"] == "disclosed" and step["details"]["file"] == "x.ewd"
    assert step["details"]["sha256"] == hashlib.sha256(excerpt.read_bytes()).hexdigest()
    assert step["details"]["part"] == "0:00:00.0 to 0:00:05.0, 0:00:06.3 to 0:00:09.0"
    assert step["details"]["pages"] == "67 of 110"


def test_who_has_nothing_but_the_file_can_verify_it(stranger: Path, excerpt: Path) -> None:
    done = run(stranger, "verify", str(excerpt))
    assert done.returncode == 4, done.stderr
    assert "sealed as end; an excerpt" in done.stdout and "by an unknown device" in done.stdout
    assert "withheld: 0:00:05.0 to 0:00:06.3 (1.30 s, 13 pages)" in done.stdout
    assert "withheld: 30 pages from 0:00:09.0 on" in done.stdout
    assert "complete" not in re.sub("not complete", "", done.stdout).replace("whole recording", "")


def test_who_is_paired_with_the_recorder_sees_that_it_is_that_one(stranger: Path, excerpt: Path, home: Path) -> None:
    public = (home / "public.txt").read_text()
    DeviceStore(stranger / "state").put(DeviceRecord(public, "00" * 32, "00" * 32, "Red", (), 1, "", ""))
    (item,) = json.loads(run(stranger, "verify", str(excerpt), "--json").stdout)
    assert item["verdict"]["by"]["state"] == "paired" and item["exit_code"] == 4


def test_who_has_nothing_but_the_file_sees_marks_and_gaps(stranger: Path, excerpt: Path) -> None:
    done = run(stranger, "show", str(excerpt))
    assert done.returncode == 0
    for text in ("Mark 1: moment", "Mark 2: disputed", "Off the record, 1.00 s", "Withheld, 1.30 s"):
        assert text in done.stdout
    data = json.loads(run(stranger, "show", str(excerpt), "--json").stdout)
    assert data["verdict"]["excerpt"]["withheld_pages"] == 43


def test_the_exact_copy_of_an_excerpt_is_silent_where_it_is_withheld(
    stranger: Path, excerpt: Path, tmp_path: Path
) -> None:
    done = run(stranger, "export", str(excerpt), "--master", "-o", str(tmp_path / "y.flac"))
    assert done.returncode == 0, done.stderr
    expected = tone(12)[: 9 * RATE]
    expected[3 * RATE : 4 * RATE] = 0
    expected[5 * RATE : 63 * PAGE] = 0
    assert np.array_equal(soundfile.read(tmp_path / "y.flac", dtype="int16")[0], expected)
    tags = {name.upper(): value for name, value in mutagen.File(tmp_path / "y.flac").tags}
    chapters = {tags[f"{name}NAME"]: at for name, at in tags.items() if re.fullmatch(r"CHAPTER\d+", name)}
    assert chapters["Withheld, 1.30 s"] == "00:00:05.000"
    assert "43 of 110 pages withheld" in tags["EXCERPT"]
    moments = (tmp_path / "y.moments.txt").read_text()
    assert "an excerpt" in moments.splitlines()[0] and "whole recording" not in moments
    assert "Withheld, 1.30 s" in moments and "30 pages at the end" in moments


def test_a_listening_copy_of_an_excerpt_is_silent_there_too(stranger: Path, excerpt: Path, tmp_path: Path) -> None:
    assert run(stranger, "export", str(excerpt), "-o", str(tmp_path / "y.wav")).returncode == 0
    heard, _ = soundfile.read(tmp_path / "y.wav", dtype="int16")
    assert len(heard) == 9 * RATE and not heard[5 * RATE : 63 * PAGE].any() and heard[: 3 * RATE].any()


@pytest.mark.skipif(os.name != "posix", reason="a script as player")
def test_an_excerpt_is_played(stranger: Path, excerpt: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    player = tmp_path / "bin" / "ffplay"
    player.write_text(PLAYER.format(python=sys.executable, out=str(tmp_path / "heard.wav"), code=0))
    player.chmod(0o755)
    done = run(stranger, "play", str(excerpt), "--from", "1", env={"PATH": str(tmp_path / "bin")})
    assert done.returncode == 0 and "Excerpt x.ewd" in done.stderr
    assert len(soundfile.read(tmp_path / "heard.wav")[0]) == 8 * RATE


@pytest.mark.parametrize("change", ["flip", "cut", "add"])
def test_a_changed_excerpt_is_refused_everywhere(stranger: Path, excerpt: Path, tmp_path: Path, change: str) -> None:
    data = bytearray(excerpt.read_bytes())
    data[20_000] ^= change == "flip"
    excerpt.write_bytes(data[:-1] if change == "cut" else data + b"\0" * (change == "add"))
    done = run(stranger, "verify", str(excerpt))
    assert done.returncode == 13 and "not intact" in done.stdout
    assert run(stranger, "export", str(excerpt), "-o", str(tmp_path / "y.wav")).returncode == 13
    assert run(stranger, "export", str(excerpt), "--unverified", "-o", str(tmp_path / "y.wav")).returncode == 2
    assert not (tmp_path / "y.wav").exists()


def test_what_is_no_excerpt_says_so(stranger: Path, tmp_path: Path) -> None:
    (tmp_path / "no.ewd").write_bytes(b"nothing")
    for command in (["verify"], ["show"], ["export", "-o", str(tmp_path / "y.wav")]):
        done = run(stranger, command[0], str(tmp_path / "no.ewd"), *command[1:])
        assert done.returncode == 14 and "not an Earwitness excerpt" in done.stderr + done.stdout
    assert run(stranger, "verify", str(tmp_path / "gone.ewd")).returncode == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "what to disclose"),
        (["--keep", "five"], "no span"),
        (["--keep", "1-nan"], "not a time"),
        (["--keep", "-"], "no span"),
        (["--keep", "3-2"], "nothing between"),
        (["--keep", "0:20-0:30"], "behind the end"),
        (["--keep", "1.02-1.09"], "no whole page"),
        (["--hide", "0-"], "no whole page"),
    ],
)
def test_times_that_make_no_excerpt_are_refused_and_nothing_is_left(
    home: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    (tmp_path / "out").mkdir()
    done = run(home, "disclose", "1", *words, "-o", str(tmp_path / "out" / "x.ewd"))
    assert done.returncode == 2 and told in done.stderr
    assert names(tmp_path / "out") == []


def test_another_kind_of_name_or_a_file_that_exists_is_refused(home: Path, excerpt: Path) -> None:
    assert run(home, "disclose", "1", "--keep", "1-2", "-o", str(excerpt.with_suffix(".flac"))).returncode == 2
    before = excerpt.read_bytes()
    assert run(home, "disclose", "1", "--keep", "1-2", "-o", str(excerpt)).returncode == 2
    assert excerpt.read_bytes() == before
    assert run(home, "disclose", "1", "--keep", "1-2", "--force", "-o", str(excerpt)).returncode == 0


def test_without_the_key_nothing_is_disclosed(home: Path, tmp_path: Path) -> None:
    shutil.rmtree(home / "config")
    done = run(home, "disclose", "1", "--keep", "1-2", "-o", str(tmp_path / "x.ewd"))
    assert done.returncode == 12 and not (tmp_path / "x.ewd").exists()
