"""The microphone by machine.I2S: what is left where PIO or DMA cannot be had. In place of mic.py, see hal/__init__.py.

It costs a fifth of the processor, an interrupt each millisecond, and drops samples without a word when nobody takes them
for 0.15 s. So what came is compared with the time that went by: what is missing is counted and stands as silence.
"""

from array import array

import micropython
from machine import I2S, Pin
from micropython import const

from recorder.errors import RecorderError
from recorder.hal import clock, pins

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from viper import ptr16, ptr32

RATE_HZ = const(16000)
RING_SAMPLES = const(16384)
NAME = "ICS-43434"

_BLOCK = const(256)  # samples taken at once, 16 ms
_BUFFER_BYTES = const(20_000)  # machine.I2S keeps 8 a sample
_TURNS = const(16)  # blocks over which the smallest delay is taken: how far it is behind when it has caught up
_USUAL = const(512)  # samples that a delay may be
_WAKE_MS = const(400)

_ring = bytearray(2 * RING_SAMPLES)
_block = bytearray(4 * _BLOCK)
_taken = array("I", (0, 0))  # samples, changes between neighbours in the last block
_i2s: "I2S | None" = None
_began = 0
_least = _turns = 0
_lost = False


@micropython.viper
def _keep(samples: int):  # type: ignore[no-untyped-def]
    """The upper halves of a block's 32-bit words into the ring."""
    ring = ptr16(_ring)
    block = ptr32(_block)
    taken = ptr32(_taken)
    at = taken[0]
    changes = 0
    for k in range(samples):
        value = (block[k] >> 16) & 0xFFFF
        ring[(at + k) & 16383] = value
        changes += int(k > 0 and value != (block[k - 1] >> 16) & 0xFFFF)
    taken[0] = (at + samples) & 0x3FFFFFFF
    taken[1] = changes


@micropython.viper
def _skip(samples: int):  # type: ignore[no-untyped-def]
    ring = ptr16(_ring)
    taken = ptr32(_taken)
    at = taken[0]
    for k in range(samples if samples < 16384 else 16384):
        ring[(at + k) & 16383] = 0
    taken[0] = (at + samples) & 0x3FFFFFFF


def _took(i2s: I2S) -> None:
    global _least, _turns, _lost
    if i2s is not _i2s:
        return  # the last block of a capture that was stopped
    _keep(_BLOCK)
    i2s.readinto(_block)
    _least = min(_least, (clock.since_ms(_began) * 16 - count()) & 0x3FFFFFFF)
    _turns += 1
    if _turns == _TURNS:
        if _USUAL < _least < 1 << 29:
            _skip(_least)
            _lost = True
        _least = 1 << 29
        _turns = 0


def ring() -> bytearray:
    return _ring


def start() -> None:
    global _i2s, _began, _least, _turns, _lost
    _i2s = I2S(
        0,
        sck=Pin(pins.MIC_CLOCK),
        ws=Pin(pins.MIC_WORD_SELECT),
        sd=Pin(pins.MIC_DATA),
        mode=I2S.RX,
        bits=32,
        format=I2S.MONO,
        rate=RATE_HZ,
        ibuf=_BUFFER_BYTES,
    )
    _taken[0] = _taken[1] = 0
    _lost = False
    _least, _turns = 1 << 29, 0
    _began = clock.ticks_ms()
    _i2s.irq(_took)
    _i2s.readinto(_block)
    while _taken[1] < _BLOCK // 8:
        if clock.since_ms(_began) >= _WAKE_MS:
            stop()
            raise RecorderError(
                "the microphone is silent or stuck" if count() else "the microphone's clock stands still"
            )
        clock.idle(1)
    _taken[0] = 0
    _began = clock.ticks_ms()


def stop() -> None:
    global _i2s
    if _i2s is not None:
        _i2s.deinit()
        _i2s = None


def count() -> int:
    return _taken[0]


def stalled() -> bool:
    global _lost
    was, _lost = _lost, False
    return was
