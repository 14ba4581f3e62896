"""`earwitness label`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.console import console
from earwitness.errors import UsageError
from earwitness.library import Library
from earwitness.plain import counted


def label(
    recording: Annotated[str, typer.Argument(metavar="ID", help="Its number, or more of its name.")],
    text: Annotated[str, typer.Argument(metavar="TITLE", help="The title; an empty one removes it.")],
    mark: Annotated[int | None, typer.Option(min=1, metavar="N", help="Title of mark N instead.")] = None,
) -> None:
    """Give a recording, or one of its marks, a title. The recording itself is never changed."""
    library = Library()
    entry = library.find(recording)
    if mark is not None and entry.row.marks is not None and mark > entry.row.marks:
        raise UsageError(f"There is no mark {mark}.", f"This recording has {counted(entry.row.marks, 'mark')}.")
    note = library.annotate(entry, "label", text.strip(), mark=mark)
    console.result("", {"id": entry.recording_id, **note.__dict__})
    console.say("Kept." if note.text else "The title is removed.")
