"""The unfinished copy of a recording: a `.part` file that any interruption leaves to be taken up again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from earwitness import checkpoint
from earwitness.container import find_header
from earwitness.errors import EarwitnessError, FormatError
from earwitness.link.client import Page
from earwitness.link.messages import PAGE_BYTES, Recording
from earwitness.page import AUDIO, CHECKPOINT, HEADER, MAGIC, SUITE, Header

if TYPE_CHECKING:
    from earwitness.library import Library

_OURS: Final = tuple(MAGIC + bytes((kind, SUITE)) for kind in (HEADER, AUDIO, CHECKPOINT))
_CHECKPOINT: Final = _OURS[2]
_HEAD_BYTES: Final = 28


class OtherFileError(FormatError):
    """The file holds another recording than the one that was listed, or none that could ever be taken in."""


def part_path(library: Library, recording: Recording) -> Path:
    """The unfinished copy of a recording, hidden, beside where it will be."""
    return library.root / f".{recording.recording_id.hex()}.part"


class Part:
    """A `.part` file, open for reading and writing, cut to the pages of `recording` that it holds already."""

    def __init__(self, file: BinaryIO, recording: Recording) -> None:
        self._file = file
        self._recording = recording
        self._found: Header | None = None
        self._sought = False
        size = file.seek(0, os.SEEK_END)
        ours = self._is_ours(0) or self._is_ours(1)  # page 0 may be one that the card cannot read
        self.pages = min(size // PAGE_BYTES, recording.pages) if ours else 0
        file.truncate(self.pages * PAGE_BYTES)

    @property
    def is_finished(self) -> bool:
        """Whether its last page is the final note."""
        return self.pages > 2 and self.is_final(self._read(self.pages - 1))

    def store(self, page: Page) -> None:
        """Append a page; one that could not be read as zeros, which verification names."""
        self._file.seek(self.pages * PAGE_BYTES)
        self._file.write(page.data if page.data is not None else bytes(PAGE_BYTES))
        self.pages += 1
        if self.pages == min(2, self._recording.pages):
            self._check_id()

    def is_final(self, page: bytes) -> bool:
        """Whether this page ends the recording: the key of its header signed that nothing follows.

        Nothing less will do. A reader that stops at what only looks like the end loses all that stands behind.
        """
        if page[:6] != _CHECKPOINT or self.pages < 2:
            return False
        header = self._header()
        signed = checkpoint.stray_note(page, header) if header else None
        return signed is not None and signed.final

    def cut(self) -> None:
        """Cut unused space behind the last page of this recording: files on the card are allocated ahead."""
        while self.pages > 1 and not self._is_ours(self.pages - 1):
            self.pages -= 1
        self._file.truncate(self.pages * PAGE_BYTES)

    def _read(self, number: int, count: int = PAGE_BYTES) -> bytes:
        self._file.seek(number * PAGE_BYTES)
        return self._file.read(count)

    def _is_ours(self, number: int) -> bool:
        head = self._read(number, _HEAD_BYTES)
        return head[:6] in _OURS and head[12:] == self._recording.recording_id

    def _header(self) -> Header | None:
        """From page 0 or its copy in page 1; None if neither is good."""
        if not self._sought:
            self._sought = True
            try:
                self._found, _ = find_header(self._read(0), self._read(1))
            except EarwitnessError:
                self._found = None
        return self._found

    def _check_id(self) -> None:
        header = self._header()
        if header is None and not (self._is_ours(0) or self._is_ours(1)):
            raise OtherFileError(
                f"Recording {self._recording.seq} cannot be read: neither its beginning nor the copy of it holds."
            )
        found = header.recording_id if header else self._recording.recording_id
        if found != self._recording.recording_id:
            raise OtherFileError(
                f"Recording {self._recording.seq} is not the one that was listed: its file holds another."
            )
