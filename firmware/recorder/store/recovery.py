"""What a power cut left unfinished is finished at the next start. Idle set. FORMAT.md, "Across recordings".

Only the journal's open recording is touched, or the newest finished one if its final note never reached the card.

What on a card is believed, since anybody may have written to it:
- a leaf, if its device tag is right: only this recorder can make one, and only for this recording;
- a checkpoint, if signing its text again gives the very page. Ed25519 signs deterministically, so this recorder signed just
  that before; the signature made for the comparison is thrown away and says nothing new to anybody;
- nothing else. What the card has less of, or otherwise, than the journal saw is told as `damaged`, with `seen`.

Safe against a cut at any write: everything up to the last page kept stays as it is. Later pages of this recording are zeroed
first, then a running checkpoint goes behind the last page kept if more than 64 leaves are open, then the final note goes to
the journal, and only then to the card. Cut anywhere, the same is found and done again: up to the journal's entry because
nothing that is read has changed, after it because the note is in the journal and is only put where it belongs.
"""

from binascii import a2b_base64, unhexlify
from struct import unpack_from

from micropython import const

from recorder import room
from recorder.errors import CardError, FormatError
from recorder.hal import power
from recorder.seal import checkpoint, checkpoint_fields, note
from recorder.seal.ed25519 import Signing
from recorder.seal.mac import equal, hmac_into, sha256
from recorder.seal.merkle import Tree
from recorder.seal.merkle_range import from_range
from recorder.seal.page import AUDIO, CHECKPOINT, HEADER, MAGIC, SUITE, device_tag_key
from recorder.seal.wipe import wipe
from recorder.store.journal import FINAL
from recorder.store.mount import PAGE_BYTES
from recorder.store.recording import disown

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from recorder.store.identity import Identity
    from recorder.store.journal import Journal
    from recorder.store.volume import Volume

_HEAD_BYTES = const(28)
_BLOCK_BYTES = const(512)
_TAG_OFFSET = const(4048)
_DEVICE_TAG_OFFSET = const(4080)
_LEAVES = const(64)  # of one checkpoint
_LATE_LEAVES = const(32)  # most leaves that stand before a checkpoint without being covered
_BEFORE_LEAVES = const(
    200
)  # so far before the newest checkpoint the journal knows the search begins: three checkpoints
_BEFORE_PAGES = const(128)  # so far before a checkpoint the first leaf that it does not cover may stand
_AHEAD_PAGES = const(
    256
)  # that many pages without one of this recording are its end: 1 MiB, what a card may lose as one
_HELD = const(160)  # leaf hashes held back for the lists of the last two checkpoints
_CHECKPOINTS = const(16)  # newest ones that are tried
_SYNC = const(3)  # vfs.AbstractBlockDev.ioctl
_ENOSPC = const(28)


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
        self._volume = volume
        self._identity = identity
        self._seq = seq
        self._id = recording_id
        self._prev = prev
        self._seen = seen
        self._seen_root = seen_root
        self._progress = progress
        self._key = device_tag_key(identity.device_secret, recording_id)
        self._page = room.PAGES[1]
        self._total = volume.pages(seq)
        self._out: "Any" = None
        self._fat: "Any" = None
        self._tree = Tree()  # all leaves
        self._base = Tree()  # all but those held back
        self._held = []  # type: list[bytes]
        self._same = seen == 0  # the journal's root was met
        self._covered = 0  # leaves under the last valid checkpoint
        self._kept = 0  # pages that stay
        self._end = 0  # behind the last page of this recording

    def finish(self, journal: "Journal", header_hash: bytes) -> Outcome:
        """Recover the open recording."""
        self._gather(header_hash, -1)
        n = self._tree.size
        if n:
            state = "recovered" if self._same and n >= self._seen else "damaged"
            self._zero()
            self._cover()
        else:
            # Nothing of it is here. Whatever the file holds stays, it may be of an earlier pairing's key; but for a header
            # that was torn while it was written, which would look like a recording that somebody spoilt.
            if not self._seen and self._head(0, PAGE_BYTES)[0] == HEADER and sha256(self._page) != header_hash:
                wipe(room.PAGES[2])
                self._write(0, room.PAGES[2])
            state = "lost"
        final = self._sign(n, self._tree.root(), state, self._seen)
        # Before the card: a note that went to the card alone could be made twice, and two for one number are a forgery.
        journal.append(FINAL, self._seq, final)
        if n:
            self._write(self._kept, self._build(n, self._covered, final))
        return Outcome(self._seq, state, n, self._seen)

    def put_back(self, final: bytes, state: str) -> "Outcome | None":
        """Bring the final note to the card if it is not there."""
        n = self._seen
        # At the end of a file that was closed; else behind its last leaf, at most one running checkpoint between.
        if self._total and self._has(self._total - 1, final):
            return None
        last = self._near(n - 1)
        for place in range(last, min(last + 4, self._total)):
            if self._has(place, final):
                return None
        self._gather(b"", n)
        if self._tree.size != n or not self._same:
            return Outcome(self._seq, "cut short", self._tree.size, n)
        self._zero()
        self._cover()
        self._write(self._kept, self._build(n, self._covered, final))
        return Outcome(self._seq, state, n, n)

    def close(self) -> None:
        """Let go of file and key. The file's directory entry is not written."""
        wipe(self._key)
        self._let_go()

    def _let_go(self) -> None:
        if self._out is not None:
            disown(self._out)
            self._out = self._fat = None

    # --- reading ---------------------------------------------------------------------------------------------------

    def _gather(self, header_hash: bytes, most: int) -> None:
        """Find what is kept: tree, leaves held back, pages. `most` leaves, or -1 for all there are."""
        if not self._start_near(self._near(max(self._seen - _BEFORE_LEAVES, 0))) and not self._start_near(0):
            leaf = self._leaf_0()
            if leaf is not None and (not header_hash or sha256(self._page) == header_hash):
                self._add(leaf)
                self._kept = 1
        if self._tree.size:
            self._add_leaves(most)

    def _start_near(self, begin: int) -> bool:
        """Start from the last valid checkpoint behind `begin`; False if there is none. First only heads are read."""
        for place in reversed(self._look_from(begin)):
            fields = self._checkpoint(place)
            if fields is not None:
                self._start(fields)
                self._kept = place + 1
                return True
        return False

    def _near(self, leaf: int) -> int:
        """A place not behind the page of `leaf`, close to it: leaves say how far it is, checkpoints between make it farther."""
        place = leaf
        missed = 0
        while place < self._total and missed < _AHEAD_PAGES and leaf:
            kind, number = self._head(place)
            if kind == AUDIO:
                if number >= leaf:
                    return place
                place += leaf - number
            else:
                missed += kind == 0
                place += 1
        return 0

    def _look_from(self, begin: int) -> "list[int]":
        """Places of the newest pages that look like checkpoints of this recording; sets `_end`."""
        places = []  # type: list[int]
        self._end = begin
        # The journal knows that pages go at least this far, whatever cannot be read before.
        least = self._seen + self._seen // _LEAVES
        place = begin
        while place < self._total and (place < least or place < self._end + _AHEAD_PAGES):
            kind = self._head(place)[0]
            if kind:
                self._end = place + 1
                if kind == CHECKPOINT:
                    places.append(place)
                    if len(places) > _CHECKPOINTS:
                        places.pop(0)
            place += 1
        return places

    def _head(self, place: int, count: int = _HEAD_BYTES) -> "tuple[int, int]":
        """(page type, leaf number or n) of a page that says it is of this recording, else (0, 0). `count` bytes are read."""
        if not place & 31:
            self._breathe()
        if self._read(place, memoryview(self._page)[:count]):
            magic, kind, suite, zero, number, whose = unpack_from("<4sBBHI16s", self._page, 0)
            if magic == MAGIC and suite == SUITE and not zero and whose == self._id:
                return kind, number if kind != HEADER else 0
        return 0, 0

    def _read(self, place: int, into: "bytearray | memoryview") -> bool:
        try:
            self._volume.read_page(self._seq, place, into)
            return True
        except CardError as error:
            if error.kind != CardError.FAILED:
                raise
            self._let_go()
            self._volume.measure()  # one bad page, or all of the card? Raises if it is the card
            return False

    def _leaf(self) -> "bytes | None":
        """The leaf hash of the page just read, if its device tag is right."""
        page = memoryview(self._page)
        digest = sha256(page[:_TAG_OFFSET])
        tag = bytearray(16)
        hmac_into(tag, self._key, digest, page[_TAG_OFFSET:_DEVICE_TAG_OFFSET])
        if not equal(tag, page[_DEVICE_TAG_OFFSET:]):
            return None
        return sha256(b"\0", digest, page[_TAG_OFFSET:])

    def _leaf_0(self) -> "bytes | None":
        return self._leaf() if self._head(0, PAGE_BYTES)[0] == HEADER else None

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

    def _has(self, place: int, final: bytes) -> bool:
        """The checkpoint page of `final` is at `place`, whole."""
        if self._head(place) != (CHECKPOINT, self._seen):
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
        if not self._read(place, self._page):
            return None
        try:
            fields = checkpoint_fields.parse(self._page)
        except FormatError:
            return None
        return fields if fields.recording_id == self._id else None

    # --- the tree --------------------------------------------------------------------------------------------------

    def _start(self, fields: "checkpoint_fields.Fields") -> None:
        self._base = from_range(fields.p, fields.range)
        self._tree = from_range(fields.p, fields.range)
        # A later tree that this recorder signed contains the one that the journal knows: it only ever adds leaves.
        self._same = self._same or fields.p > self._seen
        self._compare()
        for leaf in fields.leaves:
            self._add(leaf)
        self._covered = fields.n

    def _add(self, leaf: bytes) -> None:
        self._tree.append(leaf)
        self._held.append(leaf)
        if len(self._held) > _HELD:
            self._base.append(self._held.pop(0))
        self._compare()

    def _compare(self) -> None:
        if self._tree.size == self._seen and self._seen:
            self._same = self._tree.root() == self._seen_root

    def _add_leaves(self, most: int) -> None:
        """Add the leaves that follow without a gap, wherever checkpoints or bad pages stand between; at most `most`."""
        place = max(self._kept - _BEFORE_PAGES, 0)
        while place < self._end and self._tree.size != most:
            kind, number = self._head(place, PAGE_BYTES)
            if kind == AUDIO and number >= self._tree.size:
                leaf = self._leaf()
                if leaf is None or number > self._tree.size:
                    break
                self._add(leaf)
                self._kept = max(self._kept, place + 1)
            place += 1

    # --- writing ---------------------------------------------------------------------------------------------------

    def _zero(self) -> None:
        """Zero every page of this recording behind those kept: none may stand behind a final note.

        The first block, which says whose page it is, goes last: after a cut the page is found again.
        """
        wipe(room.PAGES[2])
        blank = memoryview(room.PAGES[2])
        for place in range(self._kept, self._end):
            if self._head(place)[0]:
                self._write(place, blank[_BLOCK_BYTES:], _BLOCK_BYTES)
                self._write(place, blank[:_BLOCK_BYTES])

    def _cover(self) -> None:
        """Put running checkpoints where the final one could not list all leaves that are open, or none stands at all."""
        n = self._tree.size
        if not self._covered:
            if n == 1 and self._leaf_0() is not None:
                room.PAGES[3][:] = self._page
                signed = self._sign(1, self._tree.root(), "running", None)
                self._write(
                    self._kept, checkpoint.page(self._id, 1, 0, signed, self._held, [], room.PAGES[3], room.CHECKPOINT)
                )
                self._kept += 1
            self._covered = 1
        if n - self._covered > _LEAVES:
            # More than 96 are open only where a checkpoint is damaged; then the last 96 are listed.
            upto = max(self._covered + _LEAVES, n - _LATE_LEAVES)
            self._advance(upto - _LEAVES)
            tree = from_range(self._base.size, self._base.range())
            for leaf in self._held[:_LEAVES]:
                tree.append(leaf)
            signed = self._sign(upto, tree.root(), "running", None)
            self._write(self._kept, self._build(upto, upto - _LEAVES, signed))
            self._kept += 1
            self._covered = upto

    def _advance(self, size: int) -> None:
        while self._base.size < size:
            self._base.append(self._held.pop(0))

    def _build(self, n: int, p: int, signed: bytes) -> bytearray:
        self._advance(p)
        return checkpoint.page(self._id, n, p, signed, self._held[: n - p], self._base.range(), None, room.CHECKPOINT)

    def _body(self, n: int, root: bytes, state: str, seen: "int | None") -> bytes:
        return note.body(self._identity.public, self._id, n, root, self._seq, state, self._prev, seen)

    def _sign(self, n: int, root: bytes, state: str, seen: "int | None") -> bytes:
        return self._sign_text(self._body(n, root, state, seen))

    def _sign_text(self, text: bytes) -> bytes:
        identity = self._identity
        signing = Signing(identity.seed, identity.public, text)
        while not signing.step():
            self._breathe()
        return note.signed(text, identity.public, signing.signature)

    def _write(self, place: int, data: "bytearray | memoryview", offset: int = 0) -> None:
        """Write a page, or from `offset` on in one. Inside the file no directory entry is touched: there is nothing for a cut to break."""
        volume = self._volume
        try:
            if self._out is None:
                self._out = volume.open(self._seq, "r+b")
                self._fat = volume.mount.fat  # a handle alone does not keep it from the collector
            if self._out.seek(place * PAGE_BYTES + offset) != place * PAGE_BYTES + offset:
                raise OSError(_ENOSPC)
            self._out.write(data)
            if place >= self._total:
                self._out.close()
                self._out = self._fat = None
                volume.forget()
                self._total = place + 1
            volume.card.ioctl(_SYNC, 0)
        except OSError as error:
            self._let_go()
            volume.fail(error)

    def _breathe(self) -> None:
        power.feed()
        if self._progress is not None:
            self._progress()
