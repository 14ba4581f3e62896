"""How Adafruit's drivers run here, unmodified: a bus in the shape of their busio, and the one type that MicroPython's time lacks.

Idle set.
"""

import sys
import time
from collections import namedtuple

from micropython import const

from recorder.hal.i2c import open_bus

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Bytes = bytes | bytearray | memoryview

_GAUGE = const(0x36)
_GAUGE_COMMAND = const(0xFE)
_EIO = const(5)


class Bus:
    """busio.I2C over machine.I2C: what adafruit_bus_device.I2CDevice calls."""

    def __init__(self) -> None:
        self._i2c = open_bus()

    def try_lock(self) -> bool:
        return True  # nobody else runs

    def unlock(self) -> None:
        pass

    def writeto(self, address: int, buffer: "Bytes", *, start: int = 0, end: "int | None" = None) -> None:
        out = memoryview(buffer)[start:end]
        if address == _GAUGE and len(out) and out[0] == _GAUGE_COMMAND:
            # The driver resets the gauge at every start, which forgets what it has learned of the cell. A gauge that
            # resets does not acknowledge: neither does this.
            raise OSError(_EIO)
        self._i2c.writeto(address, out)

    def readfrom_into(self, address: int, buffer: "Bytes", *, start: int = 0, end: "int | None" = None) -> None:
        self._i2c.readfrom_into(address, memoryview(buffer)[start:end])

    def writeto_then_readfrom(
        self,
        address: int,
        out: "Bytes",
        into: "Bytes",
        *,
        out_start: int = 0,
        out_end: "int | None" = None,
        in_start: int = 0,
        in_end: "int | None" = None,
    ) -> None:
        self._i2c.writeto(address, memoryview(out)[out_start:out_end], False)
        self._i2c.readfrom_into(address, memoryview(into)[in_start:in_end])


_Time = namedtuple(
    "_Time", ("tm_year", "tm_mon", "tm_mday", "tm_hour", "tm_min", "tm_sec", "tm_wday", "tm_yday", "tm_isdst")
)


def struct_time(fields: "tuple[int, ...]") -> _Time:
    """time.struct_time, which takes its nine numbers in one tuple."""
    return _Time(*fields)


class _Clock:
    """Stands in for the module `time` while a driver is imported."""

    sleep = time.sleep
    struct_time = struct_time


def load(name: str, address: int) -> "Any":
    """The driver module `name` for the chip at `address`. Raises OSError if none answers, ImportError if it is not installed.

    Only for a chip that is there: the names in a driver stay in memory for ever, about 3 KB of each.
    """
    open_bus().readfrom(address, 1)
    sys.modules["time"] = _Clock  # type: ignore[assignment]
    try:
        return __import__(name)
    finally:
        del sys.modules["time"]
