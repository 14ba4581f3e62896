"""The order in which a recorder gets its firmware: whatever stops it, the old one is still there or the device says that it is not finished.

Written beside what is there, read back by the board, then renamed: littlefs renames in one step. At its next start the board
itself puts the image where it runs from (firmware/update.py). That place, the identity and the journal lie in flash that a
new board's file system is made without (firmware/recorder/hal/reserve.py); nothing here writes there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from earwitness.install.board import Board, BoardError
from earwitness.install.image import Firmware
from earwitness.plain import one_line

IMAGE = "/earwitness.img"
HASH_BYTES = 32
_NEW = ".new"
_RESERVED = "reserved"  # the mark that reserve.py leaves
_OF_RESERVING = "reserve"  # its module, its folders
_FORMAT_S = 120.0
_SHOWN = 100  # letters


@dataclass(frozen=True)
class Installed:
    """What was done. `written`: files that were not there already."""

    board: str
    hash: bytes
    written: tuple[str, ...]


def install(board: Board, firmware: Firmware, progress: Callable[[int], None], *, erase: bool = False) -> Installed:
    """Bring `board` to `firmware`. `progress` gets bytes done of `total_bytes`. Raises BoardError, NoDeviceError.

    `erase`: files that are not a recorder's may go.
    """
    named = board.check()
    files = {IMAGE: firmware.image, **{f"/{name}": data for name, data in firmware.files.items()}}
    there = board.names()
    if _RESERVED not in there:
        others = sorted(name for name in there if not name.startswith(_OF_RESERVING))
        if others and not erase:
            raise BoardError(
                f"The board holds files of something else: {one_line(', '.join(others))[:_SHOWN]}.",
                "They would be lost. Name another port with --port, or say --erase if they may go.",
            )
        _reserve(board, firmware.reserve)
    written = []
    done = 0
    # The image first: a starter that is newer than it finds all that it needs, an older one still finds the older image.
    for path, data in files.items():
        if not _is_there(board, path, data):
            _replace(board, path, data, lambda part, before=done: progress(before + part))  # type: ignore[misc]
            written.append(path)
        done += len(data)
        progress(done)
    return Installed(named, firmware.hash, tuple(written))


def total_bytes(firmware: Firmware) -> int:
    """What `install` counts up to."""
    return len(firmware.image) + sum(map(len, firmware.files.values()))


def _is_there(board: Board, path: str, data: bytes) -> bool:
    there = board.hash(path)
    if path == IMAGE and there is None:  # taken: what counts is what the board runs
        return board.firmware() == data[-HASH_BYTES:]
    return there == sha256(data).digest()


def _reserve(board: Board, module: bytes) -> None:
    """Keep the end of the flash for firmware, identity and journal. What was in the board's file system is gone."""
    board.write("/reserve.mpy", module)
    board.run("import reserve\nreserve.reserve()", "prepare its flash", _FORMAT_S)


def _replace(board: Board, path: str, data: bytes, progress: Callable[[int], None]) -> None:
    new = path + _NEW
    if path == IMAGE:
        board.remove(path)  # another that waits to be taken: there is no room for two, and what runs is not touched
    board.write(new, data, progress)
    if board.hash(new) != sha256(data).digest():
        raise BoardError(
            f"The board read back something else than was written to {path}.",
            "Its flash may be worn out. Run the same again; if it says this again, use another board.",
        )
    board.rename(new, path)
