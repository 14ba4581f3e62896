"""firmware/update.py on the emulated chip: an image that an installation left is put in place, whenever the power goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from earwitness.install import image
from emulator import another_day, install
from emulator.flash_works import BLOCK_BYTES, Works

if TYPE_CHECKING:
    from emulator.board import Board
    from emulator.computer import Computer

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("emulated update")]

_IMAGE = 0x160000
_STAGED = "earwitness.img"


@pytest.fixture(scope="session")
def newer_firmware(tmp_path_factory: pytest.TempPathFactory) -> image.Firmware:
    return another_day.firmware(another_day.program(tmp_path_factory.mktemp("newer")))


@pytest.fixture(scope="session")
def steps(uf2: Path, newer_firmware: image.Firmware) -> list[int]:
    """Where the flash is written, in order, from power-up until a staged image is installed and its file is gone."""
    board = _staged(uf2, newer_firmware.image)
    works = Works(board)
    board.boot()
    last = _IMAGE + len(newer_firmware.image) // BLOCK_BYTES * BLOCK_BYTES
    board.run_until(lambda: last in works.addresses, 10, "the image")
    board.run_until(lambda: _STAGED not in install.names(board.flash), 10, "the end of its file")
    return works.addresses


def _staged(uf2: Path, data: bytes) -> Board:
    """A recorder with today's firmware, and a file as an installation of another leaves it."""
    from emulator.board import Board

    return Board(uf2, files={**install.firmware(), _STAGED: data})


@pytest.mark.parametrize(
    "moment",
    [
        "the first",
        "the second",
        "a quarter",
        "half",
        "three quarters",
        "first block erased",
        "first block",
        "its end",
        "the file",
    ],
)
def test_power_cut_while_the_image_is_put_in_place_is_made_good_at_the_next_start(
    moment: str, steps: list[int], uf2: Path, newer_firmware: image.Firmware, computer: Computer
) -> None:
    from emulator.board import PowerCut

    copied = [number for number, address in enumerate(steps, 1) if address >= _IMAGE]
    first_block = [number for number in copied if steps[number - 1] < _IMAGE + BLOCK_BYTES and number > copied[40]]
    removal = [number for number, address in enumerate(steps, 1) if address < _IMAGE]
    assert copied[0] == 1 and removal[0] == copied[-1] + 1  # the file goes last
    assert steps[first_block[0] - 1] == _IMAGE and first_block[-1] == copied[-1]  # and the first block before it
    cut_at = {
        "the first": 1,
        "the second": 2,
        "a quarter": len(copied) // 4,
        "half": len(copied) // 2,
        "three quarters": len(copied) * 3 // 4,
        "first block erased": first_block[0],
        "first block": first_block[len(first_block) // 2],
        "its end": copied[-1],
        "the file": removal[0],
    }[moment]
    board = _staged(uf2, newer_firmware.image)
    Works(board).cut_at = cut_at
    board.boot()
    with pytest.raises(PowerCut):
        board.run(10)
    assert moment == "the file" or not install.lies_in_place(board.flash, newer_firmware.image)
    again, _ = another_day.started(board.flash, uf2, computer)
    assert install.lies_in_place(again.flash, newer_firmware.image)
    assert _STAGED not in install.names(again.flash)


@pytest.mark.parametrize("spoilt", ["cut short", "empty", "a byte", "too long"])
def test_a_staged_file_that_is_not_whole_is_thrown_away(
    spoilt: str, uf2: Path, newer_firmware: image.Firmware, computer: Computer
) -> None:
    data = bytearray(newer_firmware.image)
    if spoilt == "cut short":
        del data[len(data) // 2 :]
    elif spoilt == "empty":
        data.clear()
    elif spoilt == "a byte":
        data[20_000] ^= 1
    else:
        data += bytes(image.LARGEST + 1 - len(data))
    board, _ = another_day.started(_staged(uf2, bytes(data)).flash, uf2, computer)
    assert install.lies_in_place(board.flash, install.firmware()[install.IMAGE])
    assert _STAGED not in install.names(board.flash)
