"""The chip's 64-bit microsecond timer, and short sleeps that end when somebody wants something.

The timer is read in viper: time.ticks_us wraps after 18 minutes, and machine.mem32 makes an object of a value above 2**30.
"""

import select
import sys
import time

import micropython
from micropython import const

from recorder.hal.pins import BUTTON, CARD_DETECT, SWITCH

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from viper import ptr8, ptr32, uint

_TICKS = const((1 << 29) - 1)
_SLICE_MS = const(16)  # a change of switch, button or card is seen this late; bytes on the cable at once

_WATCHED = (1 << SWITCH) | (1 << BUTTON) | (1 << CARD_DETECT)

_now = bytearray(8)
_cable = select.poll()
_cable.register(sys.stdin, select.POLLIN)
_seen = 0


@micropython.viper
def stamp(into: ptr8, offset: int, back_us: int):  # type: ignore[no-untyped-def]
    timer = ptr32(0x40054000)  # RP2040 datasheet 4.6.5: TIMERAWH is word 9, TIMERAWL word 10
    high = timer[9]
    low = timer[10]
    while high != timer[9]:  # the low word wrapped between the two
        high = timer[9]
        low = timer[10]
    if uint(low) < uint(back_us):
        high -= 1
    low -= back_us
    for k in range(4):
        into[offset + k] = low
        into[offset + 4 + k] = high
        low >>= 8
        high >>= 8


@micropython.viper
def _levels() -> int:
    """All 30 inputs at once."""
    return int(ptr32(0xD0000004)[0])  # SIO GPIO_IN


def now_us() -> int:
    stamp(_now, 0, 0)
    return int.from_bytes(_now, "little")


def ticks_ms() -> int:
    return time.ticks_ms() & _TICKS  # type: ignore[operator,no-any-return]


def since_ms(ticks: int) -> int:
    return (time.ticks_ms() - ticks) & _TICKS  # type: ignore[operator,no-any-return]


def idle(ms: int) -> None:
    global _seen
    began = ticks_ms()
    while True:
        levels = _levels() & _WATCHED
        left = ms - since_ms(began)
        if levels != _seen or left <= 0:
            _seen = levels
            return
        for _ in _cable.ipoll(min(left, _SLICE_MS)):
            return
