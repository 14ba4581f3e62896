"""The card's FAT32 volume: its recordings by sequence number, page by page. Every failure is an errors.CardError. Idle set."""

import vfs
from micropython import const

from recorder.errors import CardError
from recorder.store.mount import MOST_PAGES, PAGE_BYTES, Mount

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from recorder.hal.card import Card

_BLOCK_BYTES = const(512)
# Microsoft's FAT32 File System Specification 1.03: boot sector, and the partition table of an MBR
_BYTES_PER_SECTOR = const(11)
_ROOT_ENTRIES = const(17)
_FAT_SIZE_16 = const(22)
_TYPE_NAME_32 = const(82)
_SIGNATURE = const(510)
_PARTITIONS = const(446)
_PARTITION_BYTES = const(16)

_ENOENT = const(2)
_ENODEV = const(19)


class Volume:
    """A mounted card. Raises CardError(FORMAT) for anything but FAT32; the caller offers to format."""

    def __init__(self, card: "Card", mount: "Mount | None" = None) -> None:
        """`mount`: that of a recording which was just made on this card, still good."""
        self.mount = Mount(card) if mount is None else mount
        self.card = card
        self.free_pages = 0
        self._seq = 0
        self._reader = None  # type: Any  # open on recording _seq, by _fat
        self._fat = None  # type: Any
        if mount is None:
            card.last_error = None
            try:
                if not _is_fat32(card):
                    raise CardError(CardError.FORMAT)
            except OSError as error:
                self.fail(error)
        self.measure()

    @property
    def fat(self) -> "Any":
        """The vfs.VfsFat. Keep hold of it while a handle is open: a handle alone does not keep it from the collector."""
        mount = self.mount
        if mount.fat is None:
            # No vfs.mount: nothing but this object has a way to the card.
            mount.fat = vfs.VfsFat(self.card)
        return mount.fat

    def measure(self) -> int:
        """Free pages of 4096 bytes, from FAT's own count. May read the whole FAT the first time: only when idle."""
        try:
            stat = self.fat.statvfs("")
        except OSError as error:
            if error.errno == _ENODEV and self.card.last_error is None:
                self.card.last_error = CardError.FORMAT  # VfsFat does not say itself that it found no file system
            self.fail(error)
        self.free_pages = int(stat[3]) * (int(stat[0]) // _BLOCK_BYTES) // (PAGE_BYTES // _BLOCK_BYTES)
        return self.free_pages

    def fail(self, error: OSError) -> "NoReturn":
        """Raise the CardError that `error` stands for (Mount.fail)."""
        self.forget()
        self.mount.fail(error)

    def open(self, seq: int, mode: str) -> "Any":
        """A raw handle on recording `seq`; its OSErrors go to `fail`."""
        try:
            return self.fat.open(name(seq), mode)
        except OSError as error:
            self.fail(error)

    def seqs(self) -> "list[int]":
        """Sequence numbers of the files in the root directory, ascending. A prepared file is among them."""
        found = []
        try:
            # As bytes: somebody else's file may have a name that is no UTF-8.
            for entry in self.fat.ilistdir(b""):
                text = entry[0].upper()
                if len(text) == 12 and text[:2] == b"EW" and text[8:] == b".EWR" and text[2:8].isdigit():
                    found.append(int(text[2:8]))
        except OSError as error:
            self.fail(error)
        found.sort()
        return found

    def has(self, seq: int) -> bool:
        """There is a file of that name on the card."""
        return self._stat(seq) is not None

    def pages(self, seq: int) -> int:
        """Whole pages of the file by its directory entry, 0 if there is none. Space allocated ahead counts until it is closed."""
        stat = self._stat(seq)
        return 0 if stat is None else min(stat[6] // PAGE_BYTES, MOST_PAGES)

    def _stat(self, seq: int) -> "Any":
        try:
            return self.fat.stat(name(seq))
        except OSError as error:
            if error.errno != _ENOENT:
                self.fail(error)
            return None

    def read_page(self, seq: int, page: int, into: "bytearray | memoryview") -> None:
        """Fill `into` (at most 4096 bytes) from the start of a page. Raises CardError, FAILED if the file ends before."""
        try:
            if self._seq != seq or self._reader is None or self._fat is not self.mount.fat:
                self.forget()
                self._fat = self.fat
                self._reader = self._fat.open(name(seq), "rb")
                self._seq = seq
            if page >= MOST_PAGES:
                raise CardError(CardError.FAILED)
            self._reader.seek(page * PAGE_BYTES)
            if self._reader.readinto(into) != len(into):
                raise CardError(CardError.FAILED)
        except OSError as error:
            self.fail(error)

    def forget(self) -> None:
        """Let go of the handle that read_page keeps: its size and place are those of when it was opened."""
        if self._reader is not None:
            self._reader.close()  # only ever read: touches no card
            self._reader = self._fat = None

    def remove(self, seq: int) -> None:
        """Delete the file and give its space back. Raises CardError."""
        self.forget()
        try:
            self.fat.remove(name(seq))
        except OSError as error:
            self.fail(error)
        self.measure()

    def has_set_aside(self) -> bool:
        """There are files that `set_aside` renamed."""
        try:
            return any(entry[0].upper().startswith(b"OLD") for entry in self.fat.ilistdir(b""))
        except OSError as error:
            self.fail(error)

    def set_aside(self, seq: int) -> None:
        """Rename a file that stands where recording `seq` is to go: another recorder's card. Nothing is ever overwritten."""
        self.forget()
        try:
            number = 0
            while True:
                aside = "OLD%05d.EWR" % number
                try:
                    self.fat.stat(aside)
                except OSError as error:
                    if error.errno != _ENOENT:
                        raise
                    break
                number += 1
            self.fat.rename(name(seq), aside)
        except OSError as error:
            self.fail(error)


def name(seq: int) -> str:
    """The file's name, 8.3, in the root directory."""
    return "EW%06d.EWR" % seq


def _is_fat32(card: "Card") -> bool:
    block = bytearray(_BLOCK_BYTES)
    starts = [0]
    for start in starts:
        card.readblocks(start, block)
        if block[_SIGNATURE] != 0x55 or block[_SIGNATURE + 1] != 0xAA:
            continue
        if block[_TYPE_NAME_32 : _TYPE_NAME_32 + 5] == b"FAT32":
            # These fields, not the name, are what tells FAT32 from FAT16; FatFs mounts 512-byte sectors.
            return (
                block[_BYTES_PER_SECTOR] == 0
                and block[_BYTES_PER_SECTOR + 1] == 2
                and not (block[_ROOT_ENTRIES] or block[_ROOT_ENTRIES + 1])
                and not (block[_FAT_SIZE_16] or block[_FAT_SIZE_16 + 1])
            )
        # exFAT and NTFS begin with EB 76 90 "EXFAT" and EB 52 90 "NTFS", FAT16 with a jump, too: no partition table follows.
        if start == 0 and block[0] not in (0xEB, 0xE9, 0xE8):
            for entry in range(_PARTITIONS, _SIGNATURE, _PARTITION_BYTES):
                if block[entry + 4]:
                    starts.append(int.from_bytes(block[entry + 8 : entry + 12], "little"))
    return False
