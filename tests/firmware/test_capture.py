"""From the ring to sealed pages: nothing lost unseen, nothing allocated on the way, no sound left behind."""

from __future__ import annotations

import math
import random
import struct
from itertools import pairwise
from pathlib import Path

import pytest

_SETUP = """
import virtual_hal, struct
virtual_hal.setup(mic=ARGS["mic"], count_us=1)
from recorder.capture import Capture
from recorder.hal import clock, mic
class Plain:  # seals by doing nothing: the body stays readable here
    index = 1
    def seal(self, page, leaf):
        self.index += 1
    def forget(self):
        pass
capture = Capture()
pages = []
def take():
    queue = capture.queue
    while queue.queued:
        page, _ = queue.front()
        first, mono, samples, events, audio, codec, flags, lost, zero = struct.unpack("<QQHHHBBII", page[32:64])
        pages.append([first, mono, samples, lost, codec, page[64:64+events].hex(), audio, max(page[64+events+audio:4048] or b"\\0")])
        queue.pop()
def run(ms, write=True):
    end = clock.now_us() + ms * 1000
    while clock.now_us() < end:
        while capture.pump():
            if write: take()
        if write: take()
        clock.idle(32)
def settle():
    while not capture.settled():
        capture.pump()
        take()
"""


def tape(path: Path, seconds: float, kind: str = "speech") -> str:
    rng = random.Random(7)
    count = int(seconds * 16000)
    if kind == "noise":
        samples = [rng.randint(-32768, 32767) for _ in range(count)]
    else:
        samples = [int(900 * math.sin(k / 9) + rng.gauss(0, 30)) for k in range(count)]
    path.write_bytes(struct.pack(f"<{count}h", *samples))
    return str(path)


def follows(pages: list[list[object]]) -> int:
    """Checks that sample numbers never jump silently; returns the number after the last."""
    due = 0
    for first, _, samples, lost, *_ in pages:
        due += lost
        assert first == due
        due += samples
    return due


@pytest.mark.parametrize(("kind", "codec"), [("speech", 1), ("noise", 0)])
def test_pages_follow_each_other_and_stop_is_last(mpy, tmp_path, kind, codec) -> None:
    [pages] = mpy(
        _SETUP + "capture.begin(Plain())\nrun(3000)\ncapture.stop(1)\nsettle()\nemit(pages)",
        args={"mic": tape(tmp_path / "m.raw", 5, kind)},
    )
    total = follows(pages)
    assert 48000 <= total <= 48000 + 1024
    assert all(page[3] == 0 and page[7] == 0 for page in pages)
    assert codec in {page[4] for page in pages}
    last_event = bytes.fromhex(pages[-1][5])
    assert last_event[0] == 10 and last_event[10] == 1
    for before, after in pairwise(pages):
        drift = (after[1] - before[1]) - (after[0] - before[0]) * 62.5
        assert abs(drift) < 1000


def test_a_queue_that_nobody_empties_loses_sound_and_says_how_much(mpy, tmp_path) -> None:
    pages, lost = mpy(
        _SETUP
        + "capture.begin(Plain())\nrun(500)\nrun(9000, False)\nrun(1000)\ncapture.stop(1)\nsettle()\nemit(pages)\nemit(capture.lost_total)",
        args={"mic": tape(tmp_path / "m.raw", 12)},
    )
    total = follows(pages)
    assert 168000 <= total <= 168000 + 1100
    gaps = [page[3] for page in pages if page[3]]
    assert gaps and sum(gaps) == lost > 16000
    told = [bytes.fromhex(page[5]) for page in pages if page[5].startswith("04")]
    assert sum(struct.unpack_from("<I", event, 18)[0] for event in told) == lost


def test_muted_sound_is_counted_and_not_stored(mpy, tmp_path) -> None:
    [pages] = mpy(
        _SETUP
        + """
capture.begin(Plain())
run(2000)
capture.mute()
settle()
run(70000)
capture.unmute()
run(2000)
capture.stop(1)
settle()
emit(pages)
""",
        args={"mic": tape(tmp_path / "m.raw", 5)},
    )
    assert follows(pages) >= 74 * 16000
    stored = sum(page[2] for page in pages)
    assert 4 * 16000 <= stored <= 4 * 16000 + 3000
    kinds = [bytes.fromhex(page[5])[0] for page in pages if page[5]]
    assert kinds == [5, 6, 10]
    assert [page[2] for page in pages].count(0) == 2  # one each half minute


def test_the_sample_path_allocates_nothing(mpy, tmp_path) -> None:
    [taken] = mpy(
        _SETUP
        + """
import micropython
capture.begin(Plain())
run(400)
clock.idle(70)
before = capture.position()
micropython.heap_lock()
try:
    capture._step()
finally:
    micropython.heap_unlock()
emit(capture.position() - before)
""",
        args={"mic": tape(tmp_path / "m.raw", 2)},
    )
    assert taken == 1024


def test_no_sound_stays_in_memory_after_the_end(mpy, tmp_path) -> None:
    [left] = mpy(
        _SETUP
        + "capture.begin(Plain())\nrun(1500)\nheard = max(mic.ring())\ncapture.stop(1)\nsettle()\nemit([heard, max(mic.ring())])",
        args={"mic": tape(tmp_path / "m.raw", 2)},
    )
    assert left[0] > 0 and left[1] == 0


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 1023, 1024, 1025, 1039, 14000, 14001])
def test_any_number_of_samples_ends_in_whole_pages(mpy, tmp_path, count) -> None:
    [pages] = mpy(
        _SETUP
        + f"""
capture.begin(Plain())
target = {count}
while mic.count() < target:
    clock.idle(0) if target - mic.count() < 400 else run(10)
mic.stop()
over = mic.count() - target
mic.count = lambda: target
capture.stop(1)
settle()
emit(pages)
""",
        args={"mic": tape(tmp_path / "m.raw", 2)},
    )
    assert follows(pages) == count
    assert pages[-1][5].startswith("0a")


def test_what_is_said_between_a_mute_and_the_end_stays_off_the_record_though_the_card_stalls(mpy, tmp_path) -> None:
    [pages] = mpy(
        _SETUP
        + """
capture.begin(Plain())
run(1000)
capture.mute()
muted_at = mic.count()
clock.idle(700)  # the card stalls: nobody pumps
capture.stop(1)
while capture.running:
    capture.pump()
    take()
take()
emit([pages, muted_at])
""",
        args={"mic": tape(tmp_path / "m.raw", 3)},
    )
    taken, muted_at = pages
    assert sum(page[2] for page in taken) <= muted_at
    assert follows(taken) >= muted_at + 11000
    kinds = [bytes.fromhex(page[5])[0] for page in taken if page[5]]
    assert kinds == [5, 10]
