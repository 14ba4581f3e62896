#!/usr/bin/env python3
"""Makes meeting.flac from meeting.txt with espeak-ng: three made-up voices, pauses, 16 kHz mono 16 bit, at conversation level."""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
ROOT = _HERE.parent.parent
sys.path.insert(0, str(ROOT))

RATE_HZ = 16_000
_VOICES = {"chair": ("en-gb+f3", "150", "50"), "parent": ("en-gb+f2", "140", "65"), "worker": ("en-gb+m3", "160", "40")}
_PAUSE_S = 0.45
_PEAK = 0.1  # -20 dBFS: a voice near the microphone
_NOISE = 6.0  # standard deviation of the microphone's own noise, in 16-bit steps


def make(target: Path) -> float:
    """Write the sample; returns its length in seconds."""
    import numpy as np
    import soundfile as sf
    import soxr

    parts = [np.zeros(RATE_HZ // 2)]
    for line in (_HERE / "meeting.txt").read_text(encoding="utf-8").splitlines():
        who, _, words = line.partition(": ")
        voice, speed, pitch = _VOICES[who]
        command = ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "--stdout", words]
        wave = subprocess.run(command, check=True, capture_output=True).stdout
        sound, rate = sf.read(io.BytesIO(wave))
        parts += [soxr.resample(sound, rate, RATE_HZ), np.zeros(int(_PAUSE_S * RATE_HZ))]
    speech = np.concatenate(parts)
    speech *= _PEAK * 32768 / np.abs(speech).max()
    speech += np.random.default_rng(1).normal(0, _NOISE, len(speech))
    sf.write(target, np.round(speech).astype(np.int16), RATE_HZ, subtype="PCM_16", format="FLAC")
    return len(speech) / RATE_HZ


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=_HERE / "meeting.flac")
    arguments = parser.parse_args()

    from tools.environment import use_environment

    use_environment()
    print(f"{arguments.output}: {make(arguments.output):.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
