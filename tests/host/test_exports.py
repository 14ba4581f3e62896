"""Copies hold the same moments as the recording, say what they are, and appear whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile

from earwitness import exports
from earwitness.audio import Audio
from earwitness.chapters import clock, seconds_text
from earwitness.errors import IntegrityError, UsageError
from earwitness.exports import Order
from earwitness.identity import Identity
from tests.host.program import RATE, Sealer, environment, names, run, tone

MARKS = ((2 * RATE, 1), (10 * RATE + 123, 2))
MUTED = (3 * RATE, RATE)
BEGAN = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Identity, np.ndarray]:
    identity = Identity.generate()
    path = tmp_path_factory.mktemp("source") / "one.ewr"
    sound = tone(15)
    Sealer(identity.recipient).record(path, sound, marks=MARKS, muted=MUTED)
    sound[MUTED[0] : MUTED[0] + MUTED[1]] = 0
    return path, identity, sound


@pytest.fixture
def audio(source: tuple[Path, Identity, np.ndarray]) -> Audio:
    return Audio(source[0], source[1])


@pytest.fixture
def order() -> Order:
    return Order(labels={2: "they said Tuesday"}, title="School", started=BEGAN, origin="Recording 1 of Kitchen")


def samples(path: Path) -> np.ndarray:
    found, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE or path.suffix == ".opus"
    return np.asarray(found)


@pytest.mark.parametrize("suffix", ["flac", "wav", "opus"])
def test_every_format_is_as_long_as_the_recording_and_audible(
    audio: Audio, order: Order, tmp_path: Path, suffix: str
) -> None:
    exports.export(audio, tmp_path / f"x.{suffix}", replace(order, kind=suffix))
    heard = samples(tmp_path / f"x.{suffix}")
    assert len(heard) == audio.samples
    assert np.sqrt(np.mean((heard[: 2 * RATE] / 32768.0) ** 2)) > 0.05


@pytest.mark.parametrize("suffix", ["flac", "wav"])
@pytest.mark.parametrize("span", [(0, None), (RATE, 12 * RATE + 77)])
def test_a_master_holds_the_exact_samples(
    audio: Audio,
    order: Order,
    source: tuple[Path, Identity, np.ndarray],
    tmp_path: Path,
    suffix: str,
    span: tuple[int, int | None],
) -> None:
    target = tmp_path / f"x.{suffix}"
    exports.export(audio, target, replace(order, kind=suffix, master=True, first=span[0], end=span[1]))
    assert np.array_equal(samples(target), source[2][span[0] : span[1]])


@pytest.mark.skipif(shutil.which("flac") is None, reason="needs the flac program")
@pytest.mark.parametrize("master", [True, False])
def test_the_flac_program_finds_nothing_wrong(audio: Audio, order: Order, tmp_path: Path, master: bool) -> None:
    exports.export(audio, tmp_path / "x.flac", replace(order, master=master))
    done = subprocess.run(["flac", "-t", "-w", "-s", tmp_path / "x.flac"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("suffix", ["flac", "wav", "opus"])
def test_a_muted_span_is_silent_in_the_listening_copy(audio: Audio, order: Order, tmp_path: Path, suffix: str) -> None:
    exports.export(audio, tmp_path / f"x.{suffix}", replace(order, kind=suffix))
    inside = samples(tmp_path / f"x.{suffix}")[MUTED[0] : MUTED[0] + MUTED[1]].astype(int)
    if suffix == "opus":  # a lossy codec rings at the edges
        inside = inside[RATE // 10 : -RATE // 10]
        assert np.abs(inside).max() < 30
    else:
        assert not inside.any()


@pytest.mark.parametrize("suffix", ["flac", "opus"])
def test_chapters_stand_at_their_times(audio: Audio, order: Order, tmp_path: Path, suffix: str) -> None:
    exports.export(audio, tmp_path / f"x.{suffix}", replace(order, kind=suffix))
    tags: Any = mutagen.File(tmp_path / f"x.{suffix}").tags
    found = {}
    for number in range(5):
        found[tags[f"CHAPTER{number:03d}"][0]] = tags[f"CHAPTER{number:03d}NAME"][0]
    assert found == {
        "00:00:00.000": "Start",
        "00:00:02.000": "Mark 1: moment",
        "00:00:03.000": "Off the record, 1.00 s",
        "00:00:04.000": "Sound again",
        "00:00:10.007": "Mark 2: disputed (titled by the owner: they said Tuesday)",
    }


def test_the_cue_sheet_points_at_the_samples(audio: Audio, order: Order, tmp_path: Path) -> None:
    exports.export(audio, tmp_path / "x.flac", order)
    sheet: Any = mutagen.File(tmp_path / "x.flac").cuesheet
    assert [track.start_offset for track in sheet.tracks] == [0, 32000, 48000, 64000, 160123, audio.samples]


def test_wav_cue_points_have_names(audio: Audio, order: Order, tmp_path: Path) -> None:
    exports.export(audio, tmp_path / "x.wav", replace(order, kind="wav"))
    data = (tmp_path / "x.wav").read_bytes()
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    chunks, at = {}, 12
    while at < len(data):
        name, size = struct.unpack("<4sI", data[at : at + 8])
        chunks[name + (data[at + 8 : at + 12] if name == b"LIST" else b"")] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    cue = chunks[b"cue "]
    points = [struct.unpack_from("<II4sIII", cue, 4 + 24 * n) for n in range(struct.unpack_from("<I", cue)[0])]
    assert [point[5] for point in points] == [0, 32000, 48000, 64000, 160123]
    assert b"Mark 2: disputed (titled by the owner: they said Tuesday)\0" in chunks[b"LISTadtl"]


@pytest.mark.parametrize("master", [True, False])
def test_every_copy_says_that_anyone_can_hear_it_and_what_was_done(
    audio: Audio, order: Order, tmp_path: Path, master: bool
) -> None:
    for suffix in ("flac", "wav") if master else ("flac", "wav", "opus"):
        _file, beside = exports.export(
            audio, tmp_path / f"{suffix}.{suffix}", replace(order, kind=suffix, master=master)
        )
        said = beside.read_text()
        if suffix != "wav":
            said += mutagen.File(tmp_path / f"{suffix}.{suffix}").tags["COMMENT"][0]
        assert said.count("anyone who has it can listen") == (2 if suffix != "wav" else 1)
        assert ("Processed for listening" in said) != master


def test_the_moments_have_times_and_dates(audio: Audio, order: Order) -> None:
    text = exports.moments(audio, replace(order, first=5 * RATE, end=13 * RATE), "x.flac")
    assert "0:00:05.0  2026-11-23 09:00:10 UTC  Mark 2: disputed (titled by the owner: they said Tuesday)" in text
    assert "Mark 1" not in text and "add 0:00:05.0" in text


def test_times_outside_the_recording_are_refused(audio: Audio, order: Order) -> None:
    for first, end in ((100 * RATE, None), (5 * RATE, 4 * RATE), (RATE, RATE)):
        with pytest.raises(UsageError, match=r"nothing (between|from)"):
            exports.write(audio, io.BytesIO(), replace(order, first=first, end=end))


def test_opus_cannot_be_a_master(audio: Audio, order: Order, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exact samples"):
        exports.export(audio, tmp_path / "x.opus", replace(order, kind="opus", master=True))
    assert names(tmp_path) == []


def test_a_file_is_not_replaced_unless_asked(audio: Audio, order: Order, tmp_path: Path) -> None:
    target = tmp_path / "x.flac"
    target.write_bytes(b"mine")
    with pytest.raises(UsageError, match="already exists"):
        exports.export(audio, target, order)
    assert target.read_bytes() == b"mine"
    exports.export(audio, target, order, overwrite=True)
    assert len(samples(target)) == audio.samples


def test_moments_beside_another_format_of_the_same_span_are_replaced(
    audio: Audio, order: Order, tmp_path: Path
) -> None:
    exports.export(audio, tmp_path / "m.wav", replace(order, kind="wav"))
    exports.export(audio, tmp_path / "m.opus", replace(order, kind="opus"))
    assert (tmp_path / "m.moments.txt").read_text().startswith("m.opus: the whole recording")
    with pytest.raises(UsageError, match="already exists"):  # its times count from elsewhere
        exports.export(audio, tmp_path / "m.flac", replace(order, first=RATE))
    with pytest.raises(UsageError, match="already exists"):
        exports.export(audio, tmp_path / "m.flac", replace(order, origin="Recording 2 of Kitchen"))


def test_a_title_never_hides_what_was_sealed_nor_breaks_a_line(audio: Audio, order: Order) -> None:
    titled = replace(order, labels={2: "Agreed\nMark 9: moment\x1b[2J"}, title="School\nVerified")
    text = exports.moments(audio, titled, "x.flac")
    assert "  Mark 2: disputed (titled by the owner: Agreed Mark 9: moment[2J)\n" in text
    assert "\x1b" not in text and "Titled by the owner: School Verified\n" in text


def test_a_changed_recording_is_not_exported(source: tuple[Path, Identity, np.ndarray], tmp_path: Path) -> None:
    data = bytearray(source[0].read_bytes())
    data[-4096 + 120] ^= 1  # the final note
    data[4096 * 20 + 100] ^= 1  # and a page
    for page in range(1, len(data) // 4096):
        if data[page * 4096 + 4] == 3:
            data[page * 4096 + 60] ^= 1  # and every checkpoint
    (tmp_path / "bad.ewr").write_bytes(data)
    with pytest.raises(IntegrityError):
        Audio(tmp_path / "bad.ewr", source[1])


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_killed_export_leaves_no_partial_file_and_a_second_run_finishes(
    source: tuple[Path, Identity, np.ndarray], tmp_path: Path, unnamed: bool
) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        "import os, sys, time\n"
        + ("" if unnamed else "del os.O_TMPFILE\n" if hasattr(os, "O_TMPFILE") else "")
        + "from pathlib import Path\n"
        "from earwitness import exports\nfrom earwitness.audio import Audio\nfrom earwitness.identity import Identity\n"
        "audio = Audio(sys.argv[1], Identity.from_text(sys.stdin.read()))\n"
        "def slow(done):\n"
        "    if done > audio.samples // 2: print('half', flush=True); time.sleep(float(sys.argv[3]))\n"
        "exports.export(audio, Path(sys.argv[2]), exports.Order(), progress=slow)\n"
    )
    out = tmp_path / "out"
    out.mkdir()

    def begin(pause: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, script, source[0], out / "x.flac", pause],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(tmp_path),
        )
        assert process.stdin and process.stdout
        process.stdin.write(source[1].text)
        process.stdin.close()
        return process

    with begin("60") as process:
        assert process.stdout and process.stdout.readline() == "half\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        process.wait(10)
    assert not (out / "x.flac").exists()
    if unnamed and sys.platform == "linux":
        assert names(out) == []
    with begin("0") as process:
        assert process.stdout
        process.stdout.read()
        assert process.wait(60) == 0
    assert names(out) == ["x.flac", "x.moments.txt"]


def test_times_are_written_as_people_read_them() -> None:
    assert [clock(n) for n in (0, 160, 15_999, 59 * RATE, 3600 * RATE)] == [
        "0:00:00.0",
        "0:00:00.0",
        "0:00:01.0",
        "0:00:59.0",
        "1:00:00.0",
    ]
    assert [seconds_text(n) for n in (8_000, 20 * RATE, 250 * RATE)] == ["0.50 s", "20 s", "4 min 10 s"]


@pytest.mark.parametrize(
    "words",
    [
        ("export", "1", "-o", "y.flac", "--before", "3"),
        ("export", "1", "-o", "y.flac", "--after", "0"),
        ("play", "1", "--before", "30"),
    ],
)
def test_a_span_around_no_mark_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Not all of it, by mistake: what is exported is often given away."""
    done = run(tmp_path / "home", *words, cwd=tmp_path)
    assert done.returncode == 2 and "with --mark." in done.stderr
    assert not (tmp_path / "y.flac").exists()
