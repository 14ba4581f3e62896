"""Reads the journal back: all of it at a power-up, and what only an idle recorder is asked for. Idle set. Layout: journal.py."""

from binascii import crc32
from struct import unpack_from

from micropython import const

from recorder.hal import flash

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from recorder.store.journal import Journal

_FIRST = const(4)
_SECTOR = const(4096)
_HEAD_BYTES = const(16)
_ENTRY = const(0xE5)


def scan(journal: "Journal") -> None:
    """Learn from every entry, and find where the next one goes."""
    blank = crc32(b"\xff" * _SECTOR)
    buffer = bytearray(_SECTOR)
    for sector in range(journal.sectors):
        generation = journal.generation_of(sector)
        if generation > journal.generation:
            journal.head, journal.generation = sector, generation
    journal.free = 0
    journal.at = _SECTOR  # where the next entry goes
    end = _HEAD_BYTES
    leading = True  # blank sectors right behind the head can be used
    for step in range(1, journal.sectors + 1):
        sector = (journal.head + step) % journal.sectors
        if step == journal.sectors and not journal.generation:
            break
        if journal.generation_of(sector):
            leading = False
            end = _HEAD_BYTES
            for at, kind, seq, length in entries(journal, sector, buffer):
                end = at + 12 + length
                slot = ((_FIRST + sector) * _SECTOR + at) >> 4
                journal.learn(slot, kind, seq, memoryview(buffer)[at + 8 : at + 8 + length])
        elif leading:
            flash.read((_FIRST + sector) * _SECTOR, buffer)
            leading = crc32(buffer) == blank
            journal.free += leading
    if journal.generation:
        # The head was read last. Behind its last written byte, torn or whole, the flash is blank.
        while journal.at > end and buffer[journal.at - 1] == 0xFF:
            journal.at -= 1
        journal.at = (journal.at + 15) & ~15


def entries(
    journal: "Journal", sector: int, buffer: "bytearray | None" = None
) -> "Iterator[tuple[int, int, int, int]]":
    """(offset, kind, seq, payload length) of every whole entry of a sector; `buffer` then holds the sector."""
    if buffer is None:
        buffer = bytearray(_SECTOR)
    flash.read((_FIRST + sector) * _SECTOR, buffer)
    view = memoryview(buffer)
    at = _HEAD_BYTES
    while at < _SECTOR:
        if buffer[at] == _ENTRY:
            _, kind, length, seq = unpack_from("<BBHI", buffer, at)
            end = at + 8 + length
            if end + 4 <= _SECTOR and unpack_from("<I", buffer, end)[0] == crc32(view[at:end]):
                yield at, kind, seq, length
                at = (end + 4 + 15) & ~15
                continue
        at += 16


def numbers(journal: "Journal", kinds: "tuple[int, int]") -> "Iterator[tuple[int, int, int]]":
    """(kind, seq, the u32 that it begins with) of each entry of these kinds, copies included. Reads the whole log: idle only."""
    buffer = bytearray(_SECTOR)
    for sector in range(journal.sectors):
        if journal.generation_of(sector):
            for at, kind, seq, _ in entries(journal, sector, buffer):
                if kind in kinds:
                    yield kind, seq, unpack_from("<I", buffer, at + 8)[0]


def faults(journal: "Journal") -> "list[tuple[int, bytes]]":
    """(seq, text) of the newest faults, oldest first."""
    return [(journal.seq_at(slot), journal.payload(slot)) for slot in journal.fault_slots]


def beacon(journal: "Journal") -> bytes:
    """Kind and 32 bytes of the newest beacon, b"" if none was ever given."""
    return journal.payload(journal.beacon_slot) if journal.beacon_slot else b""


def light(journal: "Journal") -> int:
    """The brightness that was set last, 0 if none ever was."""
    return journal.payload(journal.light_slot)[0] if journal.light_slot else 0
