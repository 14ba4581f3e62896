"""The file as a row of pages, read in constant memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from earwitness import checkpoint
from earwitness.errors import EarwitnessError, IntegrityError
from earwitness.page import PAGE_BYTES, Header, is_recording, parse_header

_BATCH_PAGES = 64


class Container:
    """An `.ewr` file on disk.

    `header` comes from page 0 if checkpoint 0 does not contradict it, else from the copy in checkpoint 0;
    `header_fault` says in words what is wrong with page 0, or is empty. Raises FormatError if the file is no recording,
    IntegrityError if header and copy are both spoilt.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.size_bytes = self.path.stat().st_size
        self.size_pages, self.odd_bytes = divmod(self.size_bytes, PAGE_BYTES)
        with self.path.open("rb") as file:
            first, second = file.read(PAGE_BYTES), file.read(PAGE_BYTES)
        self.header, self.header_fault = find_header(first, second)

    def pages(self) -> Iterator[bytes]:
        """Every whole page, in file order, page 0 included; bytes short of a page at the end are left out."""
        left = self.size_pages
        with self.path.open("rb") as file:
            while left:
                batch = file.read(min(left, _BATCH_PAGES) * PAGE_BYTES)
                for at in range(0, len(batch) - PAGE_BYTES + 1, PAGE_BYTES):
                    yield batch[at : at + PAGE_BYTES]
                    left -= 1
                if len(batch) < PAGE_BYTES:
                    return  # the file was cut while it was read


def find_header(first: bytes, second: bytes) -> tuple[Header, str]:
    """The header to rely on, from pages 0 and 1, and what is wrong with page 0, in words.

    Raises as `Container` does.
    """
    own, fault = _try(lambda: parse_header(first))
    copy, _ = _try(lambda: checkpoint.header_copy(second))
    if own and copy and own.recording_id != copy.recording_id and own.envelope != copy.envelope:
        copy = None  # a stale sector: checkpoint 0 of an older recording behind the header of this one
    if copy:
        return copy, "" if copy.page == first else "page 0, the header, is damaged; its copy in checkpoint 0 is good"
    if own:
        return own, ""
    assert fault is not None
    if is_recording(first, second):
        raise IntegrityError(
            f"The header of this recording is damaged, and so is its copy. {fault.message}",
            "Sync it from the recorder again, or use another copy of the file.",
        ) from fault
    raise fault


def _try(read: Callable[[], Header]) -> tuple[Header | None, EarwitnessError | None]:
    try:
        return read(), None
    except EarwitnessError as error:
        return None, error
