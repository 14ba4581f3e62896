"""Watchdog, faults across resets, clock speed, radio and random bits on the chip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator.hal_kit import hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_RADIO_POWER = 23


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files=hal())
    board.boot()
    board.execute("from recorder.hal import power\nimport time, machine")
    return board


def _again(board: Board) -> None:
    """After a reset of the chip."""
    board.run_until(lambda: board.cable.connected, 5, "the computer to see it again")
    board.execute("from recorder.hal import power\nimport time, machine")


def test_the_watchdog_bites_after_eight_seconds_and_it_is_told_once(board: Board) -> None:
    board.execute("for _ in range(4):\n    power.feed()\n    time.sleep(6)")
    assert not board.resets
    board.execute("power.feed()")
    fed = board.seconds
    board.run_until(lambda: board.resets, 12, "the watchdog")
    at, cause = board.resets[0]
    assert cause == "watchdog" and 7.9 <= at - fed <= 8.1
    _again(board)
    assert board.execute("print(power.last_fault(), power.last_fault())").split() == ["2", "0"]


def test_what_was_noted_outlives_the_reset_that_was_asked_for(board: Board) -> None:
    board.execute("power.feed()\npower.note_fault(77)")
    board.cable.send(b"power.reset()\x04")
    board.run_until(lambda: board.resets, 5, "the reset")
    assert board.resets[0][1] == "asked"
    _again(board)
    assert board.execute("print(power.last_fault(), power.last_fault())").split() == ["77", "0"]


def test_a_reset_that_was_asked_for_is_no_bite(board: Board) -> None:
    board.execute("power.feed()")
    board.cable.send(b"power.reset()\x04")
    board.run_until(lambda: board.resets, 5, "the reset")
    _again(board)
    assert board.execute("print(power.last_fault())").strip() == "0"


def test_a_restart_is_told_from_power_that_came(board: Board) -> None:
    assert board.execute("print(power.came_on())").strip() == "True"
    board.execute("power.feed()")
    board.cable.send(b"power.reset()\x04")
    board.run_until(lambda: board.resets, 5, "the reset")
    _again(board)
    assert board.execute("print(power.came_on())").strip() == "False"


def test_what_ended_the_program_is_kept(board: Board) -> None:
    assert board.execute("power.crashed(ValueError('x'))\nprint(power.last_fault())").strip() == "1"
    assert board.execute("power.crashed(MemoryError())\nprint(power.last_fault())").strip() == "3"


def test_power_that_was_gone_leaves_no_fault(board: Board) -> None:
    assert board.execute("print(power.last_fault())").strip() == "0"


def test_the_clock_speed_changes_and_the_cable_stays(board: Board) -> None:
    speeds = {"fast(False)": 64_000_000, "fast(True)": 125_000_000, "rest()": 48_000_000}
    for call in ("fast(False)", "fast(True)", "fast(True)", "rest()", "fast(True)", "rest()", "fast(False)"):
        hz = speeds[call]
        assert int(board.execute(f"power.{call}\nprint(machine.freq())")) == hz
        assert board.time.sys_hz == hz


def test_the_radio_has_no_power_and_no_network_was_imported(board: Board) -> None:
    loaded = board.execute("power.radio_off()\nimport sys\nprint('network' in sys.modules)").strip()
    assert loaded == "False"
    pin = board.mcu.gpio[_RADIO_POWER]
    assert pin.output_enable and not pin.output_value


_ENTROPY = """
from recorder.hal import entropy
import time
reads = bytearray(4096)
began = time.ticks_us()
entropy.raw(reads)
took = time.ticks_us() - began
print(sum(reads), max(reads), took, sum(reads[k] == reads[k - 1] for k in range(1, 4096)))
"""


def test_raw_bits_are_the_oscillators_far_enough_apart(board: Board) -> None:
    ones, most, took, same = map(int, board.execute(_ENTROPY).split())
    assert most == 1 and 1900 < ones < 2200 and 1900 < same < 2200  # nothing is made better than it is
    assert 4096 * 10 <= took <= 4096 * 20
    board.oscillator.constant = 1
    assert board.execute(_ENTROPY).split()[:2] == ["4096", "1"]


def test_the_systems_numbers_are_as_many_as_asked_for(board: Board) -> None:
    first, second = board.execute(
        "from recorder.hal import entropy\nprint(entropy.system(16).hex(), entropy.system(16).hex())"
    ).split()
    assert len(first) == 32 and first != second
