"""Bytes over the chip's own USB port: 0x03 is one of them, and a host that stops reading does not hold the recorder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator.hal_kit import hal

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_EVERY = bytes(range(256))


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files=hal())
    board.boot()
    board.execute("from recorder.hal import usb, clock\nimport micropython, time, gc")
    return board


def _begin(board: Board, source: str) -> None:
    """Start a program that does not end by itself soon."""
    board.cable.take()
    board.cable.send(b"\r\x03\x03\x01")
    board.run_until(lambda: board.cable.sent.endswith(b">"), 5, "the raw prompt")
    board.cable.take()
    board.cable.send(source.encode() + b"\x04")


def test_every_byte_comes_and_goes_as_it_is(board: Board) -> None:
    _begin(
        board,
        """
micropython.kbd_intr(-1)
took = bytearray(300)
count = 0
usb.write(b"ready")
while count < 1024:
    got = usb.read(took)
    sent = usb.write(memoryview(took)[:got])
    count += sent
    if not got: clock.idle(20)
micropython.kbd_intr(3)
""",
    )
    board.run_until(lambda: board.cable.sent.endswith(b"ready"), 5, "the program")
    board.cable.take()
    board.cable.send(_EVERY * 4)
    board.run_until(lambda: len(board.cable.sent) >= 1024, 20, "the echo")
    assert bytes(board.cable.sent[:1024]) == _EVERY * 4


def test_nothing_there_is_nothing_read_at_once(board: Board) -> None:
    took = int(board.execute("a = time.ticks_us()\nn = usb.read(bytearray(64))\nprint((time.ticks_us() - a) * 10 + n)"))
    assert took % 10 == 0 and took // 10 < 1000


def test_a_page_goes_out_whole_and_in_order(board: Board) -> None:
    said = board.execute("""
page = bytes(k * 7 & 0x7F | 0x20 for k in range(4200))
a = time.ticks_ms()
n = usb.write(page)
b = time.ticks_ms()
print("<end>", n, b - a)
""")
    page, _, told = said.partition("<end>")
    assert page.encode() == bytes(k * 7 & 0x7F | 0x20 for k in range(4200))
    count, ms = map(int, told.split())
    assert count == 4200 and ms < 100


def test_a_host_that_stops_reading_costs_half_a_second_once(board: Board) -> None:
    _begin(
        board,
        """
told = []
usb.write(b"ready")
time.sleep_ms(300)
usb.write(bytes(30))  # so that the last piece finds less room than it needs
for _ in range(4):
    a = time.ticks_ms()
    n = usb.write(bytes(1000))
    told.append((n, time.ticks_ms() - a))
time.sleep_ms(3000)
print("told", told)
""",
    )
    board.run_until(lambda: board.cable.sent.endswith(b"ready"), 5, "the program")
    board.cable.reading = False
    board.run(3.0)
    board.cable.reading = True
    board.run_until(lambda: b"]" in board.cable.sent, 5, "what it told")
    told = eval(bytes(board.cable.sent).split(b"told")[1].split(b"\r")[0])
    assert told[0][0] < 1000 and told[0][1] <= 620, told
    assert all(count == 0 and ms <= 110 for count, ms in told[1:])
