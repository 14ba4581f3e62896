"""The microphone by machine.I2S, where a file on the recorder asks for it: the same samples, and what it drops is counted."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from emulator.hal_kit import hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_SRAM = 0x20000000


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files={**hal(), "mic_i2s": b""}, sound=lambda k: (k % 30_000) - 15_000)
    board.boot()
    board.execute("from recorder.hal import mic\nimport uctypes, time")
    return board


def _ring(board: Board) -> tuple[int, ...]:
    address = int(board.execute("print(uctypes.addressof(mic.ring()))")) - _SRAM
    return struct.unpack("<16384h", bytes(board.mcu.sram[address : address + 32768]))


def test_it_takes_the_place_of_the_other(board: Board) -> None:
    name, loaded = board.execute("import sys\nprint(mic.__name__, 'recorder.hal.mic' in sys.modules)").split()
    assert (name, loaded) == ("recorder.hal.mic_i2s", "True")


def test_samples_are_the_microphones_one_after_the_other(board: Board) -> None:
    count, stalled = board.execute(
        "mic.start()\nwhile mic.count() < 3000: time.sleep_ms(10)\nmic.stop()\nprint(mic.count(), mic.stalled())"
    ).split()
    assert stalled == "False"
    samples = _ring(board)[: int(count)]
    assert len(samples) >= 3000
    assert all(later - earlier in (1, -29_999) for earlier, later in pairwise(samples))


def test_what_it_dropped_is_counted_against_time(board: Board) -> None:
    count, stalled, ms = map(
        eval,
        board.execute("""
mic.start()
began = time.ticks_ms()
import micropython
time.sleep_ms(100)
import machine
state = machine.disable_irq()
until = time.ticks_add(time.ticks_us(), 400_000)
while time.ticks_diff(until, time.ticks_us()) > 0: pass
machine.enable_irq(state)
time.sleep_ms(800)
mic.stop()
print(mic.count(), mic.stalled(), time.ticks_ms() - began)
""").split(),
    )
    assert stalled is True
    assert count == pytest.approx(ms * 16, abs=700)


def test_a_silent_microphone_is_an_error(board: Board) -> None:
    board.microphone.stuck = 0
    assert "silent or stuck" in board.execute("try:\n    mic.start()\nexcept Exception as error:\n    print(error)")
