"""The microphone's samples on the emulated chip, by DMA into the ring: none missing, none doubled, at both clock speeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator import install

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_READY = "import bundle; bundle.mount(); from recorder.hal import mic; import machine, time"


def _noise(k: int) -> int:
    return (k * 40503 + (k >> 7) * 7919 & 0xFFFF) - 0x8000


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files=install.without_starters(), sound=_noise)
    board.boot()
    board.execute(_READY)
    return board


def test_every_sample_of_twice_the_ring_is_there_in_order_at_both_clock_speeds(board: Board) -> None:
    for mhz in (125, 64):
        before = len(board.microphone.heard)
        text = board.execute(f"""
machine.freq({mhz}_000_000)
mic.start()
last = 0
for _ in range(4):  # half a ring at a time, 2.05 s in all
    while mic.count() - last < 8192:
        time.sleep_ms(5)
    half = (last % 16384) * 2
    print(mic.ring()[half : half + 16384].hex())
    last += 8192
print(mic.stalled(), mic.count() - last < 8192)
mic.stop()
""")
        *halves, told = text.split("\r\n")[:-1]
        assert told == "False True"
        data = bytes.fromhex("".join(halves))
        taken = [int.from_bytes(data[at : at + 2], "little", signed=True) for at in range(0, len(data), 2)]
        heard = board.microphone.heard[before:]
        assert len(taken) == 32768
        start = next(k for k in range(3000) if heard[k : k + 64] == taken[:64])
        assert taken == heard[start : start + len(taken)]
        assert board.microphone.lost == 0
        ((began, first), *_), (ended, last) = (
            board.microphone.started[-1:],
            (board.seconds, len(board.microphone.heard)),
        )
        assert (last - first) / (ended - began) == pytest.approx(16_000, rel=0.01)


def test_a_data_line_that_stands_still_is_refused(board: Board) -> None:
    for level in (0, 1):
        board.microphone.stuck = level
        text = board.execute("""
from recorder.errors import RecorderError
try:
    mic.start()
except RecorderError as error:
    print(error)
""")
        assert text == "the microphone is silent or stuck\r\n"
        assert not board.microphone.listening
