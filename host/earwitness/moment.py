"""A moment told by a clock: time, error and source always of one and the same setting of that clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from earwitness import events
from earwitness.events import Clock

# The Pico's crystal, Abracon ABM8-272-T3: ±30 ppm at 25 °C ("Hardware design with RP2040", section 2.3.1), and for a
# recorder that is carried about, cold and warm, ±20 ppm more.
CRYSTAL_PPM: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_US: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_LATEST_US: Final = int(datetime(2201, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """`utc_us` microseconds since 1970, give or take `error_us`, by `source` (CLOCK_SOURCES; 0: not by the recorder)."""

    utc_us: int
    error_us: int
    source: int = 0

    @property
    def text(self) -> str:
        """`2026-11-23T09:00:00.1Z ± 0.4 s`: as many digits as the error is worth, and the error never rounded down."""
        unit = 1_000 if self.error_us < 100_000 else 100_000 if self.error_us < 10_000_000 else 1_000_000
        shown = (self.utc_us + unit // 2) // unit * unit
        error_us = -(-(self.error_us + abs(shown - self.utc_us)) // unit) * unit
        seconds, rest = divmod(shown, 1_000_000)
        fraction = f".{rest:06}".rstrip("0") if rest else ""
        return f"{utc(seconds * 1_000_000)[:-1]}{fraction}Z ± {error_us / 1e6:g} s"


def believable(utc_us: int) -> bool:
    """Whether a date is one that a recorder can have: years 2000 to 2200. No other is shown or reckoned with."""
    return _EARLIEST_US <= utc_us < _LATEST_US


def of(clocks: Iterable[Clock], mono_us: int) -> list[Moment]:
    """What each setting of the clock says of the time `mono_us` after boot, those out of range left out.

    Away from the setting the crystal alone counts, so that the error grows with the distance.
    """
    found = []
    for clock in clocks:
        away = mono_us - clock.mono_us
        drift_us = -(-abs(away) * CRYSTAL_PPM // 1_000_000)
        if believable(clock.utc_us) and believable(clock.utc_us + away):
            found.append(Moment(clock.utc_us + away, clock.error_us + drift_us, clock.source))
    return found


def best(moments: Iterable[Moment]) -> Moment | None:
    """The one with the smallest error, the first of several; None if there is none."""
    return min(moments, key=lambda moment: moment.error_us, default=None)


def contradict(moments: Sequence[Moment]) -> bool:
    """Whether they cannot all be right: no time lies within the error of each."""
    earliest = max((moment.utc_us - moment.error_us for moment in moments), default=0)
    return earliest > min((moment.utc_us + moment.error_us for moment in moments), default=0)


def source_name(source: int) -> str:
    """Who set the clock, in words."""
    return events.CLOCK_SOURCES.get(source, f"source {source}")


def utc(microseconds: int) -> str:
    """ISO 8601 to the second. Only for believable dates."""
    return at(microseconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(microseconds: int) -> datetime:
    """The same as datetime. Only for believable dates."""
    return _EPOCH + timedelta(microseconds=microseconds)
