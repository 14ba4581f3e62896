"""The DS3231, by Adafruit's driver. Idle set.

When it was set last is kept in the registers of its first alarm, which nothing uses and its own battery keeps.
"""

from struct import pack_into, unpack_from
from time import gmtime, mktime

from micropython import const

from recorder.hal.drivers import Bus, load, struct_time

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ADDRESS = const(0x68)
_ALARM = const(0x07)  # four bytes
_STEP_US = const(1_000_000)  # it was set to the nearest second, and is read in seconds
_PARTS_A_BILLION = const(3500)  # its accuracy from -40 to 85 degrees
_YEAR_S = const(31_557_600)  # taken for its age where that is not known


def _open() -> "Any":
    return load("adafruit_ds3231", _ADDRESS).DS3231(Bus())


def read() -> "tuple[int, int] | None":
    """As rtc.read."""
    kept = bytearray(5)
    try:
        chip = _open()
        if chip.lost_power or chip.disable_oscillator:
            return None
        now = chip.datetime
        kept[0] = _ALARM
        with chip.i2c_device as device:
            device.write_then_readinto(kept, kept, out_end=1, in_start=1)
    except (ImportError, OSError, ValueError):  # ValueError: no chip
        return None
    if not (
        now.tm_year >= 2024
        and 1 <= now.tm_mon <= 12
        and 1 <= now.tm_mday <= 31
        and now.tm_hour < 24
        and now.tm_min < 60
    ):
        return None  # set by something else, or not a clock
    seconds = mktime((now.tm_year, now.tm_mon, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec, 0, 0))
    age_s = seconds - unpack_from("<I", kept, 1)[0]
    if not 0 <= age_s <= _YEAR_S:
        age_s = _YEAR_S
    return seconds * 1_000_000 + _STEP_US // 2, _STEP_US + age_s * _PARTS_A_BILLION // 1000


def write(utc_us: int) -> None:
    """As rtc.write."""
    kept = bytearray(5)
    seconds = (utc_us + _STEP_US // 2) // 1_000_000
    try:
        chip = _open()
        chip.datetime = struct_time(tuple(gmtime(seconds)[:6]) + (0, -1, -1))
        kept[0] = _ALARM
        pack_into("<I", kept, 1, seconds)
        with chip.i2c_device as device:
            device.write(kept)
    except (ImportError, OSError, ValueError):
        pass
