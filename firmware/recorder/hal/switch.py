"""The slide switch, debounced by time: a new position counts once it has been seen to stand."""

import time

from machine import Pin
from micropython import const

from recorder.hal import clock
from recorder.hal.pins import SWITCH

_STANDS_MS = const(20)

_pin = Pin(SWITCH, Pin.IN, Pin.PULL_UP)
time.sleep_us(100)  # for the pull-up
_on = not _pin.value()
_other = False  # it was last seen in the other position
_since = 0


def stands_on() -> bool:
    return not _pin.value()


def is_on() -> bool:
    global _on, _other, _since
    if (not _pin.value()) == _on:
        _other = False
    elif not _other:
        _other = True
        _since = clock.ticks_ms()
    elif clock.since_ms(_since) >= _STANDS_MS:
        _on = not _on
        _other = False
    return _on
