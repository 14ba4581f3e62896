"""The lossless coder beside `flac -8`: bytes of the frames, bytes of the pages that they fill, and time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tools.benchmarks.common import FIRMWARE, FRAME, RATE, Bench, Row, as_recorded, run

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
        answer = run("micropython", "-X", "heapsize=16M", str(script), str(FIRMWARE), str(raw))
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
