"""The ring oscillator's random bit, which the emulator holds at one."""

from __future__ import annotations

import random
from typing import Any

from rp2040py.peripherals.peripheral import BasePeripheral

_BASE = 0x40060
_STATUS, _RANDOM_BIT = 0x18, 0x1C
_STABLE = 1 << 31 | 1 << 12


class RingOscillator(BasePeripheral):
    """`constant` None: random bits of a seeded generator; 0 or 1: that bit for ever, as of an oscillator that is locked."""

    def __init__(self, mcu: Any, seed: int) -> None:
        super().__init__(mcu, "ROSC_BASE")
        self.constant: int | None = None
        self._bits = random.Random(seed)
        self._registers: dict[int, int] = {}
        mcu.peripherals[_BASE] = self

    def read_uint32(self, offset: int) -> int:
        if offset == _RANDOM_BIT:
            return self._bits.getrandbits(1) if self.constant is None else self.constant
        return _STABLE if offset == _STATUS else self._registers.get(offset, 0)

    def write_uint32(self, offset: int, value: int) -> None:
        self._registers[offset] = value
