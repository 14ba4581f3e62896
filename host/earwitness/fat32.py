"""Reads the root folder of a FAT32 image or raw card, and nothing else: the recorder keeps all its files there.

Written out here because a damaged card is just what it is for: each number from the card is checked before it is
followed, and a place that cannot be read raises OSError for that place alone. (Microsoft, "FAT32 File System
Specification", 1.03.)
"""

from __future__ import annotations

import struct
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
_MAX_ROOT_CLUSTERS: Final = 4096


@dataclass(frozen=True)
class FatFile:
    """A file of the root folder: its 8.3 name, length in bytes and first cluster."""

    name: str
    size: int
    cluster: int


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
        self._runs: dict[int, list[tuple[int, int]]] = {}

    def files(self) -> list[FatFile]:
        """The files of the root folder, in its order."""
        found: list[FatFile] = []
        for first, count in self._chain(self._root, _MAX_ROOT_CLUSTERS):
            data = self._read(self._place(first), count * self._cluster_bytes)
            for at in range(0, len(data), _ENTRY_BYTES):
                entry = data[at : at + _ENTRY_BYTES]
                if entry[0] == _ENTRY_END:
                    return found
                if entry[0] == _ENTRY_FREE or entry[11] & _NO_FILE:
                    continue
                stem, kind = entry[:8].decode("latin-1").rstrip(), entry[8:11].decode("latin-1").rstrip()
                high, low, size = struct.unpack_from("<H4xHI", entry, 20)
                found.append(FatFile(f"{stem}.{kind}" if kind else stem, size, high << 16 | low))
        return found

    def read(self, file: FatFile, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on; fewer at the end. Raises OSError, FormatError for a broken chain."""
        end = min(offset + count, file.size)
        if offset >= end:
            return b""
        size = self._cluster_bytes
        if file.cluster not in self._runs:
            self._runs[file.cluster] = self._chain(file.cluster, (file.size + size - 1) // size)
        out = bytearray()
        at = 0  # where the run begins in the file
        for first, clusters in self._runs[file.cluster]:
            begin, stop = max(offset, at), min(end, at + clusters * size)
            if begin < stop:
                out += self._read(self._place(first) + begin - at, stop - begin)
            at += clusters * size
        if len(out) != end - offset:
            raise FormatError(f"{file.name} is longer than its place on the card.", "Sync over the cable instead.")
        return bytes(out)

    def _chain(self, cluster: int, most: int) -> list[tuple[int, int]]:
        """Runs (first cluster, count) of at most `most` clusters: a chain that bites its tail ends too."""
        runs: list[tuple[int, int]] = []
        for _ in range(most):
            if cluster >= _END_OF_CHAIN:
                break
            if not 2 <= cluster <= self._last:
                raise FormatError("A file's chain on the card is broken.", "Sync over the cable instead.")
            if runs and sum(runs[-1]) == cluster:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((cluster, 1))
            cluster = self._next(cluster)
        return runs

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
