"""The journal in raw flash: what this recorder knows of its recordings when the card says nothing, or something else.

A circular log over the sectors behind vault and seeds. Each sector begins with `EWJ1`, u32 generation, u32 CRC-32 of these;
then entries `u8 0xE5, u8 kind, u16 length, u32 seq, payload, u32 CRC-32`, padded with 0xFF to 16, none across sectors.

Safe against a cut at any program or erase, because nothing that counts is ever changed in place:
- an append that was cut fails its CRC; readers step over it by 16, the next append goes behind its last written byte;
- a new sector counts from its header on; a torn one is erased before use;
- tidying copies what lives in the oldest sector to the newest, strikes the old header out, then erases. Cut before that, the
  entry stands twice, and both say the same. What is learned from an entry does not depend on which come before it.
A sequence number is never used again: the newest note and the open record always live.
"""

from array import array
from binascii import crc32
from struct import pack, pack_into, unpack, unpack_from

from micropython import const

from recorder.errors import RecorderError
from recorder.hal import flash
from recorder.seal.mac import sha256

OPEN = const(1)  # id 16, H(page 0) 32, prev 32
CHECKPOINT = const(2)  # u32 n, root 32
FINAL = const(3)  # the signed note
MARK = const(4)  # u32 file page, u64 sample, u8 kind
FREED = const(5)  # nothing
FAULT = const(6)  # text
BEACON = const(7)  # u8 kind, 32 bytes: the newest that the computer gave
RECEIPT = const(8)  # u32 pairing epoch, the computer's signature 64: it holds this recording
LIGHT = const(9)  # u8 brightness

_FIRST = const(4)  # sectors before are vault and seeds
_SECTOR = const(4096)
_MAGIC = b"EWJ1"
_HEAD_BYTES = const(16)
_ENTRY = const(0xE5)
_MOST_BYTES = const(1024)  # of a payload
_CHECKPOINT_BYTES = const(48)  # of its entry
_RESERVE = const(2)  # sectors for the end of a recording and for tidying
_FAULTS = const(8)  # newest ones kept
_FAULT_BYTES = const(96)
_MARKED = const(8)  # newest recordings whose marks are kept, one a sector; the recordings hold all of theirs
_NOTES_A_SECTOR = const(10)


class OpenRecord:
    """A recording that was begun and has no final note. `n` and `root` are of the newest checkpoint, 0 and b"" before any."""

    def __init__(self, seq: int, payload: bytes) -> None:
        self.seq = seq
        self.id = payload[:16]
        self.header_hash = payload[16:48]
        self.prev = payload[48:80]
        self.n = 0
        self.root = b""


class Journal:
    """Reads the whole log once (journal_reading.py; journal_tidying.py makes room). Keeps the notes of the newest recordings:
    one for every eighth sector's worth, so that a recording of 72 h has room for its checkpoints in half a megabyte."""

    def __init__(self) -> None:
        self.newest_seq = 0  # of any recording ever begun
        self.open = None  # type: OpenRecord | None
        self.sectors = flash.SIZE // _SECTOR - _FIRST
        self.kept = max(_MARKED, self.sectors // 8 * _NOTES_A_SECTOR)
        self.notes = array("H", bytes(2 * self.kept))  # seq % kept -> address / 16 of its note, 0 for none
        self.freed = array("H", bytes(2 * self.kept))  # seq % kept -> seq // kept + 1
        self.marks_kept = array("H", bytes(2 * _MARKED))  # seq % marked -> count
        self.marked = array("I", bytes(4 * _MARKED))  # seq % marked -> seq
        self.fault_slots = []  # type: list[int]  # slots, newest last
        self.head = self.generation = 0
        self.free = 0
        self.at = _SECTOR
        self.beacon_slot = self.light_slot = 0
        self.opened = 0
        self.last = (0, 0, b"", 0)  # newest checkpoint: seq, n, root, slot
        self.newest_final = 0  # newest recording with a final note
        self.sweeps = self.sectors  # sectors that may yet be tidied: wear is bounded whatever happens
        from recorder.store.journal_reading import scan

        scan(self)

    # --- reading ---------------------------------------------------------------------------------------------------

    def final_note(self, seq: int) -> "bytes | None":
        """The signed final note of recording `seq`, or None if it has none or is too old."""
        slot = self.slot_of(seq)
        return None if not slot else self.payload(slot)

    def prev_hash(self) -> bytes:
        """H of the newest final note, 32 bytes; zero before the first."""
        note = self.final_note(self.newest_final)
        return bytes(32) if note is None else sha256(note)

    def is_freed(self, seq: int) -> bool:
        """The recording was taken over by a host and deleted from the card; only its note is kept."""
        return bool(self.freed[seq % self.kept] == seq // self.kept + 1)

    def room(self) -> int:
        """Checkpoint entries that fit before anything has to be erased."""
        spare = max(self.free - _RESERVE, 0) * ((_SECTOR - _HEAD_BYTES) // _CHECKPOINT_BYTES)
        return spare + (_SECTOR - self.at) // _CHECKPOINT_BYTES if self.free >= _RESERVE else 0

    # --- writing ---------------------------------------------------------------------------------------------------

    def append(self, kind: int, seq: int, payload: "bytes | bytearray") -> None:
        """Add an entry; it is in flash when this returns. Raises RecorderError when the journal has no room for it;
        a MARK, FAULT, BEACON or LIGHT is then left out.

        The last sectors are kept for FINAL, so that a recording can always be ended, and for tidying.
        """
        if kind == MARK and self.marked[seq % _MARKED] == seq and self.marks_kept[seq % _MARKED] >= self.sectors:
            return
        if kind == FAULT:
            payload = payload[:_FAULT_BYTES]
        if self.free <= _RESERVE and kind in (OPEN, FREED, RECEIPT):
            from recorder.store.journal_tidying import make_room

            make_room(self)
        if kind != FINAL and not self.room():
            if kind in (MARK, FAULT, BEACON, LIGHT):
                return
            raise RecorderError("journal full")
        if kind == FINAL:
            self.sweeps = self.sectors
        self.add(kind, seq, payload)

    def add(self, kind: int, seq: int, payload: "bytes | bytearray") -> None:
        """Write an entry behind the last. Raises RecorderError where there is no room."""
        length = len(payload)
        if length > _MOST_BYTES:
            raise RecorderError("journal entry too long")
        size = (12 + length + 15) & ~15
        if self.at + size > _SECTOR:
            self._turn()
        entry = bytearray(b"\xff" * size)
        pack_into("<BBHI", entry, 0, _ENTRY, kind, length, seq)
        entry[8 : 8 + length] = payload
        pack_into("<I", entry, 8 + length, crc32(memoryview(entry)[: 8 + length]))
        address = (_FIRST + self.head) * _SECTOR + self.at
        flash.program(address, entry)
        self.at += size
        self.learn(address >> 4, kind, seq, payload)

    def _turn(self) -> None:
        """Go on in the next sector."""
        sector = (self.head + 1) % self.sectors
        if not self.free:
            if self.generation_of(sector):
                raise RecorderError("journal full")
            flash.erase(_FIRST + sector)
            self.free = 1
        head = _MAGIC + pack("<I", self.generation + 1)
        flash.program((_FIRST + sector) * _SECTOR, head + pack("<I", crc32(head)))
        self.generation += 1
        self.head = sector
        self.at = _HEAD_BYTES
        self.free -= 1

    # --- the log ---------------------------------------------------------------------------------------------------

    def learn(self, slot: int, kind: int, seq: int, payload: "bytes | bytearray | memoryview") -> None:
        """Take an entry into account. Copies of older ones may come after newer ones."""
        self.newest_seq = max(self.newest_seq, seq)
        index = seq % self.kept
        if kind == FINAL:
            if seq + self.kept > self.newest_seq:
                self.notes[index] = slot
            if seq >= self.newest_final:
                self.newest_final = seq
                self.open = None
                self.opened = 0
        elif kind == OPEN:
            if seq > self.newest_final:
                self.open = OpenRecord(seq, bytes(payload))
                self.opened = slot
                self._know_checkpoint()
        elif kind == CHECKPOINT:
            n = unpack_from("<I", payload, 0)[0]
            if seq > self.last[0] or n >= self.last[1]:
                self.last = (seq, n, bytes(payload[4:36]), slot)
                self._know_checkpoint()
        elif kind == MARK:
            index = seq % _MARKED
            if self.marked[index] < seq:
                self.marked[index] = seq
                self.marks_kept[index] = 0
            if self.marked[index] == seq:
                self.marks_kept[index] += 1
        elif kind == FREED:
            self.freed[index] = max(self.freed[index], seq // self.kept + 1)
        elif kind == FAULT:
            self.fault_slots.append(slot)
            if len(self.fault_slots) > _FAULTS:
                self.fault_slots.pop(0)
        elif kind == BEACON:
            self.beacon_slot = slot
        elif kind == LIGHT:
            self.light_slot = slot

    def _know_checkpoint(self) -> None:
        if self.open is not None and self.open.seq == self.last[0]:
            _, self.open.n, self.open.root, _ = self.last

    def slot_of(self, seq: int) -> int:
        """Where the final note of `seq` is, 0 for nowhere."""
        slot = self.notes[seq % self.kept]
        return slot if slot and self.seq_at(slot) == seq else 0

    def seq_at(self, slot: int) -> int:
        """Of which recording the entry at `slot` is."""
        head = bytearray(4)
        flash.read(slot * 16 + 4, head)
        return int.from_bytes(head, "little")

    def payload(self, slot: int) -> bytes:
        """What the entry at `slot` says."""
        head = bytearray(8)
        flash.read(slot * 16, head)
        payload = bytearray(unpack_from("<H", head, 2)[0])
        flash.read(slot * 16 + 8, payload)
        return bytes(payload)

    def generation_of(self, sector: int) -> int:
        """The generation of a sector, 0 if it is not part of the log."""
        head = bytearray(12)
        flash.read((_FIRST + sector) * _SECTOR, head)
        magic, generation, check = unpack("<4sII", head)
        return generation if magic == _MAGIC and check == crc32(memoryview(head)[:8]) else 0
