"""The signed log of one recording: leaves go in, checkpoint pages come out. FORMAT.md, "Checkpoint page".

A signature takes a quarter of a second on the chip, so it is made in slices while pages go on being written; at most 64
leaves go into one checkpoint, and the session writes at most 32 more before the checkpoint's page.
"""

from micropython import const

from recorder import room
from recorder.seal import checkpoint, note
from recorder.seal.ed25519 import Signing
from recorder.seal.merkle import Tree
from recorder.seal.wipe import copy

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.store.identity import Identity

LEAVES = const(64)  # most leaves that one checkpoint lists; the session adds at most 32 more while one is signed


class Log:
    """Leaves of one recording and what is signed of them. `n` leaves are covered by the newest checkpoint."""

    def __init__(self, identity: "Identity", recording_id: bytes, seq: int, prev: bytes) -> None:
        self._identity = identity
        self._id = recording_id
        self._seq = seq
        self._prev = prev
        self._tree = Tree()
        # Those of the checkpoint in hand, then those that no checkpoint lists yet.
        self._leaves = room.LEAVES
        self._listed = 0
        self.pending = 0  # leaves that no checkpoint lists yet
        self._signing: "Signing | None" = None
        self.n = 0
        self.root = b""
        self.note = b""  # the signed note of the newest checkpoint

    def add(self, leaf: "bytes | bytearray") -> None:
        """Take the leaf hash (32 bytes, copied) of the page just written."""
        at = 32 * (self._listed + self.pending)
        self._leaves[at : at + 32] = leaf
        self.pending += 1

    def busy(self) -> bool:
        """A checkpoint is being signed."""
        return self._signing is not None

    def begin(self, state: str, header_page: "bytearray | None" = None) -> None:
        """Start a checkpoint over at most 64 more leaves. `header_page` goes with checkpoint 0 only."""
        self._p = self.n
        self._range = self._tree.range()
        self._listed = min(self.pending, LEAVES)
        self.pending -= self._listed
        for at in range(0, 32 * self._listed, 32):
            self._tree.append(memoryview(self._leaves)[at : at + 32])
        self._header_page = header_page
        self.root = self._tree.root()
        self._body = note.body(
            self._identity.public, self._id, self._p + self._listed, self.root, self._seq, state, self._prev
        )
        self._signing = Signing(self._identity.seed, self._identity.public, self._body)

    def step(self) -> bool:
        """One slice of signing; True when the checkpoint is signed and `page` can be had."""
        signing = self._signing
        if signing is None or not signing.step():
            return False
        self.note = note.signed(self._body, self._identity.public, signing.signature)
        self.n = self._p + self._listed
        self._signing = None
        return True

    def page(self) -> bytearray:
        """The checkpoint page of the note just signed, 4096 bytes; taken once, good until the next."""
        view = memoryview(self._leaves)
        size = 32 * self._listed
        checkpoint.page(
            self._id, self.n, self._p, self.note, [view[:size]], self._range, self._header_page, room.CHECKPOINT
        )
        self._header_page = None
        self._listed = 0
        copy(self._leaves, view[size:], 32 * self.pending)  # upwards through memory: they may overlap
        return room.CHECKPOINT
