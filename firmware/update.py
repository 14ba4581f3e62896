"""Puts an image that the installation left as a file where the firmware is run from. Runs at a start, before anything else.

The file goes last: cut at any moment, it is done again from the start. And the image's first block is erased first and
written last: a half-written one is no firmware (bundle.py).
"""

import os
from hashlib import sha256

import bundle
from micropython import const

FILE = "/earwitness.img"

_BLOCK = const(4096)
_HASH_BYTES = const(32)


def take() -> None:
    """Install what FILE holds, and delete it. Raises OSError where flash does not keep what is written."""
    size = os.stat(FILE)[6]
    if _HASH_BYTES < size <= bundle.BLOCKS * _BLOCK and _whole(size):
        _copy(size)
    os.remove(FILE)


def _whole(size: int) -> bool:
    """The file ends with the hash of all before: it was written to its end."""
    hash = sha256()
    buffer = bytearray(_BLOCK)
    with open(FILE, "rb") as file:
        left = size - _HASH_BYTES
        while left:
            count = file.readinto(memoryview(buffer)[: min(left, _BLOCK)])
            hash.update(memoryview(buffer)[:count])
            left -= count
        return file.read() == hash.digest()


def _copy(size: int) -> None:
    flash = bundle.region()
    memory = memoryview(flash)
    buffer = bytearray(_BLOCK)
    flash.writeblocks(0, buffer)
    with open(FILE, "rb") as file:
        for block in list(range(1, (size + _BLOCK - 1) // _BLOCK)) + [0]:
            file.seek(block * _BLOCK)
            file.readinto(buffer)
            flash.writeblocks(block, buffer)
            if memory[block * _BLOCK : block * _BLOCK + _BLOCK] != buffer:
                raise OSError("flash does not keep what is written")
