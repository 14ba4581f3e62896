"""What a power cut left unfinished is finished at the next start. Idle set. FORMAT.md, "Across recordings".

Only the journal's open recording is touched, or the newest finished one if its final note never reached the card.

What is found on the card and believed: remains.py. What it has less of, or otherwise, than the journal saw is told as
`damaged`, with `seen`.

Safe against a cut at any write: everything up to the last page kept stays as it is. Later pages of this recording are zeroed
first, then a running checkpoint goes behind the last page kept if more than 64 leaves are open, then the final note goes to
the journal, and only then to the card. Cut anywhere, the same is found and done again: up to the journal's entry because
nothing that is read has changed, after it because the note is in the journal and is only put where it belongs.
"""

from binascii import a2b_base64, unhexlify

from micropython import const

from recorder import room
from recorder.seal import checkpoint, note
from recorder.seal.mac import sha256
from recorder.seal.merkle_range import from_range
from recorder.seal.page import HEADER
from recorder.seal.wipe import wipe
from recorder.store.journal import FINAL
from recorder.store.mount import PAGE_BYTES
from recorder.store.patch import Patch
from recorder.store.remains import Remains

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from recorder.store.identity import Identity
    from recorder.store.journal import Journal
    from recorder.store.volume import Volume

_BLOCK_BYTES = const(512)
_LEAVES = const(64)  # of one checkpoint
_LATE_LEAVES = const(32)  # most leaves that stand before a checkpoint without being covered


class Outcome:
    """`state` is recovered, damaged or lost; "end" and the like for a note put back; "cut short" where it could not be."""

    def __init__(self, seq: int, state: str, n: int, seen: int) -> None:
        self.seq = seq
        self.state = state
        self.n = n  # leaves kept
        self.seen = seen  # leaves that the journal knew of


def recover(
    journal: "Journal", volume: "Volume", identity: "Identity", progress: "Callable[[], None] | None" = None
) -> "Outcome | None":
    """Finish what is unfinished; None if nothing is. Raises CardError, and then has to be called again.

    Feeds the watchdog; calls `progress()` about every 40 ms.
    """
    opened = journal.open
    if opened is not None:
        work = _Recovery(volume, identity, opened.seq, opened.id, opened.prev, opened.n, opened.root, progress)
        try:
            return work.finish(journal, opened.header_hash)
        finally:
            work.close()
    seq = journal.newest_final
    final = journal.final_note(seq)
    if final is None or not volume.has(seq):
        return None
    lines = final.decode().split("\n")
    n = int(lines[1])
    if not n or not lines[0].startswith("earwitness/v1/checkpoint/" + note.key_name(identity.public)[11:] + "/"):
        return None  # lost, or of an earlier pairing
    recording_id, root = unhexlify(lines[0][-32:]), a2b_base64(lines[2])
    prev = a2b_base64(lines[5][5:])
    work = _Recovery(volume, identity, seq, recording_id, prev, n, root, progress)
    try:
        return work.put_back(final, lines[4][6:])
    finally:
        work.close()


class _Recovery:
    def __init__(
        self,
        volume: "Volume",
        identity: "Identity",
        seq: int,
        recording_id: bytes,
        prev: bytes,
        seen: int,
        seen_root: bytes,
        progress: "Callable[[], None] | None",
    ) -> None:
        self._seq = seq
        self._id = recording_id
        self._seen = seen
        self._patch = Patch(volume, seq)
        self._remains = Remains(volume, self._patch, identity, recording_id, prev, seen, seen_root, progress)

    def finish(self, journal: "Journal", header_hash: bytes) -> Outcome:
        """Recover the open recording."""
        remains = self._remains
        remains.gather(header_hash, -1)
        n = remains.tree.size
        if n:
            state = "recovered" if remains.same and n >= self._seen else "damaged"
            self._zero()
            self._cover()
        else:
            # Nothing of it is here. Whatever the file holds stays, it may be of an earlier pairing's key; but for a header
            # that was torn while it was written, which would look like a recording that somebody spoilt.
            if not self._seen and remains.head(0, PAGE_BYTES)[0] == HEADER and sha256(remains.page) != header_hash:
                wipe(room.PAGES[2])
                self._patch.write(0, room.PAGES[2])
            state = "lost"
        final = remains.sign(n, remains.tree.root(), state, self._seen)
        # Before the card: a note that went to the card alone could be made twice, and two for one number are a forgery.
        journal.append(FINAL, self._seq, final)
        if n:
            self._patch.write(remains.kept, self._build(n, remains.covered, final))
        return Outcome(self._seq, state, n, self._seen)

    def put_back(self, final: bytes, state: str) -> "Outcome | None":
        """Bring the final note to the card if it is not there."""
        remains = self._remains
        n = self._seen
        # At the end of a file that was closed; else behind its last leaf, at most one running checkpoint between.
        if self._patch.pages and remains.has(self._patch.pages - 1, final):
            return None
        last = remains.near(n - 1)
        for place in range(last, min(last + 4, self._patch.pages)):
            if remains.has(place, final):
                return None
        remains.gather(b"", n)
        if remains.tree.size != n or not remains.same:
            return Outcome(self._seq, "cut short", remains.tree.size, n)
        self._zero()
        self._cover()
        self._patch.write(remains.kept, self._build(n, remains.covered, final))
        return Outcome(self._seq, state, n, n)

    def close(self) -> None:
        """Let go of file and key."""
        self._remains.forget()
        self._patch.close()

    def _zero(self) -> None:
        """Zero every page of this recording behind those kept: none may stand behind a final note.

        The first block, which says whose page it is, goes last: after a cut the page is found again.
        """
        remains = self._remains
        wipe(room.PAGES[2])
        blank = memoryview(room.PAGES[2])
        for place in range(remains.kept, remains.end):
            if remains.head(place)[0]:
                self._patch.write(place, blank[_BLOCK_BYTES:], _BLOCK_BYTES)
                self._patch.write(place, blank[:_BLOCK_BYTES])

    def _cover(self) -> None:
        """Put running checkpoints where the final one could not list all leaves that are open, or none stands at all."""
        remains = self._remains
        n = remains.tree.size
        if not remains.covered:
            if n == 1 and remains.leaf_0() is not None:
                room.PAGES[3][:] = remains.page
                signed = remains.sign(1, remains.tree.root(), "running", None)
                self._patch.write(
                    remains.kept,
                    checkpoint.page(self._id, 1, 0, signed, remains.held, [], room.PAGES[3], room.CHECKPOINT),
                )
                remains.kept += 1
            remains.covered = 1
        if n - remains.covered > _LEAVES:
            # More than 96 are open only where a checkpoint is damaged; then the last 96 are listed.
            upto = max(remains.covered + _LEAVES, n - _LATE_LEAVES)
            remains.advance(upto - _LEAVES)
            tree = from_range(remains.base.size, remains.base.range())
            for leaf in remains.held[:_LEAVES]:
                tree.append(leaf)
            signed = remains.sign(upto, tree.root(), "running", None)
            self._patch.write(remains.kept, self._build(upto, upto - _LEAVES, signed))
            remains.kept += 1
            remains.covered = upto

    def _build(self, n: int, p: int, signed: bytes) -> bytearray:
        remains = self._remains
        remains.advance(p)
        return checkpoint.page(
            self._id, n, p, signed, remains.held[: n - p], remains.base.range(), None, room.CHECKPOINT
        )
