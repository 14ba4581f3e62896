"""The file of one recording: space first, then pages written straight through, and nothing that a power cut can break.

FatFs writes directory and FAT at a flush, the very thing a cut corrupts; and what was never flushed cannot be found after
a cut. So two handles on one file. `x` only extends: it takes 8 MiB of clusters at a time and flushes, which makes them part
of the file in FAT and directory before anything is written there. `w` only writes forward into what `x` has taken, without
ever flushing: a page is one write of eight blocks and touches no metadata. After a cut, the directory shows the allocated
size, and the pages are found by what is in them. At the end `x` is closed before `w`: the last one sets the size.
"""

from micropython import const
from uctypes import PTR, UINT8, bytearray_at, sizeof

from recorder.errors import CardError
from recorder.store.mount import MOST_PAGES, PAGE_BYTES

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from recorder.store.mount import Mount

AHEAD_PAGES = const(2048)  # 8 MiB
_LOW_PAGES = const(512)  # 2 MiB
_EIO = const(5)
_POINTER_BYTES = sizeof({"pointer": (PTR | 0, UINT8)})


class RecordingFile:
    """Made by preparing.prepare while idle: begin, then append and extend; close, or abandon. Every method raises CardError."""

    def __init__(self, mount: "Mount") -> None:
        self.mount = mount
        self.fat = None  # type: Any  # what the handles belong to
        self.w = None  # type: Any
        self.x = None  # type: Any
        self.pages = 0  # written
        self.allocated = 0  # pages that the file has on the card
        self.most = 0  # pages that it can have

    def begin(self, header: "bytes | bytearray", checkpoint: "bytes | bytearray") -> None:
        """Write page 0 and checkpoint 0. The journal has the recording open before."""
        self._check()
        self.w.seek(0)
        self.append(header)
        self.append(checkpoint)

    def append(self, page: "bytes | bytearray | memoryview") -> None:
        """Write one page behind the last."""
        if self.pages >= self.allocated:
            self.extend()
            if self.pages >= self.allocated:
                raise CardError(CardError.FULL)
        self._check()
        try:
            self.w.write(page)
        except OSError as error:
            self.mount.fail(error)
        self.pages += 1

    def extend(self) -> None:
        """Take 8 MiB more when less than 2 MiB remain. From the main loop: takes as long as some thirty block writes."""
        if self.allocated - self.pages >= _LOW_PAGES or self.allocated >= self.most:
            return
        self._check()
        before = self.allocated
        try:
            self.take(min(AHEAD_PAGES, MOST_PAGES - before) * PAGE_BYTES, 1)
        except OSError as error:
            self.mount.fail(error)
        if self.allocated - before < AHEAD_PAGES:
            self.most = self.allocated  # the card is fuller than its own count said

    def room_pages(self) -> int:
        """Pages that can still be written, on this card and in a file of 2 GiB."""
        return self.most - self.pages

    def close(self) -> None:
        """Finish the file: its size becomes what was written."""
        self._check()
        w, self.w = self.w, None
        x, self.x = self.x, None
        try:
            x.close()
            w.close()
        except OSError as error:
            disown(x)
            disown(w)
            self.fat = None
            self.mount.fail(error)

    def abandon(self) -> None:
        """Let go without another write: an unused file stays as it is, an unfinished one is for recovery."""
        for handle in (self.w, self.x):
            if handle is not None:
                disown(handle)
        self.w = self.x = self.fat = None

    def _check(self) -> None:
        # After any error the volume is mounted afresh; two mounts of one card must not both write.
        if self.fat is None or self.fat is not self.mount.fat:
            raise CardError(CardError.FAILED)

    def take(self, offset: int, whence: int) -> None:
        """Make the file reach to where a seek goes, as far as there is room. Raises OSError."""
        # A seek past the end takes clusters, and stops at the last one there is without an error: only the place tells.
        place = self.x.seek(offset, whence)
        if self.mount.card.last_error is not None:
            raise OSError(_EIO)
        self.allocated = place // PAGE_BYTES
        self.x.flush()


def disown(handle: "Any") -> None:
    """Close a FatFs file without its last flush.

    The collector closes what nobody holds, and closing writes the directory block as this handle remembers it, to whatever
    card is in the slot by then. A file whose first word behind the type (FIL.obj.fs, extmod/vfs_fat_file.c) is null counts
    as closed already.
    """
    bytearray_at(id(handle) + _POINTER_BYTES, _POINTER_BYTES)[:] = bytes(_POINTER_BYTES)
