"""Taking a complete file into the library: whole or not at all, and never in place of one that proves more."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from earwitness.atomic import replacing
from earwitness.copies import Choice, choose, prove

if TYPE_CHECKING:
    from earwitness.library import Entry, Library

OTHERS: Final = "other copies"


class Taken(NamedTuple):
    """What became of a file that was brought in."""

    entry: Entry  # of its recording, whichever file that is now
    choice: Choice  # REPLACE also where there was none before
    path: Path | None  # where the file is now; None: dropped, and still where it was
    other: Path | None = None  # what does not have the recording's name, if both are kept


def take(library: Library, source: Path, *, how: str) -> Taken:
    """Take in a complete file that already lies in the library folder under another name, or on another disk.

    It appears under its name whole or not at all; `how` is told in the custody log (`USB`, `card`, …). Where there is a
    copy already, the better one has the name, and nothing that only one of them proves is lost (copies.py). Raises
    FormatError or IntegrityError for what is no recording, or has neither its header nor the copy of it.
    """
    place = library.place_for(source)
    if place == source or not place.exists():
        return _put(library, source, place, how)
    choice = choose(source, place)
    if choice is Choice.DROP:
        return Taken(library.entry(place), choice, None)
    if choice is Choice.REPLACE:
        return _put(library, source, place, how)
    here, fresh = prove(place), prove(source)
    if not here.intact and (fresh.intact or fresh.count > here.count):
        other = _set_aside(library, place, place.stem)
        return _put(library, source, place, how)._replace(choice=choice, other=other)
    other = _set_aside(library, source, place.stem)
    return Taken(library.entry(place), choice, other, other)


def _put(library: Library, source: Path, place: Path, how: str) -> Taken:
    _move(library, source, place)
    entry = library.entry(place)
    library.came(entry, how, again=True)
    return Taken(entry, Choice.REPLACE, place)


def _set_aside(library: Library, path: Path, stem: str) -> Path:
    """Move a copy to the others, under a name that the same bytes always have."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    place = library.root / OTHERS / f"{stem}-copy-{digest[:16]}.ewr"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    _move(library, path, place)
    return place


def _move(library: Library, source: Path, place: Path) -> None:
    if source.parent.absolute() == library.root:
        with source.open("rb+") as file:
            os.fsync(file.fileno())
        source.replace(place)
    else:
        with source.open("rb") as old, replacing(place, mode=0o600) as new:
            shutil.copyfileobj(old, new, 1 << 20)
