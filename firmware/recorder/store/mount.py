"""A card and FatFs on it: what a recording needs of the card while it is made. volume.py is the rest, for idle times."""

from micropython import const

from recorder.errors import CardError

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from recorder.hal.card import Card

PAGE_BYTES = const(4096)
# 2 GiB less 1 MiB: an offset is a signed 32-bit number on the chip, whatever a directory entry says.
MOST_PAGES = const(524032)

_ENODEV = const(19)
_ENOSPC = const(28)


class Mount:
    """`fat` is the vfs.VfsFat, None after an error: Volume mounts afresh."""

    def __init__(self, card: "Card") -> None:
        self.card = card
        self.fat: "Any" = None

    def fail(self, error: OSError) -> "NoReturn":
        """Raise the CardError that `error` stands for: the card's own word if it said one.

        The next use mounts afresh. An error that the card raised went past FatFs, whose one-block window on FAT and
        directory may hold half of another block by now; written back it would ruin the card. Recordings that are open are
        no longer written, for the same reason (RecordingFile).
        """
        self.fat = None
        kind = self.card.last_error
        if kind is None:
            code = error.errno
            kind = CardError.FULL if code == _ENOSPC else CardError.GONE if code == _ENODEV else CardError.FAILED
        self.card.last_error = None
        raise CardError(kind)
