"""Time on the chip: 64 bits, never back, nothing allocated; and an idle recorder wakes for a person and for bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator.hal_kit import hal
from emulator.pins import PINS

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_HALF = 1 << 32


_SETUP = "from recorder.hal import clock\nimport gc, time, micropython\nat = bytearray(24)"


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files=hal())
    board.boot()
    board.execute(_SETUP)
    return board


@pytest.fixture
def boot_at(make_board: Callable[..., Board]) -> Callable[[int], Board]:
    """A board whose timer stood at so many microseconds when power came, as if it had been on for that long."""

    def boot(us: int) -> Board:
        board = make_board(files=hal())
        board.mcu.timer._epoch -= us / 1e6
        board.boot()
        board.execute(_SETUP)
        return board

    return boot


@pytest.mark.parametrize("us", [0, _HALF * 3 + 17, 1 << 50])
def test_now_is_the_timer(boot_at: Callable[[int], Board], us: int) -> None:
    board = boot_at(us)
    low = board.mcu.timer._micros()
    now = int(board.execute("print(clock.now_us())"))
    assert us < low <= now <= board.mcu.timer._micros()


def test_time_and_stamps_go_on_where_the_low_word_wraps(boot_at: Callable[[int], Board]) -> None:
    board = boot_at(_HALF - 4_000_000)
    lines = board.execute("""
time.sleep_us((1 << 32) - 10_000 - clock.now_us())
told = [clock.now_us() for _ in range(400)]
for back in (0, 1, 3_000_000, (1 << 30) - 1):
    low = clock.now_us()
    clock.stamp(at, 8, back)
    high = clock.now_us()
    print(low - back <= int.from_bytes(at[8:16], "little") <= high - back, at[:8] + at[16:] == bytes(16))
print(told)
""").splitlines()
    assert lines[:4] == ["True True"] * 4
    told = eval(lines[4])
    assert told == sorted(told) and told[0] < _HALF < told[-1]


def test_a_stamp_allocates_nothing(boot_at: Callable[[int], Board]) -> None:
    board = boot_at(_HALF * 2 + (1 << 31))
    board.execute("""
def stamps():
    for _ in range(100): clock.stamp(at, 0, 999_999)
    return clock.since_ms(clock.ticks_ms())
stamps()
micropython.heap_lock()
stamps()
micropython.heap_unlock()
""")


def test_milliseconds_go_on_past_their_end(boot_at: Callable[[int], Board]) -> None:
    board = boot_at(((1 << 29) - 3000) * 1000)
    first, then, since = map(
        int,
        board.execute("""
time.sleep_ms((1 << 29) - 5 - clock.ticks_ms())
a = clock.ticks_ms()
time.sleep_ms(50)
print(a, clock.ticks_ms(), clock.since_ms(a))
""").split(),
    )
    assert (1 << 29) - 5 <= first < 1 << 29
    assert 40 <= then < 100
    assert 50 <= since <= 55


def test_idle_sleeps_its_time_when_nothing_happens(board: Board) -> None:
    for ms in (0, 5, 32, 1000):
        board.execute("clock.idle(0)")
        slept = int(board.execute(f"a = time.ticks_us()\nclock.idle({ms})\nprint(time.ticks_us() - a)"))
        assert ms * 1000 - 1000 <= slept <= ms * 1000 + 1500


@pytest.mark.parametrize("what", ["switch", "button", "card", "cable"])
def test_idle_wakes_early(board: Board, what: str) -> None:
    board.execute(f"""
import machine
from recorder.hal import button, switch
machine.Pin({PINS["CARD_DETECT"]}, machine.Pin.IN, machine.Pin.PULL_UP)
clock.idle(0)
""")
    act = {
        "switch": lambda: board.person.switch(True),
        "button": lambda: board.person.button(True),
        "card": board.insert_card,
        "cable": lambda: board.cable.send(b"#"),
    }[what]
    board.time.alarm(act).after(0.2)
    woke = int(board.execute("a = time.ticks_us()\nclock.idle(3000)\nprint(time.ticks_us() - a)"))
    assert 100_000 < woke < 220_000
