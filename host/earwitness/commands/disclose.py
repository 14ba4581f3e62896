"""`earwitness disclose`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earwitness.commands._shared import owner, pinned_key
from earwitness.commands._times import time_of
from earwitness.console import console
from earwitness.errors import UsageError
from earwitness.library import Library
from earwitness.places import EXCERPT_SUFFIX

if TYPE_CHECKING:
    from earwitness.excerpt_verdict import ExcerptVerdict

RATE: Final = 16_000
_PARTS_SAID: Final = 20


def disclose(
    recording: Annotated[str, typer.Argument(metavar="ID", help="Its number, or more of its name, or 'last'.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The excerpt, name.ewd.")],
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="FROM-TO", help="Only this, e.g. 3:10-6:00; may be repeated.")
    ] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option("--hide", metavar="FROM-TO", help="All but this, e.g. 4:01-4:03; may be repeated."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a file that exists.")] = False,
) -> None:
    """Make an excerpt that proves itself: parts, for somebody without a key.

    Whoever gets it can check with 'earwitness verify' that nothing in it was
    changed, and sees where and how much is withheld. Times are as in 'play';
    '6:00-' is to the end; several also with commas; --keep and --hide go
    together.

    A recording opens by the page, about half a second. A page is disclosed
    only if all of it may be: what is withheld reaches up to 0.9 s further than
    asked, never less far, and the actual times are told.

    The first page names the recorder, say 'Anna's recorder', its firmware and
    the date: to withhold them, leave out 0:00; to disclose them with a later
    part, add --keep 0:00-0:02. Each page tells how long the recorder had been
    running, and marks pressed in it or just before. Always visible: the
    recorder's key, the number of the recording, how many pages it has. Titles
    and notes stay here.
    """
    from earwitness.disclosing import Wanted
    from earwitness.disclosing import disclose as write

    target = Path(output)
    if target.suffix != EXCERPT_SUFFIX:
        raise UsageError("An excerpt is a file of its own kind.", f"End its name with {EXCERPT_SUFFIX}.")
    wanted = Wanted(_spans(keep or []), _spans(hide or []))
    if not wanted.keep and not wanted.hide:
        raise UsageError("Say what to disclose.", "--keep 3:10-6:00, or --hide 4:01-4:03 for all but that.")
    library = Library()
    entry = library.find(recording)
    made = write(entry.path, owner(), target, wanted, pinned=pinned_key(entry.row.device_key), overwrite=force)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    disclosed = _times(made, withheld=False)
    entry.custody.add(
        "disclosed",
        file=target.name,
        part=", ".join(disclosed),
        pages=f"{made.pages} of {made.pages + made.withheld_pages}",
        sha256=digest,
    )
    data = {
        "id": entry.recording_id,
        "file": str(target),
        "sha256": digest,
        "disclosed_pages": made.pages,
        "withheld_pages": made.withheld_pages,
        "disclosed": [_seconds(run.sample, run.count) for run in made.runs if not run.withheld],
        "withheld": [_seconds(run.sample, run.count) | {"pages": run.pages} for run in made.runs if run.withheld],
        "marks": len(made.marks),
        "recorder": made.meta.recorder if made.meta else None,
        "clock": made.clock or None,
    }
    console.result(str(target), data)
    for line in _told(made, disclosed):
        console.say(line)


def _told(made: ExcerptVerdict, disclosed: Sequence[str]) -> list[str]:
    """What its owner should know before handing it on."""
    lines = [f"Disclosed: {_some(disclosed)}."]
    withheld = _times(made, withheld=True)
    lines.append(f"Withheld: {_some(withheld)}. Rounded outward, to whole pages." if withheld else "Nothing withheld.")
    marks = len(made.marks)
    lines.append(f"It shows {marks or 'no'} mark{'s' * (marks != 1)}.")
    if made.meta:
        lines.append(f"It shows the recorder's name ({made.meta.recorder}).")
    lines.append(f"It shows when the recording began: {made.clock}." if made.clock else "It shows no date.")
    lines.append("Whoever has it can hear this, and it cannot be taken back. Listen first: earwitness play FILE")
    return lines


def _some(times: Sequence[str]) -> str:
    more = len(times) - _PARTS_SAID
    return ", ".join(times[:_PARTS_SAID]) + (f" and {more} more" if more > 0 else "")


def _spans(texts: Sequence[str]) -> tuple[tuple[int, int | None], ...]:
    spans = []
    for text in (part.strip() for item in texts for part in item.split(",")):
        start, dash, end = text.partition("-")
        if not dash or not (start or end):
            raise UsageError(f"'{text}' is no span of time.", "Write it as 3:10-6:00, or 3:10- up to the end.")
        spans.append((round(time_of(start or "0") * RATE), round(time_of(end) * RATE) if end else None))
    return tuple(spans)


def _times(made: ExcerptVerdict, *, withheld: bool) -> list[str]:
    from earwitness.chapters import clock

    return [
        f"{clock(run.sample)} to {'the end' if run.count is None else clock(run.sample + run.count)}"
        for run in made.runs
        if run.withheld == withheld
    ]


def _seconds(first: int, count: int | None) -> dict[str, float | int | None]:
    return {"from_s": first / RATE, "to_s": None if count is None else (first + count) / RATE}
