"""The reserved end of the flash on the emulated chip: nobody but hal/flash.py, and firmware/update.py before it, ever writes there,
whatever happens to the file system."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulator.flash_works import Works
from emulator.hal_kit import hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_START = 0x12C000  # of MicroPython's file system in a Pico W's flash
_RESERVED = 0x160000  # the image, then
_REGION = 0x180000  # what hal/flash.py keeps
_END = 0x200000
_BLOCK_BYTES = 4096
_RESERVE = Path(__file__).parents[2] / "firmware" / "recorder" / "hal" / "reserve.py"


def region_of(flash: bytes) -> bytes:
    return flash[_REGION:_END]


def noise(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    """With the hardware layer installed, and something in the region."""
    board = make_board(files=hal())
    board.mcu.flash[_REGION:_END] = noise(_END - _REGION)
    return board


def test_what_is_programmed_is_read_and_is_what_the_chip_holds(board: Board) -> None:
    board.boot()
    works = Works(board)
    text = board.execute(
        """
from recorder.hal import flash
flash.erase(0); flash.erase(127)
data = bytes((k * 13 + 7) & 255 for k in range(700))
flash.program(100, data)
flash.program(48, b"\\xf0" * 10)
flash.program(50, b"\\x3f" * 3)
flash.program(flash.SIZE - 5, b"\\x01\\x02\\x03\\x04\\x05")
flash.program(2000, memoryview(data)[3:20])
into = bytearray(9000)
flash.read(0, into)
print(into[100:800] == data, into[48:58].hex(), into[2000:2017] == data[3:20], flash.SIZE, flash.SECTOR, flash.PAGE)
for wrong in (lambda: flash.program(flash.SIZE - 4, b"12345"), lambda: flash.erase(128), lambda: flash.read(-1, into)):
    try:
        wrong()
        print("done")
    except ValueError:
        print("refused")
"""
    )
    assert text.split() == ["True", "f0f03030" + "30" + "f0" * 5, "True", "524288", "4096", "256"] + ["refused"] * 3
    expected = bytearray(noise(_END - _REGION))
    expected[:4096] = expected[-4096:] = b"\xff" * 4096
    data = bytes((k * 13 + 7) & 255 for k in range(700))
    expected[100:800] = data
    expected[48:58] = bytes.fromhex("f0f0303030" + "f0" * 5)
    expected[2000:2017] = data[3:20]
    expected[-5:] = b"\x01\x02\x03\x04\x05"
    assert region_of(board.flash) == bytes(expected)
    assert works.since(_REGION) == works.addresses


def test_a_start_writes_nothing_and_a_full_file_system_stays_off_the_region(
    make_board: Callable[..., Board], board: Board
) -> None:
    works = Works(board)
    board.boot()
    assert works.addresses == []
    text = board.execute(
        """
import os
count = 0
data = bytearray(600)
try:
    for turn in range(2):
        count = 0
        while True:
            with open("fill%d" % count, "wb") as file:
                file.write(data)
            count += 1
            if turn == 0 and count == 9:
                for number in range(9): os.remove("fill%d" % number)
                break
except OSError as error:
    print(error.errno, count)
print(os.statvfs("/")[3])
""",
        seconds=120,
    )
    (errno, count), (free,) = (map(int, line.split()) for line in text.splitlines())
    assert errno == 28
    assert count > 20
    assert free <= 2
    assert len(works.addresses) > count
    assert works.since(_RESERVED) == []
    assert region_of(board.flash) == noise(_END - _REGION)
    again = make_board(flash=board.flash)
    works = Works(again)
    again.boot()
    whole = "import os\nprint(sum(os.stat(name)[6] == 600 for name in os.listdir() if name[:4] == 'fill'))"
    assert again.execute(whole) == f"{count}\r\n"
    assert works.addresses == []
    assert region_of(again.flash) == noise(_END - _REGION)


@pytest.mark.parametrize("cut_at", [1, 2, 3, 7, 12, 25, 33])
def test_a_power_cut_while_the_file_system_is_written_leaves_both(
    make_board: Callable[..., Board], board: Board, cut_at: int
) -> None:
    from emulator.board import PowerCut

    board.boot()
    works = Works(board)
    board.execute("with open('kept', 'w') as file: file.write('kept')")
    works.cut_at = len(works.addresses) + cut_at
    with pytest.raises(PowerCut):
        board.execute(
            """
for number in range(40):
    with open("file%d" % (number % 3), "wb") as file:
        file.write(bytes(700))
"""
        )
    again = make_board(flash=board.flash)
    again.boot()
    assert again.execute("import os\nprint(open('kept').read(), 'reserved' in os.listdir())") == "kept True\r\n"
    assert region_of(again.flash) == noise(_END - _REGION)
    works = Works(again)
    again.execute("with open('more', 'wb') as file: file.write(bytes(700))")
    assert works.addresses
    assert works.since(_RESERVED) == []


@pytest.mark.parametrize("cut_at", [1, 2, 3])
def test_a_power_cut_while_the_region_is_written_leaves_the_file_system(
    make_board: Callable[..., Board], board: Board, cut_at: int
) -> None:
    from emulator.board import PowerCut

    board.boot()
    works = Works(board)
    works.cut_at = cut_at
    before = board.flash
    with pytest.raises(PowerCut):
        board.execute("from recorder.hal import flash\nflash.erase(3)\nflash.program(3 * 4096 + 200, bytes(300))")
    after = board.flash
    assert after[:_REGION] == before[:_REGION]
    changed = {at // _BLOCK_BYTES for at in range(_REGION, _END) if after[at] != before[at]}
    assert changed == {_REGION // _BLOCK_BYTES + 3}
    again = make_board(flash=after)
    again.boot()
    assert again.execute("import os\nprint('reserved' in os.listdir())") == "True\r\n"


def test_the_region_refuses_to_be_written_where_nothing_is_reserved(make_board: Callable[..., Board]) -> None:
    board = make_board(files=hal())
    board.boot()
    text = board.execute(
        """
import os
os.remove("/reserved")
from recorder.hal import flash
from recorder.errors import RecorderError
for work in (lambda: flash.program(0, b"1"), lambda: flash.erase(0)):
    try:
        work()
    except RecorderError as error:
        print(error)
"""
    )
    assert text.splitlines() == ["no room is reserved in the flash: install again"] * 2
    assert region_of(board.flash) == b"\xff" * (_END - _REGION)


def test_a_file_system_smaller_than_the_flash_would_be_formatted(make_board: Callable[..., Board]) -> None:
    """Why the region lies inside the file system: MicroPython's start takes one of 84 blocks for damaged."""
    from littlefs import LittleFS

    small: Any = LittleFS(block_size=_BLOCK_BYTES, block_count=84, prog_size=256, read_size=256, disk_version=0x20000)
    with small.open("kept", "w") as file:
        file.write("kept")
    board = make_board()
    board.mcu.flash[_START : _START + 84 * _BLOCK_BYTES] = bytes(small.context.buffer)
    board.boot()
    assert board.execute("import os\nprint(os.listdir(), os.statvfs('/')[2])") == "[] 212\r\n"


def test_reserving_holds_the_whole_region_and_keeps_what_is_ours(make_board: Callable[..., Board]) -> None:
    """On a chip with a file system of its own and an identity in the region: that is all that survives."""
    ours = b"EWV1" + noise(_END - _REGION - 4)
    board = make_board()
    board.mcu.flash[_RESERVED:_END] = noise(_REGION - _RESERVED) + ours
    works = Works(board)
    board.boot()
    source = _RESERVE.read_text()
    text = board.execute(
        f"{source}\nprint('', reserve(), reserve(), sorted(os.listdir('/')), open('/reserved').read())", 300
    )
    assert text.endswith(" True False ['reserved', 'reserved0', 'reserved1', 'reserved2'] 52 160\r\n")
    assert works.since(_RESERVED) == []
    assert board.flash[_RESERVED:_END] == noise(_REGION - _RESERVED) + ours
    fill = """
import os
count = 0
try:
    while True:
        with open("fill%d" % count, "wb") as file: file.write(bytes(600))
        count += 1
except OSError as error: print(error.errno, os.statvfs("/")[3])
"""
    errno, free = map(int, board.execute(fill, seconds=300).split())
    assert errno == 28
    assert free <= 0  # littlefs counts directories twice
    assert works.since(_RESERVED) == []


def test_reserving_blanks_a_region_that_holds_nothing_of_ours(make_board: Callable[..., Board]) -> None:
    board = make_board()
    board.mcu.flash[_REGION + 4096 : _REGION + 8192] = noise(4096)
    board.mcu.flash[_END - 1] = 0
    board.boot()
    works = Works(board)
    board.execute(f"{_RESERVE.read_text()}\n_blank(84, 128)")
    assert works.addresses == [_REGION + 4096, _END - 4096]
    assert region_of(board.flash) == b"\xff" * (_END - _REGION)
