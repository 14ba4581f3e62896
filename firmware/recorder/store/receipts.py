"""Which recordings a computer holds, as its receipts in the journal say, and what else of many is read in one pass. Idle set."""

from micropython import const

from recorder.errors import CardError
from recorder.store.journal import MARK, RECEIPT
from recorder.store.journal_reading import numbers

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.store.journal import Journal
    from recorder.store.volume import Volume


_MARKED = const(8)  # recordings whose marks are kept
_MARKS = const(64)  # of each, the first: LINK.md "Limits"


def receipts(journal: "Journal", marks: "dict[int, list[int]] | None" = None) -> "dict[int, int]":
    """seq -> pairing epoch of the newest receipt for it. In the same reading of the whole log `marks`, if there is one, gets
    seq -> file pages that hold a mark, in order."""
    found = {}  # type: dict[int, int]
    for kind, seq, number in numbers(journal, (RECEIPT, RECEIPT if marks is None else MARK)):
        if kind == RECEIPT:
            found[seq] = max(found.get(seq, 0), number)
        elif marks is not None and journal.marked[seq % _MARKED] == seq:
            pages = marks.setdefault(seq, [])
            if number not in pages:
                pages.append(number)
                pages.sort()
                del pages[_MARKS:]
    return found


def at_stake(volume: "Volume", covered: "set[bytes]") -> bool:
    """The card holds a recording, whoever's, whose id is not among those that the computer holds."""
    begin = bytearray(28)
    for seq in volume.seqs():
        try:
            volume.read_page(seq, 0, begin)
        except CardError:
            return True
        if begin[:4] == b"EWR1" and bytes(begin[12:28]) not in covered:
            return True
    return volume.has_set_aside()
