"""Makes room in the journal: copies what lives out of the oldest sector, then erases it. Idle set. Layout: journal.py."""

from micropython import const

from recorder.hal import flash
from recorder.store.journal import CHECKPOINT, FAULT, FINAL, FREED, MARK, RECEIPT
from recorder.store.journal_reading import entries

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.store.journal import Journal

_FIRST = const(4)
_SECTOR = const(4096)
_HEAD_BYTES = const(16)
_MARKED = const(8)
_RECEIPTED = const(32)  # newest recordings whose receipts are kept; a computer gives another where it needs one
_RESERVE = const(2)


def tidy(journal: "Journal") -> bool:
    """One step of making room, at most one erase (tens of ms). True if there is more to do. Idle only."""
    sector = (journal.head + 1 + journal.free) % journal.sectors
    if journal.free == journal.sectors - 1:
        return False
    if journal.generation_of(sector):
        if not journal.free:
            return False
        if journal.free > _RESERVE:
            if not journal.sweeps or journal.sectors - journal.free <= _needed(journal):
                return False
            journal.sweeps -= 1
        for at, kind, seq, _ in entries(journal, sector):
            slot = ((_FIRST + sector) * _SECTOR + at) >> 4
            if _lives(journal, slot, kind, seq):
                if kind == FAULT:
                    journal.fault_slots.remove(slot)
                journal.add(kind, seq, journal.payload(slot))
        flash.program((_FIRST + sector) * _SECTOR, bytes(_HEAD_BYTES))
    flash.erase(_FIRST + sector)
    journal.free += 1
    return True


def make_room(journal: "Journal") -> None:
    """Tidy until an entry that begins something fits, if that helps."""
    for _ in range(journal.sectors):
        if journal.free > _RESERVE or not tidy(journal):
            break


def _lives(journal: "Journal", slot: int, kind: int, seq: int) -> bool:
    if kind == FINAL:
        return bool(slot == journal.notes[seq % journal.kept])
    if kind == MARK:
        return seq + _MARKED > journal.newest_seq and not journal.is_freed(seq)
    if kind == FREED:
        return journal.slot_of(seq) != 0
    if kind == RECEIPT:
        return seq + _RECEIPTED > journal.newest_seq and not journal.is_freed(seq)
    if kind == CHECKPOINT:
        return slot == journal.last[3] and journal.opened != 0
    return slot in journal.fault_slots or slot in (journal.opened, journal.beacon_slot, journal.light_slot)


def _needed(journal: "Journal") -> int:
    """Sectors that hold all that lives, at most: notes take up to 384 bytes, and a sector's end may stay unused."""
    size = 2048 + 80 * _RECEIPTED + 48 * sum(journal.marks_kept)
    for slot in journal.notes:
        if slot:
            size += 416
    return 2 + size // 3600
