"""What a person means with the one button."""

from __future__ import annotations

import pytest

_RUN = """
import virtual_hal
virtual_hal.setup(script=ARGS["script"])
from recorder.gestures import Gestures
from recorder.hal import clock
g = Gestures()
found = []
while clock.now_us() < 12_000_000:
    kind = g.poll()
    while kind:
        found.append([kind, g.time_us // 1000, clock.now_us() // 1000])
        kind = g.poll()
    clock.idle(20)
emit(found)
"""
MARK, DISPUTED, NOTICE, MUTE, TOUCH = 1, 2, 3, 4, 5


def presses(*spans: tuple[int, int]) -> list[list[object]]:
    """Script of presses, each (milliseconds from, to)."""
    return [[at * 1000, "button", down] for span in spans for at, down in ((span[0], 1), (span[1], 0))]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(1000, 1100)], [(TOUCH, 1000), (MARK, 1000)]),
        ([(1000, 2400)], [(TOUCH, 1000), (MARK, 1000)]),
        ([(1000, 1100), (1300, 1400)], [(TOUCH, 1000), (DISPUTED, 1000)]),
        ([(1000, 1100), (1600, 1700)], [(TOUCH, 1000), (MARK, 1000), (TOUCH, 1600), (MARK, 1600)]),
        ([(1000, 3000)], [(NOTICE, 1000)]),
        ([(1000, 4200)], [(MUTE, 1000)]),
        ([(1000, 9000)], [(MUTE, 1000)]),
        ([], []),
    ],
    ids=["short", "long-short", "double", "two-marks", "notice", "mute", "long-hold", "nothing"],
)
def test_presses_mean_what_the_quick_card_says(mpy, spans, expected) -> None:
    [found] = mpy(_RUN, args={"script": presses(*spans)})
    assert [(kind, at) for kind, at, _ in found] == expected


def test_mute_is_decided_while_the_button_is_still_down(mpy) -> None:
    [found] = mpy(_RUN, args={"script": presses((1000, 9000))})
    [(_, _, decided)] = found
    assert 4000 <= decided <= 4100


def test_the_touch_is_felt_at_once_and_the_mark_is_sure_after_400_ms(mpy) -> None:
    [found] = mpy(_RUN, args={"script": presses((1000, 1100))})
    assert found[0][2] <= 1150 and 1500 <= found[1][2] <= 1560
