"""The report: what can be said of a recording, set as a PDF/A-3 that can be filed, with what it rests on attached.

Nothing is decided here. The answers are the verdict's own words; this module orders facts and gives them to the template
(`report.typ`). The same recording, the same files beside it, the same date and the same program give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from earwitness import __version__, dating, events, moment, note, report_statement, stamp
from earwitness.chapters import clock, seconds_text
from earwitness.custody import History
from earwitness.errors import UsageError
from earwitness.moment import Moment
from earwitness.stamp import Token
from earwitness.verdict import QUESTIONS, Verdict

if TYPE_CHECKING:
    from earwitness.library import Entry, Library

_GAPS: Final = {
    "lost": "lost by the recorder",
    "muted": "off the record, by the owner's button",
    "damaged": "damaged since",
    "silent": "the microphone gave nothing",
}
_VECTORS: Final = 2  # version of the test vectors that this program agrees with (tests/vectors/manifest.json)
_LISTED: Final = 400  # rows of a table; the attached report.json holds all


@dataclass(frozen=True)
class Subject:
    """Everything that a report is made from. `title`: the owner's, or empty; `recorder`: what the owner calls it."""

    path: Path
    verdict: Verdict
    title: str
    recorder: str
    mark_labels: Mapping[int, str]
    history: History
    tokens: Sequence[Token]
    token_files: Mapping[str, bytes]
    day: date
    zone: str
    synced: Moment | None = None  # the date from sync, of a recording that has none
    draft: bool = True  # with draft paragraphs for a witness statement

    def at(self, sample: int) -> datetime | None:
        """The time at a sample, by the recorder's clock or the date from sync: `dated` says which."""
        started_us = self.synced.utc_us if self.synced else self.verdict.started_us
        if started_us is None:
            return None
        return (moment.at(started_us) + timedelta(seconds=sample / self.verdict.rate)).astimezone(_zone(self.zone))

    @property
    def dated(self) -> str:
        """Where its times come from, in words."""
        return dating.ORIGINS[dating.BY_SYNC if self.synced else dating.BY_RECORDER]

    def time(self, sample: int) -> str:
        """`09:30:05`, or nothing where the clock was not set."""
        at = self.at(sample)
        return f"{at:%H:%M:%S}" if at else ""


def gather(
    library: Library, entry: Entry, verdict: Verdict, *, recorder: str, day: date, zone: str, draft: bool = True
) -> Subject:
    """What a report on this recording is made from: the files beside it, and the `verdict` that was just reached."""
    return Subject(
        path=entry.path,
        verdict=verdict,
        title=entry.row.label or "",
        recorder=recorder,
        mark_labels=library.mark_labels(entry),
        history=entry.custody.read(),
        tokens=stamp.tokens(entry.path, verdict.final_note_hash, now=datetime.combine(day, time(), UTC)),
        token_files={file.name: file.read_bytes() for file in stamp.files(entry.path)},
        day=day,
        zone=zone,
        synced=verdict.synced,
        draft=draft,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"There is no time zone {name}.", "Names are like Europe/London, Europe/Jersey, UTC."
        ) from None


def long_date(day: date) -> str:
    """`23 November 2026`."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def long_time(at: datetime) -> str:
    """`23 November 2026, 09:30:05 GMT`."""
    return f"{long_date(at.date())}, {at:%H:%M:%S} {at.tzname()}"


def length_text(seconds: float) -> str:
    """`1 h 02 min 03 s`."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min {rest:02d} s"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def manifest(subject: Subject) -> bytes:
    """`report.json`: everything that the report says, for programs; and what it says it about."""
    verdict = subject.verdict
    with subject.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    data = {
        "report": {"version": 1, "date": subject.day.isoformat(), "program": f"earwitness {__version__}"},
        # What the answers rest on, for who checks them by other means: firmware/FORMAT.md and tests/vectors.
        "format": {"container": 1, "suite": 1, "vectors": _VECTORS},
        "file": {"name": subject.path.name, "bytes": subject.path.stat().st_size, "sha256": digest},
        "title": subject.title,
        "recorder": subject.recorder,
        "verdict": verdict.to_json(),
        "mark_labels": {str(number): text for number, text in subject.mark_labels.items()},
        "tokens": [
            {**token.to_json(), "sha256": hashlib.sha256(subject.token_files[token.name]).hexdigest()}
            for token in subject.tokens
        ],
        "custody": {
            "steps": [asdict(step) for step in subject.history.steps],
            "faults": list(subject.history.faults),
        },
    }
    return (json.dumps(data, ensure_ascii=False, indent=1, default=str) + "\n").encode()


def attachments(subject: Subject) -> list[tuple[str, bytes, str, str, str]]:
    """(name, bytes, media type, relationship, description) of what goes into the PDF."""
    found = [
        (
            "report.json",
            manifest(subject),
            "application/json",
            "data",
            "Everything in this report, as data: the answers, marks, gaps, events, tokens and custody log.",
        )
    ]
    if subject.verdict.final_note:
        what = "The recorder's signed end of the recording; its SHA-256 is what a time token is about."
        found.append(("final-note.txt", subject.verdict.final_note, "text/plain", "supplement", what))
    for name, data in subject.token_files.items():
        what = "Time token (RFC 3161) over the SHA-256 of final-note.txt."
        found.append((name, data, "application/timestamp-reply", "supplement", what))
    return found


def facts(subject: Subject) -> dict[str, Any]:
    """What the template sets."""
    verdict = subject.verdict
    held = attachments(subject)
    file = json.loads(held[0][1])["file"]
    return {
        "title": subject.title or f"Recording {verdict.seq}",
        "number": verdict.seq,
        "recorder": subject.recorder,
        "date": long_date(subject.day),
        "year": subject.day.year,
        "month": subject.day.month,
        "day": subject.day.day,
        "program": f"Earwitness {__version__}",
        "file": file["name"],
        "summary": _summary(subject, file),
        "answers": [_answer(verdict, name, question) for name, question in QUESTIONS],
        "opened": verdict.opened,
        "dated": subject.dated if subject.at(0) else "",
        "zone": _zone_words(subject),
        "marks": _marks(subject),
        "gaps": _gaps(subject),
        "no_gaps": _no_gaps(verdict),
        "more_marks": max(len(verdict.marks) - _LISTED, 0),
        "more_gaps": max(len(verdict.unheard) - _LISTED, 0),
        "device": _device(subject),
        "neighbours": list(verdict.in_sequence.details) or [verdict.in_sequence.reason],
        "tokens": [{"file": token.name, "counts": token.valid, "reason": token.reason} for token in subject.tokens],
        "note_hash": verdict.final_note_hash.hex(),
        "note": verdict.final_note.decode("utf-8", "replace"),
        "custody": [
            {"utc": step.utc[:19].replace("T", " "), "act": step.act, "details": _details(step.details)}
            for step in subject.history.steps
        ],
        "custody_faults": list(subject.history.faults),
        "by_number": False,
        "cut": verdict.complete.state in ("recovered", "damaged", "unfinished"),
        "statement": report_statement.paragraphs(subject) if subject.draft else [],
        "attached": [
            {"name": name, "description": what, "sha256": hashlib.sha256(data).hexdigest()}
            for name, data, _, _, what in held
        ],
    }


def _summary(subject: Subject, file: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """(label, value, set in monospace)."""
    verdict = subject.verdict
    rows = [("Recording", f"number {verdict.seq} of the recorder “{subject.recorder}”", False)]
    start, end = subject.at(0), subject.at(verdict.samples)
    if start and end:
        rows.append(("Began", long_time(start), False))
        rows.append(("Ended", f"{long_time(end)}; both {subject.dated}", False))
    elif verdict.opened:
        rows.append(("Began", "not known", False))
    if verdict.opened:
        muted = f", of which off the record: {_total(verdict, 'muted')}" if verdict.mutes else ""
        proven = "" if verdict.complete.ok else ", as far as it is proven"
        rows.append(("Length", length_text(verdict.duration_s) + muted + proven, False))
        rows.append(("Stopped by", verdict.stop_reason or "no STOP is in it", False))
    else:
        rows.append(("Contents", f"not opened for this report; {verdict.pages} sealed pages of sound", False))
    rows.append(("File", f"{file['name']}, {file['bytes']:,} bytes, encrypted", False))
    rows.append(("SHA-256 of the file", file["sha256"], True))
    rows.append(("Recording id", verdict.recording_id.hex(), True))
    return rows


def _total(verdict: Verdict, reason: str) -> str:
    return length_text(sum(gap.seconds for gap in verdict.gaps if gap.reason == reason))


def _answer(verdict: Verdict, name: str, question: str) -> dict[str, Any]:
    answer = getattr(verdict, name)
    standing = {True: "good", False: "bad", None: "open"}[answer.ok]
    details = [detail for detail in answer.details if name not in ("in_sequence", "when", "continuous")]
    return {
        "question": question,
        "state": answer.state,
        "standing": standing,
        "reason": answer.reason,
        "details": details,
    }


def _zone_words(subject: Subject) -> str:
    at = subject.at(0)
    return f"{subject.zone} ({at.tzname()})" if at else subject.zone


def _marks(subject: Subject) -> list[list[str]]:
    marks = list(enumerate(subject.verdict.marks, 1))[:_LISTED]
    return [
        [str(number), clock(mark.sample), subject.time(mark.sample), mark.kind, subject.mark_labels.get(number, "")]
        for number, mark in marks
    ]


def _gaps(subject: Subject) -> list[list[str]]:
    return [
        [clock(gap.sample), subject.time(gap.sample), seconds_text(gap.count), _GAPS.get(gap.reason, gap.reason)]
        for gap in subject.verdict.unheard[:_LISTED]
    ]


def _no_gaps(verdict: Verdict) -> str:
    if verdict.continuous.ok is not True:
        return verdict.continuous.reason
    until = "" if verdict.complete.ok else " Whether anything is missing at the end is answered above."
    return f"Nothing: no sound was lost, nothing was put off the record, nothing is damaged.{until}"


def _device(subject: Subject) -> list[tuple[str, str, bool]]:
    verdict = subject.verdict
    rows = [
        ("Signs as", note.key_name(verdict.device), True),
        ("Public key (Ed25519)", verdict.device.hex(), True),
    ]
    if verdict.meta:
        meta = verdict.meta
        rows += [
            ("Its own name", meta.recorder or "none", False),
            ("Firmware", meta.version or "not said", False),
            ("SHA-256 of the firmware", meta.firmware_hash.hex(), True),
            ("Microphone", meta.microphone or "not said", False),
        ]
        if meta.began:
            rows.append(("Began by", meta.began, False))
    lights = [event.data for event in verdict.events if event.type == events.INDICATOR]
    if lights:
        light = "worked" if all(data[0] for data in lights) else "did not work all the time"
        rows.append(("Recording light", f"{light}, as the recorder itself found", False))
    notices = [number for number, mark in enumerate(verdict.marks, 1) if mark.kind == "notice given"]
    if verdict.opened:
        words = f"marked by button: mark {', '.join(map(str, notices))}" if notices else "not marked by button"
        rows.append(("Notice given", words, False))
    return rows


def _details(details: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in details.items())
