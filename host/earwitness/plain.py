"""Text of others made fit to print: names, titles and notes may hold whatever a terminal would obey."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_HASH: Final = re.compile(r"\b[0-9a-f]{32,}\b")
_HASH_LETTERS: Final = 12
# Control characters (all of Unicode's category Cc), and what changes the direction of the text around it: a title could
# turn the words of a verdict round.
_STEERING: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str, *, keep: str = "\n\t") -> str:
    """`text` without control characters, but for those in `keep`, and without what turns the direction of writing."""
    return _STEERING.sub(lambda found: found[0] if found[0] in keep else "", text)


def one_line(text: str) -> str:
    """`text` as part of a line: line breaks and tabs become spaces."""
    return printable(" ".join(text.split()), keep="")


def shortened(text: str) -> str:
    """`text` with long hashes cut to their beginning."""
    return _HASH.sub(lambda found: found[0][:_HASH_LETTERS] + "…", text)


def counted(number: int, noun: str) -> str:
    """`1 recording`, `3 recordings`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def both_times(moment: datetime) -> str:
    """`23 November 2026, 10:00 CET (09:00 UTC)`; the zone of this computer, and UTC where that is another."""
    here = moment.astimezone()
    text = f"{here.day} {here:%B %Y, %H:%M}"
    if not here.utcoffset():
        return f"{text} UTC"
    there = moment.astimezone(UTC)
    day = "" if there.date() == here.date() else f"{there.day} {there:%B} "
    return f"{text} {here:%Z} ({day}{there:%H:%M} UTC)"
