"""The generator's seed in raw flash, replaced before its use. Idle set.

Two sectors of slots `32 seed, u32 count, u32 CRC-32`, padded with 0xFF to 48. The seed in force is that of the highest
count. A new one is programmed behind the last, then the old one is overwritten with zeros, which flash does without an
erase. Cut in between, both stand; the new one counts, and the next change strikes out the old. Only when a sector is full
does the other one, erased first, go on. So no seed is ever drawn from twice, and a used one is gone from the chip.
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from recorder import room
from recorder.hal import flash
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_FIRST = const(2)
_SECTOR = const(4096)
_SLOT = const(48)
_SLOTS = const(85)
_SEED_BYTES = const(32)
_CHECKED = const(36)
_USED = const(40)


class Seeds:
    """The seed in flash, read at each call: nothing of it stays in this object."""

    def current(self) -> bytearray:
        """The seed in force, 32 bytes; empty if none was ever put. `put` its replacement before anything is made from it."""
        return self._look()[0]

    def put(self, seed: "bytes | bytearray") -> None:
        """Keep `seed`, 32 bytes, in place of any other."""
        if len(seed) != _SEED_BYTES:
            raise ValueError("a seed has 32 bytes")
        old, count, place, old_places = self._look()
        wipe(old)
        sector, index = place // _SLOTS, place % _SLOTS
        if place < 0:
            # Both full, or the one in use is: the other holds nothing that counts.
            sector = 1 - old_places[-1] // _SLOTS if old_places else 0
            index = 0
            flash.erase(_FIRST + sector)
            old_places = [one for one in old_places if one // _SLOTS != sector]
        slot = bytearray(_USED)
        slot[:_SEED_BYTES] = seed
        slot[_SEED_BYTES:_CHECKED] = pack("<I", count + 1)
        slot[_CHECKED:] = pack("<I", crc32(memoryview(slot)[:_CHECKED]))
        flash.program((_FIRST + sector) * _SECTOR + index * _SLOT, slot)
        wipe(slot)
        for old_place in old_places:
            sector, index = old_place // _SLOTS, old_place % _SLOTS
            flash.program((_FIRST + sector) * _SECTOR + index * _SLOT, bytes(_USED))

    def take(self, replace: "Callable[[bytearray], bytes | bytearray]") -> "bytearray | None":
        """The seed in force, after `replace(seed)` has been put in its place; None if there is none."""
        seed = self.current()
        if not seed:
            return None
        self.put(replace(seed))
        return seed

    def _look(self) -> "tuple[bytearray, int, int, list[int]]":
        """(seed in force, its count, place of the next slot or -1, places of all that stand, that in force last)."""
        found = bytearray()
        count = 0
        in_force = -1
        places = []  # type: list[int]
        after = [0, 0]  # first unused slot of each sector
        for sector in (0, 1):
            page = room.PAGES[5]
            flash.read((_FIRST + sector) * _SECTOR, page)
            for index in range(_SLOTS):
                slot = page[index * _SLOT : index * _SLOT + _USED]
                if slot == b"\xff" * _USED:
                    continue
                after[sector] = index + 1
                if any(slot):
                    place = sector * _SLOTS + index
                    number, check = unpack_from("<II", slot, _SEED_BYTES)
                    if check == crc32(memoryview(slot)[:_CHECKED]) and number > count:
                        wipe(found)
                        found, count, in_force = slot[:_SEED_BYTES], number, place
                    places.append(place)
                wipe(slot)
            wipe(page)
        sector = in_force // _SLOTS if in_force >= 0 else 0 if after[0] < _SLOTS else 1
        if in_force >= 0:
            places.remove(in_force)
            places.append(in_force)
        return found, count, sector * _SLOTS + after[sector] if after[sector] < _SLOTS else -1, places
