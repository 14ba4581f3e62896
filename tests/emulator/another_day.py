"""Another version of the program and its firmware, and a recorder that is started again with whatever its flash holds."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from earwitness.install import image

if TYPE_CHECKING:
    from .board import Board
    from .computer import Computer

VERSION = "0.1.999"
_ROOT = Path(__file__).parents[2]


def program(folder: Path) -> Path:
    """All of it, put below `folder`: for Computer.program."""
    for part in ("host", "firmware"):
        shutil.copytree(_ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    package = folder / "host" / "earwitness" / "__init__.py"
    text = package.read_text()
    package.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{VERSION}"', text))
    with (folder / "firmware" / "recorder" / "errors.py").open("a") as file:
        file.write('\nNEWER = "than the other"\n')
    return folder / "host"


def firmware(program: Path) -> image.Firmware:
    """What that program installs."""
    return image.build(program.parent / "firmware", {}, VERSION)


def started(flash: bytes, uf2: Path, computer: Computer) -> tuple[Board, float]:
    """A board with that flash, once the recorder on it answers that it belongs to nobody; and how long that took."""
    from .board import Board

    board = Board(uf2, flash=flash)
    board.boot()
    computer.earwitness(board, "status", "--port", computer.port, code=12)
    return board, board.seconds
