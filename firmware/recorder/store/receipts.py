"""Which recordings a computer holds, as its receipts in the journal say. Idle set."""

from struct import unpack_from

from recorder.store.journal import RECEIPT
from recorder.store.journal_reading import every

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.store.journal import Journal


def receipts(journal: "Journal") -> "dict[int, int]":
    """seq -> pairing epoch of the newest receipt for it. Reads the whole log: tens of ms."""
    found = {}  # type: dict[int, int]
    for seq, payload in every(journal, RECEIPT):
        found[seq] = max(found.get(seq, 0), unpack_from("<I", payload)[0])
    return found
