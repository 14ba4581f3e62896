"""SPI0 and I2C0 of the board, with the parts that hang on them, at the speed of their clocks."""

from __future__ import annotations

from typing import Any, Protocol

from rp2040py.peripherals.i2c import I2CMode

from .timebase import Timebase

_I2C_BITS = 9


class SpiPart(Protocol):
    def select(self, level: int) -> None: ...
    def exchange(self, byte: int, hz: float) -> int: ...


class I2cPart(Protocol):
    """A part at one address: registers are written after a first byte that names them, as nearly every part does."""

    def start(self) -> None: ...
    def write(self, byte: int) -> bool: ...
    def read(self) -> int: ...
    def stop(self) -> None: ...


class Spi:
    """One part on one SPI block. A byte takes its eight clocks of the block's clock source."""

    def __init__(self, mcu: Any, time: Timebase, block: int, select_pin: int, part: SpiPart) -> None:
        self.part = part
        self._time = time
        self._spi = mcu.spi[block]
        self._answer = 0xFF
        self._done = time.alarm(self._complete)
        self._spi.on_transmit = self._transmit
        pin = mcu.gpio[select_pin]
        pin.add_listener(lambda value, _: part.select(int(value != 0)))
        self.bytes = 0

    @property
    def hz(self) -> float:
        divisor = self._spi._clock_divisor * (1 + (self._spi._control0 >> 8 & 0xFF))
        return self._time.peri_hz / divisor if divisor else self._time.peri_hz

    def _transmit(self, value: int) -> None:
        hz = self.hz
        self.bytes += 1
        self._answer = self.part.exchange(value, hz)
        self._done.after(8 / hz)

    def _complete(self) -> None:
        self._spi.complete_transmit(self._answer)


class I2c:
    """Parts by address on one I2C block. Who is not there does not acknowledge."""

    def __init__(self, mcu: Any, time: Timebase, block: int, hz: float = 400_000) -> None:
        self.parts: dict[int, I2cPart] = {}
        self._i2c = i2c = mcu.i2c[block]
        self._byte_s = _I2C_BITS / hz
        self._part: I2cPart | None = None
        self._next: Any = None
        self._done = time.alarm(self._proceed)
        i2c.on_connect = self._connect
        i2c.on_write_byte = self._write
        i2c.on_read_byte = self._read
        i2c.on_stop = self._stop

    def _proceed(self) -> None:
        step, self._next = self._next, None
        if step is not None:
            step()

    def _after(self, step: Any) -> None:
        self._next = step
        self._done.after(self._byte_s)

    def _connect(self, address: int, mode: I2CMode) -> None:
        self._part = part = self.parts.get(address)
        if part is not None and mode == I2CMode.WRITE:
            part.start()
        self._after(lambda: self._i2c.complete_connect(part is not None))

    def _write(self, byte: int) -> None:
        taken = self._part is not None and self._part.write(byte)
        self._after(lambda: self._i2c.complete_write(taken))

    def _read(self, ack: bool) -> None:
        byte = self._part.read() if self._part is not None else 0xFF
        self._after(lambda: self._i2c.complete_read(byte))

    def _stop(self) -> None:
        if self._part is not None:
            self._part.stop()
            self._part = None
        self._i2c.complete_stop()
