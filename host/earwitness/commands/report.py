"""`earwitness report`."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from earwitness.commands._neighbours import Neighbours
from earwitness.commands._shared import check, device_name, learn, owner_if_at_hand
from earwitness.console import console
from earwitness.errors import UsageError
from earwitness.library import Library


def report(
    recording: Annotated[str, typer.Argument(metavar="ID", help="Its number, or more of its name, or 'last'.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="name.pdf; - is stdout.")],
    day: Annotated[
        str | None, typer.Option("--date", metavar="DATE", help="The date on it, e.g. 2026-11-23, instead of today.")
    ] = None,
    zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="For clock times, e.g. Europe/Jersey.")
    ] = "Europe/London",
    bare: Annotated[
        bool, typer.Option("--without-draft", help="Leave out the draft paragraphs for a witness statement.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a file that exists.")] = False,
) -> None:
    """Make a PDF to file: the answers with reasons, marks, gaps, time, custody, how to check it, and its limits."""
    from earwitness import report_pdf
    from earwitness.atomic import replacing
    from earwitness.report import gather

    pipe = output == "-"
    if pipe and (console.json or sys.stdout.isatty()):
        raise UsageError("A PDF on stdout goes to another program.", "Give a file name, or send it on.")
    if not pipe and Path(output).suffix.lower() != ".pdf":
        raise UsageError("A report is a PDF.", f"For example: -o {Path(output).with_suffix('.pdf').name}")
    on = _day(day)
    library = Library()
    entry = library.find(recording)
    now = datetime.combine(on, time(), UTC)
    verdict = check(entry, owner_if_at_hand(), *Neighbours(library.entries()).of(entry), now=now)
    learn(library, entry, verdict)
    recorder = device_name(entry.row.device_key)
    made = report_pdf.render(gather(library, entry, verdict, recorder=recorder, day=on, zone=zone, draft=not bare))
    if pipe:
        sys.stdout.buffer.write(made)
        sys.stdout.flush()
        return
    with replacing(Path(output), mode=0o600, overwrite=force) as file:
        file.write(made)
    digest = hashlib.sha256(made).hexdigest()
    console.result(output, {"id": entry.recording_id, "file": output, "sha256": digest, "date": on.isoformat()})
    console.say("It names people and places if your titles do. Read it before you give it away.")
    if not bare:
        console.say("Its last page is a draft for you and your solicitor; --without-draft leaves it out.")
    if verdict.exit_code:
        console.say(f"What it reports is not all well: {verdict.intact.state}, {verdict.complete.state}.")


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is not a date.", "Write it like 2026-11-23.") from None
