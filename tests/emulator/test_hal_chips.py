"""Clock chip and fuel gauge on I2C, through Adafruit's own drivers, and the cell's voltage where there is no gauge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from emulator import clock_chip, gauge, install
from emulator.hal_kit import chip_drivers, hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_NOW = datetime(2026, 11, 22, 3, 15, 42, tzinfo=UTC)
_NOW_US = int(_NOW.timestamp()) * 1_000_000
_STEP_US = 1_000_000


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files={**hal(), **chip_drivers()})
    board.boot()
    return board


def test_the_clock_chip_is_set_and_read_through_its_driver(board: Board) -> None:
    chip = board.clock_chip
    assert chip is not None
    chip.lose_power()
    assert board.execute("from recorder.hal import rtc\nprint(rtc.read(), rtc.is_set())").strip() == "None False"
    board.execute(f"rtc.write({_NOW_US})")
    assert not chip.stopped and abs((chip.utc - _NOW).total_seconds()) < 1
    board.run(20)
    utc_us, error_us = eval(board.execute("print(rtc.read())"))
    truth = int(chip.utc.timestamp() * 1e6)
    assert abs(utc_us - truth) <= error_us
    assert _STEP_US <= error_us <= _STEP_US + 1000  # just set
    assert board.execute("print(rtc.is_set())").strip() == "True"


def test_the_installed_firmware_reaches_the_unchanged_drivers(make_board: Callable[..., Board]) -> None:
    """Its own names are others there (install/names.py); those that the drivers use are not."""
    board = make_board(files=install.without_starters(chips=True))
    board.boot()
    assert board.clock_chip is not None and board.gauge is not None
    board.clock_chip.lose_power()
    board.gauge.volts = 3.712
    said = board.execute(
        "import bundle\nbundle.mount()\nfrom recorder.hal import battery, rtc\n"
        f"print(rtc.is_set())\nrtc.write({_NOW_US})\nprint(rtc.is_set(), battery.millivolts())"
    )
    assert said.split()[:2] == ["False", "True"] and abs(int(said.split()[2]) - 3712) <= 1
    assert abs((board.clock_chip.utc - _NOW).total_seconds()) < 1


def test_a_clock_that_was_set_long_ago_says_that_it_may_have_drifted(board: Board) -> None:
    board.execute(f"from recorder.hal import rtc\nrtc.write({_NOW_US})")
    board.run(30 * 86400)
    utc_us, error_us = eval(board.execute("print(rtc.read())"))
    assert error_us == pytest.approx(_STEP_US + 30 * 86400 * 3.5, rel=0.01)
    assert abs(utc_us - _NOW_US - 30 * 86400 * 1_000_000) < 2_000_000


def test_a_clock_set_by_something_else_is_taken_for_a_year_old(board: Board) -> None:
    _, error_us = eval(board.execute("from recorder.hal import rtc\nprint(rtc.read())"))
    assert error_us > 100_000_000


def test_no_clock_chip_is_no_time_and_no_error(board: Board) -> None:
    board.i2c.parts.pop(clock_chip.ADDRESS)
    said = board.execute(f"from recorder.hal import rtc\nprint(rtc.read())\nrtc.write({_NOW_US})\nprint(rtc.is_set())")
    assert said.split() == ["None", "False"]


def test_the_gauge_is_found_by_its_driver_and_keeps_what_it_has_learned(board: Board) -> None:
    assert board.gauge is not None
    written: list[int] = []
    plain = board.gauge.write
    board.gauge.write = lambda byte: (written.append(byte), plain(byte))[1]  # type: ignore[method-assign]
    board._vbus(False)
    board.gauge.volts, board.gauge.percent, board.gauge.rate = 3.712, 40.0, -8.0
    millivolts, minutes = map(
        int,
        board.execute("from recorder.hal import battery\nprint(battery.millivolts(), battery.minutes_left())").split(),
    )
    assert abs(millivolts - 3712) <= 1
    assert minutes == pytest.approx(300, abs=8)
    assert 0xFE not in written, "the gauge was reset"
    assert written


def test_minutes_left_are_careful(board: Board) -> None:
    gauge_part = board.gauge
    assert gauge_part is not None
    board._vbus(False)
    board.execute("from recorder.hal import battery\nbattery.millivolts()")

    def minutes(volts: float, percent: float, rate: float) -> int:
        gauge_part.volts, gauge_part.percent, gauge_part.rate = volts, percent, rate
        return int(board.execute("print(battery.minutes_left())"))

    assert minutes(4.1, 100, 0) == 1200  # it rested: a recording takes 5 % an hour at least
    assert minutes(4.1, 100, 12.0) == 1200
    assert minutes(3.8, 0, -5) == 1  # a gauge that has not learned the cell yet does not end a recording
    assert minutes(3.3, 0, -5) == 0
    board._vbus(True)
    assert minutes(3.3, 0, -5) == -1  # the cable feeds it


def test_a_gauge_that_stops_answering_is_unknown_and_no_error(board: Board) -> None:
    board._vbus(False)
    board.execute("from recorder.hal import battery\nbattery.millivolts()")
    board.i2c.parts.pop(gauge.ADDRESS)
    assert board.execute("print(battery.millivolts(), battery.minutes_left())").split() == ["0", "-1"]


def test_without_a_gauge_the_divider_tells(board: Board) -> None:
    board.i2c.parts.pop(gauge.ADDRESS)
    board._vbus(False)
    board.execute("from recorder.hal import battery")
    told = {}
    for volts in (4.15, 3.8, 3.45, 3.31, 3.2):
        board.cell_volts = volts
        millivolts, told[volts] = map(int, board.execute("print(battery.millivolts(), battery.minutes_left())").split())
        assert abs(millivolts - volts * 1000) <= 5
    assert told[4.15] == 1200 and told[3.8] == pytest.approx(600, abs=10) and told[3.45] == pytest.approx(60, abs=5)
    assert told[3.31] >= 1 and told[3.2] == 0
    board.cell_volts = 0.4  # no divider: the pin floats
    assert board.execute("print(battery.millivolts(), battery.minutes_left())").split() == ["0", "-1"]


def test_no_driver_is_loaded_for_a_chip_that_is_not_there(board: Board) -> None:
    board.i2c.parts.clear()
    loaded = board.execute("""
import sys
from recorder.hal import battery, rtc
battery.millivolts(); rtc.read()
print([name for name in sys.modules if name.startswith("adafruit_")])
""")
    assert loaded.strip() == "[]"


def test_little_stays_of_the_drivers(board: Board) -> None:
    """Reading the gauge while recording needs no driver. What stays of those that were dropped are their names."""
    again, loaded, after = board.execute("""
import gc, sys
from recorder.hal import battery, rtc
gc.collect(); before = gc.mem_alloc()
battery.millivolts(); rtc.read()
gc.collect(); loaded = gc.mem_alloc() - before
for name in tuple(sys.modules):
    if name.startswith("adafruit_") or name in ("recorder.hal.drivers", "recorder.hal.ds3231", "recorder.hal.gauge"):
        del sys.modules[name]
        if name.startswith("recorder."): delattr(sys.modules["recorder.hal"], name[13:])
gc.collect()
battery.millivolts(); battery.minutes_left()
gc.collect(); print(sum(name.startswith("adafruit_") for name in sys.modules), loaded, gc.mem_alloc() - before)
""").split()
    assert again == "0"
    assert int(after) < 6000 < int(loaded) < 30_000, (loaded, after)
