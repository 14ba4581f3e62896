"""The verdict on one recording: six answers, each with its reason in plain English; never one green tick."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from earwitness.events import Event, Meta
from earwitness.moment import Moment
from earwitness.timeline import Gap, Mark

OK, NOT_WHOLE, BAD = 0, 4, 13
QUESTIONS: Final = (
    ("intact", "Is it as it was sealed?"),
    ("complete", "Is it the whole recording?"),
    ("continuous", "Is anything missing inside?"),
    ("in_sequence", "Is a recording missing around it?"),
    ("when", "When was it made?"),
    ("by", "Which recorder made it?"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One question answered. `ok` None: neither way, because what would decide it is not at hand."""

    state: str
    ok: bool | None
    reason: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the host says of a file (FORMAT.md, "What a reader says").

    Without the owner's identity `opened` is False and all that is inside the pages (samples, marks, gaps, events, stop,
    clock) is empty. Everything listed comes from proven pages only. `gaps` holds lost, muted and damaged spans in order.
    """

    intact: Answer
    complete: Answer
    continuous: Answer
    in_sequence: Answer
    when: Answer
    by: Answer
    opened: bool
    seq: int
    recording_id: bytes
    device: bytes
    prev: bytes
    final_note: bytes  # whole signed note, empty if there is none
    final_note_hash: (
        bytes  # H of it: what the next recording's prev holds and a time token stamps; empty if there is none
    )
    pages: int  # proven pages of sound
    unproven: int  # pages of sound behind the last checkpoint
    damaged: int  # pages that are spoilt or missing
    debris: tuple[str, ...]
    unused_pages: int
    rate: int
    samples: int
    marks: tuple[Mark, ...]
    gaps: tuple[Gap, ...]
    events: tuple[Event, ...]
    stop_reason: str
    meta: Meta | None
    clock: str  # start by the device's clock, ISO 8601 UTC, empty if it was never set or is out of range
    started_us: int | None  # the same in microseconds since 1970
    began_us: int | None = None  # the same in microseconds since the recorder's boot `meta.boot_id`
    started_error_us: int = 0  # of `started_us`, ±
    silences: tuple[Gap, ...] = ()  # in which the recorder found its microphone dead
    synced: Moment | None = None  # start as worked out at sync (dating.py), no part of the recording

    @property
    def duration_s(self) -> float:
        """Length in seconds, gaps included."""
        return self.samples / self.rate

    @property
    def losses(self) -> tuple[Gap, ...]:
        """Spans that the recorder lost."""
        return tuple(gap for gap in self.gaps if gap.reason == "lost")

    @property
    def mutes(self) -> tuple[Gap, ...]:
        """Spans off the record, by button."""
        return tuple(gap for gap in self.gaps if gap.reason == "muted")

    @property
    def unheard(self) -> tuple[Gap, ...]:
        """Gaps, and where the microphone was dead, in order."""
        return tuple(sorted((*self.gaps, *self.silences), key=lambda gap: gap.sample))

    @property
    def exit_code(self) -> int:
        """As the command line ends: 0 good, 4 intact but not complete or not continuous, 13 not to be relied on."""
        if self.intact.ok is not True or self.by.ok is False or self.in_sequence.state == "conflict":
            return BAD
        if self.complete.ok is not True or self.continuous.ok is False:
            return NOT_WHOLE
        return OK

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values for `json.dumps`; bytes as hex."""
        answers = {name: asdict(getattr(self, name)) for name, _ in QUESTIONS}
        return {
            **answers,
            "opened": self.opened,
            "seq": self.seq,
            "recording_id": self.recording_id.hex(),
            "device": self.device.hex(),
            "final_note_hash": self.final_note_hash.hex(),
            "pages": self.pages,
            "unproven": self.unproven,
            "damaged": self.damaged,
            "debris": list(self.debris),
            "unused_pages": self.unused_pages,
            "rate": self.rate,
            "samples": self.samples,
            "duration_s": self.duration_s,
            "marks": [asdict(mark) for mark in self.marks],
            "gaps": [
                {"sample": gap.sample, "count": gap.count, "seconds": gap.seconds, "reason": gap.reason}
                for gap in self.gaps
            ],
            "silences": [{"sample": gap.sample, "count": gap.count, "seconds": gap.seconds} for gap in self.silences],
            "events": [
                {"type": event.type, "name": event.name, "mono_us": event.mono_us, "data": event.data.hex()}
                for event in self.events
            ],
            "stop_reason": self.stop_reason,
            "meta": None if self.meta is None else _plain(asdict(self.meta)),
            "clock": self.clock,
            "clock_error_s": self.started_error_us / 1e6 if self.clock else None,
            "exit_code": self.exit_code,
        }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
