"""The end of the internal flash, which reserve.py has taken out of the file system's hands. W25Q16JV datasheet, 8.2.

Programming and erasing run with interrupts off, 0.4 to 3 ms a page and 45 to 400 ms a sector: DMA moves samples meanwhile,
and the ring holds 1 s. A page may be programmed again and again: each time, only bits from 1 to 0 change.
"""

import os

import rp2
from micropython import const

from recorder.errors import RecorderError

SIZE = 524288
SECTOR = 4096
PAGE = 256

_MARK = "/reserved"  # reserve.py makes it
_ERASE = const(6)
_BLANK = b"\xff" * PAGE

_region = rp2.Flash(start=len(memoryview(rp2.Flash())) - SIZE, len=SIZE)
_page = bytearray(_BLANK)


def _reserved() -> bool:
    try:
        os.stat(_MARK)
        return True
    except OSError:
        return False


_ours = _reserved()


def _check(address: int, count: int) -> None:
    if address < 0 or address + count > SIZE:
        raise ValueError("outside the flash region")


def _check_ours() -> None:
    if not _ours:
        raise RecorderError("no room is reserved in the flash: install again")


def read(address: int, into: "bytearray | memoryview") -> None:
    _check(address, len(into))
    _region.readblocks(address // SECTOR, into, address % SECTOR)


def program(address: int, data: "bytes | bytearray | memoryview") -> None:
    _check(address, len(data))
    _check_ours()
    at = 0
    while at < len(data):
        offset = (address + at) % PAGE
        count = min(PAGE - offset, len(data) - at)
        _page[offset : offset + count] = memoryview(data)[at : at + count]
        start = address + at - offset
        _region.writeblocks(start // SECTOR, _page, start % SECTOR)
        _page[:] = _BLANK  # what was in it may be a key
        at += count


def erase(sector: int) -> None:
    _check(sector * SECTOR, SECTOR)
    _check_ours()
    _region.ioctl(_ERASE, sector)
