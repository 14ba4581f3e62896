"""From the ring to the sealed page on the emulated chip: what it allocates, and what loading the firmware leaves free."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator import install

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_TAKING_BYTES = 80  # a frame: 16 most often, 32 where a page begins
_SEALING_BYTES = 2048  # a page: hashes and ciphers are objects

_PUMP = """
import gc, machine, time
import bundle; bundle.mount()
machine.freq(64_000_000)
from recorder.hal import mic
from recorder.capture import Capture
from recorder.seal.page import Sealer
capture = Capture()
queue = capture.queue
capture.begin(Sealer(bytes(16), bytearray(range(32)), bytearray(32)))
taking = sealing = pages = turns = 0
while pages < 6:
    while mic.count() < 4096 + turns * 512:
        time.sleep_ms(5)
    gc.collect()
    gc.disable()
    while True:
        was, had = queue.queued, gc.mem_alloc()
        more = capture.pump()
        took = gc.mem_alloc() - had
        if queue.queued > was:
            pages += 1
            sealing = max(sealing, took)
            queue.pop()
        else:
            taking = max(taking, took)
        turns += 1
        if not more or pages == 6:
            break
    gc.enable()
    gc.collect()
print(taking, sealing, pages, turns, capture.lost_total)
"""


def test_taking_sound_allocates_next_to_nothing_and_sealing_a_page_at_most_two_kilobytes(
    make_board: Callable[..., Board],
) -> None:
    from system.kit import speech

    board = make_board(files=install.without_starters(), sound=speech(20).tolist())
    board.boot()
    taking, sealing, pages, turns, lost = map(int, board.execute(_PUMP).split())
    assert (pages, lost) == (6, 0)
    assert turns > 20
    assert taking <= _TAKING_BYTES
    assert sealing <= _SEALING_BYTES
