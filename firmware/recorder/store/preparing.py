"""Makes the file of the next recording and takes its first space, so that starting it costs no time. Idle set."""

from micropython import const

from recorder import room
from recorder.errors import CardError
from recorder.seal.wipe import wipe
from recorder.store.mount import MOST_PAGES, PAGE_BYTES
from recorder.store.recording import AHEAD_PAGES, RecordingFile

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.store.volume import Volume

_LEAST_PAGES = const(256)  # 1 MiB: less is no recording


def prepare(volume: "Volume", seq: int) -> RecordingFile:
    """Make the file and take its first 8 MiB, or what the card has if that is at least 1 MiB. Takes long. Raises CardError."""
    if volume.has(seq) and not _is_unused(volume, seq):
        volume.set_aside(seq)
    volume.forget()
    file = RecordingFile(volume.mount)
    try:
        file.w = volume.open(seq, "wb")
        file.fat = volume.mount.fat
        wipe(room.PAGES[1])
        file.w.write(room.PAGES[1])
        file.w.flush()
        file.x = volume.open(seq, "r+b")
        file.take(AHEAD_PAGES * PAGE_BYTES, 0)
    except CardError:
        file.abandon()
        raise
    except OSError as error:
        file.abandon()
        volume.fail(error)
    file.most = file.allocated
    if file.allocated == AHEAD_PAGES:
        file.most = min(AHEAD_PAGES + volume.measure(), MOST_PAGES)
    if file.most < _LEAST_PAGES:
        file.abandon()
        volume.remove(seq)
        raise CardError(CardError.FULL)
    return file


def _is_unused(volume: "Volume", seq: int) -> bool:
    """The file is empty, or its page 0 is zero: prepared once and never begun. Anything else may be somebody's recording."""
    if not volume.pages(seq):
        return True
    page = room.PAGES[1]
    volume.read_page(seq, 0, page)
    return not any(page)
