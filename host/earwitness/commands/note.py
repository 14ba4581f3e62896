"""`earwitness note`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.commands._shared import parse_time
from earwitness.console import console
from earwitness.library import Library


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
    kept = library.annotate(entry, "note", body, mark=mark, at_s=None if at is None else parse_time(at))
    console.result("", {"id": entry.recording_id, **kept.__dict__})
    console.say("Kept.")
