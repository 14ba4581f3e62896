"""An emulated Pico W for each test that asks for one. They need MicroPython's image: EARWITNESS_UF2 names the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from emulator.board import Board
    from emulator.computer import Computer


@pytest.fixture(scope="session")
def uf2() -> Path:
    """MicroPython's image for the Pico W."""
    named = os.environ.get("EARWITNESS_UF2", "")
    if not named:
        pytest.skip("EARWITNESS_UF2 names no image: download MicroPython for the Pico W (a .uf2) from micropython.org")
    path = Path(named)
    assert path.is_file(), f"EARWITNESS_UF2 names {path}, which is no file"
    return path


@pytest.fixture
def make_board(uf2: Path) -> Iterator[Callable[..., Board]]:
    """Makes emulated boards; their power goes after the test."""
    from emulator.board import Board

    made: list[Board] = []

    def make(**settings: Any) -> Board:
        made.append(Board(uf2, **settings))
        return made[-1]

    yield make
    for board in made:
        board.cut_power()


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[Computer]:
    """The computer at the other end of the cable."""
    from emulator.computer import Computer

    computer = Computer(tmp_path / "computer")
    yield computer
    computer.close()
