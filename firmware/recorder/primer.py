"""Priming: all that a recording needs before its first sample, made while idle so that the switch starts it at once.

Idle set. What it makes is in RAM only, but for the file's space on the card, and is used once or thrown away.
"""

from recorder.running import Primed
from recorder.seal.header import Header
from recorder.seal.log import Log
from recorder.seal.sweeping import sweep
from recorder.store.preparing import prepare

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from recorder.seal.drbg import Drbg
    from recorder.store.identity import Identity
    from recorder.store.journal import Journal
    from recorder.store.volume import Volume


def prime(
    identity: "Identity", journal: "Journal", volume: "Volume", drbg: "Drbg", between: "Callable[[], object]"
) -> Primed:
    """The next recording, ready to start. Takes about 1.1 s a recipient on the chip; `between` is called every 10 ms
    where it computes, and in the card's waits if it is the card's pump. Raises CardError."""
    header = Header(identity, journal.newest_seq + 1, journal.prev_hash(), drbg, between)
    log = Log(identity, header.recording_id, header.seq, header.prev)
    log.add(header.leaf)
    log.begin("running", header.page)
    while not log.step():
        between()
    checkpoint = log.page()
    file = prepare(volume, header.seq)
    sweep()  # the recording key is wiped where it lay; this takes what a temporary may have left
    # Nothing here is an object of the idle set: it would keep the code that made it in memory.
    return Primed(header.seq, header.recording_id, header.prev, header.page, header.sealer, log, checkpoint, file)
