"""Which recordings a computer holds, as its receipts in the journal say. Idle set."""

from struct import unpack_from

from recorder.errors import CardError
from recorder.store.journal import RECEIPT
from recorder.store.journal_reading import every

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.store.journal import Journal
    from recorder.store.volume import Volume


def receipts(journal: "Journal") -> "dict[int, int]":
    """seq -> pairing epoch of the newest receipt for it. Reads the whole log: tens of ms."""
    found = {}  # type: dict[int, int]
    for seq, payload in every(journal, RECEIPT):
        found[seq] = max(found.get(seq, 0), unpack_from("<I", payload)[0])
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
