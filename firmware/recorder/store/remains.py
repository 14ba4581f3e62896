"""What of a recording is on the card: the leaves and checkpoints that this recorder made. Idle set.

What on a card is believed, since anybody may have written to it:
- a leaf, if its device tag is right: only this recorder can make one, and only for this recording;
- a checkpoint, if signing its text again gives the very page. Ed25519 signs deterministically, so this recorder signed just
  that before; the signature made for the comparison is thrown away and says nothing new to anybody;
- nothing else.
"""

from struct import unpack_from

from micropython import const

from recorder import room
from recorder.errors import CardError, FormatError
from recorder.hal import power
from recorder.seal import checkpoint_fields, note
from recorder.seal.ed25519 import Signing
from recorder.seal.mac import equal, hmac_into, sha256
from recorder.seal.merkle import Tree
from recorder.seal.merkle_range import from_range
from recorder.seal.page import AUDIO, CHECKPOINT, HEADER, MAGIC, SUITE, device_tag_key
from recorder.seal.wipe import wipe
from recorder.store.mount import PAGE_BYTES

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from recorder.store.identity import Identity
    from recorder.store.patch import Patch
    from recorder.store.volume import Volume

_HEAD_BYTES = const(28)
_TAG_OFFSET = const(4048)
_DEVICE_TAG_OFFSET = const(4080)
_LEAVES = const(64)  # of one checkpoint
_BEFORE_LEAVES = const(200)  # so far before the newest checkpoint that the journal knows is looked: three of them
_BEFORE_PAGES = const(128)  # so far before a checkpoint the first leaf that it does not cover may stand
_AHEAD_PAGES = const(256)  # without one of this recording they are its end: 1 MiB, what a card may lose as one
_HELD = const(160)  # leaf hashes held back for the lists of the last two checkpoints
_CHECKPOINTS = const(16)  # newest ones that are tried


class Remains:
    """`gather` finds what is kept. `seen`, `seen_root`: the newest checkpoint that the journal knows.

    page: what was read last. tree: all leaves; base: all but those `held` back. same: the journal's root was met. covered:
    leaves under the last valid checkpoint. kept: pages that stay. end: behind the last page of this recording.
    """

    def __init__(
        self,
        volume: "Volume",
        patch: "Patch",
        identity: "Identity",
        recording_id: bytes,
        prev: bytes,
        seen: int,
        seen_root: bytes,
        progress: "Callable[[], None] | None",
    ) -> None:
        self._volume = volume
        self._patch = patch
        self._identity = identity
        self._id = recording_id
        self._prev = prev
        self._seen = seen
        self._seen_root = seen_root
        self._progress = progress
        self._key = device_tag_key(identity.device_secret, recording_id)
        self.page = room.PAGES[1]
        self.tree = Tree()
        self.base = Tree()
        self.held = []  # type: list[bytes]
        self.same = seen == 0
        self.covered = 0
        self.kept = 0
        self.end = 0

    def forget(self) -> None:
        """Wipe the key."""
        wipe(self._key)

    def gather(self, header_hash: bytes, most: int) -> None:
        """Find what is kept: tree, leaves held back, pages. `most` leaves, or -1 for all there are."""
        if not self._start_near(self.near(max(self._seen - _BEFORE_LEAVES, 0))) and not self._start_near(0):
            leaf = self.leaf_0()
            if leaf is not None and (not header_hash or sha256(self.page) == header_hash):
                self._add(leaf)
                self.kept = 1
        if self.tree.size:
            self._add_leaves(most)

    def _start_near(self, begin: int) -> bool:
        """Start from the last valid checkpoint behind `begin`; False if there is none. First only heads are read."""
        for place in reversed(self._look_from(begin)):
            fields = self._checkpoint(place)
            if fields is not None:
                self._start(fields)
                self.kept = place + 1
                return True
        return False

    def near(self, leaf: int) -> int:
        """A place not behind the page of `leaf`, close to it: leaves say how far it is, checkpoints between make it farther."""
        place = leaf
        missed = 0
        while place < self._patch.pages and missed < _AHEAD_PAGES and leaf:
            kind, number = self.head(place)
            if kind == AUDIO:
                if number >= leaf:
                    return place
                place += leaf - number
            else:
                missed += kind == 0
                place += 1
        return 0

    def _look_from(self, begin: int) -> "list[int]":
        """Places of the newest pages that look like checkpoints of this recording; sets `end`."""
        places = []  # type: list[int]
        self.end = begin
        # The journal knows that pages go at least this far, whatever cannot be read before.
        least = self._seen + self._seen // _LEAVES
        place = begin
        while place < self._patch.pages and (place < least or place < self.end + _AHEAD_PAGES):
            kind = self.head(place)[0]
            if kind:
                self.end = place + 1
                if kind == CHECKPOINT:
                    places.append(place)
                    if len(places) > _CHECKPOINTS:
                        places.pop(0)
            place += 1
        return places

    def head(self, place: int, count: int = _HEAD_BYTES) -> "tuple[int, int]":
        """(page type, leaf number or n) of a page that says it is of this recording, else (0, 0). `count` bytes are read."""
        if not place & 31:
            self._breathe()
        if self._read(place, memoryview(self.page)[:count]):
            magic, kind, suite, zero, number, whose = unpack_from("<4sBBHI16s", self.page, 0)
            if magic == MAGIC and suite == SUITE and not zero and whose == self._id:
                return kind, number if kind != HEADER else 0
        return 0, 0

    def _read(self, place: int, into: "bytearray | memoryview") -> bool:
        try:
            self._volume.read_page(self._patch.seq, place, into)
            return True
        except CardError as error:
            if error.kind != CardError.FAILED:
                raise
            self._patch.close()
            self._volume.measure()  # one bad page, or all of the card? Raises if it is the card
            return False

    def _leaf(self) -> "bytes | None":
        """The leaf hash of the page just read, if its device tag is right."""
        page = memoryview(self.page)
        digest = sha256(page[:_TAG_OFFSET])
        tag = bytearray(16)
        hmac_into(tag, self._key, digest, page[_TAG_OFFSET:_DEVICE_TAG_OFFSET])
        if not equal(tag, page[_DEVICE_TAG_OFFSET:]):
            return None
        return sha256(b"\0", digest, page[_TAG_OFFSET:])

    def leaf_0(self) -> "bytes | None":
        """The leaf hash of page 0, which is in `page` then; None if it is not this recorder's."""
        return self._leaf() if self.head(0, PAGE_BYTES)[0] == HEADER else None

    def _checkpoint(self, place: int) -> "checkpoint_fields.Fields | None":
        """The running checkpoint at `place` if this recorder made it, to the last byte."""
        fields = self._fields(place)
        if fields is None:
            return None
        try:
            tree = from_range(fields.p, fields.range)
        except FormatError:
            return None
        for leaf in fields.leaves:
            tree.append(leaf)
        text = self._body(fields.n, tree.root(), "running", None)
        if fields.note[: len(text)] != text or self._sign_text(text) != fields.note:
            return None
        header = fields.header_page
        if header is not None:
            # The copy of page 0 is not under the signature but through its leaf.
            leaf = sha256(b"\0", sha256(memoryview(header)[:_TAG_OFFSET]), memoryview(header)[_TAG_OFFSET:])
            if leaf != fields.leaves[0]:
                return None
        return fields

    def has(self, place: int, final: bytes) -> bool:
        """The checkpoint page of `final` is at `place`, whole."""
        if self.head(place) != (CHECKPOINT, self._seen):
            return False
        fields = self._fields(place)
        if fields is None or fields.note != final:
            return False
        try:
            tree = from_range(fields.p, fields.range)
        except FormatError:
            return False
        for leaf in fields.leaves:
            tree.append(leaf)
        return tree.root() == self._seen_root

    def _fields(self, place: int) -> "checkpoint_fields.Fields | None":
        if not self._read(place, self.page):
            return None
        try:
            fields = checkpoint_fields.parse(self.page)
        except FormatError:
            return None
        return fields if fields.recording_id == self._id else None

    # --- the tree --------------------------------------------------------------------------------------------------

    def _start(self, fields: "checkpoint_fields.Fields") -> None:
        self.base = from_range(fields.p, fields.range)
        self.tree = from_range(fields.p, fields.range)
        # A later tree that this recorder signed contains the one that the journal knows: it only ever adds leaves.
        self.same = self.same or fields.p > self._seen
        self._compare()
        for leaf in fields.leaves:
            self._add(leaf)
        self.covered = fields.n

    def _add(self, leaf: bytes) -> None:
        self.tree.append(leaf)
        self.held.append(leaf)
        if len(self.held) > _HELD:
            self.base.append(self.held.pop(0))
        self._compare()

    def _compare(self) -> None:
        if self.tree.size == self._seen and self._seen:
            self.same = self.tree.root() == self._seen_root

    def _add_leaves(self, most: int) -> None:
        """Add the leaves that follow without a gap, wherever checkpoints or bad pages stand between; at most `most`."""
        place = max(self.kept - _BEFORE_PAGES, 0)
        while place < self.end and self.tree.size != most:
            kind, number = self.head(place, PAGE_BYTES)
            if kind == AUDIO and number >= self.tree.size:
                leaf = self._leaf()
                if leaf is None or number > self.tree.size:
                    break
                self._add(leaf)
                self.kept = max(self.kept, place + 1)
            place += 1

    def advance(self, size: int) -> None:
        """Move leaves that are held back into the base until it has `size`."""
        while self.base.size < size:
            self.base.append(self.held.pop(0))

    # --- notes -----------------------------------------------------------------------------------------------------

    def _body(self, n: int, root: bytes, state: str, seen: "int | None") -> bytes:
        return note.body(self._identity.public, self._id, n, root, self._patch.seq, state, self._prev, seen)

    def sign(self, n: int, root: bytes, state: str, seen: "int | None") -> bytes:
        """The signed note of `n` leaves."""
        return self._sign_text(self._body(n, root, state, seen))

    def _sign_text(self, text: bytes) -> bytes:
        identity = self._identity
        signing = Signing(identity.seed, identity.public, text)
        while not signing.step():
            self._breathe()
        return note.signed(text, identity.public, signing.signature)

    def _breathe(self) -> None:
        power.feed()
        if self._progress is not None:
            self._progress()
