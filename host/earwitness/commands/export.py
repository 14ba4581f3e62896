"""`earwitness export`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from earwitness.commands._heard import hear
from earwitness.commands._shared import mark_sample
from earwitness.commands._times import time_of
from earwitness.console import console
from earwitness.errors import UsageError
from earwitness.progress import Progress

RATE: Final = 16_000
_BEFORE_S: Final = 30.0  # around a mark, unless told
_AFTER_S: Final = 60.0


def export(
    recording: Annotated[
        str, typer.Argument(metavar="ID", help="Its number, or more of its name, or 'last', or an .ewd file.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="name.flac, .wav or .opus; - is stdout.")
    ],
    mark: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the part around mark N.")] = None,
    before: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help=f"How long before the mark; {_BEFORE_S:.0f} unless told."),
    ] = None,
    after: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help=f"How long after the mark; {_AFTER_S:.0f} unless told."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only from this time, e.g. 1:02:03.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only up to this time.")] = None,
    master: Annotated[bool, typer.Option("--master", help="The exact samples, not made louder.")] = False,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="flac, wav or opus, where the name does not say.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Also what nothing vouches for; else it is refused, or silence.")
    ] = False,
) -> None:
    """Make a copy that any program plays, with its marks as chapters and a list of moments beside it."""
    from earwitness import exports
    from earwitness.chapters import clock

    if mark is not None and (start or end):
        raise UsageError("--mark and --from/--to contradict each other.", "--before and --after go with --mark.")
    if mark is None and (before is not None or after is not None):
        raise UsageError("--before and --after go with --mark.", "Add --mark N, or give times with --from and --to.")
    if form not in (None, *exports.FORMATS):
        raise UsageError(f"There is no format {form}.", "Choose flac, wav or opus.")
    pipe = output == "-"
    kind = form or ("flac" if pipe else exports.kind_of(Path(output)))
    if pipe and console.json:
        raise UsageError("-o - and --json both want stdout.", "Export to a file.")
    if pipe and sys.stdout.isatty():
        raise UsageError("Sound cannot be shown in a terminal.", "Send it on: earwitness export ID -o - | player")
    heard = hear(recording, unverified=unverified)
    audio = heard.audio
    first, last = 0, None
    if mark is not None:
        at = mark_sample(audio, mark)
        first = max(0, at - round((_BEFORE_S if before is None else before) * RATE))
        last = min(audio.samples, at + round((_AFTER_S if after is None else after) * RATE))
    else:
        first = round(time_of(start) * RATE) if start else 0
        last = round(time_of(end) * RATE) if end else None
    order = exports.Order(
        kind=kind,
        master=master,
        first=first,
        end=last,
        labels=heard.labels,
        title=heard.title,
        started=heard.started,
        dated=heard.dated,
        origin=heard.origin,
        excerpt=heard.excerpt,
        warning=heard.warning,
    )
    stop = audio.samples if last is None else min(last, audio.samples)
    if first >= stop:
        raise exports.nothing_there(first, audio.samples)
    if last is not None and last > audio.samples:
        console.say(f"The recording ends at {clock(audio.samples)}: the copy is shortened to that.")
    length = stop - first
    with Progress("export", 2 * length) as progress:
        if pipe:
            exports.stream(audio, sys.stdout.buffer, order, progress)
        else:
            target, beside = exports.export(audio, Path(output), order, overwrite=force, progress=progress)
    part = heard.excerpt or "whole" if order.whole else f"{first / RATE:.1f} s to {(first + length) / RATE:.1f} s"
    if pipe:
        heard.note("exported", to="a pipe", copy="exact" if master else "for listening", part=part)
        return
    digest = _sha256(target)
    heard.note("exported", file=target.name, copy="exact" if master else "for listening", part=part, sha256=digest)
    data = {"id": heard.recording_id, "file": str(target), "moments": str(beside), "sha256": digest, "part": part}
    console.result(str(target), data)
    console.say(f"{beside.name} lists its moments. {exports.READABLE}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
