"""Makes an empty FAT32 card image as a sparse file. Layout after Microsoft's FAT specification 1.03."""

from __future__ import annotations

import struct
from pathlib import Path

_SECTOR = 512
_RESERVED = 32
_FATS = 2
_MIN_CLUSTERS = 65_525  # fewer would be read as FAT16
_MAX_CLUSTER_SECTORS = 64  # 32 KiB, what cards come with
_MEDIA = 0xF8
_MAX_SECTORS = 1 << 32  # the boot sector counts them in 32 bits
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text: str) -> int:
    """ "64M" -> bytes. Raises ValueError."""
    unit = _UNITS.get(text[-1:].upper(), 0)
    count = text[:-1] if unit else text
    if not (count.isascii() and count.isdecimal() and len(count) < 20):
        raise ValueError(f"{text!r} is not a size. Write a number and K, M or G, e.g. 64M.")
    return int(count) * (unit or 1)


def make_card(path: Path, size: int, label: str = "EARWITNESS") -> None:
    """Write an empty FAT32 file system of `size` bytes (at least 34 MiB) to `path`. Raises ValueError if that is no size for one."""
    total = size // _SECTOR
    if total >= _MAX_SECTORS:
        raise ValueError("a FAT32 card is smaller than 2048 GiB")
    per_cluster = 1
    while per_cluster < _MAX_CLUSTER_SECTORS and total // (2 * per_cluster) > _MIN_CLUSTERS + 1024:
        per_cluster *= 2
    fat_sectors = -(-(total - _RESERVED) // (_SECTOR // 4 * per_cluster + _FATS)) + 1
    clusters = (total - _RESERVED - _FATS * fat_sectors) // per_cluster
    if clusters < _MIN_CLUSTERS:
        raise ValueError("a FAT32 card has at least 34 MiB")
    boot = bytearray(_SECTOR)
    struct.pack_into(
        "<3s8sHBHBHHBHHHIIIHHIHH12sBBBI11s8s", boot, 0,
        b"\xeb\x58\x90", b"EARWITNS", _SECTOR, per_cluster, _RESERVED, _FATS, 0, 0, _MEDIA, 0, 63, 255, 0, total,
        fat_sectors, 0, 0, 2, 1, 6, bytes(12), 0x80, 0, 0x29, 0x45575231, label.encode().ljust(11), b"FAT32   ",
    )  # fmt: skip
    boot[510:512] = b"\x55\xaa"
    info = bytearray(_SECTOR)
    struct.pack_into("<I", info, 0, 0x41615252)
    struct.pack_into("<III", info, 484, 0x61417272, clusters - 1, 3)
    info[510:512] = b"\x55\xaa"
    head = struct.pack("<III", 0x0FFFFF00 | _MEDIA, 0x0FFFFFFF, 0x0FFFFFF8)
    with path.open("wb") as file:
        file.truncate(total * _SECTOR)
        for at, data in ((0, boot), (1, info), (6, boot), (7, info)):
            file.seek(at * _SECTOR)
            file.write(data)
        for fat in range(_FATS):
            file.seek((_RESERVED + fat * fat_sectors) * _SECTOR)
            file.write(head)
        file.seek((_RESERVED + _FATS * fat_sectors) * _SECTOR)
        file.write(label.encode().ljust(11) + bytes([0x08]) + bytes(20))
