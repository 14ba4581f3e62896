"""The microphone on the chip: every word exact from sample 0, through the ring's end, whatever the processor does meanwhile."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from emulator.hal_kit import hal
from emulator.pins import PINS
from tests.firmware.test_i2s_timing import MIC, assemble

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_RING = 16384
_SRAM = 0x20000000


def _sound(k: int) -> int:
    """Never twice the same in a row, and no part of it like another."""
    return (k * 40503 + (k >> 7) * 977 & 0xFFFF) - 0x8000


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files=hal(), sound=_sound)
    board.boot()
    board.execute("from recorder.hal import mic, clock\nimport uctypes, gc, time, machine, micropython")
    return board


def _ring(board: Board) -> tuple[int, ...]:
    address = int(board.execute("print(uctypes.addressof(mic.ring()))")) - _SRAM
    assert address % 32768 == 0
    return struct.unpack(f"<{_RING}h", bytes(board.mcu.sram[address : address + 2 * _RING]))


class Wire:
    """A microphone on the three wires: the left channel of Philips I2S, 24 bits of a random word each frame."""

    def __init__(self, mcu: Any) -> None:
        self.sent: list[int] = []
        self._data = mcu.gpio[PINS["MIC_DATA"]]
        self._random = random.Random(7)
        self._select = 0
        self._taken: int | None = None
        self._bit = 64
        self._word = 0
        mcu.gpio[PINS["MIC_CLOCK"]].add_listener(self._clock_changed)
        mcu.gpio[PINS["MIC_WORD_SELECT"]].add_listener(self._select_changed)

    def _select_changed(self, value: int, _: int) -> None:
        self._select = int(value == 1)

    def _clock_changed(self, value: int, _: int) -> None:
        if value == 1:
            if self._select != self._taken:
                self._taken = self._select
                self._bit = 0
                self._word = self._random.getrandbits(24)
                if not self._select:
                    self.sent.append(self._word >> 8)
        elif value == 0:
            # The other channel is another microphone's, which says something else.
            self._data.set_input_value(bool(self._word >> max(0, 23 - self._bit) & 1))
            self._bit += 1


def test_320_words_are_exact_from_sample_0(board: Board) -> None:
    board.mcu.peripherals[0x50200] = board.mcu.pio[0]  # this once the state machine itself runs, its pin on a wire
    wire = Wire(board.mcu)
    count, stalled, words = board.execute("""
import struct
mic.start()
while mic.count() < 320: pass
mic.stop()
print(mic.count()); print(mic.stalled()); print(struct.unpack("<320H", memoryview(mic.ring())[:640]))
""").splitlines()
    assert (int(count) >= 320, stalled) == (True, "False")
    got = list(eval(words))
    (first,) = [at for at in range(len(wire.sent) - 319) if wire.sent[at : at + 320] == got]
    assert first >= 64  # it listened to the microphone before it began


def test_the_program_in_the_chip_is_the_one_that_the_timing_model_proved(board: Board) -> None:
    board.execute("mic.start()\nmic.stop()")
    program = assemble(MIC.read_text())
    pio, machine = board.mcu.pio[0], board.mcu.pio[0].machines[0]
    offset = machine.wrap_bottom
    assert list(pio.instructions[offset : offset + 12]) == program.words(offset)
    assert machine.wrap_top == offset + 11
    assert (machine.in_base, machine.sideset_base, machine.sideset_count) == (PINS["MIC_DATA"], PINS["MIC_CLOCK"], 2)
    assert machine.push_threshold == 16 and machine.shift_ctrl >> 16 & 1  # autopush
    assert PINS["MIC_WORD_SELECT"] == PINS["MIC_CLOCK"] + 1


@pytest.mark.parametrize("mhz", [125, 64, 48])
def test_the_rate_is_16_kHz_exactly_at_every_clock(board: Board, mhz: int) -> None:
    board.execute(f"machine.freq({mhz}_000_000)\nmic.start()")
    assert board.microphone.rate_hz == 16000
    before = int(board.execute("print(mic.count())"))
    board.run(2)
    assert int(board.execute("print(mic.count())")) - before >= 32000


def test_the_ring_goes_round_without_loss_while_interrupts_are_off_and_memory_is_collected(board: Board) -> None:
    text = board.execute("""
mic.start()
state = machine.disable_irq()
began = mic.count()
while mic.count() - began < 1600: pass  # a tenth of a second, as when the flash is written
machine.enable_irq(state)
for _ in range(5):
    trash = [bytearray(400) for _ in range(100)]
    gc.collect()
while mic.count() < 17_566: time.sleep_ms(20)
mic.stop()
print(mic.count(), mic.stalled())
""")
    count, stalled = text.split()
    total = int(count)
    assert total >= 17_566 and stalled == "False" and board.microphone.lost == 0
    heard = board.microphone.heard[-total:]
    ring = _ring(board)
    assert all(ring[k % _RING] == heard[k] for k in range(total - _RING, total))


def test_count_stands_still_after_stop_and_begins_at_0_again(board: Board) -> None:
    board.execute("mic.start()")
    board.run(0.1)
    first = board.execute("mic.stop()\nprint(mic.count())")
    board.run(0.1)
    assert board.execute("print(mic.count())") == first
    assert not board.microphone.listening
    again = board.execute("mic.start()\nn = mic.count()\ntime.sleep_ms(10)\nmic.stop()\nprint(n, mic.count())").split()
    assert int(again[0]) < 16
    total = int(again[1])
    assert 150 < total < 400
    assert _ring(board)[:total] == tuple(board.microphone.heard[-total:])


def test_counting_allocates_nothing(board: Board) -> None:
    before, after = board.execute("""
def ask():
    for _ in range(300):
        mic.count()
        mic.stalled()
mic.start()
ask()
before = gc.mem_alloc()
micropython.heap_lock()
ask()
micropython.heap_unlock()
print(before, gc.mem_alloc())
""").split()
    assert int(after) - int(before) < 64  # the numbers printed


def test_the_count_goes_on_past_what_a_small_number_holds(board: Board) -> None:
    board.execute("mic.start()")
    channel = next(channel for channel in board.mcu.dma.channels if channel.active)
    channel._trans_count = 0xFFFFFFFF - ((1 << 30) + 1000)
    assert 1000 <= int(board.execute("print(mic.count())")) < 5000
    channel._trans_count = 0xFFFFFFFF - ((1 << 32) - 100_000)
    assert (1 << 30) - 100_000 <= int(board.execute("print(mic.count())")) < (1 << 30) - 90_000


def test_a_receiver_that_had_to_wait_says_so_once(board: Board) -> None:
    told = board.execute("""
mic.start()
print(mic.stalled())
mic._dma.active(0)
time.sleep_ms(5)
print(mic.stalled(), mic.stalled())
""").split()
    assert board.microphone.lost > 0
    assert told[:2] == ["False", "True"]


@pytest.mark.parametrize("level", [0, 1])
def test_a_microphone_that_says_nothing_is_an_error_and_one_that_came_back_is_heard(board: Board, level: int) -> None:
    board.microphone.stuck = level
    told = board.execute("""
from recorder.errors import RecorderError
began = time.ticks_ms()
try:
    mic.start()
except RecorderError as error:
    print(error)
print(time.ticks_diff(time.ticks_ms(), began))
""").splitlines()
    assert told[0] == "the microphone is silent or stuck"
    assert 300 <= int(told[1]) <= 500
    assert not board.microphone.listening  # its clock is off
    board.microphone.stuck = None
    board.execute("mic.start()")


def test_a_microphone_stuck_on_any_value_is_an_error(make_board: Callable[..., Board]) -> None:
    board = make_board(files=hal(), sound=lambda k: 1234 if k else 0)
    board.boot()
    assert "silent or stuck" in board.execute(
        "from recorder.hal import mic\ntry:\n    mic.start()\nexcept Exception as error:\n    print(error)"
    )


def test_a_microphone_that_wakes_late_is_waited_for(make_board: Callable[..., Board]) -> None:
    """An INMP441 sends zeros for 256 ms."""
    board = make_board(files=hal(), sound=lambda k: 0 if k < 4096 else _sound(k))
    board.boot()
    took = board.execute("""
import time
from recorder.hal import mic
began = time.ticks_ms()
mic.start()
print(time.ticks_diff(time.ticks_ms(), began))
""")
    assert 256 <= int(took) <= 300


def test_a_bus_clock_that_stands_still_is_an_error(board: Board) -> None:
    board.microphone._push = lambda machine, word: None
    said = board.execute("try:\n    mic.start()\nexcept Exception as error:\n    print(error)")
    assert "clock stands still" in said


def test_the_ring_costs_its_size_and_little_more(make_board: Callable[..., Board]) -> None:
    board = make_board(files=hal(), sound=_sound)
    board.boot()
    cost = board.execute("""
import gc
from recorder.hal import clock, pins
from recorder import errors
import rp2
gc.collect()
before = gc.mem_alloc()
from recorder.hal import mic
gc.collect()
print(gc.mem_alloc() - before)
""")
    assert 32768 < int(cost) < 32768 + 5000
