"""The card as a block device for VfsFat. Every wait ends, every wait pumps, every failure is an errors.CardError."""

from typing import Callable

pump: Callable[[], bool] | None  # called in every wait loop while recording

class Card:
    """Block device protocol of vfs.VfsFat, 512-byte blocks. Raises OSError to VfsFat; `last_error` keeps the CardError kind."""

    last_error: str | None
    def readblocks(self, block: int, buf: bytearray | memoryview, offset: int = 0) -> None: ...
    def writeblocks(self, block: int, buf: bytearray | bytes | memoryview, offset: int = 0) -> None: ...
    def ioctl(self, op: int, arg: int) -> int | None: ...

def present() -> bool:
    """A card is in the slot and has not been exchanged since `open_card`."""

def open_card() -> Card:
    """Initialise the card. Raises CardError(NONE | FAILED)."""

def worst_write_ms() -> int:
    """The longest that one write has taken since `open_card`."""
