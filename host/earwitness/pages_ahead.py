"""Pages of a recording that came ahead of it (marked_minutes.py): kept at their places in a file with holes, opened in any order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from earwitness import events, keys, page
from earwitness.body import Body
from earwitness.container import find_header
from earwitness.errors import EarwitnessError
from earwitness.link.messages import PAGE_BYTES
from earwitness.opening import open_page

if TYPE_CHECKING:
    from earwitness.identity import Identity

RATE_HZ: Final = 16_000
_BLOCK_KEYS: Final = 1024  # worked out at once: a minute before a mark has some hundred pages
_MOST_KEYS: Final = 8 * _BLOCK_KEYS  # held at once


class Pages:
    """The pages of one recording that came ahead."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._file: BinaryIO = os.fdopen(handle, "r+b")

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def get(self, number: int) -> bytes | None:
        """Page `number` of the file, if it is here."""
        self._file.seek(number * PAGE_BYTES)
        data = self._file.read(PAGE_BYTES)
        return data if page.start(data) is not None else None

    def put(self, number: int, data: bytes) -> None:
        """Keep a page."""
        self._file.seek(number * PAGE_BYTES)
        self._file.write(data)

    def count(self) -> int:
        """Pages that the file has room for."""
        return self._file.seek(0, os.SEEK_END) // PAGE_BYTES


class Opener:
    """Opens pages in any order; only those whose tag is right count."""

    def __init__(self, pages: Pages, identity: Identity) -> None:
        """Raises KeyMissingError if `identity` is no recipient."""
        header, _ = find_header(pages.get(0) or b"", pages.get(1) or b"")
        self._header = header
        self._key = keys.recording_key(header, identity)
        self._pages = pages
        self._starts = [keys.Ratchet(self._key, header)]  # as it stands before each block
        self._page_keys: dict[int, bytes] = {}
        self._opened: dict[int, Body | None] = {}

    def body(self, number: int) -> Body | None:
        """The inside of file page `number`; None where it is not here, no sound, or its tag is wrong."""
        if number not in self._opened:
            data = self._pages.get(number)
            if data is None:
                return None
            start = page.start(data)
            found = None
            if start is not None and start.kind == page.AUDIO and start.number <= number:
                try:
                    found = open_page(data, page.digest(data), self._page_key(start.number))
                except EarwitnessError:
                    found = None
            self._opened[number] = found
        return self._opened[number]

    def _page_key(self, index: int) -> bytes:
        if index not in self._page_keys:
            block = index // _BLOCK_KEYS
            while len(self._starts) <= block:
                ratchet = copy(self._starts[-1])
                ratchet.page_key(len(self._starts) * _BLOCK_KEYS - 1)
                self._starts.append(ratchet)
            if len(self._page_keys) >= _MOST_KEYS:
                self._page_keys.clear()
            ratchet = copy(self._starts[block])
            for at in range(ratchet.index, (block + 1) * _BLOCK_KEYS):
                self._page_keys[at] = ratchet.page_key(at)
        return self._page_keys[index]

    def mark_s(self, numbers: Iterable[int]) -> float | None:
        """The first mark in the first of these pages that has one, else where the first of them begins; seconds from the
        recording's beginning. None if none can be opened."""
        bodies = [body for number in numbers if (body := self.body(number)) is not None]
        marks = (
            events.mark(event)[1] for body in bodies for event in events.parse(body.events) if event.type == events.MARK
        )
        sample = next(marks, bodies[0].first_sample if bodies else None)
        return None if sample is None else float(sample / RATE_HZ)

    def begin_s(self, number: int, until: int) -> float | None:
        """Where page `number`, or the first one with sound from there to `until`, begins in the recording; seconds."""
        bodies = (self.body(one) for one in range(number, until + 1))
        return next((body.first_sample / RATE_HZ for body in bodies if body is not None), None)

    def end_s(self, number: int, since: int) -> float | None:
        """Where page `number`, or the last one with sound from `since` to there, ends in the recording; seconds."""
        bodies = (self.body(one) for one in range(number, since - 1, -1))
        return next((body.end / RATE_HZ for body in bodies if body is not None), None)

    def length_s(self, number: int) -> float:
        """Seconds of sound in page `number`, 0 for what is no sound."""
        body = self.body(number)
        return body.samples / RATE_HZ if body is not None else 0.0
