"""A DS3231 on I2C: time in BCD, the oscillator-stop flag, a battery that keeps it through power cuts of the recorder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

ADDRESS = 0x68

_CONTROL, _STATUS, _AGING, _TEMPERATURE = 0x0E, 0x0F, 0x10, 0x11
_REGISTERS = 0x13
_STOPPED = 0x80


def _bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


def _number(bcd: int) -> int:
    return (bcd >> 4) * 10 + (bcd & 15)


class ClockChip:
    """Runs from `utc` at the moment it is made, in the seconds that `now` tells."""

    def __init__(self, now: Callable[[], float], utc: datetime | None = None) -> None:
        self._now = now
        self._set = utc or datetime(2026, 5, 17, 9, 30, tzinfo=UTC)
        self._since = now()
        self._pointer: int | None = None
        self._registers = bytearray(_REGISTERS)
        self._registers[_CONTROL] = 0x1C
        self._registers[_TEMPERATURE] = 25
        self._latched = bytes(7)
        self._written = bytearray()
        self.writes = 0

    @property
    def utc(self) -> datetime:
        return self._set + timedelta(seconds=self._now() - self._since)

    @property
    def stopped(self) -> bool:
        """The oscillator-stop flag: the time is not to be believed."""
        return bool(self._registers[_STATUS] & _STOPPED)

    def lose_power(self) -> None:
        """Its own battery was out: the flag is up and the time is 2000-01-01."""
        self._registers[_STATUS] |= _STOPPED
        self._set, self._since = datetime(2000, 1, 1, tzinfo=UTC), self._now()

    def start(self) -> None:
        self._pointer = None
        self._latched = self._time()
        self._written = bytearray(self._latched)

    def write(self, byte: int) -> bool:
        if self._pointer is None:
            self._pointer = byte % _REGISTERS
            return True
        if self._pointer < 7:
            self._written[self._pointer] = byte
            self._take_time()
        elif self._pointer == _STATUS:  # the flag is only cleared by a write, never set
            self._registers[_STATUS] &= byte | ~_STOPPED & 0xFF
        else:
            self._registers[self._pointer] = byte
        self.writes += 1
        self._pointer = (self._pointer + 1) % _REGISTERS
        return True

    def read(self) -> int:
        pointer = self._pointer or 0
        self._pointer = (pointer + 1) % _REGISTERS
        return self._latched[pointer] if pointer < 7 else self._registers[pointer]

    def stop(self) -> None:
        self._latched = self._time()

    def _time(self) -> bytes:
        at = self.utc
        century = 0x80 if at.year >= 2100 else 0
        values = (at.second, at.minute, at.hour, at.isoweekday(), at.day, at.month, at.year % 100)
        bcd = bytearray(_bcd(value) for value in values)
        bcd[5] |= century
        return bytes(bcd)

    def _take_time(self) -> None:
        second, minute, hour, _, day, month, year = (_number(byte & 0x7F) for byte in self._written)
        try:
            self._set = datetime(2000 + year, month & 0x1F, day, hour & 0x3F, minute, second, tzinfo=UTC)
        except ValueError:
            return  # half written
        self._since = self._now()
