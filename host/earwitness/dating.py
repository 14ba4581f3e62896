"""The date of a recording made before the recorder's clock was set, worked out at sync.

Such a recording says only how long after the recorder's start it began, and which start that was (its boot id). At sync
the recorder tells, over the authenticated link, the same boot id and its time since then, while this computer knows what
time it is. That comparison is kept in the recording's custody log; it is no part of the recording, and says so. Only the
log of a recording in the library is looked at, and only if nothing is wrong with it: a log that came with a file from
elsewhere is worth nothing here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from earwitness import events, moment
from earwitness.custody import Custody, History, Step
from earwitness.events import Clock
from earwitness.moment import Moment

if TYPE_CHECKING:
    from earwitness.verdict import Verdict

BY_RECORDER, BY_SYNC, OUT_OF_RANGE = "recorder", "sync", "out of range"
ORIGINS: Final = {
    BY_RECORDER: "by the recorder's clock",
    BY_SYNC: "dated by this computer at sync: the recorder had not been switched off since; not part of the recording",
}
_ACT: Final = "clock compared"
_BOOT: Final = re.compile(r"[0-9a-f]{32}")
_MOST_ERROR_US: Final = 0xFFFFFFFF  # what a recorder can be told, 71 minutes
_MOST_SINCE_BOOT_US: Final = 1 << 63
_CONTRADICT: Final = "What was found out at sync dates nothing: the comparisons of clocks contradict each other."
_CHANGED: Final = "What was found out at sync dates nothing: the custody log beside it was changed, or is damaged."


@dataclass(frozen=True)
class Comparison:
    """At `mono_us` after the recorder's start `boot` (hex) it was `utc_us` by this computer, give or take `error_us`."""

    boot: str
    mono_us: int
    utc_us: int
    error_us: int

    @property
    def sane(self) -> bool:
        """Whether such a thing can have been found out."""
        return (
            _BOOT.fullmatch(self.boot) is not None
            and all(type(number) is int for number in (self.mono_us, self.utc_us, self.error_us))
            and 0 <= self.mono_us < _MOST_SINCE_BOOT_US
            and 0 <= self.error_us <= _MOST_ERROR_US
            and moment.believable(self.utc_us)
        )


def keep(log: Custody, found: Comparison) -> None:
    """Write a comparison into a recording's custody log."""
    utc = moment.at(found.utc_us).isoformat()
    log.add(_ACT, boot=found.boot, since_boot_us=found.mono_us, utc=utc, error_us=found.error_us)


def comparisons(history: History) -> list[Comparison]:
    """Those in a custody log that can be true; whether the log itself is good is for whoever relies on them."""
    return [found for step in history.steps if (found := _parse(step)) is not None]


def _parse(step: Step) -> Comparison | None:
    if step.act != _ACT:
        return None
    try:
        utc_us = (datetime.fromisoformat(step.details["utc"]) - moment.at(0)) // timedelta(microseconds=1)
        found = Comparison(step.details["boot"], step.details["since_boot_us"], utc_us, step.details["error_us"])
        return found if found.sane else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def starts(boot: str, began_us: int, known: list[Comparison]) -> list[Moment]:
    """By each comparison with the recorder's start `boot`: when a recording began `began_us` after that start."""
    anchors = [
        Clock(one.mono_us, one.utc_us, one.error_us, 0) for one in known if one.boot == boot and one.mono_us >= began_us
    ]
    return moment.of(anchors, began_us)


def of(log: Custody, verdict: Verdict) -> Moment | None:
    """What the comparisons in a recording's own custody log say of its start, where it has no date of its own."""
    found = _found(log, verdict)
    return found if isinstance(found, Moment) else None


def _found(log: Custody, verdict: Verdict) -> Moment | str | None:
    """The start, or in words why what is there does not date it, or None if nothing is there."""
    if verdict.started_us is not None or verdict.meta is None or verdict.began_us is None:
        return None
    try:
        history = log.read()
    except OSError:
        return _CHANGED
    found = starts(verdict.meta.boot_id.hex(), verdict.began_us, comparisons(history))
    if found and history.faults:
        return _CHANGED
    return _CONTRADICT if moment.contradict(found) else moment.best(found)


def origin(verdict: Verdict, synced: Moment | None) -> str | None:
    """Where the date of a recording that was opened comes from, or why it has none; None if nothing told the time."""
    if synced:
        return BY_SYNC
    if verdict.started_us is not None:
        return BY_RECORDER
    return OUT_OF_RANGE if any(event.type == events.CLOCK for event in verdict.events) else None


def joined(log: Custody, verdict: Verdict) -> Verdict:
    """The verdict with the date from sync in its `when` and `synced`.

    `clock` and `started_us` stay the recorder's own. log: of a recording in the library, never one found beside a file.
    """
    found = _found(log, verdict)
    if found is None:
        return verdict
    if isinstance(found, str):
        return replace(verdict, when=replace(verdict.when, reason=f"{verdict.when.reason} {found}"))
    words = f"It began {found.text}, {ORIGINS[BY_SYNC]}."
    when = replace(verdict.when, state="dated at sync", reason=f"{verdict.when.reason} {words}")
    return replace(verdict, when=when, synced=found)
