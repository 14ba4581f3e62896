#!/usr/bin/env python3
"""Prints the names that an image of MicroPython has in flash: python3 tools/chip_names.py RPI_PICO_W.uf2

Of MicroPython's release for the Pico W they are kept in host/earwitness/install/chip_names.txt.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

_UF2_BLOCK, _UF2_MAGIC = 512, 0x0A324655
_FLASH = 0x10000000
_WORDS = 6  # of a qstr_pool_t (py/qstr.h): the pool before, names before, room, names here, their hashes, their lengths
_MOST = 5000


def flash(uf2: bytes) -> bytes:
    """What the image has in flash, from its start. Raises ValueError."""
    pieces = {}
    for at in range(0, len(uf2), _UF2_BLOCK):
        magic, _, _, address, size = struct.unpack_from("<5I", uf2, at)
        if magic != _UF2_MAGIC or size > _UF2_BLOCK - 32:
            raise ValueError("this is no UF2 image")
        pieces[address] = uf2[at + 32 : at + 32 + size]
    whole = bytearray(max(pieces) + 256 - _FLASH)
    for address, piece in pieces.items():
        whole[address - _FLASH : address - _FLASH + len(piece)] = piece
    return bytes(whole)


def names(memory: bytes) -> list[str]:
    """All names in all of MicroPython's pools of names in `memory`, sorted."""
    words = struct.unpack(f"<{len(memory) // 4}I", memory[: len(memory) // 4 * 4])
    inside = range(_FLASH, _FLASH + len(memory))
    found: set[bytes] = set()
    for at in range(len(words) - _WORDS):
        before, _, _, count, hashes, lengths = words[at : at + _WORDS]
        if not (before == 0 or before in inside) or hashes not in inside or lengths not in inside:
            continue
        if 0 < count <= min(_MOST, len(words) - at - _WORDS):
            found |= _pool(memory, words[at + _WORDS : at + _WORDS + count], lengths)
    return sorted(name.decode("ascii") for name in found if name.isascii() and b" " not in name and b"\n" not in name)


def _pool(memory: bytes, texts: tuple[int, ...], lengths: int) -> set[bytes]:
    """The names of one pool; none if it is no pool: each text must end where its length says."""
    made = set()
    for number, text in enumerate(texts):
        start, length_at = text - _FLASH, lengths - _FLASH + number
        if not 0 <= start < len(memory) or length_at >= len(memory):
            return set()
        end = start + memory[length_at]
        if memory[end : end + 1] != b"\0" or b"\0" in memory[start:end]:
            return set()
        made.add(memory[start:end])
    return made


if __name__ == "__main__":
    print("\n".join(name for name in names(flash(Path(sys.argv[1]).read_bytes())) if name))
