"""Generator seeds in flash: never drawn from twice, gone once used, and always one there whatever is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

ARGS = {"rigs": str(Path(__file__).parent / "rigs")}
PRELUDE = """
sys.path.append(ARGS["rigs"])
import storage
flash = storage.Flash().install()
from recorder.store import seeds
from recorder.store.seeds import Seeds
def seed(number):
    return b"seed" + number.to_bytes(4, "little") * 7
"""


def test_none_before_pairing(mpy) -> None:
    source = (
        PRELUDE
        + "emit([len(Seeds().current()), Seeds().take(lambda old: seed(1)), bytes(flash.cells[8192:16384]) == b'\\xff' * 8192])"
    )
    assert mpy(source, args=ARGS) == [[0, None, True]]


def test_each_is_taken_once_and_then_gone(mpy) -> None:
    """Four hundred boots: both sectors go round twice."""
    source = (
        PRELUDE
        + """
Seeds().put(seed(0))
wrong = []
for number in range(400):
    stored_before = []
    def replace(old):
        stored_before.append(old == seed(number) and seed(number) in flash.cells)
        return seed(number + 1)
    taken = Seeds().take(replace)
    if taken != seed(number) or Seeds().current() != seed(number + 1) or stored_before != [True]:
        wrong.append(number)
    if seed(number) in flash.cells:
        wrong.append(-number)
emit(wrong)
emit([len(flash.erases) <= 6, sorted(set(flash.erases))])
try:
    Seeds().put(bytes(31))
except ValueError as error:
    emit(str(error))
"""
    )
    assert mpy(source, args=ARGS) == [[], [True, [2, 3]], "a seed has 32 bytes"]


@pytest.mark.parametrize("torn", [0, 25, 50, 90, 99])
def test_power_cut_at_every_program_and_erase(mpy, torn: int) -> None:
    """Cut in a take, the next boot draws a seed that no boot has had."""
    source = (
        PRELUDE
        + """
wrong = []
cuts = 0
for before in (1, 2, 84, 85, 86, 170):
    flash.cells[:] = b"\\xff" * flash.SIZE
    flash.next_boot()
    for number in range(before):
        Seeds().put(seed(number))
    start = bytes(flash.cells)
    for first in range(1, 5):
        for second in range(0, 5):
            flash.cells[:] = start
            fresh = 1000
            had = []
            for cut in (first, second, 0):
                flash.next_boot()
                flash.cut_at = cut
                flash.torn = ARGS["torn"]
                fresh += 1
                try:
                    taken = Seeds().take(lambda old: seed(fresh))
                    if taken is None or taken in had or taken in flash.cells:
                        wrong.append([before, first, second, cut])
                    had.append(bytes(taken))
                except storage.Cut:
                    cuts += 1
            flash.next_boot()
            allowed = [seed(before - 1), seed(1001), seed(1002), seed(1003)]
            if any(one not in allowed for one in had) or Seeds().current() != seed(1003):
                wrong.append([before, first, second, "state"])
emit([cuts > 60, wrong[:5]])
"""
    )
    assert mpy(source, args={**ARGS, "torn": torn}, heap="16M") == [[True, []]]
