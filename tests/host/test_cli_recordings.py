"""Listing, showing, verifying, playing, exporting and naming recordings, as a person does it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earwitness.identity import Identity
from earwitness.keystore import Keystore
from earwitness.library import Library
from tests.host.program import RATE, Sealer, environment, names, run, tone

PLAYER = """#!{python}
import sys
data = sys.stdin.buffer.read()
open({out!r}, "wb").write(data)
sys.exit({code})
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a key and three recordings: whole, unfinished, whole and long."""
    home = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARWITNESS_HOME", str(home))
        identity = Identity.generate()
        Keystore().save(identity, "file", recovery="saved")
        sealer, library = Sealer(identity.recipient), Library()
        for number in range(3):
            path = home / "new.ewr"
            sealer.record(
                path,
                tone(180 if number == 2 else 12),
                marks=((2 * RATE, 1), (8 * RATE, 2)),
                muted=(3 * RATE, RATE),
                final=number != 1,
            )
            library.add(path, how="card")
            path.unlink()
        library.close()
    return home


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(filled, tmp_path / "home")
    return tmp_path / "home"


def recording(home: Path, number: int) -> Path:
    (path,) = (home / "library").glob(f"*-{number:06d}.ewr")
    return path


def acts(home: Path, number: int) -> list[str]:
    lines = recording(home, number).with_suffix(".custody.jsonl").read_text().splitlines()
    return [json.loads(line)["act"] for line in lines]


def test_verify_gives_six_answers_with_reasons_and_the_right_code(home: Path) -> None:
    done = run(home, "verify", "1")
    assert done.returncode == 0, done.stderr
    for question in ("as it was sealed?", "whole recording?", "missing inside?", "missing around it?", "When", "Which"):
        assert question in done.stdout
    assert run(home, "verify", "2").returncode == 4
    assert acts(home, 1) == ["synced", "verified"]


def test_a_changed_byte_is_found_named_and_ends_with_13(home: Path) -> None:
    path = recording(home, 1)
    data = bytearray(path.read_bytes())
    data[4096 * 5 + 99] ^= 1
    path.write_bytes(data)
    done = run(home, "verify", "1")
    assert done.returncode == 13 and "age 5" in done.stdout


def test_verify_all_names_each_and_says_that_some_failed(home: Path) -> None:
    done = run(home, "verify", "--all", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 3 or {item["exit_code"] for item in found} == {0, 4}
    assert [item["exit_code"] for item in found] == [0, 4, 0]
    assert all(item["verdict"]["intact"]["reason"] for item in found)


def test_verify_needs_no_key_for_the_seals_and_says_what_it_could_not_see(home: Path) -> None:
    done = run(home, "verify", "1", "--keyless", "--json")
    (item,) = json.loads(done.stdout)
    assert done.returncode == 0 and item["verdict"]["opened"] is False
    assert item["verdict"]["intact"]["state"] == "sealed"


def test_verify_takes_files_and_refuses_what_is_none(home: Path, tmp_path: Path) -> None:
    shutil.copy(recording(home, 1), tmp_path / "copy.ewr")
    assert run(home, "verify", str(tmp_path / "copy.ewr")).returncode == 0
    (tmp_path / "no.ewr").write_bytes(b"nothing")
    assert run(home, "verify", str(tmp_path / "no.ewr")).returncode == 14


def test_the_list_shows_date_length_marks_and_title_once_opened(home: Path) -> None:
    assert "date not read" in run(home, "list").stdout
    run(home, "verify", "--all")
    run(home, "label", "1", "School meeting")
    line = run(home, "list", env={"TZ": "UTC"}).stdout.splitlines()[0]
    assert line.split()[0] == "1" and "2026-11-23 09:00" in line and "0:00:12" in line
    assert "2 marks" in line and "School meeting" in line and "complete" in line
    data = json.loads(run(home, "list", "--json").stdout)
    assert len(data) == 3 and data[0]["duration_s"] == 12 and data[0]["label"] == "School meeting"


def test_show_tells_marks_gaps_titles_notes_and_custody(home: Path) -> None:
    run(home, "label", "1", "they said Tuesday", "--mark", "2")
    run(home, "note", "1", "ask for the minutes", "--at", "0:08")
    done = run(home, "show", "1")
    assert done.returncode == 0
    for text in (
        "0:00:02.0  Mark 1: moment",
        "Mark 2: disputed (titled by the owner: they said Tuesday)",
        "Off the record, 1.00 s",
        "ask for the minutes",
    ):
        assert text in done.stdout, text
    assert "copied here from the card" in done.stdout and "its own account" in done.stdout
    data = json.loads(run(home, "show", "1", "--json").stdout)
    assert data["mark_labels"] == {"2": "they said Tuesday"} and data["custody"]["faults"] == []


def test_a_note_tells_its_time_and_what_cannot_be_one_is_refused(home: Path) -> None:
    run(home, "verify", "--all")
    assert run(home, "note", "1", "ask again", "--at", "0:08.5").returncode == 0
    assert "at 0:00:08.5  ask again" in run(home, "show", "1").stdout
    for words, said in (
        (["  "], "nothing in that note"),
        (["x", "--at", "9:99:99"], "9:99:99 is not a time"),
        (["x", "--at", "0:13"], "only 0:00:12.0 long: there is no 0:00:13.0"),
        (["x", "--mark", "3"], "This recording has 2 marks."),
    ):
        done = run(home, "note", "1", *words)
        assert done.returncode == 2 and said in done.stderr, words
    assert len(json.loads(run(home, "show", "1", "--json").stdout)["notes"]) == 1


def test_a_card_without_recordings_is_told(home: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "IMG_0001.JPG").write_bytes(b"no sound")
    done = run(home, "sync", "--via", "card", str(tmp_path / "photos"))
    assert done.returncode == 1 and done.stdout == ""
    assert f"There are no recordings of an Earwitness recorder in {tmp_path / 'photos'}." in done.stderr


def test_show_without_the_key_says_not_opened_and_the_list_keeps_what_it_knew(home: Path) -> None:
    run(home, "verify", "--all")
    known = run(home, "list").stdout
    for name in ("identity.json", "identity.txt"):
        (home / "config" / name).rename(home / name)
    told = run(home, "show", "1").stdout
    assert "Marks and gaps: not opened" in told and "none" not in told.split("Marks and gaps")[1].splitlines()[0]
    assert "0:00:12.0 long" in told, "the list knows it"
    assert run(home, "list").stdout == known
    path = recording(home, 1)
    data = bytearray(path.read_bytes())
    data[4096 * 5 + 99] ^= 1
    path.write_bytes(data)
    run(home, "show", "1")
    assert "damaged, " in run(home, "list").stdout.splitlines()[0], "what is worse than was known is kept"


def test_show_says_length_and_both_time_zones_in_plain_words(home: Path, tmp_path: Path) -> None:
    run(home, "export", "1", "-o", str(tmp_path / "x.wav"), "--master")
    told = run(home, "show", "1", env={"TZ": "Europe/Berlin"}).stdout
    assert "  23 November 2026, 10:00 CET (09:00 UTC), by the recorder's clock" in told
    assert "  0:00:12.0 long" in told
    assert "UTC: copied here from the card" in told
    assert "UTC: an exact copy made, the whole recording: x.wav (SHA-256 " in told
    assert not [word for word in told.split() if len(word.strip("().,:")) > 40]


def test_names_and_notes_cannot_write_lines_of_their_own(home: Path) -> None:
    run(home, "label", "1", "School\n  Verified by all\x1b[2J")
    run(home, "note", "1", "first\nsecond\x1b]0;x\x07")
    for words in (["show", "1"], ["list"]):
        told = run(home, *words).stdout
        assert "School Verified by all[2J" in told and not set("\x1b\x07") & set(told)
    assert "first\n      second]0;x\n" in run(home, "show", "1").stdout


def test_verify_tells_title_date_and_length(home: Path) -> None:
    run(home, "label", "1", "School meeting")
    told = run(home, "verify", "1", env={"TZ": "Europe/Berlin"}).stdout
    assert "  titled by the owner: School meeting\n" in told
    assert "  23 November 2026, 10:00 CET (09:00 UTC), by the recorder's clock\n" in told
    assert "How long is it?                    0:00:12.0, 1.00 s of it without sound\n" in told


def test_verify_says_what_a_file_that_is_none_is(home: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    for name, said in (("photo.jpg", "is not a recording."), ("gone.ewr", "There is no file"), ("", "is a folder.")):
        done = run(home, "verify", str(tmp_path / name))
        assert done.returncode == 2 and said in done.stderr, name


def test_verify_without_the_key_does_not_make_the_list_know_less(home: Path) -> None:
    run(home, "verify", "1")
    known = run(home, "list").stdout
    run(home, "verify", "1", "--keyless")
    assert run(home, "list").stdout == known


def test_titles_never_touch_the_recording(home: Path) -> None:
    before = recording(home, 1).read_bytes()
    run(home, "label", "1", "x")
    run(home, "note", "1", "y")
    assert recording(home, 1).read_bytes() == before
    assert run(home, "verify", "1").returncode == 0


def test_export_names_both_files_and_logs_the_hand_out(home: Path, tmp_path: Path) -> None:
    done = run(home, "export", "1", "-o", "copy.flac", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "copy.flac\n" and "anyone who has it can listen" in done.stderr
    assert {"copy.flac", "copy.moments.txt"} <= set(names(tmp_path))
    assert acts(home, 1)[-1] == "exported"


def test_export_around_a_mark(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.wav"
    run(home, "export", "1", "-o", str(target), "--mark", "2", "--before", "3", "--after", "2", "--master")
    found, _rate = soundfile.read(target, dtype="int16")
    assert np.array_equal(found, tone(12)[5 * RATE : 10 * RATE])
    assert run(home, "export", "1", "-o", str(tmp_path / "n.wav"), "--mark", "3").returncode == 2


def test_export_to_a_pipe(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "earwitness", "export", "1", "-o", "-", "--format", "wav", "--master"],
        capture_output=True,
        env=environment(home),
        check=True,
    )
    assert done.stdout[:4] == b"RIFF" and len(done.stdout) > 12 * RATE * 2


def test_what_cannot_be_proven_is_not_exported_unless_asked(home: Path, tmp_path: Path) -> None:
    path = recording(home, 1)
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        if data[page * 4096 + 4] == 3:
            data[page * 4096 + 60] ^= 1
    path.write_bytes(data)
    done = run(home, "export", "1", "-o", str(tmp_path / "x.wav"))
    assert done.returncode == 13 and not (tmp_path / "x.wav").exists()
    done = run(home, "export", "1", "-o", str(tmp_path / "x.wav"), "--unverified")
    assert done.returncode == 0 and "Unverified" in done.stderr, done.stderr


def test_a_copy_of_what_does_not_verify_says_so(home: Path, tmp_path: Path) -> None:
    path = recording(home, 1)
    data = bytearray(path.read_bytes())
    data[4096 * 5 + 99] ^= 1
    path.write_bytes(data)
    done = run(home, "export", "1", "-o", str(tmp_path / "x.flac"))
    assert done.returncode == 0 and "Recording 1 does not verify. Damaged: page 5" in done.stderr
    lines = (tmp_path / "x.moments.txt").read_text().splitlines()
    assert lines[2].startswith("NOT VERIFIED. Damaged: page 5")
    whole = run(home, "export", "3", "-o", str(tmp_path / "y.wav"), "--master")
    assert "verify" not in whole.stderr and "NOT VERIFIED" not in (tmp_path / "y.moments.txt").read_text()


def test_a_copy_is_dated_though_the_recording_was_never_opened_before(home: Path, tmp_path: Path) -> None:
    run(home, "export", "1", "-o", str(tmp_path / "x.wav"), "--master", env={"TZ": "Europe/Berlin"})
    text = (tmp_path / "x.moments.txt").read_text()
    assert "Begins 2026-11-23 09:00:00 UTC (10:00:00 CET on the computer that made this copy), by the" in text
    assert "2026-11-23 09:00" in run(home, "list", env={"TZ": "UTC"}).stdout


def test_times_beyond_the_end_are_told(home: Path, tmp_path: Path) -> None:
    done = run(home, "export", "1", "-o", str(tmp_path / "x.wav"), "--from", "10", "--to", "1:00", "--master")
    assert done.returncode == 0 and "ends at 0:00:12.0: the copy is shortened" in done.stderr
    done = run(home, "export", "1", "-o", str(tmp_path / "y.wav"), "--from", "1:00")
    assert done.returncode == 2 and "only 0:00:12.0 long: there is nothing from 0:01:00.0 on" in done.stderr
    done = run(home, "export", "1", "-o", str(tmp_path / "y.wav"), "--to", "9:99:99")
    assert done.returncode == 2 and "9:99:99 is not a time" in done.stderr
    assert run(home, "export", "1", "-o", str(tmp_path / "y.wav"), "--to", "0").returncode == 2
    assert not (tmp_path / "y.wav").exists()


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_during_an_export_leaves_nothing(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with subprocess.Popen(
        # Who interrupts it comes first, however busy the computer is.
        ["nice", "-n", "19", sys.executable, "-m", "earwitness", "export", "3", "-o", str(out / "x.flac"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
    ) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert first["progress"] == "export"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        code = process.wait(30)
    assert code == 130 and "Traceback" not in said
    assert names(out) == []


@pytest.fixture
def player(tmp_path: Path) -> Path:
    """A folder with a player that keeps what it is given, to stand first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ffplay"
    script.write_text(PLAYER.format(python=sys.executable, out=str(tmp_path / "heard.wav"), code=0))
    script.chmod(0o755)
    return folder


@pytest.mark.skipif(os.name != "posix", reason="a script as player")
def test_play_sends_an_audible_copy_from_before_the_mark(home: Path, tmp_path: Path, player: Path) -> None:
    done = run(home, "play", "1", "--mark", "2", "--before", "3", env={"PATH": str(player)})
    assert done.returncode == 0, done.stderr
    heard, rate = soundfile.read(tmp_path / "heard.wav", dtype="int16")
    assert rate == RATE and len(heard) == 7 * RATE
    assert np.abs(heard).max() > 20 * np.abs(tone(12)).max()
    assert acts(home, 1)[-1] == "played"


@pytest.mark.skipif(os.name != "posix", reason="a script as player")
def test_a_player_that_fails_is_told(home: Path, tmp_path: Path, player: Path) -> None:
    (player / "ffplay").write_text(PLAYER.format(python=sys.executable, out=str(tmp_path / "heard.wav"), code=1))
    done = run(home, "play", "1", env={"PATH": str(player)})
    assert done.returncode == 1 and "ffplay" in done.stderr


def test_without_a_player_it_says_what_to_do_and_leaves_nothing_plain(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = run(home, "play", "1", env={"PATH": str(tmp_path / "empty"), "TMPDIR": str(temporary)})
    assert done.returncode == 1 and "earwitness export" in done.stderr
    assert names(temporary) == []


def test_a_recording_for_another_key_says_so(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.ewr"
    Sealer(Identity.generate().recipient).record(path, tone(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARWITNESS_HOME", str(home))
        entry = Library().add(path, how="card")
    done = run(home, "export", entry.recording_id, "-o", str(tmp_path / "x.wav"))
    assert done.returncode == 12 and "not made for your key" in done.stderr
    assert run(home, "verify", entry.recording_id).returncode == 0, "the seals can still be checked"


@pytest.mark.parametrize("words", [["list", "-q"], ["--help"]], ids=" ".join)
def test_what_takes_long_to_load_is_loaded_when_it_is_needed(home: Path, words: list[str]) -> None:
    heavy = ["numpy", "scipy", "soundfile", "typst", "keyring", "serial", "mutagen", "concurrent.futures.process"]
    heavy += ["cryptography", "earwitness.verify"] if words == ["--help"] else []
    code = f"import sys\nfrom earwitness.cli import main\nmain({words})\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(home), check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
