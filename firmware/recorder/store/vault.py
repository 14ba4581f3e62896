"""The vault: this recorder's keys, in raw flash, in two sectors that take turns. Idle set.

A record is `EWV1`, u32 generation, u16 length, payload, u32 CRC-32; the last 16 bytes of its sector are zeroed once it is
whole. Safe against a cut at any program or erase: a new record goes to the other sector, and the old one is erased only
after the new one counts; a record counts if its CRC is right, the higher generation before the lower. So there is always
the old identity or the new one. A record that is not right although its sector was once marked whole was damaged: that is
a fault to report, never "not paired", or a recorder would get a new key without anybody having asked. Erasing leaves a
record too, of the pairing epoch alone. What was replaced is erased from the chip, at the latest by the next load.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from recorder import room
from recorder.errors import IdentityFault
from recorder.hal import flash
from recorder.seal.wipe import wipe
from recorder.store.identity import Identity

_SECTOR = const(4096)
_SECTORS = (0, 1)
_MAGIC = b"EWV1"
_HEAD_BYTES = const(10)
_WHOLE = const(4080)  # where a sector says that its record is whole
_KEY_BYTES = const(32)
_KEYS = const(5)
_RECIPIENTS = const(3)
_NAME_BYTES = const(32)


class Vault:
    """`load` first; then `epoch` is that of the last pairing, also of one that was erased, 0 before any."""

    def __init__(self) -> None:
        self.epoch = 0
        self._generation = 0
        self._sector = 1  # of the record in force

    def load(self) -> "Identity | None":
        """The identity, or None if this recorder is not paired. Raises IdentityFault if what it had is damaged."""
        found = None
        damaged = False
        self._generation = 0
        for sector in _SECTORS:
            page = room.PAGES[2]
            flash.read(sector * _SECTOR, page)
            generation, payload = _record(page)
            if payload is None:
                damaged = damaged or page[_WHOLE:] != b"\xff" * (_SECTOR - _WHOLE)
            elif generation > self._generation:
                if found is not None:
                    wipe(found)
                self._generation, self._sector, found = generation, sector, payload
            wipe(page)
        if found is None:
            if damaged:
                raise IdentityFault("identity damaged")
            return None
        self._settle()
        try:
            return self._unpack(found)
        finally:
            wipe(found)

    def save(self, identity: Identity) -> None:
        """Keep `identity` in place of any other, and erase that."""
        keys = (identity.seed, identity.public, identity.device_secret, identity.link_secret, identity.receipt_key)
        name = identity.name.encode()
        count = len(identity.recipients)
        for key in keys + tuple(identity.recipients):
            if len(key) != _KEY_BYTES:
                raise ValueError("a key has 32 bytes")
        if not 1 <= count <= _RECIPIENTS or len(name) > _NAME_BYTES:
            raise ValueError("1 to 3 recipients, a name of at most 32 bytes")
        payload = bytearray(4 + _KEY_BYTES * (_KEYS + count) + 2 + len(name))
        payload[:4] = pack("<I", identity.epoch)
        at = 4
        for key in keys:
            payload[at : at + _KEY_BYTES] = key
            at += _KEY_BYTES
        payload[at] = count
        at += 1
        for key in identity.recipients:
            payload[at : at + _KEY_BYTES] = key
            at += _KEY_BYTES
        payload[at] = len(name)
        payload[at + 1 :] = name
        self._store(payload)
        self.epoch = identity.epoch

    def erase(self) -> None:
        """Not paired any more. The epoch stays, so that the next pairing is known for another one."""
        self._store(bytearray(pack("<I", self.epoch)))

    def _store(self, payload: bytearray) -> None:
        sector = 1 - self._sector
        _blank(sector)
        length = len(payload)
        record = bytearray(_HEAD_BYTES + length + 4)
        record[:_HEAD_BYTES] = _MAGIC + pack("<IH", self._generation + 1, length)
        record[_HEAD_BYTES:-4] = payload
        record[-4:] = pack("<I", crc32(memoryview(record)[:-4]))
        flash.program(sector * _SECTOR, record)
        wipe(record)
        wipe(payload)
        self._generation += 1
        self._sector = sector
        self._settle()

    def _settle(self) -> None:
        """Mark the record in force as whole and erase the other sector; after a cut, do what was left of it."""
        tail = memoryview(room.PAGES[4])[: _SECTOR - _WHOLE]
        flash.read(self._sector * _SECTOR + _WHOLE, tail)
        if any(tail):
            flash.program(self._sector * _SECTOR + _WHOLE, bytes(len(tail)))
        _blank(1 - self._sector)

    def _unpack(self, payload: bytearray) -> "Identity | None":
        self.epoch = unpack_from("<I", payload, 0)[0]
        if len(payload) == 4:
            return None
        at = 4 + _KEY_BYTES * _KEYS
        keys = [bytes(payload[start : start + _KEY_BYTES]) for start in range(4, at, _KEY_BYTES)]
        end = at + 1 + _KEY_BYTES * payload[at]
        recipients = [bytes(payload[start : start + _KEY_BYTES]) for start in range(at + 1, end, _KEY_BYTES)]
        return Identity(
            keys[0], keys[1], keys[2], keys[3], keys[4], recipients, self.epoch, payload[end + 1 :].decode()
        )


def _record(page: bytearray) -> "tuple[int, bytearray | None]":
    """(generation, payload) of a sector, (0, None) if it holds no whole record."""
    if page[:4] == _MAGIC:
        generation, length = unpack_from("<IH", page, 4)
        end = _HEAD_BYTES + length
        if end + 4 <= _WHOLE and unpack_from("<I", page, end)[0] == crc32(memoryview(page)[:end]):
            return generation, page[_HEAD_BYTES:end]
    return 0, None


def _blank(sector: int) -> None:
    page = room.PAGES[3]
    flash.read(sector * _SECTOR, page)
    if page != b"\xff" * _SECTOR:
        wipe(page)
        flash.erase(sector)
