"""A MAX17048 fuel gauge on I2C: voltage and state of charge of the cell."""

from __future__ import annotations

ADDRESS = 0x36

_VCELL, _SOC, _VERSION, _CRATE = 0x02, 0x04, 0x08, 0x16
_VOLT_UNIT = 78.125e-6
_RATE_UNIT = 0.208  # per cent an hour


class Gauge:
    """What the cell has: `volts`, `percent`, `rate` in per cent an hour (negative: it empties)."""

    def __init__(self, volts: float = 3.9, percent: float = 72.0, rate: float = -4.0) -> None:
        self.volts, self.percent, self.rate = volts, percent, rate
        self._registers = {
            _VERSION: 0x0012,
            0x06: 0x0000,
            0x0A: 0x8030,
            0x0C: 0x971C,
            0x14: 0x00FF,
            0x18: 0x96_0C,
            0x1A: 0,
        }
        self._pointer: int | None = None
        self._high: int | None = None

    def start(self) -> None:
        self._pointer = self._high = None

    def write(self, byte: int) -> bool:
        if self._pointer is None:
            self._pointer = byte
        elif self._high is None:
            self._high = byte
        else:
            self._registers[self._pointer & 0xFE] = self._high << 8 | byte
            self._pointer += 2
            self._high = None
        return True

    def read(self) -> int:
        pointer = self._pointer or 0
        word = self._word(pointer & 0xFE)
        self._pointer = (pointer + 1) & 0xFF
        return word & 0xFF if pointer & 1 else word >> 8

    def stop(self) -> None:
        self._high = None

    def _word(self, register: int) -> int:
        if register == _VCELL:
            return round(self.volts / _VOLT_UNIT)
        if register == _SOC:
            return round(self.percent * 256)
        if register == _CRATE:
            return round(self.rate / _RATE_UNIT) & 0xFFFF
        return self._registers.get(register, 0)
