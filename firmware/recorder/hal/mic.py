"""The microphone over I2S: a PIO program clocks it, DMA moves its samples into the ring. No interrupt, no processor.

The DMA's own transfer count is the sample counter: it starts at its highest value and falls with every sample for 74 hours.

machine.I2S is no second way: it needs an interrupt every millisecond, and stops for ever when the flash is written for six.
"""

import gc
import time

import micropython
import rp2
import uctypes
from machine import Pin
from micropython import const

from recorder.errors import RecorderError
from recorder.hal import clock
from recorder.hal.pins import MIC_CLOCK, MIC_DATA

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from rp2.asm_pio import in_, jmp, label, nop, pins, set, wrap, wrap_target, x, x_dec
    from viper import ptr16, ptr32


RATE_HZ = const(16000)
RING_SAMPLES = const(16384)
NAME = "ICS-43434"

_RING_BYTES = const(32768)
_RING_BITS = const(15)
_STEPS = const(128)  # PIO instructions a sample: 64 bit clocks of two
_RX_FIFO = const(0x50200020)  # PIO 0, RXF0
_DREQ = const(4)  # PIO 0, receiver of state machine 0
_MOST = const(0xFFFFFFFF)
_WAKE_MS = const(400)  # an INMP441 sends zeros for 2**18 bit clocks, 256 ms; an ICS-43434 is there in 20
_WINDOW = const(64)  # samples, in which a microphone's noise, about one step of 16 bits, changes about forty times
_CHANGES = const(8)


@rp2.asm_pio(
    sideset_init=(rp2.PIO.OUT_LOW, rp2.PIO.OUT_LOW),  # type: ignore[arg-type]
    in_shiftdir=rp2.PIO.SHIFT_LEFT,
    autopush=True,
    push_thresh=16,
    fifo_join=rp2.PIO.JOIN_RX,
)
def _philips() -> None:
    """Sides: bit clock, then word select. A bit is out from one falling clock to the next and is taken as the clock rises,
    one clock late (Philips I2S); the top 16 bits of the left slot are taken, the rest and the right slot only clocked."""
    wrap_target()
    set(x, 14).side(0b00)  # clock 0: word select falls
    nop().side(0b01)
    nop().side(0b00)  # clock 1: the first bit comes out
    label("bit")
    in_(pins, 1).side(0b01)
    jmp(x_dec, "bit").side(0b00)
    in_(pins, 1).side(0b01)  # clock 16: the last bit that is taken
    set(x, 13).side(0b00)
    label("rest")
    nop().side(0b01)
    jmp(x_dec, "rest").side(0b00)
    set(x, 31).side(0b01)  # clock 31
    label("right")
    nop().side(0b10)
    jmp(x_dec, "right").side(0b11)
    wrap()


def _make_ring() -> bytearray:
    """A ring at a multiple of its size, as the DMA's wrap needs it."""
    fillers = []
    while True:
        ring = bytearray(_RING_BYTES)
        short = -uctypes.addressof(ring) & (_RING_BYTES - 1)
        if not short:
            return ring
        del ring
        gc.collect()
        fillers.append(bytearray(short))  # most often the next ring lies behind it, where it should


# In globals, or the collector would end the capture.
_ring = _make_ring()
gc.collect()
_machine = rp2.StateMachine(0)
_dma = rp2.DMA()
_channel = _dma.registers  # type: ignore[attr-defined]


def ring() -> bytearray:
    return _ring


def start() -> None:
    Pin(MIC_DATA, Pin.IN)
    clocks = Pin(MIC_CLOCK)
    _machine.init(_philips, freq=_STEPS * RATE_HZ, in_base=Pin(MIC_DATA), sideset_base=clocks)
    _count_from_zero()
    _machine.active(1)
    began = clock.ticks_ms()
    while not _speaks():
        time.sleep_ms(1)
        if clock.since_ms(began) >= _WAKE_MS:
            stop()
            raise RecorderError(
                "the microphone is silent or stuck" if count() else "the microphone's clock stands still"
            )
    _count_from_zero()
    stalled()


def _count_from_zero() -> None:
    """What comes next is sample 0. The FIFO holds the half millisecond that this takes at most."""
    _dma.active(0)
    ctrl = _dma.pack_ctrl(size=1, inc_read=False, ring_size=_RING_BITS, ring_sel=True, treq_sel=_DREQ)
    _dma.config(read=_RX_FIFO, write=_ring, count=_MOST, ctrl=ctrl, trigger=True)


@micropython.viper
def _speaks() -> bool:
    """The last samples differ from each other, and not just once, as when a line is pulled to where it then stays."""
    taken = int(count())
    changes = 0
    if taken >= _WINDOW:
        samples = ptr16(_ring)
        for k in range(taken - _WINDOW + 1, taken):
            changes += int(samples[k & 16383] != samples[(k - 1) & 16383])
    return changes >= _CHANGES


def stop() -> None:
    _machine.active(0)


@micropython.viper
def count() -> int:
    return (int(ptr32(_channel)[2]) ^ -1) & 0x3FFFFFFF


@micropython.viper
def stalled() -> bool:
    debug = ptr32(0x50200008)  # PIO 0, FDEBUG: RXSTALL of state machine 0 is bit 0, cleared by writing it
    was = debug[0] & 1
    debug[0] = 1
    return was != 0
