"""The date of a recording made before the recorder's clock was set, worked out at sync.

Such a recording says only how long after the recorder's start it began, and which start that was (its boot id). At sync
the recorder tells, over the authenticated link, the same boot id and its time since then, while this computer knows what
time it is. That comparison is kept in the recording's custody log; it is no part of the recording, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwitness.custody import Custody, Step

if TYPE_CHECKING:
    from earwitness.verdict import Verdict

BY_RECORDER, BY_SYNC = "recorder", "sync"
ORIGINS: Final = {
    BY_RECORDER: "by the recorder's clock",
    BY_SYNC: "dated by this computer at sync: the recorder had not been switched off since; not part of the recording",
}
_ACT: Final = "clock compared"
# The Pico's crystal, Abracon ABM8-272-T3: ±30 ppm at 25 °C ("Hardware design with RP2040", section 2.3.1), and for a
# recorder that is carried about, cold and warm, ±20 ppm more.
_CRYSTAL_PPM: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Comparison:
    """At `mono_us` after the recorder's start `boot` (hex) it was `utc_us` by this computer, give or take `error_us`."""

    boot: str
    mono_us: int
    utc_us: int
    error_us: int


@dataclass(frozen=True)
class Start:
    """When a recording began, in microseconds since 1970."""

    utc_us: int
    error_us: int


def keep(log: Custody, found: Comparison) -> None:
    """Write a comparison into a recording's custody log."""
    utc = (_EPOCH + timedelta(microseconds=found.utc_us)).isoformat()
    log.add(_ACT, boot=found.boot, since_boot_us=found.mono_us, utc=utc, error_us=found.error_us)


def comparisons(log: Custody) -> list[Comparison]:
    """Those in a custody log; lines that cannot be read are left out (the log itself names them)."""
    return [found for step in log.read().steps if (found := _parse(step)) is not None]


def _parse(step: Step) -> Comparison | None:
    if step.act != _ACT:
        return None
    try:
        utc = datetime.fromisoformat(str(step.details["utc"])) - _EPOCH
        mono_us, error_us = int(step.details["since_boot_us"]), int(step.details["error_us"])
    except (KeyError, TypeError, ValueError):
        return None
    return Comparison(str(step.details.get("boot")), mono_us, utc // timedelta(microseconds=1), error_us)


def start(boot: str, began_us: int, known: list[Comparison]) -> Start | None:
    """The start of a recording that began `began_us` after the recorder's start `boot`; None unless that one is known."""
    starts = [
        Start(one.utc_us - elapsed, one.error_us + elapsed * _CRYSTAL_PPM // 1_000_000)
        for one in known
        if one.boot == boot and (elapsed := one.mono_us - began_us) >= 0
    ]
    return min(starts, key=lambda found: found.error_us, default=None)


def of(path: Path, verdict: Verdict) -> Start | None:
    """What the comparisons beside the recording in `path` say of its start, where it has no date of its own."""
    if verdict.started_us is not None or verdict.meta is None or verdict.began_us is None:
        return None
    known = comparisons(Custody(path.with_suffix(".custody.jsonl")))
    return start(verdict.meta.boot_id.hex(), verdict.began_us, known)


def joined(path: Path, verdict: Verdict) -> Verdict:
    """The verdict with the date from sync in its `when`. `clock` and `started_us` stay the recorder's own: not set."""
    found = of(path, verdict)
    if found is None:
        return verdict
    words = f"It began {said(found)}, {ORIGINS[BY_SYNC]}."
    when = replace(verdict.when, state="dated at sync", reason=f"{verdict.when.reason} {words}")
    return replace(verdict, when=when)


def said(found: Start) -> str:
    """`2026-11-23T09:00:00Z ± 0.1 s`."""
    from earwitness.answers import utc

    return f"{utc(found.utc_us)} ± {max(found.error_us / 1e6, 0.1):.1f} s"
