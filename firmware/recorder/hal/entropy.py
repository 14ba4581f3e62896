"""The ring oscillator's bit, as it comes, and the system's generator. Health tests: recorder/randomness.py."""

import os

import micropython
from micropython import const

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from viper import ptr8, ptr32

# Between two reads the oscillator runs about 65 times round, and its jitter adds up; reads at the processor's pace would
# mostly repeat each other. The changing part keeps any steady ratio of oscillator and timer from showing as a pattern.
_APART_US = const(10)


@micropython.viper
def _raw(into: ptr8, count: int):  # type: ignore[no-untyped-def]
    timer = ptr32(0x40054000)
    oscillator = ptr32(0x40060000)  # RP2040 datasheet 2.17.8: RANDOMBIT is word 7
    for k in range(count):
        began = timer[10]
        while timer[10] - began < _APART_US + (k & 7):
            pass
        into[k] = oscillator[7] & 1


def raw(into: bytearray) -> None:
    _raw(into, len(into))


def system(count: int) -> bytes:
    return os.urandom(count)
