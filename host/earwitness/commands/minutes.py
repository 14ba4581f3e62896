"""`earwitness minutes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earwitness.chapters import seconds_clock
from earwitness.commands._shared import owner
from earwitness.console import console
from earwitness.errors import UsageError
from earwitness.library import Library

if TYPE_CHECKING:
    from earwitness.marked_minutes import Sound


def minutes(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Also make a FLAC file of each there.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
) -> None:
    """List the marked minutes that came over Bluetooth ahead of their recordings. They are checked with the recording's
    own key; that the recorder signed for them is known when all of it is here ('earwitness sync', then 'verify')."""
    from earwitness import marked_minutes
    from earwitness.pages_ahead import RATE_HZ

    library = Library()
    files = marked_minutes.waiting(library)
    if not files:
        console.say("There are none: no mark came ahead of its recording ('earwitness sync --via ble').")
        console.result("", [])
        return
    if output is not None and not output.is_dir():
        raise UsageError(f"{output} is no folder.", "Name one that exists.")
    identity = owner()
    lines, data = [], []
    for file in files:
        for sound in marked_minutes.sounds(file, identity):
            at_s = sound.mark_sample / RATE_HZ
            length_s = len(sound.samples) / RATE_HZ
            path = _write(output, sound, force) if output is not None else None
            lines.append(
                f"{sound.seq}  mark {sound.number} at {seconds_clock(at_s)}, {length_s:.0f} s"
                + (f"  {path}" if path is not None else "")
            )
            data.append(
                {
                    "seq": sound.seq,
                    "number": sound.number,
                    "at_s": at_s,
                    "first_s": sound.first_sample / RATE_HZ,
                    "length_s": length_s,
                    "file": None if path is None else str(path),
                }
            )
    console.result("\n".join(lines), data)


def _write(folder: Path, sound: Sound, force: bool) -> Path:
    import soundfile

    from earwitness.atomic import replacing
    from earwitness.pages_ahead import RATE_HZ

    path = folder / f"recording{sound.seq}-mark{sound.number}.flac"
    with replacing(path, overwrite=force) as file:
        soundfile.write(file, sound.samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    return path
