"""The order in which a recorder gets its firmware: whatever stops it, the old one is still there or the device says that it is not finished.

Written beside what is there, read back by the board, then renamed: littlefs renames in one step. The identity and the
journal lie outside the file system, where nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from earwitness.install.board import Board, BoardError
from earwitness.install.image import Firmware

IMAGE = "/earwitness.img"
_NEW = ".new"


@dataclass(frozen=True)
class Installed:
    """What was done. `written`: files that were not there already."""

    board: str
    hash: bytes
    written: tuple[str, ...]


def install(board: Board, firmware: Firmware, progress: Callable[[int], None]) -> Installed:
    """Bring `board` to `firmware`. `progress` gets bytes done of `total_bytes`. Raises BoardError, NoDeviceError."""
    named = board.check()
    files = {IMAGE: firmware.image, **{f"/{name}": data for name, data in firmware.files.items()}}
    written = []
    done = 0
    # The image first: a starter that is newer than it finds all that it needs, an older one still finds the older image.
    for path, data in files.items():
        if board.hash(path) != sha256(data).digest():
            _replace(board, path, data, lambda part, before=done: progress(before + part))  # type: ignore[misc]
            written.append(path)
        done += len(data)
        progress(done)
    return Installed(named, firmware.hash, tuple(written))


def total_bytes(firmware: Firmware) -> int:
    """What `install` counts up to."""
    return len(firmware.image) + sum(map(len, firmware.files.values()))


def _replace(board: Board, path: str, data: bytes, progress: Callable[[int], None]) -> None:
    new = path + _NEW
    board.write(new, data, progress)
    if board.hash(new) != sha256(data).digest():
        raise BoardError(
            f"The board read back something else than was written to {path}.",
            "Its flash may be worn out. Run the same again; if it says this again, use another board.",
        )
    board.rename(new, path)
