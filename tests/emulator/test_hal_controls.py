"""Switch, button, light and motor on the chip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator.hal_kit import hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files=hal())
    board.boot()
    board.execute("""
from recorder.hal import button, clock, light, motor, switch
import time, micropython, gc
at = bytearray(8)
def edges():
    found = []
    while True:
        edge = button.next_edge(at)
        if edge < 0: return found
        found.append((edge, int.from_bytes(at, "little")))
""")
    return board


def _bounce(board: Board, down: bool, after: float, times: int = 6) -> None:
    """The contact closes or opens after so many seconds, and chatters for three milliseconds."""
    for k in range(times + 1):
        board.time.alarm(lambda k=k: board.person.button(down ^ bool(k & 1))).after(after + k * 0.0005)
    assert times % 2 == 0


def _edges(board: Board) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = eval(board.execute("print(edges())"))
    return found


def test_each_press_is_stamped_where_it_was_while_the_processor_is_busy(board: Board) -> None:
    zero = board.seconds - board.mcu.timer._micros() / 1e6
    begun = board.seconds
    for k, after in enumerate((0.05, 0.12, 0.18, 0.3)):
        _bounce(board, k % 2 == 0, after)
    board.execute("""
def work():
    until = time.ticks_add(time.ticks_ms(), 330)
    while time.ticks_diff(until, time.ticks_ms()) > 0: pass
micropython.heap_lock()
work()
micropython.heap_unlock()
""")
    found = _edges(board)
    assert [edge for edge, _ in found] == [1, 0, 1, 0]
    for (_, us), after in zip(found, (0.05, 0.12, 0.18, 0.3), strict=True):
        assert us / 1e6 + zero == pytest.approx(begun + after, abs=0.0002)
    assert _edges(board) == []


def test_a_contact_that_settles_elsewhere_while_it_chatters_is_told_in_the_end(board: Board) -> None:
    board.time.alarm(lambda: board.person.button(True)).after(0.10)
    board.time.alarm(lambda: board.person.button(False)).after(0.105)  # within the chatter: no finger is that fast
    board.execute("time.sleep_ms(200)")
    (press, first), (release, second) = _edges(board)
    assert (press, release) == (1, 0) and second > first
    assert board.execute("print(button.is_down())").strip() == "False"


def test_more_presses_than_wait_leave_the_truth_at_the_end(board: Board) -> None:
    for k in range(30):
        board.time.alarm(lambda k=k: board.person.button(k % 2 == 0)).after(0.05 + k * 0.03)
    board.execute("time.sleep_ms(1200)")
    found = _edges(board)
    assert len(found) == 16
    assert [edge for edge, _ in found] == [1, 0] * 8
    board.time.alarm(lambda: board.person.button(True)).after(0.05)
    board.execute("time.sleep_ms(100)")
    assert [edge for edge, _ in _edges(board)] == [1]
    assert board.execute("print(button.is_down())").strip() == "True"


def test_handing_out_edges_allocates_nothing(board: Board) -> None:
    for k in range(6):
        board.time.alarm(lambda k=k: board.person.button(k % 2 == 0)).after(0.05 + k * 0.05)
    taken = board.execute("""
def take():
    count = 0
    while button.next_edge(at) >= 0: count += 1
    return count
take()
time.sleep_ms(500)
micropython.heap_lock()
count = take()
micropython.heap_unlock()
print(count)
""")
    assert int(taken) == 6


def test_the_switch_counts_once_it_stands(board: Board) -> None:
    board.execute("""
def watch(ms):
    told = []
    until = time.ticks_add(time.ticks_ms(), ms)
    began = time.ticks_ms()
    while time.ticks_diff(until, time.ticks_ms()) > 0:
        if not told or told[-1][0] != switch.is_on(): told.append((switch.is_on(), time.ticks_ms() - began))
        clock.idle(32)
    return told
""")
    for k in range(9):  # chatters for 16 ms, then stands
        board.time.alarm(lambda k=k: board.person.switch(k % 2 == 0)).after(0.2 + k * 0.002)
    board.time.alarm(lambda: board.person.switch(False)).after(0.6)
    told = eval(board.execute("print(watch(1000))"))
    assert [on for on, _ in told] == [False, True, False]
    assert 216 - 60 <= told[1][1] <= 300 and 600 - 60 <= told[2][1] <= 700


def test_a_knock_does_not_move_the_switch(board: Board) -> None:
    board.execute("def watch():\n    return [bool(switch.is_on()) for _ in range(30) if clock.idle(10) is None]")
    board.time.alarm(lambda: board.person.switch(True)).after(0.1)
    board.time.alarm(lambda: board.person.switch(False)).after(0.108)
    assert not any(eval(board.execute("print(watch())")))


def test_the_switch_is_known_at_power_up(make_board: Callable[..., Board]) -> None:
    for on in (True, False):
        board = make_board(files=hal())
        board.person.switch(on)
        board.boot()
        assert board.execute("from recorder.hal import switch\nprint(switch.is_on())").strip() == str(on)


def test_light_and_motor_do_what_they_are_told_at_every_clock(board: Board) -> None:
    board.execute("""
import machine
for hz in (125_000_000, 64_000_000, 48_000_000):
    machine.freq(hz)
    light.set(40); time.sleep_ms(20)
    light.set(255); time.sleep_ms(20)
    light.set(0); time.sleep_ms(20)
    motor.set(True); time.sleep_ms(100); motor.set(False)
""")
    assert [change.value for change in board.person.lights] == [40, 255, 0] * 3
    assert [round(length, 2) for _, length in board.person.pulses] == [0.1] * 3
