#!/usr/bin/env python3
"""Measures what the recorder promises and prints a table, or JSON with --json.

Needs `micropython`, `flac` and `sox`. Every benchmark is a function that takes the bench and returns rows; to add one,
write it and name it in BENCHMARKS. Figures of the two sides of a comparison are taken in the same run.
"""

from __future__ import annotations

import argparse
import array
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RATE = 16000
FRAME = 1024
SECONDS = 60  # of sound at least: the two pages that every recording has extra then weigh as little as in use
NOISE_FLOOR_DB = -91  # of a MEMS microphone's 16 bits, root mean square
HUMAN_SPEECH = Path("/usr/share/sounds/alsa")  # package alsa-utils; where it is missing, the demo's made-up voices do
MADE_UP_SPEECH = ROOT / "tools" / "speech" / "meeting.flac"


@dataclass(frozen=True)
class Row:
    """One figure. `limit` is what the project promises, None where it promises nothing; smaller is better."""

    benchmark: str
    case: str
    figure: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def kept(self) -> bool:
        return self.limit is None or self.value <= self.limit


@dataclass
class Bench:
    """What every benchmark is given: a place to work, and the sound asked for."""

    folder: Path
    sounds: list[Path]

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


_ON_RECORDER = """
import sys, array, time
sys.path.insert(0, sys.argv[1])
from recorder.audio import flac
ring = bytearray(32768)
page = bytearray(3984)
position = array.array("I", [0, 0])
source = open(sys.argv[2], "rb")
pcm = source.read()
total = len(pcm) // 2

def load(at, count):
    for i in range(at, at + count, 16):
        ring[i * 2 & 32767 : (i * 2 & 32767) + 32] = pcm[i * 2 : i * 2 + 32]

# Whole frames, one after another: how long they are, and how long coding them takes.
size = at = frames = 0
spent = 0
while at + 1024 <= total:
    load(at, 1024)
    position[0] = at
    begin = time.ticks_us()
    size += flac.encode(ring, at, 1024, position, page, 0, 3984)
    spent += time.ticks_diff(time.ticks_us(), begin)
    at += 1024
    frames += 1
# The same sound in pages, each filled as far as frames of at least 128 samples fill it.
pages = 1
at = fill = in_page = 0
while at + 1024 <= total:
    load(at, 1024)
    count = min(1024, 14000 - in_page)
    length = 0
    while count >= 128:
        position[0] = at
        length = flac.encode(ring, at, count, position, page, fill, 3984 - fill)
        if length:
            break
        count = min(count - 16, count * (3984 - fill) // flac.needed()) & ~15
    if length:
        at += count
        fill += length
        in_page += count
    else:
        pages += 1
        fill = in_page = 0
print(size, frames, spent, pages, at)
"""


def coder(bench: Bench) -> Iterator[Row]:
    """The lossless coder beside `flac -8`: bytes of the frames, bytes of the pages they fill, and time."""
    speech = bench.speech()
    script = bench.folder / "encode.py"
    script.write_text(_ON_RECORDER)
    for level in (-30, -50):
        sound = as_recorded(speech, level)
        del sound[len(sound) // FRAME * FRAME :]
        raw, best = bench.folder / "sound.raw", bench.folder / "best.flac"
        raw.write_bytes(sound.tobytes())
        begin = time.perf_counter()
        pcm = ["--force-raw-format", "--endian=little", "--sign=signed", "--channels=1", "--bps=16"]
        run("flac", "-8", "-s", "-f", "--no-padding", *pcm, f"--sample-rate={RATE}", "-o", str(best), str(raw))
        reference_ms = (time.perf_counter() - begin) * 1000
        answer = run("micropython", "-X", "heapsize=16M", str(script), str(ROOT / "firmware"), str(raw))
        size, frames, spent_us, pages, stored = map(int, answer.split())
        # A header page, and a checkpoint page for every 64 others, come on top.
        pages += 2 + pages // 64
        seconds, reference = len(sound) / RATE, best.stat().st_size
        case = f"speech at {level} dBFS"
        yield Row("coder", case, "PCM", 2 * len(sound) / seconds, "B/s")
        yield Row("coder", case, "flac -8", reference / seconds, "B/s")
        yield Row("coder", case, "frames", size / seconds, "B/s")
        yield Row("coder", case, "frames / flac -8", size / reference, "")
        in_pages = 4096 * pages / stored * len(sound)
        yield Row("coder", case, "container / flac -8", in_pages / reference, "", 1.20)
        yield Row("coder", case, f"time for {FRAME} samples, interpreter here", spent_us / frames / 1000, "ms")
        yield Row("coder", case, f"time for {FRAME} samples, flac -8 here", reference_ms / frames, "ms")


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Row]]] = {"coder": coder}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(BENCHMARKS)} (all)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--sound", type=Path, action="append", default=[], help="speech to use, a file that sox reads")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    missing = [program for program in ("micropython", "flac", "sox") if not shutil.which(program)]
    if missing:
        parser.error(f"not installed: {', '.join(missing)}")
    human = sorted(path for path in HUMAN_SPEECH.glob("*.wav") if path.name != "Noise.wav")
    sounds = asked.sound or human or [MADE_UP_SPEECH]
    print(f"bench: speech from {sounds[0].parent if human and not asked.sound else sounds[0]}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), sounds)
        rows = [row for name, made in BENCHMARKS.items() if name in (asked.names or BENCHMARKS) for row in made(bench)]
    if asked.json:
        print(json.dumps([{**asdict(row), "kept": row.kept} for row in rows], indent=2))
    else:
        for row in rows:
            promise = "" if row.limit is None else f"  (at most {row.limit:g}: {'kept' if row.kept else 'BROKEN'})"
            print(f"{row.benchmark:8} {row.case:20} {row.figure:42} {row.value:10.3f} {row.unit:4}{promise}".rstrip())
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
