"""What the microphone gave is what the master holds, bit for bit, whatever it gave."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from .kit import RATE_HZ, READY_S, Paired, Samples, make_pairing, master, speech

_SOUNDS = Path("/usr/share/sounds/alsa")  # Debian's alsa-utils: a person speaks


def human(peak_db: float, seconds: float = 12.0) -> Samples:
    """A human voice with its loudest sample at `peak_db` dBFS over the microphone's own noise, -91 dBFS rms."""
    soxr = pytest.importorskip("soxr")
    files = sorted(_SOUNDS.glob("*_*.wav"))
    if not files:
        pytest.skip("alsa-utils' sound samples are not installed")
    parts = []
    for file in files:
        sound, rate = sf.read(file)
        parts.append(soxr.resample(sound, rate, RATE_HZ))
    voice = np.concatenate(parts)
    voice = np.resize(voice, int(seconds * RATE_HZ))
    voice = voice / np.abs(voice).max() * 32767 * 10 ** (peak_db / 20)
    noise = np.random.default_rng(5).normal(0, 32767 * 10 ** (-91 / 20), len(voice))
    return np.asarray(np.round(voice + noise), dtype=np.int16)


def signal(name: str) -> Samples:
    count = 6 * RATE_HZ
    k = np.arange(count)
    if name == "speech -30 dBFS":
        return human(-30)
    if name == "speech -50 dBFS":
        return human(-50)
    if name == "a quiet room":
        return np.random.default_rng(4).integers(-1, 2, count).astype(np.int16)
    if name == "full-scale square":
        return np.where((k // 37) % 2 == 0, 32767, -32768).astype(np.int16)
    if name == "white noise":
        return np.random.default_rng(3).integers(-32768, 32768, count).astype(np.int16)
    if name == "ramp":
        return ((k * 3) % 65536 - 32768).astype(np.int16)
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name", ["speech -30 dBFS", "speech -50 dBFS", "a quiet room", "full-scale square", "white noise", "ramp"]
)
def test_the_master_is_what_the_microphone_gave(paired: Paired, tmp_path: Path, name: str) -> None:
    tape = signal(name)
    with paired.recorder(tmp_path, tape) as recorder:
        assert recorder.run(f"{READY_S}:on {READY_S + 5}:off", settle=3) == "done"
        (item,) = paired.items(recorder, tmp_path)
    verdict = item.verdict
    assert verdict is not None and verdict.exit_code == 0 and not verdict.gaps
    out = tmp_path / "master.flac"
    heard = master(item, paired, out)
    assert 5 * RATE_HZ - 1600 <= len(heard) <= 5 * RATE_HZ + 1600
    assert np.array_equal(heard, tape[: len(heard)])
    if shutil.which("flac"):
        subprocess.run(["flac", "-t", "-s", str(out)], check=True)


def test_two_recipients_can_each_open_it(tmp_path: Path) -> None:
    paired = make_pairing(tmp_path / "two", recipients=2)
    tape = speech(8)
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=3)
        (item,) = paired.items(recorder, tmp_path)
    for number, owner in enumerate(paired.owners):
        alone = Paired(paired.folder, (owner,), paired.record)
        heard = master(item, alone, tmp_path / f"{number}.flac")
        assert np.array_equal(heard, tape[: len(heard)]) and len(heard) > RATE_HZ
