"""An I2S microphone on the chip's PIO, word by word.

The emulator drops PIO steps while the CPU sleeps, so bits on a wire would be lost there that no chip loses. The state machine
that reads the microphone's pin is therefore held, and each word that it would have shifted in is put into its receive FIFO
at the moment its clock divider gives, with its DREQ; a full FIFO loses the word and raises RXSTALL, as on the chip. That the
program itself shifts in the right bits is another test's business, against a model of the bus's timing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .timebase import Timebase

_PIO_BASES = (0x50200, 0x50300)
_PIO_CTRL = 0x000
_RXSTALL = 1
_SLOTS_CYCLES = 128  # PIO cycles a frame: 64 bit clocks of 2
_SHIFT_RIGHT = 1 << 18


class _WatchedPio:
    """A PIO block as the bus sees it, which tells when its control register was written."""

    def __init__(self, pio: Any, written: Callable[[Any], None]) -> None:
        self._pio = pio
        self._written = written

    def read_uint32(self, offset: int) -> int:
        return int(self._pio.read_uint32(offset))

    def write_uint32(self, offset: int, value: int) -> None:
        self._pio.write_uint32(offset, value)
        if offset == _PIO_CTRL:
            self._written(self._pio)

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self._pio.write_uint32_atomic(offset, value, atomic_type)
        if offset == _PIO_CTRL:
            self._written(self._pio)

    def reset(self) -> None:
        self._pio.reset()


class Microphone:
    """Gives `sound(k)` as the k-th sample since power came. `heard` is every sample given while the chip listened, in order.

    `stuck` is a level at which its data pin stays, whatever it hears; `lost` counts words that found the FIFO full.
    """

    def __init__(self, mcu: Any, time: Timebase, pin: int, sound: Sequence[int] | Callable[[int], int]) -> None:
        self._time = time
        self._pin = pin
        self._sound = sound if callable(sound) else lambda k: sound[k % len(sound)]
        self.heard: list[int] = []
        self.started: list[tuple[float, int]] = []  # (seconds, samples heard before) of each start of its clock
        self.stuck: int | None = None
        self.lost = 0
        self._mcu = mcu
        self._machine: Any = None
        self._pio: Any = None
        self._given = 0
        self._origin = 0.0
        self._alarm = time.alarm(self._word)
        for base, pio in zip(_PIO_BASES, mcu.pio, strict=True):
            mcu.peripherals[base] = _WatchedPio(pio, self._control)

    @property
    def listening(self) -> bool:
        """Its clock runs."""
        return self._machine is not None

    @property
    def rate_hz(self) -> float:
        """Frames a second at the divider and the clock as they are now."""
        return self._time.sys_hz / (self._machine.div_fp / 256) / _SLOTS_CYCLES

    def _control(self, pio: Any) -> None:
        for machine in pio.machines:
            if machine.in_base != self._pin:
                continue
            if machine.enabled and self._machine is None:
                self._machine, self._pio = machine, pio
                assert sum(other.enabled for other in pio.machines) == 1, (
                    "another state machine beside the microphone's"
                )
                self.started.append((self._time.seconds, len(self.heard)))
                self._given = 0
                self._origin = self._time.seconds
                self._alarm.after(1 / self.rate_hz)
            elif machine is self._machine and not machine.enabled:
                self._machine = None
                self._alarm.cancel()
        if self._machine is not None and pio is self._pio:
            pio.stopped = True  # its steps are this class's

    def _word(self) -> None:
        machine = self._machine
        if machine is None or not machine.enabled:
            self._machine = None
            return
        period = 1 / self.rate_hz
        sample = self._sound(len(self.heard))
        self.heard.append(sample)
        if self.stuck is not None:
            sample = -1 if self.stuck else 0
        if machine.push_threshold in (0, 32):  # both slots of a frame, 32 bits each; the right one is another's
            self._push(machine, (sample & 0xFFFF) << 16)
            self._push(machine, 0)
        else:
            self._push(machine, (sample & 0xFFFF) << (16 if machine.shift_ctrl & _SHIFT_RIGHT else 0))
        self._given += 1
        self._alarm.after(max(1e-9, self._origin + (self._given + 1) * period - self._time.seconds))

    def _push(self, machine: Any, word: int) -> None:
        if machine.rx_fifo.full:
            self.lost += 1
            self._pio.fdebug |= _RXSTALL << machine.index
            return
        machine.rx_fifo.push(word)
        self._mcu.dma.set_dreq(machine.dreq_rx)
