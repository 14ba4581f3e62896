"""The journal in raw flash: what this recorder knows of its recordings when the card says nothing, or something else.

A circular log over the sectors behind vault and seeds. Each sector begins with `EWJ1`, u32 generation, u32 CRC-32 of these;
then entries `u8 0xE5, u8 kind, u16 length, u32 seq, payload, u32 CRC-32`, padded with 0xFF to 16, none across sectors.

Safe against a cut at any program or erase, because nothing that counts is ever changed in place:
- an append that was cut fails its CRC; readers step over it by 16, the next append goes behind its last written byte;
- a new sector counts from its header on; a torn one is erased before use;
- `tidy` copies what lives in the oldest sector to the newest, strikes the old header out, then erases. Cut before that, the
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

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

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
_RECEIPTED = const(32)  # newest recordings whose receipts are kept; a computer gives another where it needs one


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
    """Reads the whole log once. Keeps the notes of the newest recordings: one for every eighth sector's worth, so that a
    recording of 72 h has room for its checkpoints in half a megabyte."""

    def __init__(self) -> None:
        self.newest_seq = 0  # of any recording ever begun
        self.open = None  # type: OpenRecord | None
        self._sectors = flash.SIZE // _SECTOR - _FIRST
        self._kept = max(_MARKED, self._sectors // 8 * _NOTES_A_SECTOR)
        self._notes = array("H", bytes(2 * self._kept))  # seq % kept -> address / 16 of its note, 0 for none
        self._freed = array("H", bytes(2 * self._kept))  # seq % kept -> seq // kept + 1
        self._marks = array("H", bytes(2 * _MARKED))  # seq % marked -> count
        self._marked = array("I", bytes(4 * _MARKED))  # seq % marked -> seq
        self._faults = []  # type: list[int]  # slots, newest last
        self._head = self._generation = 0
        self._free = 0
        self._at = _SECTOR
        self._beacon = self._light = 0
        self._opened = 0
        self._last = (0, 0, b"", 0)  # newest checkpoint: seq, n, root, slot
        self.newest_final = 0  # newest recording with a final note
        self._sweeps = self._sectors  # sectors that may yet be tidied: wear is bounded whatever happens
        self._scan()

    # --- reading ---------------------------------------------------------------------------------------------------

    def final_note(self, seq: int) -> "bytes | None":
        """The signed final note of recording `seq`, or None if it has none or is too old."""
        slot = self._slot(seq)
        return None if not slot else self._payload(slot)

    def prev_hash(self) -> bytes:
        """H of the newest final note, 32 bytes; zero before the first."""
        note = self.final_note(self.newest_final)
        return bytes(32) if note is None else sha256(note)

    def is_freed(self, seq: int) -> bool:
        """The recording was taken over by a host and deleted from the card; only its note is kept."""
        return bool(self._freed[seq % self._kept] == seq // self._kept + 1)

    def marks(self, seq: int) -> "list[tuple[int, int, int]]":
        """(file page, sample, kind) of each mark, in order, of one of the newest recordings. Reads the whole log: idle only."""
        found = []  # type: list[tuple[int, int, int]]
        if self._marked[seq % _MARKED] == seq and not self.is_freed(seq):
            for whose, payload in self.every(MARK):
                mark = unpack("<IQB", payload)
                if whose == seq and mark not in found:
                    found.append(mark)
            found.sort()
        return found

    def every(self, kind: int) -> "Iterator[tuple[int, bytes]]":
        """(seq, payload) of each entry of a kind, copies included. Reads the whole log: idle only."""
        buffer = bytearray(_SECTOR)
        for sector in range(self._sectors):
            if self._generation_of(sector):
                for at, found, seq, length in self._entries(sector, buffer):
                    if found == kind:
                        yield seq, bytes(memoryview(buffer)[at + 8 : at + 8 + length])

    def beacon(self) -> bytes:
        """Kind and 32 bytes of the newest beacon, b"" if none was ever given."""
        return self._payload(self._beacon) if self._beacon else b""

    def light(self) -> int:
        """The brightness that was set last, 0 if none ever was."""
        return self._payload(self._light)[0] if self._light else 0

    def faults(self) -> "list[tuple[int, bytes]]":
        """(seq, text) of the newest faults, oldest first."""
        return [(self._seq_at(slot), self._payload(slot)) for slot in self._faults]

    def room(self) -> int:
        """Checkpoint entries that fit before anything has to be erased."""
        spare = max(self._free - _RESERVE, 0) * ((_SECTOR - _HEAD_BYTES) // _CHECKPOINT_BYTES)
        return spare + (_SECTOR - self._at) // _CHECKPOINT_BYTES if self._free >= _RESERVE else 0

    # --- writing ---------------------------------------------------------------------------------------------------

    def append(self, kind: int, seq: int, payload: "bytes | bytearray") -> None:
        """Add an entry; it is in flash when this returns. Raises RecorderError when the journal has no room for it;
        a MARK, FAULT, BEACON or LIGHT is then left out.

        The last sectors are kept for FINAL, so that a recording can always be ended, and for tidying.
        """
        if kind == MARK and self._marked[seq % _MARKED] == seq and self._marks[seq % _MARKED] >= self._sectors:
            return
        if kind == FAULT:
            payload = payload[:_FAULT_BYTES]
        if kind in (OPEN, FREED, RECEIPT):
            for _ in range(self._sectors):
                if self._free > _RESERVE or not self.tidy():
                    break
        if kind != FINAL and not self.room():
            if kind in (MARK, FAULT, BEACON, LIGHT):
                return
            raise RecorderError("journal full")
        if kind == FINAL:
            self._sweeps = self._sectors
        self._add(kind, seq, payload)

    def tidy(self) -> bool:
        """One step of making room, at most one erase (tens of ms). True if there is more to do. Idle only."""
        sector = (self._head + 1 + self._free) % self._sectors
        if self._free == self._sectors - 1:
            return False
        if self._generation_of(sector):
            if not self._free:
                return False
            if self._free > _RESERVE:
                if not self._sweeps or self._sectors - self._free <= self._needed():
                    return False
                self._sweeps -= 1
            for at, kind, seq, _ in self._entries(sector):
                slot = ((_FIRST + sector) * _SECTOR + at) >> 4
                if self._lives(slot, kind, seq):
                    if kind == FAULT:
                        self._faults.remove(slot)
                    self._add(kind, seq, self._payload(slot))
            flash.program((_FIRST + sector) * _SECTOR, bytes(_HEAD_BYTES))
        flash.erase(_FIRST + sector)
        self._free += 1
        return True

    def _add(self, kind: int, seq: int, payload: "bytes | bytearray") -> None:
        length = len(payload)
        if length > _MOST_BYTES:
            raise RecorderError("journal entry too long")
        size = (12 + length + 15) & ~15
        if self._at + size > _SECTOR:
            self._turn()
        entry = bytearray(b"\xff" * size)
        pack_into("<BBHI", entry, 0, _ENTRY, kind, length, seq)
        entry[8 : 8 + length] = payload
        pack_into("<I", entry, 8 + length, crc32(memoryview(entry)[: 8 + length]))
        address = (_FIRST + self._head) * _SECTOR + self._at
        flash.program(address, entry)
        self._at += size
        self._learn(address >> 4, kind, seq, payload)

    def _turn(self) -> None:
        """Go on in the next sector."""
        sector = (self._head + 1) % self._sectors
        if not self._free:
            if self._generation_of(sector):
                raise RecorderError("journal full")
            flash.erase(_FIRST + sector)
            self._free = 1
        head = _MAGIC + pack("<I", self._generation + 1)
        flash.program((_FIRST + sector) * _SECTOR, head + pack("<I", crc32(head)))
        self._generation += 1
        self._head = sector
        self._at = _HEAD_BYTES
        self._free -= 1

    def _lives(self, slot: int, kind: int, seq: int) -> bool:
        if kind == FINAL:
            return bool(slot == self._notes[seq % self._kept])
        if kind == MARK:
            return seq + _MARKED > self.newest_seq and not self.is_freed(seq)
        if kind == FREED:
            return self._slot(seq) != 0
        if kind == RECEIPT:
            return seq + _RECEIPTED > self.newest_seq and not self.is_freed(seq)
        if kind == CHECKPOINT:
            return slot == self._last[3] and self._opened != 0
        return slot in self._faults or slot in (self._opened, self._beacon, self._light)

    def _needed(self) -> int:
        """Sectors that hold all that lives, at most: notes take up to 384 bytes, and a sector's end may stay unused."""
        size = 2048 + 80 * _RECEIPTED + 48 * sum(self._marks)
        for slot in self._notes:
            if slot:
                size += 416
        return 2 + size // 3600

    # --- the log ---------------------------------------------------------------------------------------------------

    def _learn(self, slot: int, kind: int, seq: int, payload: "bytes | bytearray | memoryview") -> None:
        """Take an entry into account. Copies of older ones may come after newer ones."""
        self.newest_seq = max(self.newest_seq, seq)
        index = seq % self._kept
        if kind == FINAL:
            if seq + self._kept > self.newest_seq:
                self._notes[index] = slot
            if seq >= self.newest_final:
                self.newest_final = seq
                self.open = None
                self._opened = 0
        elif kind == OPEN:
            if seq > self.newest_final:
                self.open = OpenRecord(seq, bytes(payload))
                self._opened = slot
                self._know_checkpoint()
        elif kind == CHECKPOINT:
            n = unpack_from("<I", payload, 0)[0]
            if seq > self._last[0] or n >= self._last[1]:
                self._last = (seq, n, bytes(payload[4:36]), slot)
                self._know_checkpoint()
        elif kind == MARK:
            index = seq % _MARKED
            if self._marked[index] < seq:
                self._marked[index] = seq
                self._marks[index] = 0
            if self._marked[index] == seq:
                self._marks[index] += 1
        elif kind == FREED:
            self._freed[index] = max(self._freed[index], seq // self._kept + 1)
        elif kind == FAULT:
            self._faults.append(slot)
            if len(self._faults) > _FAULTS:
                self._faults.pop(0)
        elif kind == BEACON:
            self._beacon = slot
        elif kind == LIGHT:
            self._light = slot

    def _know_checkpoint(self) -> None:
        if self.open is not None and self.open.seq == self._last[0]:
            _, self.open.n, self.open.root, _ = self._last

    def _scan(self) -> None:
        blank = crc32(b"\xff" * _SECTOR)
        buffer = bytearray(_SECTOR)
        for sector in range(self._sectors):
            generation = self._generation_of(sector)
            if generation > self._generation:
                self._head, self._generation = sector, generation
        self._free = 0
        self._at = _SECTOR  # where the next entry goes
        end = _HEAD_BYTES
        leading = True  # blank sectors right behind the head can be used
        for step in range(1, self._sectors + 1):
            sector = (self._head + step) % self._sectors
            if step == self._sectors and not self._generation:
                break
            if self._generation_of(sector):
                leading = False
                end = _HEAD_BYTES
                for at, kind, seq, length in self._entries(sector, buffer):
                    end = at + 12 + length
                    slot = ((_FIRST + sector) * _SECTOR + at) >> 4
                    self._learn(slot, kind, seq, memoryview(buffer)[at + 8 : at + 8 + length])
            elif leading:
                flash.read((_FIRST + sector) * _SECTOR, buffer)
                leading = crc32(buffer) == blank
                self._free += leading
        if self._generation:
            # The head was read last. Behind its last written byte, torn or whole, the flash is blank.
            while self._at > end and buffer[self._at - 1] == 0xFF:
                self._at -= 1
            self._at = (self._at + 15) & ~15

    def _entries(self, sector: int, buffer: "bytearray | None" = None) -> "Iterator[tuple[int, int, int, int]]":
        """(offset, kind, seq, payload length) of every whole entry of a sector; `buffer` then holds the sector."""
        if buffer is None:
            buffer = bytearray(_SECTOR)
        flash.read((_FIRST + sector) * _SECTOR, buffer)
        view = memoryview(buffer)
        at = _HEAD_BYTES
        while at < _SECTOR:
            if buffer[at] == _ENTRY:
                _, kind, length, seq = unpack_from("<BBHI", buffer, at)
                end = at + 8 + length
                if end + 4 <= _SECTOR and unpack_from("<I", buffer, end)[0] == crc32(view[at:end]):
                    yield at, kind, seq, length
                    at = (end + 4 + 15) & ~15
                    continue
            at += 16

    def _slot(self, seq: int) -> int:
        """Where the final note of `seq` is, 0 for nowhere."""
        slot = self._notes[seq % self._kept]
        return slot if slot and self._seq_at(slot) == seq else 0

    def _seq_at(self, slot: int) -> int:
        head = bytearray(4)
        flash.read(slot * 16 + 4, head)
        return int.from_bytes(head, "little")

    def _payload(self, slot: int) -> bytes:
        head = bytearray(8)
        flash.read(slot * 16, head)
        payload = bytearray(unpack_from("<H", head, 2)[0])
        flash.read(slot * 16 + 8, payload)
        return bytes(payload)

    def _generation_of(self, sector: int) -> int:
        """The generation of a sector, 0 if it is not part of the log."""
        head = bytearray(12)
        flash.read((_FIRST + sector) * _SECTOR, head)
        magic, generation, check = unpack("<4sII", head)
        return generation if magic == _MAGIC and check == crc32(memoryview(head)[:8]) else 0
