"""Take recordings from the card itself: mounted as a folder, or as an image or raw device holding FAT32.

Nothing is ever written to the card.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from earwitness.container import find_header
from earwitness.copying import take_all
from earwitness.devices import DeviceStore
from earwitness.errors import EarwitnessError, FormatError, NoDeviceError
from earwitness.fat32 import Fat32
from earwitness.item import FAILED, Item, Progress
from earwitness.link.client import Page
from earwitness.link.messages import FINAL, PAGE_BYTES, Recording
from earwitness.sync import SyncReport

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.library import Library

_NAME: Final = re.compile(r"EW(\d{6})\.EWR", re.IGNORECASE)  # FORMAT.md, "Files on the card"
_READ_PAGES: Final = 64
_HEADER: Final = b"EWR1\x01"


class _Card(Protocol):
    """The two things that are asked of a card."""

    def files(self) -> list[tuple[str, int]]:
        """(name, bytes) of each file in the root."""

    def read(self, name: str, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on."""


class _Folder:
    """A mounted card."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> list[tuple[str, int]]:
        return [(path.name, path.stat().st_size) for path in self._root.iterdir() if path.is_file()]

    def read(self, name: str, offset: int, count: int) -> bytes:
        with (self._root / name).open("rb") as file:
            file.seek(offset)
            return file.read(count)


class _Image:
    """An image of a card, or its raw device."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._fat = Fat32(file)
        except OSError as error:
            raise FormatError("There is no FAT32 file system.", "Give the card's folder, or its image.") from error
        self._files = {entry.name: entry for entry in self._fat.files()}

    def files(self) -> list[tuple[str, int]]:
        return [(entry.name, entry.size) for entry in self._files.values()]

    def read(self, name: str, offset: int, count: int) -> bytes:
        return self._fat.read(self._files[name], offset, count)


class CardSource:
    """Recordings on a card, found by name and by their first pages."""

    how = "card"
    to_the_end = True

    def __init__(self, card: _Card) -> None:
        self._card = card
        self._names: dict[bytes, str] = {}
        self.unreadable: list[Item] = []

    def recordings(self) -> list[Recording]:
        found = []
        for name, size in sorted(self._card.files()):
            match = _NAME.fullmatch(name)
            if match is None or size < PAGE_BYTES:
                continue
            try:
                whose = self._whose(name)
            except (OSError, FormatError) as error:
                self.unreadable.append(Item(int(match[1]), "", FAILED, reason=f"{name} cannot be read: {error}"))
                continue
            if whose is None:
                continue  # prepared for the next recording, not begun
            recording_id, device = whose
            self._names[recording_id] = name
            found.append(Recording(int(match[1]), recording_id, size // PAGE_BYTES, FINAL, device=device))
        return found

    def read(self, recording: Recording, first: int, stop: int | None = None) -> Iterator[Page]:
        name = self._names[recording.recording_id]
        number = first
        end = recording.pages if stop is None else min(stop, recording.pages)
        while number < end:
            want = min(_READ_PAGES, end - number)
            try:
                data = self._card.read(name, number * PAGE_BYTES, want * PAGE_BYTES)
            except OSError:
                # One bad sector must not keep the rest from its owner: page by page through this stretch.
                for bad in range(number, number + want):
                    yield Page(bad, self._single(name, bad))
                number += want
                continue
            if len(data) < PAGE_BYTES:
                return
            for at in range(0, len(data) - PAGE_BYTES + 1, PAGE_BYTES):
                yield Page(number, data[at : at + PAGE_BYTES])
                number += 1

    def _whose(self, name: str) -> tuple[bytes, bytes] | None:
        """(recording id, device key) as the first two pages have it, either of which may be spoilt; None: not begun."""
        first, second = self._single(name, 0), self._single(name, 1)
        try:
            header, _ = find_header(first or b"", second or b"")
        except EarwitnessError:
            if first is None:  # and page 1 cannot stand in for it
                raise FormatError("its first page") from None
            return (first[12:28], first[68:100]) if first[:5] == _HEADER else None
        return header.recording_id, header.device

    def _single(self, name: str, page: int) -> bytes | None:
        try:
            data = self._card.read(name, page * PAGE_BYTES, PAGE_BYTES)
        except OSError:
            return None
        return data if len(data) == PAGE_BYTES else None


def import_card(
    path: Path,
    library: Library,
    store: DeviceStore,
    *,
    identity: Identity | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Take in every recording of a card that the library lacks. `path`: mounted folder, image file or raw device."""
    if not path.exists():
        raise NoDeviceError(f"There is no card at {path}.", "Give the folder where it is mounted, or an image of it.")
    pinned = {record.public for record in store.all()}
    with contextlib.ExitStack() as stack:
        card: _Card
        if path.is_dir():
            card = _Folder(path)
        else:
            try:
                card = _Image(stack.enter_context(path.open("rb")))
            except PermissionError as error:
                raise NoDeviceError(f"You may not read {path}.", "Mount the card and give its folder.") from error
        source = CardSource(card)
        items = take_all(source, library, pinned=pinned, identity=identity, progress=progress)
        return SyncReport(sorted(items + source.unreadable, key=lambda item: item.seq))
