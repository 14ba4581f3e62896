"""Take recordings from the card itself: mounted as a folder, or as an image or raw device holding FAT32.

Nothing is ever written to the card.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from earwitness.devices import DeviceStore
from earwitness.errors import EarwitnessError, FormatError, NoDeviceError
from earwitness.link.client import Page
from earwitness.link.messages import FINAL, PAGE_BYTES, Recording
from earwitness.sync import FAILED, Item, Progress, SyncReport, take_all

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.library import Library

_NAME: Final = re.compile(r"EW(\d{6})\.EWR", re.IGNORECASE)  # FORMAT.md, "Files on the card"
_READ_PAGES: Final = 64
_HEAD_BYTES: Final = 28
_SECTOR_BYTES: Final = 512
_SKIP_BYTES: Final = 1 << 20


class _File(Protocol):
    def read(self, count: int) -> bytes: ...


class _Card(Protocol):
    """The two things that are asked of a card."""

    def files(self) -> list[tuple[str, int]]:
        """(name, bytes) of each file in the root."""

    def open(self, name: str, offset: int) -> Any:
        """Context manager that gives a `_File` from `offset` on."""


class _Folder:
    """A mounted card."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> list[tuple[str, int]]:
        return [(path.name, path.stat().st_size) for path in self._root.iterdir() if path.is_file()]

    @contextmanager
    def open(self, name: str, offset: int) -> Iterator[_File]:
        with (self._root / name).open("rb") as file:
            file.seek(offset)
            yield file


class _Image:
    """A FAT32 image or raw device, read through ChaN's FatFs (package `fatfs-ng`); a partition table is stepped over."""

    def __init__(self, path: Path) -> None:
        try:
            from fatfs import wrapper  # type: ignore[import-untyped]
            from fatfs.diskio import Disk  # type: ignore[import-untyped]
        except ImportError as error:
            raise EarwitnessError(
                "Reading card images needs the package fatfs-ng.", "Install it, or mount the card and give its folder."
            ) from error
        self._wrapper: Any = wrapper
        raw = path.open("rb")
        self._raw = raw
        sectors = raw.seek(0, os.SEEK_END) // _SECTOR_BYTES

        class ReadOnly(Disk):  # type: ignore[misc]
            """Answers reads and refuses writes."""

            def ioctl_get_sector_count(self) -> int:
                return sectors

            def ioctl_get_sector_size(self) -> int:
                return _SECTOR_BYTES

            def ioctl_get_block_size(self) -> int:
                return 1

            def read(self, sector: int, count: int) -> bytes:
                raw.seek(sector * _SECTOR_BYTES)
                return raw.read(count)

            def write(self, _sector: int, _data: bytes) -> None:
                raise OSError("the card is never written to")

        self._partition = wrapper.Partition(ReadOnly())
        try:
            self._partition.mount()
        except Exception as error:
            raw.close()
            raise FormatError(
                f"{path} holds no FAT32 file system.", "Give the mounted folder of the card, or an image of it."
            ) from error

    def close(self) -> None:
        """Let go of the image."""
        self._partition.unmount()
        self._raw.close()

    def files(self) -> list[tuple[str, int]]:
        from fatfs.partition_extended import PartitionExtended  # type: ignore[import-untyped]

        card = PartitionExtended(self._partition)
        return [(name, int(card.stat("/" + name)["size"])) for name in card.listdir("/") if _NAME.fullmatch(name)]

    @contextmanager
    def open(self, name: str, offset: int) -> Iterator[_File]:
        with self._partition.open("/" + name, "rb") as file:
            while offset:  # FatFs is asked to read forward: its handle here has no seek
                skipped = file.read(min(offset, _SKIP_BYTES))
                if not skipped:
                    break
                offset -= len(skipped)
            yield file


class CardSource:
    """Recordings on a card, found by name and by their first page."""

    how = "card"

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
                with self._card.open(name, 0) as file:
                    head = file.read(_HEAD_BYTES)
            except OSError as error:
                self.unreadable.append(Item(int(match[1]), "", FAILED, reason=f"{name} cannot be read: {error}"))
                continue
            if head[:5] != b"EWR1\x01":
                continue  # prepared for the next recording, not begun
            recording_id = bytes(head[12:28])
            self._names[recording_id] = name
            found.append(Recording(int(match[1]), recording_id, size // PAGE_BYTES, FINAL))
        return found

    def read(self, recording: Recording, first: int) -> Iterator[Page]:
        with self._card.open(self._names[recording.recording_id], first * PAGE_BYTES) as file:
            number = first
            while number < recording.pages:
                try:
                    data = file.read(min(_READ_PAGES, recording.pages - number) * PAGE_BYTES)
                except OSError as error:
                    raise EarwitnessError(
                        f"The card cannot be read at page {number} of recording {recording.seq}: {error}.",
                        "Try another reader; the recorder itself skips bad places.",
                    ) from error
                if len(data) < PAGE_BYTES:
                    return
                for at in range(0, len(data) - PAGE_BYTES + 1, PAGE_BYTES):
                    yield Page(number, bytes(data[at : at + PAGE_BYTES]))
                    number += 1


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
    image: _Image | None = None
    try:
        card: _Card
        if path.is_dir():
            card = _Folder(path)
        else:
            try:
                card = image = _Image(path)
            except PermissionError as error:
                raise NoDeviceError(f"You may not read {path}.", "Mount the card and give its folder.") from error
        source = CardSource(card)
        items = take_all(source, library, pinned=pinned, identity=identity, progress=progress)
        return SyncReport(sorted(items + source.unreadable, key=lambda item: item.seq))
    finally:
        if image is not None:
            image.close()
