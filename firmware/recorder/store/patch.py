"""Writes pages into a recording's file as it stands, one by one, each brought to the card at once. Idle set."""

from micropython import const

from recorder.store.mount import PAGE_BYTES
from recorder.store.recording import disown

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401 - in a comment's type

    from recorder.store.volume import Volume

_SYNC = const(3)  # vfs.AbstractBlockDev.ioctl
_ENOSPC = const(28)


class Patch:
    """`pages`: how many the file of recording `seq` holds."""

    def __init__(self, volume: "Volume", seq: int) -> None:
        self.seq = seq
        self.pages = volume.pages(seq)
        self._volume = volume
        self._out = None  # type: Any
        self._fat = None  # type: Any

    def write(self, place: int, data: "bytes | bytearray | memoryview", offset: int = 0) -> None:
        """Write a page, or from `offset` on in one. Inside the file no directory entry is touched: there is nothing for a cut
        to break. Raises CardError."""
        volume = self._volume
        try:
            if self._out is None:
                self._out = volume.open(self.seq, "r+b")
                self._fat = volume.mount.fat  # a handle alone does not keep it from the collector
            if self._out.seek(place * PAGE_BYTES + offset) != place * PAGE_BYTES + offset:
                raise OSError(_ENOSPC)
            self._out.write(data)
            if place >= self.pages:
                self._out.close()
                self._out = self._fat = None
                volume.forget()
                self.pages = place + 1
            volume.card.ioctl(_SYNC, 0)
        except OSError as error:
            self.close()
            volume.fail(error)

    def close(self) -> None:
        """Let go of the file. Its directory entry is not written."""
        if self._out is not None:
            disown(self._out)
            self._out = self._fat = None
