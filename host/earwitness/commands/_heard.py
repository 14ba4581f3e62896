"""What `play` and `export` take: a recording of the library, or an excerpt, which needs no key."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from earwitness.commands._shared import device_name, excerpt_file, pinned_key, sound
from earwitness.console import console
from earwitness.dating import BY_RECORDER, ORIGINS
from earwitness.errors import UsageError
from earwitness.library import Entry, Library
from earwitness.verdict import BAD

if TYPE_CHECKING:
    from earwitness.audio import Audio
    from earwitness.verdict import Verdict


@dataclass(frozen=True)
class Heard:
    """Sound that was checked, and what to call it. `entry` is None for an excerpt, else `excerpt` is empty."""

    audio: Audio
    recording_id: str
    name: str
    origin: str
    entry: Entry | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    title: str = ""
    started: datetime | None = None
    dated: str = ORIGINS[BY_RECORDER]
    excerpt: str = ""
    warning: str = ""

    def note(self, act: str, **details: object) -> None:
        """Write a step into the custody log of a recording; an excerpt has none."""
        if self.entry:
            self.entry.custody.add(act, **details)


def hear(text: str, *, unverified: bool = False) -> Heard:
    """The sound that `text` names, checked first."""
    path = excerpt_file(text)
    if path:
        return _excerpt(path, unverified=unverified)
    library = Library()
    entry = library.find(text)
    audio = sound(entry, allow_unverified=unverified)
    entry = library.learn(entry, audio.verdict)  # its date and length, though it was never listed or shown
    warning = _warning(audio.verdict, unverified=unverified)
    if warning:
        console.say(console.paint(f"Recording {entry.seq} does not verify. {warning}", "bad", sys.stderr))
    return Heard(
        audio=audio,
        recording_id=entry.recording_id,
        name=f"Recording {entry.seq}",
        origin=f"Recording {entry.seq} of {device_name(entry.row.device_key)}, id {entry.recording_id}",
        entry=entry,
        labels=library.mark_labels(entry),
        title=entry.row.label or "",
        started=entry.started,
        dated=entry.origin,
        warning=warning,
    )


def _warning(verdict: Verdict, *, unverified: bool) -> str:
    if verdict.exit_code != BAD and not (unverified and verdict.unproven):
        return ""
    reason = (verdict.by if verdict.by.ok is False else verdict.intact).reason
    return f"{reason} {'What nothing vouches for is in it.' if unverified else 'What is damaged is silence in it.'}"


def _excerpt(path: Path, *, unverified: bool) -> Heard:
    from earwitness.excerpt import Excerpt
    from earwitness.excerpt_audio import ExcerptAudio

    if unverified:
        raise UsageError("An excerpt is heard only if it verifies.", "Leave out --unverified.")
    device = Excerpt(path).header.device.hex()
    audio = ExcerptAudio(path, pinned=pinned_key(device))
    told = audio.told
    recording_id = told.recording_id.hex()
    return Heard(
        audio=audio,
        recording_id=recording_id,
        name=f"Excerpt {path.name}",
        origin=f"{told.complete.reason} Recording {told.seq} of {device_name(device)}, id {recording_id}",
        started=None if told.started_us is None else datetime.fromtimestamp(told.started_us / 1e6, UTC),
        excerpt=f"an excerpt, {told.withheld_pages} of {told.pages + told.withheld_pages} pages withheld",
    )
