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
        page = queue.front()
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
    while capture._end >= 0:
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


@pytest.mark.parametrize("where", ["a page's first block", "another"])
def test_the_sample_path_allocates_nothing(mpy, tmp_path, where) -> None:
    [taken] = mpy(
        _SETUP
        + f"""
import micropython
capture.begin(Plain())
run(400)
clock.idle(70)
if {where == "a page's first block"}:
    capture._seal()
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


def told(pages: list[list[object]], kind: int) -> list[tuple[int, ...]]:
    """(sample, first of what follows it) of each event of this kind, in order."""
    found = []
    for page in pages:
        data = bytes.fromhex(str(page[5]))
        while data:
            if data[0] == kind:
                found.append(struct.unpack_from("<Q", data, 10) + tuple(data[18:22]))
            data = data[2 + data[1] :]
    return found


_WATCHED = (
    _SETUP
    + """
import world
heard = bytearray()
def watched(ms):
    for _ in range(ms // 500):
        run(500)
        capture.watch()
"""
)


@pytest.mark.parametrize("lever", [1, 2])
def test_a_microphone_that_dies_is_told_within_two_seconds_and_again_when_it_hears(mpy, tmp_path, lever) -> None:
    deaf, soon, late, pages = mpy(
        _WATCHED
        + f"""
capture.begin(Plain())
watched(3000)
world.levers["mic_trouble"] = {lever}
at = mic.count()
watched(1000)
emit(capture.silent)
watched(1000)
emit([at, capture.silent])
watched(6000)
world.levers["mic_trouble"] = 0
again = mic.count()
watched(500)
emit([again, capture.silent])
watched(500)
capture.stop(1)
settle()
emit(pages)
""",
        args={"mic": tape(tmp_path / "m.raw", 12)},
    )
    assert not deaf and soon[1] and not late[1]
    follows(pages)
    assert not any(page[3] for page in pages)
    ((silent,),), ((heard,),) = told(pages, 11), told(pages, 12)
    assert 0 <= silent - soon[0] <= 1024 and 0 <= late[0] - heard <= 1024


def test_a_quiet_room_and_a_second_of_nothing_are_no_dead_microphone(mpy, tmp_path) -> None:
    path = tmp_path / "m.raw"
    hiss = struct.pack("<40000h", *(random.Random(3).choices((-1, 0, 1), k=40000)))
    path.write_bytes(hiss + bytes(32000) + hiss)
    [[pages, silent]] = mpy(
        _WATCHED + "capture.begin(Plain())\nwatched(9000)\ncapture.stop(1)\nsettle()\nemit([pages, capture.silent])",
        args={"mic": str(path)},
    )
    assert follows(pages) >= 9 * 16000
    assert not silent and not told(pages, 11) and not told(pages, 4)


@pytest.mark.parametrize("ms", [4, 25, 400, 5000])
def test_samples_that_a_standing_receiver_did_not_take_are_counted_by_time(mpy, tmp_path, ms) -> None:
    [[pages, lost, silent, stood_us]] = mpy(
        _WATCHED
        + f"""
capture.begin(Plain())
watched(2000)
world.levers["mic_trouble"] = 3
stood_us = -clock.now_us()
if {ms} > 1000:
    watched({ms})
else:
    clock.idle({ms})
silent = capture.silent
stood_us += clock.now_us()
world.levers["mic_trouble"] = 0
watched(3000)
capture.stop(1)
settle()
emit([pages, capture.lost_total, silent, stood_us])
""",
        args={"mic": tape(tmp_path / "m.raw", 12)},
    )
    follows(pages)
    assert lost == sum(page[3] for page in pages)
    assert abs(lost - stood_us / 62.5) <= 16
    assert sum(struct.unpack("<I", bytes(count))[0] for _, *count in told(pages, 4)) == lost
    for page in pages[-4:]:
        assert abs((page[1] - pages[0][1]) - (page[0] - pages[0][0]) * 62.5) < 5000
    assert silent is (ms > 1000)
    assert len(told(pages, 11)) == len(told(pages, 12)) == (1 if ms > 1000 else 0)


def test_milliseconds_that_begin_again_are_no_loss(mpy, tmp_path) -> None:
    [[pages, lost]] = mpy(
        _WATCHED
        + """
real = clock.ticks_ms
clock.ticks_ms = lambda: (real() + (1 << 26) - 1500) & ((1 << 29) - 1)  # 2**26 of them are 2**30 samples
capture.begin(Plain())
watched(4000)
capture.stop(1)
settle()
emit([pages, capture.lost_total])
""",
        args={"mic": tape(tmp_path / "m.raw", 5)},
    )
    assert follows(pages) >= 4 * 16000 and not lost and not told(pages, 4)
