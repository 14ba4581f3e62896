"""Makes room in the flash for the firmware (bundle.py) and for hal/flash.py alone. Run by the installation, never by the recorder.

MicroPython mounts littlefs over the whole of rp2.Flash before any of our code runs, and formats what does not fit the
device to the block. So the region stays inside that file system, each of its blocks held by a file of one block: littlefs
never gives a block away that a file has, and of a file of one block it reads nothing but the directory entry (longer ones
keep pointers in their blocks). Whoever mounts it, with or without this firmware, the region is left alone.

Which block a file gets is littlefs's choice. It is led by a block device that calls every other block bad, for as long as
it looks for one. What it writes to the region goes nowhere: a region with an identity in it survives the loss of the file
system around it.
"""

import os

import rp2
import vfs
from micropython import const

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARK = "/reserved"  # the file that says that all of it is held
_SECTOR = const(4096)
_SECTORS = const(160)  # bundle.RESERVED
_IMAGE_SECTORS = const(32)  # the first of them, bundle.BLOCKS
_FOLDERS = const(3)  # so that no directory's entries exceed half a block, from where on littlefs would split it
_HELD_BYTES = const(768)  # more than littlefs keeps inside the directory
_TURNS = const(40)  # commits that surely bring a directory through both its blocks: 16 fill one
_ERASE = const(6)
_BAD = const(-84)  # LFS_ERR_CORRUPT
_OURS = (b"EWV1", b"EWJ1")  # how sectors of the vault and of the journal begin


class _Guide:
    """The flash as littlefs is to see it: the region holds only what is written while `holding`, and nothing else does."""

    def __init__(self, flash: "Any", first: int) -> None:
        self.holding = False
        self.held = set()  # type: set[int]
        self._flash = flash
        self._first = first
        self._block = -1
        self._data = bytearray(_SECTOR)

    def readblocks(self, block: int, buf: "Any", offset: int) -> None:
        if block == self._block:
            buf[:] = memoryview(self._data)[offset : offset + len(buf)]
        else:
            self._flash.readblocks(block, buf, offset)

    def writeblocks(self, block: int, buf: "Any", offset: int) -> None:
        if block < self._first:
            self._flash.writeblocks(block, buf, offset)
        else:
            self._data[offset : offset + len(buf)] = buf

    def ioctl(self, op: int, arg: int) -> "Any":
        if op != _ERASE:
            return self._flash.ioctl(op, arg)
        if (arg >= self._first) != self.holding:
            return _BAD
        if not self.holding:
            return self._flash.ioctl(op, arg)
        self._block = arg
        self._data[:] = b"\xff" * _SECTOR
        self.held.add(arg)
        return 0


def reserve() -> bool:
    """Format the file system with the region held; False if that was done before. Raises OSError.

    Everything in the file system is lost; the region keeps what it has if vault or journal are there, else it is blank.
    Cut at any moment, it is done again from the start.
    """
    try:
        os.stat(MARK)
        return False
    except OSError:
        pass
    flash: "Any" = rp2.Flash()
    first = flash.ioctl(4, 0) - _SECTORS
    vfs.umount("/")
    try:
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        guide = _Guide(flash, first)
        _hold(vfs.VfsLfs2(guide, progsize=256, mtime=False), guide)
        _blank(first + _IMAGE_SECTORS, _SECTORS - _IMAGE_SECTORS)
    finally:
        vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
    with open(MARK, "w") as file:
        file.write("%d %d" % (first, _SECTORS))
    return True


def _hold(fs: "Any", guide: _Guide) -> None:
    for folder in range(_FOLDERS):
        path = "/reserved%d" % folder
        fs.mkdir(path)
        # Two blocks are taken for a directory, and the second is looked at only when the first is full. It may be one of the
        # region, and must not stay so.
        for _ in range(_TURNS // 2):
            with fs.open(path + "/0", "wb") as file:
                file.write(b"0")
    for number in range(_SECTORS):
        with fs.open("/reserved%d/%d" % (number % _FOLDERS, number // _FOLDERS), "wb") as file:
            guide.holding = True
            file.write(bytes(_HELD_BYTES))
            guide.holding = False
        print(end=".")  # whoever installs sees that it goes on
    if len(guide.held) != _SECTORS:
        raise OSError("reserved %d of %d blocks" % (len(guide.held), _SECTORS))


def _blank(first: int, sectors: int) -> None:
    region = memoryview(rp2.Flash(start=first * _SECTOR, len=sectors * _SECTOR))
    ours = [sector for sector in range(sectors) if bytes(region[sector * _SECTOR : sector * _SECTOR + 4]) in _OURS]
    if not ours:
        blank = b"\xff" * _SECTOR
        flash = rp2.Flash()
        for sector in range(sectors):
            if region[sector * _SECTOR : (sector + 1) * _SECTOR] != blank:
                flash.ioctl(_ERASE, first + sector)
