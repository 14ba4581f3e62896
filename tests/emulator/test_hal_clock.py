"""Time on the chip: 64 bits, never back, nothing allocated; and an idle recorder wakes for a person and for bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator.hal_kit import hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_HALF = 1 << 32


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files=hal())
    board.boot()
    board.execute("from recorder.hal import clock\nimport gc, time, micropython\nat = bytearray(24)")
    return board


def _set_timer(board: Board, us: int) -> None:
    timer = board.mcu.timer
    timer._epoch -= (us - timer._micros()) / 1e6


def test_now_is_the_timer_over_its_half_way_mark_and_after_years(board: Board) -> None:
    for us in (5, _HALF - 40_000, _HALF * 3 + 17, 1 << 50):
        _set_timer(board, us)
        low, high = board.mcu.timer._micros(), 0.0
        now = int(board.execute("print(clock.now_us())"))
        high = board.mcu.timer._micros()
        assert low <= now <= high
    _set_timer(board, _HALF - 20_000)
    told = [int(each) for each in board.execute("for _ in range(400): print(clock.now_us())").split()]
    assert told == sorted(told) and told[0] < _HALF < told[-1]


def test_a_stamp_goes_back_across_the_half_way_mark(board: Board) -> None:
    for us in (_HALF + 100_000, _HALF - 1_000_000, _HALF * 7 + 500_000_000):
        _set_timer(board, us)
        for back in (0, 1, 600_000, (1 << 30) - 1):
            low, stamp, high, around = board.execute(f"""
low = clock.now_us()
clock.stamp(at, 8, {back})
high = clock.now_us()
print(low, int.from_bytes(at[8:16], "little"), high, at[:8] + at[16:] == bytes(16))
""").split()
            assert int(low) - back <= int(stamp) <= int(high) - back
            assert around == "True"


def test_a_stamp_allocates_nothing(board: Board) -> None:
    _set_timer(board, _HALF * 2 + (1 << 31))
    board.execute("""
def stamps():
    for _ in range(100): clock.stamp(at, 0, 999_999)
    return clock.since_ms(clock.ticks_ms())
stamps()
micropython.heap_lock()
stamps()
micropython.heap_unlock()
""")


def test_milliseconds_go_on_past_their_end(board: Board) -> None:
    ticks = (1 << 29) - 5
    _set_timer(board, ticks * 1000)
    first, then, since = map(
        int,
        board.execute("a = clock.ticks_ms()\ntime.sleep_ms(50)\nprint(a, clock.ticks_ms(), clock.since_ms(a))").split(),
    )
    assert ticks <= first < 1 << 29
    assert then < 100
    assert 50 <= since <= 55


def test_idle_sleeps_its_time_when_nothing_happens(board: Board) -> None:
    for ms in (0, 5, 32, 1000):
        board.execute("clock.idle(0)")
        slept = int(board.execute(f"a = time.ticks_us()\nclock.idle({ms})\nprint(time.ticks_us() - a)"))
        assert ms * 1000 <= slept <= ms * 1000 + 1500


@pytest.mark.parametrize("what", ["switch", "button", "card", "cable"])
def test_idle_wakes_early(board: Board, what: str) -> None:
    board.execute("clock.idle(0)")
    act = {
        "switch": lambda: board.person.switch(True),
        "button": lambda: board.person.button(True),
        "card": board.pull_card if board.card.inserted else lambda: board._socket(True),
        "cable": lambda: board.cable.send(b"#"),
    }[what]
    board.time.alarm(act).after(0.2)
    woke = int(board.execute("a = time.ticks_us()\nclock.idle(3000)\nprint(time.ticks_us() - a)"))
    assert 100_000 < woke < 215_000
