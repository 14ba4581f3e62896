"""`earwitness show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earwitness.chapters import seconds_clock
from earwitness.commands import _story
from earwitness.commands._neighbours import Neighbours
from earwitness.commands._shared import check, device_name, excerpt_file, learn, owner_if_at_hand
from earwitness.console import console
from earwitness.library import Library, Note
from earwitness.plain import both_times, one_line, printable


def show(
    recording: Annotated[
        str, typer.Argument(metavar="ID", help="Its number, or more of its name, or 'last', or an .ewd file.")
    ],
) -> None:
    """Tell all about a recording: whole or not and why, marks, gaps, notes, and what happened to it here."""
    path = excerpt_file(recording)
    if path:
        _show_excerpt(path)
        return
    library = Library()
    entry = library.find(recording)
    verdict = check(entry, owner_if_at_hand(), *Neighbours(library.entries()).of(entry))
    learn(library, entry, verdict)
    entry = library.entry(entry.path)
    history = entry.custody.read()
    notes = [note for note in library.notes(entry) if note.kind == "note"]
    started = entry.started
    lines = [console.paint(one_line(entry.row.label or f"Recording {entry.seq}"), "bold")]
    lines.append(f"  number {entry.seq} of {device_name(entry.row.device_key)}, id {entry.recording_id}")
    lines.append(f"  {both_times(started)}, {entry.origin}" if started else f"  {entry.undated}")
    if entry.row.duration_s is not None:
        lines.append(f"  {seconds_clock(entry.row.duration_s)} long")
    lines += ["", *_story.answers(verdict, details=True)]
    moments = _story.marks(verdict, library.mark_labels(entry))
    lines += ["", *_moments(moments, opened=verdict.opened)]
    if notes:
        lines += ["", "Notes"]
        lines += [_noted(note) for note in notes]
    lines += ["", "On this computer (its own account, which proves nothing about the time before)"]
    lines += [f"  {step.sentence}" for step in history.steps] or ["  nothing was written down"]
    lines += [console.paint(f"  {fault}", "bad") for fault in history.faults]
    data = {
        "id": entry.recording_id,
        "seq": entry.seq,
        "device": entry.device,
        "path": str(entry.path),
        "label": entry.row.label,
        "started": started.isoformat() if started else None,
        "dated_by": entry.row.dated,
        "verdict": verdict.to_json(),
        "mark_labels": library.mark_labels(entry),
        "notes": [note.__dict__ for note in notes],
        "custody": {"steps": [step.__dict__ for step in history.steps], "faults": list(history.faults)},
    }
    console.result("\n".join(lines), data)


def _moments(lines: list[str], *, opened: bool) -> list[str]:
    if not opened:
        return ["Marks and gaps: not opened, your key is not at hand or is not the one that it was sealed for"]
    return ["Marks and gaps", *(lines or ["  none"])]


def _noted(note: Note) -> str:
    where = f" mark {note.mark}" if note.mark else ""
    where += f" at {seconds_clock(note.at_s)}" if note.at_s is not None else ""
    return f"  {one_line(note.utc)[:10]}{where}  {printable(note.text).strip().replace(chr(10), chr(10) + '      ')}"


def _show_excerpt(path: Path) -> None:
    verdict = check(path, None, *Neighbours(Library().entries()).of(path))
    lines = [console.paint(path.name, "bold"), f"  an excerpt of recording {verdict.seq}"]
    lines[1] += f" of {device_name(verdict.device.hex())}, id {verdict.recording_id.hex()}"
    lines += ["", *_story.answers(verdict, details=True)]
    lines += ["", *_moments(_story.marks(verdict, {}), opened=True)]
    data = {"id": verdict.recording_id.hex(), "seq": verdict.seq, "path": str(path), "verdict": verdict.to_json()}
    console.result("\n".join(lines), data)
