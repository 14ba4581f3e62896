"""`earwitness show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earwitness.commands import _story
from earwitness.commands._neighbours import Neighbours
from earwitness.commands._shared import check, device_name, excerpt_file, learn, owner_if_at_hand
from earwitness.console import console
from earwitness.library import Library


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
    lines = [console.paint(entry.row.label or f"Recording {entry.seq}", "bold")]
    lines.append(f"  number {entry.seq} of {device_name(entry.row.device_key)}, id {entry.recording_id}")
    lines.append(f"  {started.astimezone():%A %d %B %Y, %H:%M %Z}, {entry.origin}" if started else f"  {entry.undated}")
    lines += ["", *_story.answers(verdict, details=True)]
    moments = _story.marks(verdict, library.mark_labels(entry))
    lines += ["", "Marks and gaps", *(moments or ["  none"])]
    if notes:
        lines += ["", "Notes"]
        lines += [f"  {note.utc[:10]}{f' mark {note.mark}' if note.mark else ''}  {note.text}" for note in notes]
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


def _show_excerpt(path: Path) -> None:
    verdict = check(path, None, *Neighbours(Library().entries()).of(path))
    lines = [console.paint(path.name, "bold"), f"  an excerpt of recording {verdict.seq}"]
    lines[1] += f" of {device_name(verdict.device.hex())}, id {verdict.recording_id.hex()}"
    lines += ["", *_story.answers(verdict, details=True)]
    lines += ["", "Marks and gaps", *(_story.marks(verdict, {}) or ["  none"])]
    data = {"id": verdict.recording_id.hex(), "seq": verdict.seq, "path": str(path), "verdict": verdict.to_json()}
    console.result("\n".join(lines), data)
