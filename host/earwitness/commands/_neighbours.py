"""What this computer knows of the recordings around one: what the recorder signed in them, and its own word at sync."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwitness import places
from earwitness.library import Entry, read_header
from earwitness.places import EXCERPT_SUFFIX

if TYPE_CHECKING:
    from earwitness.chain import Chain

_CHECKPOINT: Final = b"EWR1\x03"  # FORMAT.md, "Checkpoint page"
_PAGE_BYTES: Final = 4096


class Neighbours:
    """Finds the chain of a recording among all that are here. Two pages are read of each file with a number next to it."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        from earwitness.devices import DeviceStore

        self._paths: dict[tuple[str, int], list[Path]] = defaultdict(list)
        for entry in entries:
            self._paths[entry.row.device_key, entry.seq].append(entry.path)
        self._records = {record.public_key: record for record in DeviceStore().all()}

    def of(self, item: Entry | Path) -> tuple[Chain, bytes | None]:
        """The chain around this recording, and its recorder's key if this computer is paired with it."""
        from earwitness.chain import Chain, signed_head

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
            seen = [(_second_page(path), _last_note(path)) for path in paths]
            found = (signed_head(second, last, bytes.fromhex(device), number) for second, last in seen)
            heads = frozenset(head for head in found if head)
            notes = frozenset(last for _, last in seen if last) | _kept_end(device, number)
            if heads:
                recordings[number] = heads
            if notes:
                finals[number] = notes
        record = self._records.get(device)
        if record is None:
            return Chain(recordings, finals), None
        newest, told = record.newest or None, bytes.fromhex(record.newest_hash) or None
        return Chain(recordings, finals, newest=newest, newest_hash=told), record.public


def _kept_end(device: str, seq: int) -> frozenset[bytes]:
    """The final note that the recorder told at a sync of a recording which is on no card any more."""
    from earwitness.link.messages import short_key

    try:
        name = f"{short_key(bytes.fromhex(device))}-{seq:06d}.note"
        return frozenset((places.library_dir().joinpath(places.ENDS, name).read_bytes(),))
    except OSError:
        return frozenset()


def _second_page(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(_PAGE_BYTES)
            return file.read(_PAGE_BYTES)
    except OSError:
        return b""


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
