"""The mark button. A hard interrupt stamps each edge into a ring, so that a mark is where the press was, whatever runs.

The handler is viper, allocates nothing and cannot raise: an error in a hard handler would disable it for good.
"""

from array import array

import machine
import micropython
from machine import Pin
from micropython import const

from recorder.hal.pins import BUTTON

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from viper import ptr8, ptr32, uint

_EDGES = const(16)  # that may wait
_BOUNCE_US = const(15_000)  # after an edge the contact may chatter this long

_edges = array("I", bytes(12 * _EDGES))  # low word of the time, high word, 1 pressed or 0 released
_state = array("I", (0, 0, 0, 0))  # edges put, edges taken, level of the last one, low word of its time
_pin = Pin(BUTTON, Pin.IN, Pin.PULL_UP)


@micropython.viper
def _stamp(pin):  # type: ignore[no-untyped-def]
    state = ptr32(_state)
    timer = ptr32(0x40054000)  # as in clock.py
    high = timer[9]
    low = timer[10]
    while high != timer[9]:
        high = timer[9]
        low = timer[10]
    down = ((ptr32(0xD0000004)[0] >> int(BUTTON)) & 1) ^ 1
    put = state[0]
    if down != state[2] and put - state[1] < _EDGES and uint(low - state[3]) >= uint(_BOUNCE_US):
        edge = (put & (_EDGES - 1)) * 3
        edges = ptr32(_edges)
        edges[edge] = low
        edges[edge + 1] = high
        edges[edge + 2] = down
        state[2] = down
        state[3] = low
        state[0] = put + 1


@micropython.viper
def _take(into: ptr8) -> int:
    state = ptr32(_state)
    taken = state[1]
    if taken == state[0]:
        return -1
    edge = (taken & (_EDGES - 1)) * 3
    edges = ptr32(_edges)
    low = edges[edge]
    high = edges[edge + 1]
    for k in range(4):
        into[k] = low
        into[4 + k] = high
        low >>= 8
        high >>= 8
    down = edges[edge + 2]
    state[1] = taken + 1
    return int(down)


def next_edge(into: bytearray) -> int:
    if _pin.value() == _state[2]:
        # The level is not what the last edge says: that edge came while the contact chattered. It counts as of now.
        before = machine.disable_irq()
        _stamp(_pin)
        machine.enable_irq(before)
    return _take(into)


def is_down() -> bool:
    return not _pin.value()


_pin.irq(_stamp, Pin.IRQ_FALLING | Pin.IRQ_RISING, hard=True)
