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
from recorder.store.volume import MOST_PAGES, PAGE_BYTES

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from recorder.store.volume import Volume

_AHEAD_PAGES = const(2048)  # 8 MiB
_LOW_PAGES = const(512)  # 2 MiB
_LEAST_PAGES = const(256)  # 1 MiB: less is no recording
_EIO = const(5)
_POINTER_BYTES = sizeof({"pointer": (PTR | 0, UINT8)})


class RecordingFile:
    """prepare while idle, begin, then append and extend; close, or abandon. Every method raises CardError."""

    def __init__(self, volume: "Volume") -> None:
        self._volume = volume
        self._fat = None  # type: Any  # what the handles belong to
        self._w = None  # type: Any
        self._x = None  # type: Any
        self._seq = 0
        self.pages = 0  # written
        self._allocated = 0  # pages that the file has on the card
        self._most = 0  # pages that it can have

    def prepare(self, seq: int) -> None:
        """Make the file and take its first 8 MiB, or what the card has if that is at least 1 MiB. Idle only: takes long."""
        volume = self._volume
        self._seq = seq
        if volume.has(seq) and not _is_unused(volume, seq):
            volume.set_aside(seq)
        volume.forget()
        self._w = volume.open(seq, "wb")
        self._fat = volume.mounted
        try:
            self._w.write(bytes(PAGE_BYTES))
            self._w.flush()
            self._x = volume.open(seq, "r+b")
            self._take(_AHEAD_PAGES * PAGE_BYTES, 0)
        except CardError:
            self.abandon()
            raise
        except OSError as error:
            self.abandon()
            volume.fail(error)
        self._most = self._allocated
        if self._allocated == _AHEAD_PAGES:
            self._most = min(_AHEAD_PAGES + volume.measure(), MOST_PAGES)
        if self._most < _LEAST_PAGES:
            self.abandon()
            volume.remove(seq)
            raise CardError(CardError.FULL)

    def begin(self, header: "bytes | bytearray", checkpoint: "bytes | bytearray") -> None:
        """Write page 0 and checkpoint 0. The journal has the recording open before."""
        self._check()
        self._w.seek(0)
        self.append(header)
        self.append(checkpoint)

    def append(self, page: "bytes | bytearray | memoryview") -> None:
        """Write one page behind the last."""
        if self.pages >= self._allocated:
            self.extend()
            if self.pages >= self._allocated:
                raise CardError(CardError.FULL)
        self._check()
        try:
            self._w.write(page)
        except OSError as error:
            self._volume.fail(error)
        self.pages += 1

    def extend(self) -> None:
        """Take 8 MiB more when less than 2 MiB remain. From the main loop: takes as long as some thirty block writes."""
        if self._allocated - self.pages >= _LOW_PAGES or self._allocated >= self._most:
            return
        self._check()
        before = self._allocated
        try:
            self._take(min(_AHEAD_PAGES, MOST_PAGES - before) * PAGE_BYTES, 1)
        except OSError as error:
            self._volume.fail(error)
        if self._allocated - before < _AHEAD_PAGES:
            self._most = self._allocated  # the card is fuller than its own count said

    def room_pages(self) -> int:
        """Pages that can still be written, on this card and in a file of 2 GiB."""
        return self._most - self.pages

    def close(self) -> None:
        """Finish the file: its size becomes what was written."""
        self._check()
        self._volume.forget()
        w, self._w = self._w, None
        x, self._x = self._x, None
        try:
            x.close()
            w.close()
        except OSError as error:
            disown(x)
            disown(w)
            self._fat = None
            self._volume.fail(error)

    def abandon(self) -> None:
        """Let go without another write: an unused file stays as it is, an unfinished one is for recovery."""
        for handle in (self._w, self._x):
            if handle is not None:
                disown(handle)
        self._w = self._x = self._fat = None

    def _check(self) -> None:
        # After any error the volume is mounted afresh; two mounts of one card must not both write.
        if self._fat is None or self._fat is not self._volume.mounted:
            raise CardError(CardError.FAILED)

    def _take(self, offset: int, whence: int) -> None:
        # A seek past the end takes clusters, and stops at the last one there is without an error: only the place tells.
        place = self._x.seek(offset, whence)
        if self._volume.card.last_error is not None:
            raise OSError(_EIO)
        self._allocated = place // PAGE_BYTES
        self._x.flush()


def _is_unused(volume: "Volume", seq: int) -> bool:
    """The file is empty, or its page 0 is zero: prepared once and never begun. Anything else may be somebody's recording."""
    if not volume.pages(seq):
        return True
    page = bytearray(PAGE_BYTES)
    volume.read_page(seq, 0, page)
    return not any(page)


def disown(handle: "Any") -> None:
    """Close a FatFs file without its last flush.

    The collector closes what nobody holds, and closing writes the directory block as this handle remembers it, to whatever
    card is in the slot by then. A file whose first word behind the type (FIL.obj.fs, extmod/vfs_fat_file.c) is null counts
    as closed already.
    """
    bytearray_at(id(handle) + _POINTER_BYTES, _POINTER_BYTES)[:] = bytes(_POINTER_BYTES)
