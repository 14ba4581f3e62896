"""`earwitness note`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.chapters import seconds_clock
from earwitness.commands._times import time_of
from earwitness.console import console
from earwitness.errors import UsageError
from earwitness.library import Library
from earwitness.plain import counted


def note(
    recording: Annotated[str, typer.Argument(metavar="ID", help="Its number, or more of its name.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to keep; - reads it from stdin.")],
    mark: Annotated[int | None, typer.Option(min=1, metavar="N", help="It belongs to mark N.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="It belongs to this moment, e.g. 1:02:03.")] = None,
) -> None:
    """Write a note on a recording. Notes are kept with their date and never changed."""
    import sys

    library = Library()
    entry = library.find(recording)
    body = sys.stdin.read().strip() if text == "-" else text
    if not body.strip():
        raise UsageError(
            "There is nothing in that note.", "Notes are never removed; a new one can say what is no longer so."
        )
    at_s, row = None if at is None else time_of(at), entry.row
    if at_s is not None and row.duration_s is not None and at_s > row.duration_s:
        raise UsageError(
            f"The recording is only {seconds_clock(row.duration_s)} long: there is no {seconds_clock(at_s)} in it.",
            "Times count from its start.",
        )
    if mark is not None and row.marks is not None and mark > row.marks:
        raise UsageError(f"There is no mark {mark}.", f"This recording has {counted(row.marks, 'mark')}.")
    kept = library.annotate(entry, "note", body, mark=mark, at_s=at_s)
    console.result("", {"id": entry.recording_id, **kept.__dict__})
    console.say("Kept.")
