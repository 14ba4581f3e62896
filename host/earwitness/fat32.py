"""Reads the root folder of a FAT32 image or raw card, and nothing else: the recorder keeps all its files there.

Written out here because a damaged card is just what it is for: each number from the card is checked before it is
followed, no claim of its makes the reader wait or remember more than the card's own table holds, and a place that
cannot be read raises OSError for that place alone. (Microsoft, "FAT32 File System Specification", 1.03.)
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from earwitness.errors import FormatError

_SECTOR_BYTES: Final = 512
_ENTRY_BYTES: Final = 32
_ENTRY_FREE, _ENTRY_END = 0xE5, 0x00
_NO_FILE: Final = 0x08 | 0x10  # volume label (long names too) or folder
_CLUSTER_MASK: Final = 0x0FFFFFFF
_END_OF_CHAIN: Final = 0x0FFFFFF8
_FAT32_PARTITIONS: Final = (0x0B, 0x0C)
_MAX_ROOT_BYTES: Final = 65_536 * _ENTRY_BYTES


@dataclass(frozen=True)
class FatFile:
    """A file of the root folder: its 8.3 name, length in bytes and first cluster."""

    name: str
    size: int
    cluster: int


class _Chain:
    """A file's clusters, followed only as far as is asked and kept as runs.

    `follow` gives the cluster behind another (the first one for 0), None behind the last; `most` bounds how many there are.
    """

    def __init__(self, most: int, follow: Callable[[int], int | None]) -> None:
        self._follow = follow
        self._most = most
        self._runs = array("I")  # first cluster of each run
        self._starts = array("I")  # and its place in the file, in clusters
        self._known = 0  # clusters that were followed
        self._newest = 0
        self._landmark, self._until = 0, 1  # Brent's cycle detection: a cluster passed by, and when the next is chosen

    def run(self, index: int) -> tuple[int, int] | None:
        """(cluster number `index` of the file, how many are known to stand in a row from there); None behind the last.

        Raises FormatError where the chain is broken or bites its tail.
        """
        while self._known <= index:
            cluster = self._follow(self._newest)
            if cluster is None:
                return None
            if self._known == self._most or cluster == self._landmark:
                raise FormatError("A file's chain on the card bites its tail.", "Sync over the cable instead.")
            self._append(cluster)
        at = bisect_right(self._starts, index) - 1
        end = self._starts[at + 1] if at + 1 < len(self._starts) else self._known
        return self._runs[at] + index - self._starts[at], end - index

    def _append(self, cluster: int) -> None:
        if cluster != self._newest + 1 or not self._known:
            self._runs.append(cluster)
            self._starts.append(self._known)
        self._known += 1
        self._newest = cluster
        if self._known == self._until:
            self._landmark, self._until = cluster, 2 * self._until


class Fat32:
    """A FAT32 file system in `file`, which is only read. Raises FormatError if it holds none."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._base = 0
        boot = self._read(0, _SECTOR_BYTES)
        if boot[3:11] != b"EXFAT   " and boot[82:90] != b"FAT32   " and boot[510:] == b"\x55\xaa":
            self._base = self._partition(boot)
            boot = self._read(0, _SECTOR_BYTES)
        if boot[3:11] == b"EXFAT   ":
            raise FormatError("The card is formatted as exFAT; recorders use FAT32.", "It holds no recordings.")
        if boot[82:90] != b"FAT32   " or boot[510:] != b"\x55\xaa":
            raise FormatError("There is no FAT32 file system.", "Give the mounted folder of the card, or its image.")
        sector, per_cluster, reserved, fats = struct.unpack_from("<HBHB", boot, 11)
        total, fat_sectors = struct.unpack_from("<II", boot, 32)
        (self._root,) = struct.unpack_from("<I", boot, 44)
        data = reserved + fats * fat_sectors
        if sector not in (512, 1024, 2048, 4096) or per_cluster == 0 or not 0 < data < total or not 1 <= fats <= 2:
            raise FormatError("The card's FAT32 file system is damaged.", "Sync over the cable instead.")
        self._fat: int = reserved * sector
        self._data: int = data * sector
        self._cluster_bytes: int = per_cluster * sector
        self._last = min((total - data) // per_cluster, fat_sectors * sector // 4 - 2) + 1
        self._cached = -1
        self._cache = b""
        self._chain: tuple[FatFile, _Chain] | None = None  # of the file that was read last

    def files(self) -> list[FatFile]:
        """The files of the root folder, in its order."""
        found: list[FatFile] = []
        chain = self._follow(self._root, _MAX_ROOT_BYTES)
        number = 0
        while number * self._cluster_bytes < _MAX_ROOT_BYTES and (run := chain.run(number)) is not None:
            data = self._read(self._place(run[0]), self._cluster_bytes)
            for at in range(0, len(data), _ENTRY_BYTES):
                entry = data[at : at + _ENTRY_BYTES]
                if entry[0] == _ENTRY_END:
                    return found
                if entry[0] == _ENTRY_FREE or entry[11] & _NO_FILE:
                    continue
                stem, kind = entry[:8].decode("latin-1").rstrip(), entry[8:11].decode("latin-1").rstrip()
                high, low, size = struct.unpack_from("<H4xHI", entry, 20)
                found.append(FatFile(f"{stem}.{kind}" if kind else stem, size, high << 16 | low))
            number += 1
        return found

    def read(self, file: FatFile, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on; fewer at the end. Raises OSError, FormatError for a broken chain."""
        if file.size > (self._last - 1) * self._cluster_bytes:
            raise FormatError(f"{file.name} says it is longer than the card.", "Sync over the cable instead.")
        if self._chain is None or self._chain[0] != file:
            self._chain = file, self._follow(file.cluster, file.size)
        chain = self._chain[1]
        end = min(offset + count, file.size)
        out = bytearray()
        if offset < end:
            chain.run((end - 1) // self._cluster_bytes)  # so that runs are known whole, and few reads do
        while offset < end:
            number, skip = divmod(offset, self._cluster_bytes)
            run = chain.run(number)
            if run is None:
                raise FormatError(f"{file.name} is longer than its place on the card.", "Sync over the cable instead.")
            size = min(run[1] * self._cluster_bytes - skip, end - offset)
            out += self._read(self._place(run[0]) + skip, size)
            offset += size
        return bytes(out)

    def _follow(self, cluster: int, size: int) -> _Chain:
        """The chain from `cluster` on of something that says it has `size` bytes."""
        most = min(-(-size // self._cluster_bytes), self._last - 1)
        return _Chain(most, lambda before: self._checked(self._next(before) if before else cluster))

    def _checked(self, cluster: int) -> int | None:
        if cluster >= _END_OF_CHAIN:
            return None
        if not 2 <= cluster <= self._last:
            raise FormatError("A file's chain on the card is broken.", "Sync over the cable instead.")
        return cluster

    def _next(self, cluster: int) -> int:
        sector, at = divmod(cluster * 4, _SECTOR_BYTES)
        if sector != self._cached:
            self._cache = self._read(self._fat + sector * _SECTOR_BYTES, _SECTOR_BYTES)
            self._cached = sector
        entry: int = struct.unpack_from("<I", self._cache, at)[0]
        return entry & _CLUSTER_MASK

    def _place(self, cluster: int) -> int:
        return self._data + (cluster - 2) * self._cluster_bytes

    @staticmethod
    def _partition(boot: bytes) -> int:
        for at in range(446, 510, 16):
            if boot[at + 4] in _FAT32_PARTITIONS:
                start: int = struct.unpack_from("<I", boot, at + 8)[0]
                return start * _SECTOR_BYTES
        return 0

    def _read(self, place: int, count: int) -> bytes:
        """Whole sectors are read, for raw devices that allow nothing else."""
        skip = place % _SECTOR_BYTES
        whole = -(-(skip + count) // _SECTOR_BYTES) * _SECTOR_BYTES
        self._file.seek(self._base + place - skip)
        data = self._file.read(whole)[skip : skip + count]
        if len(data) != count:
            raise OSError("the image ends too soon")
        return data
