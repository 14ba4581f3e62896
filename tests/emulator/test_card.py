"""The card driver on the emulated chip, with a card on its SPI: clocks, time for a page, stalls, errors and removal.

What it does byte by byte is tested in tests/firmware/test_card_driver.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emulator.hal_kit import hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_PAGE_24_MHZ_MS = 4.2
_PAGE_12_MHZ_MS = 5.7

_START = """
import gc, time, vfs, micropython
from recorder.hal import card as driver
from recorder.errors import CardError
page = bytearray(4096)
for at in range(4096): page[at] = at * 31 + (at >> 8) & 255
into = bytearray(4096)
card = driver.open_card()
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "card.img"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def board(make_board: Callable[..., Board], image: Path) -> Board:
    board = make_board(files=hal(), card=image)
    board.boot()
    return board


@pytest.mark.parametrize(("most_mhz", "mhz", "most_ms"), [(0, 24, _PAGE_24_MHZ_MS), (12, 12, _PAGE_12_MHZ_MS)])
def test_a_page_reaches_the_card_in_a_few_milliseconds(
    board: Board, record_property: Callable[[str, object], None], most_mhz: int, mhz: int, most_ms: float
) -> None:
    """A card that is never busy: all of this is the chip's own time, the wire's included, for it waits for the wire."""
    board.card.trouble.most_hz = most_mhz * 1_000_000
    board.card.busy_us = board.card.token_us = 0
    text = board.execute(
        _START
        + """
write, read, ticks = card.writeblocks, card.readblocks, time.ticks_us
write(4096, page)
began = ticks()
write(4104, page); write(4112, page); write(4120, page); write(4128, page)
wrote = ticks()
read(4104, into)
print(driver.hz, time.ticks_diff(wrote, began) // 4, time.ticks_diff(ticks(), wrote), into == page)
"""
    )
    hz, wrote_us, read_us, same = text.split()
    record_property("write_us", wrote_us)
    record_property("read_us", read_us)
    print(f"page at {mhz} MHz: written in {wrote_us} us, read in {read_us} us")
    assert (int(hz), same) == (mhz * 1_000_000, "True")
    assert board.spi.hz == int(hz)
    assert int(wrote_us) < most_ms * 1000
    assert int(read_us) < most_ms * 1000
    assert board.card.violations == []
    assert bytes(board.card.store.get(4104)) == bytes((at * 31 + (at >> 8)) & 255 for at in range(512))


def test_a_page_allocates_nothing(board: Board) -> None:
    board.card.trouble.busy_ms = dict.fromkeys(range(1, 99), 3)
    text = board.execute(
        _START
        + """
count = bytearray(2)
def pump():
    count[0] += 1
driver.pump = pump
write, read = card.writeblocks, card.readblocks
write(4096, page)
gc.collect(); gc.disable()
before = gc.mem_alloc()
write(4096, page)
after = gc.mem_alloc()
count[0] = 0
micropython.heap_lock()
write(4096, page)
read(4096, into)
micropython.heap_unlock()
print(after - before, count[0] > 0, into == page)
"""
    )
    assert text.split() == ["0", "True", "True"]
    assert board.card.violations == []


def test_stalls_errors_and_removal_as_the_chip_sees_them(board: Board) -> None:
    trouble = board.card.trouble
    text = board.execute(
        _START
        + """
calls = bytearray(4)
def pump():
    calls[0] = 1
driver.pump = pump
print(driver.present())
"""
    )
    assert text == "True\r\n"
    trouble.busy_ms = {board.card.blocks_written + 3: 900}
    text = board.execute("card.writeblocks(4096, page); print(calls[0], driver.worst_write_ms())")
    pumped, worst = map(int, text.split())
    assert pumped == 1
    assert 900 <= worst < 920
    trouble.refuse = {board.card.blocks_written + 2: 0x0B}
    trouble.read_flips = (board.card.blocks_read + 5,)
    assert (
        board.execute("card.writeblocks(4104, page); card.readblocks(4104, into); print(into == page, card.last_error)")
        == "True None\r\n"
    )
    trouble.pull_at = (board.card.blocks_written + 4, 200)
    tried = """
try:
    card.writeblocks(4096, page)
    print("written")
except OSError as error:
    print(error.errno, card.last_error, driver.present())
"""
    assert board.execute(tried) == "19 card pulled False\r\n"
    trouble.pull_at = None
    board.pull_card()
    assert board.execute("try: driver.open_card()\nexcept CardError as error: print(error.kind)") == "no card\r\n"
    board.card.violations.clear()
    board.insert_card()
    assert board.execute(tried) == "19 card pulled False\r\n"
    assert (
        board.execute(
            "card = driver.open_card(); card.writeblocks(4096, page); card.readblocks(4096, into); print(into == page, driver.present())"
        )
        == "True True\r\n"
    )
    assert board.card.violations == []


def test_fatfs_keeps_its_files_on_it(board: Board, image: Path) -> None:
    text = board.execute(
        _START
        + """
fat = vfs.VfsFat(card)
with fat.open("EW000001.EWR", "wb") as file:
    for _ in range(4): file.write(page)
fat = vfs.VfsFat(card)
with fat.open("EW000001.EWR", "rb") as file:
    print([file.readinto(into) == 4096 and into == page for _ in range(4)])
""",
        seconds=20,
    )
    assert text == "[True, True, True, True]\r\n"
    assert board.card.violations == []
    done = subprocess.run(["fsck.vfat", "-n", str(image)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
