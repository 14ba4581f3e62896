"""FORMAT: a new FAT32 volume on the card, in one partition as the SD specification has it. Idle set.

Microsoft's FAT32 File System Specification 1.03. Cut at any moment, the card is either the new empty volume or no volume
at all, which the recorder says ("card not FAT32") and formatting again mends: block 0 is blanked first and written last.
"""

from struct import pack_into

from micropython import const

from recorder.errors import CardError
from recorder.hal import power

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from recorder.hal.card import Card

_BLOCK_BYTES = const(512)
_FIRST_BLOCK = const(8192)  # of the partition: 4 MiB, where cards want it
_FIRST_SMALL = const(64)  # on a card so small that these 4 MiB count
_SMALL_BLOCKS = const(1 << 20)
_RESERVED = const(32)
_FATS = const(2)
_LEAST_CLUSTERS = const(65_525)  # fewer would be read as FAT16
_MOST_CLUSTER_BLOCKS = const(64)  # 32 KiB, what cards come with
_FILL_BLOCKS = const(16)  # zeroed in one write
_COUNT = const(4)  # vfs.AbstractBlockDev.ioctl
_SYNC = const(3)
_FAT32_LBA = const(0x0C)


def quick_format(card: "Card", progress: "Callable[[], None]") -> None:
    """Make all of `card` one empty FAT32 volume. Feeds the watchdog and calls `progress()` all along. Raises CardError."""
    total = card.ioctl(_COUNT, 0) or 0
    first = _FIRST_BLOCK if total >= _SMALL_BLOCKS else _FIRST_SMALL
    size = total - first
    per_cluster = 1
    while per_cluster < _MOST_CLUSTER_BLOCKS and size // (2 * per_cluster) > _LEAST_CLUSTERS + 1024:
        per_cluster *= 2
    fat = (size - _RESERVED) // (_BLOCK_BYTES // 4 * per_cluster + _FATS) + 2
    clusters = (size - _RESERVED - _FATS * fat) // per_cluster
    if clusters < _LEAST_CLUSTERS:
        raise CardError(CardError.FORMAT)  # too small for FAT32
    block = bytearray(_BLOCK_BYTES)
    try:
        card.writeblocks(0, block)
        card.ioctl(_SYNC, 0)
        zeros = bytes(_BLOCK_BYTES * _FILL_BLOCKS)
        at = first
        end = first + _RESERVED + _FATS * fat + per_cluster  # the root directory is the first cluster
        while at < end:
            count = min(_FILL_BLOCKS, end - at)
            card.writeblocks(at, memoryview(zeros)[: count * _BLOCK_BYTES])
            at += count
            power.feed()
            progress()
        pack_into("<III", block, 0, 0x0FFFFFF8, 0x0FFFFFFF, 0x0FFFFFF8)
        for copy in range(_FATS):
            card.writeblocks(first + _RESERVED + copy * fat, block)
        _info(block, clusters)
        card.writeblocks(first + 1, block)
        card.writeblocks(first + 7, block)
        _boot(block, first, size, per_cluster, fat)
        card.writeblocks(first + 6, block)
        card.writeblocks(first, block)
        card.ioctl(_SYNC, 0)
        _table(block, first, size)
        card.writeblocks(0, block)  # from here on it is a volume
        card.ioctl(_SYNC, 0)
    except OSError:
        kind = card.last_error or CardError.FAILED
        card.last_error = None
        raise CardError(kind) from None


def _clear(block: bytearray) -> None:
    for at in range(_BLOCK_BYTES):
        block[at] = 0
    block[510] = 0x55
    block[511] = 0xAA


def _boot(block: bytearray, first: int, size: int, per_cluster: int, fat: int) -> None:
    _clear(block)
    block[:11] = b"\xeb\x58\x90EARWITNS"
    pack_into("<HBHBHHBHHH", block, 11, _BLOCK_BYTES, per_cluster, _RESERVED, _FATS, 0, 0, 0xF8, 0, 63, 255)
    pack_into("<IIIHHIHH", block, 28, first, size, fat, 0, 0, 2, 1, 6)
    pack_into("<BBBI", block, 64, 0x80, 0, 0x29, size ^ 0x45575231)
    block[71:90] = b"EARWITNESS FAT32   "


def _info(block: bytearray, clusters: int) -> None:
    _clear(block)
    pack_into("<I", block, 0, 0x41615252)
    pack_into("<III", block, 484, 0x61417272, clusters - 1, 3)


def _table(block: bytearray, first: int, size: int) -> None:
    """One partition; the old cylinder numbers are those that mean "see the block numbers"."""
    _clear(block)
    pack_into("<8BII", block, 446, 0, 0xFE, 0xFF, 0xFF, _FAT32_LBA, 0xFE, 0xFF, 0xFF, first, size)
