"""Times as they are typed: `90`, `1:30`, `1:02:03.5`."""

from __future__ import annotations

from earwitness.commands._shared import parse_time
from earwitness.errors import UsageError

_SIXTY = 60


def time_of(text: str) -> float:
    """Seconds. Minutes and seconds behind a colon go up to 59: 9:99:99 is a slip, not a time."""
    seconds = parse_time(text)
    parts = text.split(":")
    if any(float(part) >= _SIXTY for part in parts[1:]) or any("." in part for part in parts[:-1]):
        raise UsageError(
            f"{text} is not a time.", "Write seconds, or 1:30, or 1:02:03.5, with at most 59 after a colon."
        )
    return seconds
