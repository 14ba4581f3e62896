"""What every benchmark needs: sound, a place to work, rows."""

from __future__ import annotations

import array
import math
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
RATE = 16000
FRAME = 1024
SECONDS = 60  # of sound at least: the two pages that every recording has extra then weigh as little as in use
NOISE_FLOOR_DB = -91  # of a MEMS microphone's 16 bits, root mean square


@dataclass(frozen=True)
class Row:
    """One figure. `limit` is what the project promises, None where it promises nothing. Smaller is better, unless `at_least`."""

    benchmark: str
    case: str
    figure: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def kept(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class Bench:
    """What every benchmark is given: a place to work, the sound asked for, and whether the long cases are wanted."""

    folder: Path
    sounds: list[Path]
    long: bool

    def speech(self) -> array.array[int]:
        """The sounds joined, at 16 kHz, mono."""
        target = self.folder / "speech.raw"
        options = ["-t", "raw", "-r", str(RATE), "-b", "16", "-e", "signed-integer", "-c", "1", "-L"]
        run("sox", *map(str, self.sounds), *options, str(target))
        samples = array.array("h")
        samples.frombytes(target.read_bytes())
        if sys.byteorder == "big":
            samples.byteswap()
        return samples


def run(*command: str) -> str:
    """What the program prints. Raises CalledProcessError with its complaint."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def as_recorded(samples: array.array[int], level_db: float) -> array.array[int]:
    """The sound at `level_db` (root mean square, relative to full scale) over the microphone's own noise."""
    rng = random.Random(2)
    samples = samples * -(-SECONDS * RATE // len(samples))
    loudness = math.sqrt(sum(value * value for value in samples) / len(samples))
    gain = 32768 * 10 ** (level_db / 20) / loudness
    noise = 32768 * 10 ** (NOISE_FLOOR_DB / 20)
    return array.array("h", (max(-32768, min(32767, round(gain * value + rng.gauss(0, noise)))) for value in samples))
