"""Which recordings are damaged where they were recorded: they are not read from end to end at every sync again.

What was wrong is remembered page by page, and only those pages are asked for again: as long as they come as they came, the
rest need not. Only a reminder: without the file all is read once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from earwitness import places
from earwitness.atomic import write_private
from earwitness.container import Container
from earwitness.errors import EarwitnessError
from earwitness.link.messages import PAGE_BYTES, Recording
from earwitness.structure import Structure

_FILE: Final = "damaged.json"
_MOST_PAGES: Final = 4096  # with more to ask for, all of it may as well be read
_DIGITS: Final = 16


class Settled:
    """Remembers what came of readings that were not whole, by recording and by the way it was read."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or places.state_dir()) / _FILE

    def still(self, recording: Recording, how: str, read: Callable[[int], bytes | None]) -> bool:
        """Whether this recording came damaged the last time and would again. `read` gives a page of the file as it is now,
        None where it cannot be read."""
        found = self._load().get(_key(recording, how))
        if found is None or found.get("pages") != recording.pages or not found.get("wrong"):
            return False
        wrong: dict[str, str] = found["wrong"]
        return all(_digest(read(int(number))) == digest for number, digest in wrong.items())

    def note(self, recording: Recording, how: str, file: Path) -> None:
        """Keep what a reading gave that was not whole: every page of `file` that no signature vouches for."""
        known = self._load()
        known.pop(_key(recording, how), None)
        try:
            proven = {leaf.file_page for leaf in Structure(Container(file)).leaves() if leaf.proven}
        except EarwitnessError:
            proven = set()
        numbers = [number for number in range(file.stat().st_size // PAGE_BYTES) if number not in proven]
        if len(numbers) <= _MOST_PAGES:
            with file.open("rb") as opened:
                known[_key(recording, how)] = {"pages": recording.pages, "wrong": dict(_digests(opened, numbers))}
        write_private(self._path, (json.dumps(known) + "\n").encode())

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and all(isinstance(item, dict) for item in found.values()) else {}


def _digests(file: Any, numbers: list[int]) -> list[tuple[str, str]]:
    out = []
    for number in numbers:
        file.seek(number * PAGE_BYTES)
        out.append((str(number), _digest(file.read(PAGE_BYTES))))
    return out


def _digest(page: bytes | None) -> str:
    """Of a page as it is kept: what could not be read is kept as zeros."""
    return sha256(bytes(PAGE_BYTES) if page is None else page).hexdigest()[:_DIGITS]


def _key(recording: Recording, how: str) -> str:
    return f"{recording.recording_id.hex()} {how}"
