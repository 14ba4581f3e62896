"""What this computer knows of the recordings around one: their headers, their signed ends, and the recorder's own word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwitness.errors import EarwitnessError
from earwitness.library import Entry, read_header
from earwitness.places import EXCERPT_SUFFIX

if TYPE_CHECKING:
    from earwitness.chain import Chain

_CHECKPOINT: Final = b"EWR1\x03"  # FORMAT.md, "Checkpoint page"
_PAGE_BYTES: Final = 4096


class Neighbours:
    """Finds the chain of a recording among all that are here. Files are read only for numbers next to it."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        from earwitness.devices import DeviceStore

        self._paths: dict[tuple[str, int], list[Path]] = defaultdict(list)
        for entry in entries:
            self._paths[entry.row.device_key, entry.seq].append(entry.path)
        self._records = {record.public_key: record for record in DeviceStore().all()}

    def of(self, item: Entry | Path) -> tuple[Chain, bytes | None]:
        """The chain around this recording, and its recorder's key if this computer is paired with it."""
        from earwitness.chain import Chain

        if isinstance(item, Entry):
            device, seq = item.row.device_key, item.seq
        elif item.suffix == EXCERPT_SUFFIX:
            from earwitness.excerpt import Excerpt

            header = Excerpt(item).header
            device, seq = header.device.hex(), header.seq
        else:
            _id, device, seq, _short = read_header(item)
        recordings, finals = {}, {}
        for number in (seq - 1, seq, seq + 1):
            paths = self._paths.get((device, number), [])
            heads = frozenset(head for path in paths if (head := _head(path)) is not None)
            notes = frozenset(text for path in paths if (text := _last_note(path)))
            if heads:
                recordings[number] = heads
            if notes:
                finals[number] = notes
        record = self._records.get(device)
        newest = record.newest if record and record.newest else None
        return Chain(recordings=recordings, finals=finals, newest=newest), record.public if record else None


def _head(path: Path) -> tuple[bytes, bytes] | None:
    from earwitness.container import Container

    try:
        header = Container(path).header
    except (EarwitnessError, OSError):
        return None
    return header.recording_id, header.prev


def _last_note(path: Path) -> bytes:
    """The note in the file's last page, unchecked: whoever uses it checks its signature."""
    try:
        with path.open("rb") as file:
            pages = file.seek(0, 2) // _PAGE_BYTES
            file.seek(max(pages - 1, 0) * _PAGE_BYTES)
            page = file.read(_PAGE_BYTES)
    except OSError:
        return b""
    if page[:5] != _CHECKPOINT:
        return b""
    return page[34 : 34 + int.from_bytes(page[32:34], "little")]
