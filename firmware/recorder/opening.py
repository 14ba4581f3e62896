"""What page 1 says of how the recording came to be: events, made while idle. Idle set. FORMAT.md, "Events"."""

from struct import pack

from micropython import const

from recorder import pages
from recorder.hal import clock, mic, power, rtc
from recorder.store import journal_reading

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.session import Session

_CLOCK_CHIP = const(2)  # CLOCK source


def events(session: "Session") -> "list[tuple[int, bytes, int]]":
    """(kind, payload, time in µs since boot or -1 for now) of each event, META first. The card is the recording's from now on."""
    if session.volume is not None:
        session.volume.forget()
    firmware, version = power.version()
    name = session.identity.name if session.identity is not None else ""
    meta = firmware + session.boot_id + pack("<I", mic.RATE_HZ)
    for text in (version, mic.NAME, name, session.began):
        data = text.encode()
        meta += bytes((len(data),)) + data
    found = [(pages.META, meta, -1)]
    if session.anchor is not None:
        found.append(_clock(*session.anchor))
    chip = rtc.read()
    if chip is not None:
        found.append(_clock(chip[0], clock.now_us(), chip[1], _CLOCK_CHIP))
    beacon = journal_reading.beacon(session.journal)
    if beacon:
        found.append((pages.BEACON, beacon, -1))
    return found


def _clock(utc_us: int, mono_us: int, error_us: int, source: int) -> "tuple[int, bytes, int]":
    return pages.CLOCK, pack("<qIB", utc_us, min(error_us, 0xFFFFFFFF), source), mono_us
