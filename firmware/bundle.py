"""The installed firmware: one file in flash, mounted at /firmware and imported from there.

One file, because littlefs gives each file at least 4 KiB and the flash has not that many; and because a new one beside
the old one, then one rename, is an update that no power cut can leave half done.

The file: a first line `earwitness VERSION`; a line `PATH SIZE` for every module; an empty line; the modules' bytes in
that order; the SHA-256 of everything before, 32 bytes. That hash is what recordings carry as their firmware.
"""

import gc
import sys

import vfs

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

FILE = "/earwitness.img"
MOUNT = "/firmware"

_NO_ENTRY = 2  # ENOENT
_FOLDER = 0x4000
_HEAD_BYTES = 512  # the index is read in pieces of this size


class Bundle:
    """A read-only file system of what `FILE` holds: as much of one as `import` asks for."""

    def __init__(self, file: str) -> None:
        """Raises OSError where there is no such file."""
        self._file = file
        self._index = b""
        self._read_index()

    def _read_index(self) -> None:
        index = b""
        with open(self._file, "rb") as image:
            while b"\n\n" not in index:
                piece = image.read(_HEAD_BYTES)
                if not piece:
                    raise OSError(_NO_ENTRY)
                index += piece
        self._index = index[: index.find(b"\n\n") + 1]

    def forget(self) -> None:
        """Give the index's memory back; the next import reads it again."""
        self._index = b""

    def mount(self, readonly: bool, mkfs: bool) -> None:
        pass

    def umount(self) -> None:
        pass

    def _find(self, path: str, end: str) -> int:
        if not self._index:
            self._read_index()
        return self._index.find(("\n" + path.lstrip("/") + end).encode())

    def stat(self, path: str) -> "tuple[int, ...]":
        if self._find(path, " ") >= 0:
            return (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        if self._find(path, "/") >= 0:
            return (_FOLDER, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(_NO_ENTRY)

    def open(self, path: str, mode: str) -> "IO[bytes]":
        """The image itself, at the module's first byte: compiled code says where it ends."""
        at = self._find(path, " ")
        if at < 0:
            raise OSError(_NO_ENTRY)
        gc.collect()  # else what is loaded lies strewn between what loading left behind, and no large piece remains
        offset = len(self._index) + 1
        line = self._index.find(b"\n") + 1
        while line <= at:
            end = self._index.find(b"\n", line)
            offset += int(self._index[self._index.find(b" ", line) + 1 : end])
            line = end + 1
        image = open(self._file, "rb")
        image.seek(offset)
        return image


bundle: "Bundle | None" = None


def mount(file: str = FILE) -> None:
    """Import from the installed firmware from now on. Without one, from wherever Python looks anyway."""
    global bundle
    try:
        bundle = Bundle(file)
    except OSError:
        return
    vfs.mount(bundle, MOUNT)
    sys.path.insert(0, MOUNT)


def forget() -> None:
    """Give back what finding modules needs, until the next import."""
    if bundle is not None:
        bundle.forget()


def version(file: str = FILE) -> "tuple[bytes, str]":
    """(SHA-256 that the image ends with, its version); zeros and "" where none is installed."""
    try:
        with open(file, "rb") as image:
            text = image.readline().decode().split()
            image.seek(-32, 2)
            return image.read(32), text[1]
    except (OSError, IndexError, UnicodeError):
        return bytes(32), ""
