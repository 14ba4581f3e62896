"""Priming: all that a recording needs before its first sample, made while idle so that the switch starts it at once.

Idle set. What it makes is in RAM only, but for the file's space on the card, and is used once or thrown away.
"""

from recorder.hal import power
from recorder.seal.header import Header
from recorder.seal.log import Log
from recorder.seal.wipe import sweep
from recorder.store.preparing import prepare

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.seal.drbg import Drbg
    from recorder.store.identity import Identity
    from recorder.store.journal import Journal
    from recorder.store.volume import Volume


class Primed:
    """A recording that has not begun: header, its log with checkpoint 0 signed, and the file with its space."""

    def __init__(self, identity: "Identity", journal: "Journal", volume: "Volume", drbg: "Drbg") -> None:
        """Takes about 1.1 s a recipient on the chip. Raises CardError."""
        self.header = header = Header(identity, journal.newest_seq + 1, journal.prev_hash(), drbg)
        power.feed()
        self.log = Log(identity, header.recording_id, header.seq, header.prev)
        self.log.add(header.leaf)
        self.log.begin("running", header.page)
        while not self.log.step():
            power.feed()
        self.checkpoint = self.log.page()
        self.file = prepare(volume, header.seq)
        sweep()  # the recording key is wiped where it lay; this takes what a temporary may have left

    def forget(self) -> None:
        """Throw it away unused."""
        self.header.sealer.forget()
        self.file.abandon()
