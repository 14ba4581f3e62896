"""`earwitness install` on the emulated chip: a new board, an update, and whatever stops either."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from earwitness.install import image
from emulator import another_day, install
from emulator.flash_works import BLOCK_BYTES, Works

if TYPE_CHECKING:
    from emulator.board import Board
    from emulator.computer import Computer
    from emulator.primed import Owner

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("emulated installation")]

_FILES = install.START
_IMAGE = 0x160000
_REGION = 0x180000  # identity and journal
_NEW_BOARD_S = 60
_START_S = 10  # until it answers, with what the program at the computer thinks
_STAGED = "earwitness.img"


@dataclass(frozen=True)
class New:
    """A bare board that came out of its bag, after the first `earwitness install` ever."""

    said: dict[str, Any]
    seconds: float  # that it took the board and its flash chip
    resets: list[tuple[float, str]]
    flash: bytes


@pytest.fixture(scope="session")
def new(uf2: Path, tmp_path_factory: pytest.TempPathFactory) -> New:
    from emulator.board import Board
    from emulator.computer import Computer

    board = Board(uf2, clock=False, fuel=False)
    board.boot()
    works = Works(board)
    computer = Computer(tmp_path_factory.mktemp("new"))
    said = computer.earwitness(board, "install", "--without-chips", "--port", computer.port, seconds=_NEW_BOARD_S)
    took = board.seconds + works.seconds[0]
    computer.earwitness(board, "status", "--port", computer.port, code=12)  # a recorder, nobody's
    computer.close()
    return New(said, took, board.resets, board.flash)


def _hold(board: Board) -> Callable[[], bool]:
    """A hand on the button, that is gone as soon as the recorder has gone to its prompt. For `kill`: it kills nothing."""
    board.person.button(True)
    before = len(board.resets)

    def let_go() -> bool:
        if len(board.resets) > before:
            board.person.button(False)
        return False

    return let_go


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of another day, with other firmware."""
    return another_day.program(tmp_path_factory.mktemp("newer"))


@pytest.fixture(scope="session")
def newer_firmware(newer: Path) -> image.Firmware:
    return another_day.firmware(newer)


# --- a new board -----------------------------------------------------------------------------------------------------------


def test_a_new_board_becomes_a_recorder_with_one_command(new: New, uf2: Path, computer: Computer) -> None:
    assert new.said["written"] == [
        f"/{_STAGED}",
        "/boot.py",
        "/main.py",
        "/bundle.mpy",
        "/update.mpy",
        "/unfinished.mpy",
    ]
    assert new.said["firmware"] == install.firmware()[install.IMAGE][-32:].hex()
    assert new.seconds < _NEW_BOARD_S
    assert [cause for _, cause in new.resets] == ["asked"]
    assert install.lies_in_place(new.flash, install.firmware()[install.IMAGE])
    assert _STAGED not in install.names(new.flash)
    board, took = another_day.started(new.flash, uf2, computer)
    assert took < _START_S
    assert board.resets == []


def test_installed_again_it_says_so_and_writes_nothing(new: New, uf2: Path, computer: Computer) -> None:
    """Its owner-to-be holds the button: only then a recorder leaves its work."""
    board, _ = another_day.started(new.flash, uf2, computer)
    works = Works(board)
    hand = _hold(board)
    said = computer.earwitness(
        board, "install", "--without-chips", "--port", computer.port, seconds=_NEW_BOARD_S, kill=hand
    )
    assert said["written"] == []
    assert said["firmware"] == new.said["firmware"]
    assert [cause for _, cause in board.resets] == ["asked"] * len(board.resets)
    assert [address for address in works.addresses if address < _REGION] == []
    computer.earwitness(board, "status", "--port", computer.port, code=12)
    assert [address for address in works.addresses if address < _REGION] == []


def test_a_recorder_is_left_at_its_work_where_nobody_holds_its_button(new: New, uf2: Path, computer: Computer) -> None:
    board, _ = another_day.started(new.flash, uf2, computer)
    said = computer.earwitness(board, "install", "--without-chips", "--port", computer.port, code=12, seconds=90)
    assert "button" in said["error"]["message"]
    assert board.resets == []
    computer.earwitness(board, "status", "--port", computer.port, code=12)


def test_files_of_something_else_are_kept_and_a_first_installation_that_was_cut_is_done_again(
    uf2: Path, computer: Computer
) -> None:
    from emulator.board import Board, PowerCut

    board = Board(uf2)
    board.boot()
    board.execute("with open('weather.csv', 'w') as file: file.write('rain')")
    command = ("install", "--without-chips", "--port", computer.port)
    said = computer.earwitness(board, *command, code=1)
    assert "weather.csv" in said["error"]["message"] and "--erase" in said["error"]["hint"]
    assert board.execute("print(open('weather.csv').read())") == "rain\r\n"
    Works(board).cut_at = 150
    with pytest.raises(PowerCut):
        computer.earwitness(board, *command, "--erase")
    again = Board(uf2, flash=board.flash)
    again.boot()
    said = computer.earwitness(again, *command, seconds=_NEW_BOARD_S)
    assert len(said["written"]) == 6
    assert install.lies_in_place(again.flash, install.firmware()[install.IMAGE])


# --- an update -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def owned(uf2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Board, Computer, Owner]]:
    """A recorder that is paired and has made a recording."""
    from emulator import primed
    from system.kit import speech

    made = primed.make(uf2, tmp_path_factory.mktemp("owned"), speech(30).tolist(), probe=False)
    _record(made[0])
    yield made
    made[1].close()


def _record(board: Board) -> None:
    from emulator import primed

    primed.start(board)
    board.run(2)
    primed.stop(board)
    primed.until_primed(board)


def test_an_update_keeps_identity_and_journal_and_recordings_name_what_made_them(
    owned: tuple[Board, Computer, Owner], newer: Path, newer_firmware: image.Firmware, tmp_path: Path
) -> None:
    from emulator.branch import branch

    def work(board: Board, card: Path) -> dict[str, Any]:
        from emulator import primed

        _, computer, owner = owned
        computer.program = newer
        before = computer.earwitness(board, "status", "--port", computer.port)
        hand = _hold(board)
        said = computer.earwitness(
            board, "install", "--without-chips", "--port", computer.port, seconds=_NEW_BOARD_S, kill=hand
        )
        board.run(5)
        primed.settle(board)  # the file for the next recording is there from before
        after = computer.earwitness(board, "status", "--port", computer.port)
        _record(board)
        made = owner.items(card, tmp_path / "home")
        hashes = [item.verdict.meta.firmware_hash.hex() for item in made if item.verdict and item.verdict.meta]
        verdicts = [primed.plain(item) for item in made]
        return {"said": said, "before": before, "after": after, "hashes": hashes, "verdicts": verdicts}

    told = branch(owned[0], tmp_path, work)
    old, hash = install.firmware()[install.IMAGE][-32:].hex(), newer_firmware.hash.hex()
    assert told["said"]["firmware"] == hash != old
    assert told["said"]["written"] == [f"/{_STAGED}"]  # the starters are the same
    assert told["before"]["newest"] == told["after"]["newest"] == 1
    assert told["before"]["device"] == told["after"]["device"]
    assert told["before"]["epoch"] == told["after"]["epoch"]
    assert (told["before"]["told"]["version"], told["after"]["told"]["version"]) == ("0.1.0", another_day.VERSION)
    assert told["after"]["faults"][: len(told["before"]["faults"])] == told["before"]["faults"]
    assert told["hashes"] == [old, hash]
    assert [verdict["exit_code"] for verdict in told["verdicts"]] == [0, 0]


# --- cut short -------------------------------------------------------------------------------------------------------------


def test_an_update_whose_computer_dies_leaves_the_old_version_and_is_done_again(
    owned: tuple[Board, Computer, Owner], newer: Path, newer_firmware: image.Firmware, uf2: Path, tmp_path: Path
) -> None:
    from emulator.branch import branch

    def work(board: Board, _card: Path) -> dict[str, Any]:
        from emulator.board import Board

        _, computer, _ = owned
        computer.program = newer
        command = ("install", "--without-chips", "--port", computer.port)
        works = Works(board)
        board.person.button(True)
        nearly = len(newer_firmware.image) // BLOCK_BYTES * BLOCK_BYTES // 256
        computer.earwitness(
            board,
            *command,
            seconds=_NEW_BOARD_S,
            code=-9,
            kill=lambda: sum(_FILES <= address < _IMAGE for address in works.addresses) > nearly,
        )
        board.person.button(False)
        board.run(1)
        unplugged = Board(uf2, flash=board.flash)
        unplugged.boot()
        told = {"status": computer.earwitness(unplugged, "status", "--port", computer.port)}
        told["old"] = install.lies_in_place(unplugged.flash, install.firmware()[install.IMAGE])
        told["names"] = install.names(unplugged.flash)
        told["said"] = computer.earwitness(board, *command, seconds=_NEW_BOARD_S)
        told["again"] = computer.earwitness(board, "status", "--port", computer.port)
        return told

    told = branch(owned[0], tmp_path, work)
    assert told["old"]
    assert _STAGED not in told["names"]
    assert told["status"]["newest"] == told["again"]["newest"] == 1
    assert told["status"]["told"]["version"] == "0.1.0"
    assert told["said"]["written"] == [f"/{_STAGED}"]
    assert told["again"]["told"]["version"] == another_day.VERSION


def test_a_device_without_firmware_says_so_and_is_mended(uf2: Path, computer: Computer) -> None:
    from emulator.board import Board

    files = {name: data for name, data in install.firmware().items() if name != install.IMAGE}
    board = Board(uf2, files=files)
    board.boot()
    board.run_until(lambda: b"earwitness install" in board.cable.sent, 5, "the sentence")
    board.run_until(lambda: board.person.light == 128, 1, "the light")
    light = "from machine import PWM, Pin\nprint(PWM(Pin(13)).freq())"
    assert board.execute(light) == "8\r\n"  # half of the time on, eight times a second
    said = computer.earwitness(board, "install", "--without-chips", "--port", computer.port, seconds=_NEW_BOARD_S)
    assert said["written"] == [f"/{_STAGED}"]
    computer.earwitness(board, "status", "--port", computer.port, code=12)
    assert install.lies_in_place(board.flash, install.firmware()[install.IMAGE])


def test_firmware_that_cannot_be_imported_says_so(uf2: Path) -> None:
    """Whatever a module with spoilt bytes raises, the prompt and the light are there."""
    from emulator.board import Board

    board = Board(uf2, files=install.firmware())
    flash = board.mcu.flash
    modules = [found.start() for found in re.finditer(rb"M\x06[\x12\x13]\x1f", bytes(flash[_IMAGE:_REGION]))]
    assert len(modules) > 10
    for at in modules:
        flash[_IMAGE + at + 1] = 5  # of another version of MicroPython, it now says
    board.boot()
    board.run_until(lambda: b"earwitness install" in board.cable.sent, 5, "the sentence")
    board.run_until(lambda: board.person.light == 128, 1, "the light")
    assert board.execute("print(6 * 7)") == "42\r\n"
