"""A recorder that is paired and primed, made once: the start of nearly every test, and what they do from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.identity import Identity
from earwitness.import_card import import_card
from earwitness.item import Item
from earwitness.keystore import Keystore
from earwitness.library import Library
from tools.virtual.fat import make_card

from . import install
from .board import Board, BoardError
from .computer import Computer

RATE_HZ = 16_000
CARD_BYTES = 300 << 20  # clusters of 4 KiB: a page is one write, as on real cards
_RAM, _STACK_BOTTOM, _STACK_TOP = 0x20000000, 0x20040000, 0x20042000  # MicroPython's memmap_mp_rp2040.ld
_PAINT = 0xA5
_ASKED, _FREE = 2, 3  # of the watchdog's scratch registers: the probe is asked there, and leaves the free heap

# Told by the firmware itself when it is asked, so that nothing else is disturbed by it: free heap after a collection.
_PROBE = """
import gc
import machine
from recorder.hal import clock

_plain = clock.idle

def _idle(ms):
    if machine.mem32[0x40058014]:
        machine.mem32[0x40058014] = 0
        gc.collect()
        machine.mem32[0x40058018] = gc.mem_free()
    _plain(ms)

clock.idle = _idle
"""


@dataclass(frozen=True)
class Owner:
    """Whose recorder it is: keys, and where it is known."""

    identity: Identity
    record: DeviceRecord

    def items(self, card: Path, home: Path) -> list[Item]:
        """Every recording of a card image, verified and opened."""
        store = DeviceStore(home)
        store.put(self.record)
        library = Library(home / "library")
        try:
            return import_card(card, library, store, identity=self.identity).items
        finally:
            library.close()

    def sound(self, item: Item, out: Path) -> npt.NDArray[np.int16]:
        """The samples of its master, gaps as silence."""
        import soundfile as sf

        from earwitness.audio import Audio
        from earwitness.master import write_master_flac

        assert item.path is not None
        with out.open("wb") as file:
            write_master_flac(Audio(item.path, self.identity, pinned=self.record.public), file)
        samples, rate = sf.read(out, dtype="int16")
        assert rate == RATE_HZ
        return np.asarray(samples, dtype=np.int16)


def make(uf2: Path, folder: Path, sound: Sequence[int], *, probe: bool = True) -> tuple[Board, Computer, Owner]:
    """Boot a new recorder, pair it over its cable with its button held, and run it until it is primed. `probe`: with what
    free_heap() asks."""
    card = folder / "first-card.img"
    make_card(card, CARD_BYTES)
    files = dict(install.firmware())
    if probe:
        files["probe.py"] = install.as_installed(files, "probe.py", _PROBE).encode()
        files["main.py"] = files["main.py"].replace(
            b"    starting.run()", b"    sys.path.append('/'); import probe; starting.run()"
        )
        assert b"import probe" in files["main.py"]
    board = Board(uf2, files=files, card=card, sound=sound)
    board.boot()
    computer = Computer(folder / "computer")
    identity = Identity.generate()
    for name in ("config", "state", "library"):
        (computer.home / name).mkdir(mode=0o700)
    Keystore(computer.home / "config").save(identity, "file", recovery="declined")
    settle(board)
    board.person.button(True)
    computer.earwitness(board, "pair", "--port", computer.port, seconds=60)
    board.person.button(False)
    until_primed(board, since=0)
    (record,) = DeviceStore(computer.home / "state").all()
    return board, computer, Owner(identity, record)


def settle(board: Board, seconds: float = 10) -> None:
    """Run until the processor sleeps most of the time, for half a second."""
    end = board.seconds + seconds
    at_rest = 0
    while at_rest < 5:
        if board.seconds >= end:
            raise BoardError(f"the processor does not come to rest within {seconds} s; restarts: {board.resets}")
        cycles = board.cycles
        board.run(0.1)
        at_rest = at_rest + 1 if board.cycles - cycles < board.time.sys_hz * 0.03 else 0


def until_primed(board: Board, seconds: float = 40, *, since: int | None = None) -> None:
    """Run until it has made a file on the card for the next recording and sleeps. `since`: blocks written before, else now."""
    written = board.card.blocks_written if since is None else since
    board.run_until(lambda: board.card.blocks_written > written + 20, seconds, "a file for the next recording")
    settle(board, seconds)


def free_heap(board: Board) -> int:
    """Bytes that the firmware has free now, after a collection."""
    registers = board.mcu.watchdog.scratch_data
    registers[_ASKED] = 1
    board.run_until(lambda: not registers[_ASKED], 5, "an answer of the probe")
    board.run(0.2)
    return int(registers[_FREE])


def paint_stack(board: Board) -> None:
    """Make the stack that is free now recognisable."""
    start, end = _STACK_BOTTOM - _RAM, board.mcu.core.sp - _RAM
    board.mcu.sram[start:end] = bytes([_PAINT]) * (end - start)


def most_stack(board: Board) -> int:
    """Bytes of the 8 KiB stack that were in use at the worst moment since it was painted."""
    stack = bytes(board.mcu.sram[_STACK_BOTTOM - _RAM : _STACK_TOP - _RAM])
    return len(stack.lstrip(bytes([_PAINT])))


def start(board: Board) -> float:
    """Slide the switch on; returns the seconds until the microphone's clock ran for good."""
    board.person.switch(True)
    began = board.seconds
    board.run_until(lambda: board.microphone.listening, 3, "the microphone's clock")
    return board.microphone.started[-1][0] - began


def stop(board: Board, seconds: float = 20) -> None:
    """Slide it off and wait for the two pulses that say that the recording is finished."""
    board.person.switch(False)
    before = len(board.person.pulses)
    board.run_until(lambda: len(board.person.pulses) >= before + 2, seconds, "two pulses")


def heard(board: Board) -> npt.NDArray[np.int16]:
    """What the microphone gave since its clock was last started."""
    return np.asarray(board.microphone.heard[board.microphone.started[-1][1] :], dtype=np.int16)


def find(samples: npt.NDArray[np.int16], in_: npt.NDArray[np.int16], within: int = 20_000) -> int:
    """Where `samples` begin in what was heard; -1 if nowhere within so many samples."""
    head = samples[:256]
    for at in range(min(within, len(in_) - len(head))):
        if in_[at] == head[0] and np.array_equal(in_[at : at + len(head)], head):
            return at
    return -1


def plain(item: Item) -> dict[str, Any]:
    """A verdict as plain values, for a test in another process."""
    assert item.verdict is not None
    return item.verdict.to_json()
