"""`earwitness list`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.console import console
from earwitness.dating import BY_SYNC
from earwitness.library import Entry, Library
from earwitness.plain import counted, one_line


def _length(entry: Entry) -> str:
    seconds = entry.row.duration_s
    return "" if seconds is None else f"{seconds // 3600:.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:02.0f}"


def _date(entry: Entry) -> str:
    started = entry.started
    if started is None:
        return entry.undated
    return f"{started.astimezone():%Y-%m-%d %H:%M}{' (dated at sync)' if entry.row.dated == BY_SYNC else ''}"


def _line(entry: Entry, several: bool) -> list[str]:
    return [
        f"{entry.device[:8]}/{entry.seq}" if several else str(entry.seq),
        _date(entry),
        _length(entry),
        "" if entry.row.marks is None else counted(entry.row.marks, "mark"),
        entry.row.verdict or "not verified",
        one_line(entry.row.label or ""),
    ]


def as_data(entry: Entry) -> dict[str, object]:
    """The JSON of one recording in the list."""
    row = entry.row
    return {
        "id": row.recording_id,
        "seq": row.seq,
        "device": entry.device,
        "path": str(entry.path),
        "bytes": row.size,
        "started": entry.started.isoformat() if entry.started else None,
        "dated_by": row.dated,
        "duration_s": row.duration_s,
        "marks": row.marks,
        "verdict": row.verdict,
        "verified_utc": row.checked,
        "label": row.label,
    }


def list_(
    last: Annotated[int | None, typer.Option("--last", "-n", min=1, metavar="N", help="Only the newest N.")] = None,
) -> None:
    """List the recordings on this computer, oldest first."""
    entries = Library().entries()
    shown = entries[-last:] if last else entries
    several = len({entry.device for entry in entries}) > 1
    if not entries:
        console.say("There are no recordings yet. Plug the recorder in and run 'earwitness sync'.")
    rows = [_line(entry, several) for entry in shown]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(6)]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    console.result(text, [as_data(entry) for entry in shown])
