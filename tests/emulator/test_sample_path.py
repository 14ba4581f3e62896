"""From the ring to the sealed page on the emulated chip, as it is installed: what that leaves in the heap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator import install

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_SEALING_BYTES = 1344  # a page: fourteen digests of 64, a cipher of 304, nine views of 16

_READY = """
import gc, machine, time
from array import array
import bundle; bundle.mount()
machine.freq(64_000_000)
from recorder.hal import clock, mic
from recorder.capture import Capture
from recorder.seal.page import Sealer
capture = Capture()
capture.begin(Sealer(bytes(16), bytearray(range(32)), bytearray(32)))
def pump():
    queue = capture.queue
    taking = sealing = pages = turns = 0
    while mic.count() < 4096:
        time.sleep_ms(5)
    gc.collect()
    gc.disable()
    while pages < 3:
        was = queue.queued
        had = gc.mem_alloc()
        more = capture.pump()
        took = gc.mem_alloc() - had
        if queue.queued > was:
            pages += 1
            sealing = max(sealing, took)
            queue.pop()
        else:
            taking = max(taking, took)
        turns += 1
        if not more:
            time.sleep_ms(5)
    gc.enable()
    print(taking, sealing, turns, capture.lost_total)
"""

# Sample numbers and times that no longer fit in MicroPython's small integers: after 18 hours and after 18 minutes.
_LATE = """
capture.abandon()
capture.begin(Sealer(bytes(16), bytearray(range(32)), bytearray(32)))
(position,) = [value for value in capture.__dict__.values() if isinstance(value, array)]
position[0], position[1] = 0xFFFFF000, 3
"""


def test_taking_sound_leaves_nothing_in_the_heap_and_sealing_a_page_little(
    make_board: Callable[..., Board],
) -> None:
    """`gc.mem_alloc` around each step of the pump, without a collection between: the highest of three pages and more than
    ten blocks of sound, at the start of a recording and late in a long one."""
    from system.kit import speech

    board = make_board(files=install.without_starters(), sound=speech(20).tolist())
    board.boot()
    board.execute(_READY)
    early = board.execute("pump()")
    board.time.skip(20 * 60)
    late = board.execute(_LATE + "pump(); print(capture.position() > 4 << 32, clock.now_us() > 1 << 30)")
    late, beyond = late.splitlines()
    assert beyond == "True True"
    for told in (early, late):
        taking, sealing, turns, lost = map(int, told.split())
        assert lost == 0
        assert turns > 12
        assert taking == 0
        assert 0 < sealing <= _SEALING_BYTES
