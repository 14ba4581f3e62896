"""Putting the firmware on a board: what is built, what is fetched, and what is said when it cannot be done.

On a real MicroPython image it is tried in tests/emulator/test_install.py.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import pty
import select
import socket
import struct
import threading
import tty
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from earwitness.cli import main
from earwitness.errors import EarwitnessError, NoDeviceError
from earwitness.install import board, drivers, image, mpy
from earwitness.install.board import Board, BoardError
from earwitness.install.compact import compact

command = importlib.import_module("earwitness.commands.install")


@pytest.fixture(scope="module")
def firmware() -> image.Firmware:
    return image.build(image.sources(), {})


def _index(data: bytes) -> tuple[str, dict[str, bytes], dict[str, list[tuple[int, int]]]]:
    """The first line, the modules, and where in each the code of its functions is said to lie."""
    assert int(data.split(b"\n")[0].split()[2]) == len(data) - 32
    head, _, rest = data[:-32].partition(b"\n\n")
    first, *lines = head.decode("ascii").split("\n")
    modules, functions, end = {}, {}, 0
    for line in lines:
        name, *numbers = line.split(" ")
        offset, size, count = map(int, numbers)
        assert offset == end
        end = offset + size + 4 * count
        modules[name] = rest[offset : offset + size]
        functions[name] = list(struct.iter_unpack("<HH", rest[offset + size : end]))
    assert end == len(rest)
    return first, modules, functions


def test_every_module_is_in_the_image_compiled(firmware: image.Firmware) -> None:
    first, modules, _ = _index(firmware.image)
    assert first.startswith("earwitness ")
    folder = image.sources()
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")} - {"boot.py", "main.py"}
    places = [place for path in paths - {"recorder/hal/reserve.py"} if (place := firmware.names.path(path))]
    assert len(set(places)) == len(places) > 80
    assert set(modules) | set(firmware.files) == {place[:-3] + ".mpy" for place in places} | {"boot.py", "main.py"}
    assert firmware.reserve[:2] == b"M\x06"
    assert all(code[:2] == b"M\x06" for code in modules.values())


def test_the_image_ends_with_its_hash(firmware: image.Firmware) -> None:
    assert firmware.hash == sha256(firmware.image[:-32]).digest()


def test_the_same_sources_give_the_same_hash_anywhere(firmware: image.Firmware) -> None:
    assert image.build(image.sources(), {}).image == firmware.image


def test_functions_and_long_constants_lie_where_the_image_says(firmware: image.Firmware) -> None:
    """Longest first, none beyond its module, and no two over each other."""
    _, modules, functions = _index(firmware.image)
    assert sum(map(len, functions.values())) > 400
    for name, found in functions.items():
        assert [length for _, length in found] == sorted((length for _, length in found), reverse=True)
        end = 0
        for offset, length in sorted(found):
            assert end < offset
            end = offset + length
        assert end <= len(modules[name])


def test_bytecode_is_found_between_whatever_a_module_holds() -> None:
    source = (
        "import micropython\n"
        "A = (1, 'text', b'bytes', 1 << 70, 2.5, (None, True, ...), 'x' * 3)\n"
        "def first(a, b=2, *c, d=3, **e):\n    return [x + a for x in c]\n"
        "@micropython.viper\ndef second(p: ptr8, n: int) -> int:\n    return p[n] + 70000\n"
        "@micropython.native\ndef third(a):\n    return lambda: a\n"
        "class Fourth:\n    def fifth(self):\n        yield self\n"
    )
    code = image.compiled(source, "module.py")
    found = mpy.functions(code)
    assert len(found) == 4  # first and its list, the class and its method; neither viper nor native code
    returns = 0x63
    assert all(code[offset + length - 1] == returns for offset, length in found)
    assert set(mpy.names(code)) >= {"Fourth", "fifth", "third"}


def test_long_constants_are_found_and_only_they() -> None:
    long, short = bytes(range(100, 164)), bytes(range(1, 64))
    code = image.compiled(
        f"A = {long!r}\nB = {short!r}\nC = 'c' * 65\nD = {'d' * 200!r}\nE = (3, {long[::-1]!r})\n", "m"
    )
    assert sorted(code[at : at + length] for at, length in mpy.constants(code)) == sorted([long, long[::-1]])


@given(st.data())
def test_no_other_file_is_taken_for_a_module(firmware: image.Firmware, data: st.DataObject) -> None:
    _, modules, _ = _index(firmware.image)
    place = firmware.names.path("recorder/session.py")
    assert place is not None
    code = bytearray(modules[place[:-3] + ".mpy"])
    for _ in range(data.draw(st.integers(1, 4))):
        code[data.draw(st.integers(0, len(code) - 1))] = data.draw(st.integers(0, 255))
    del code[data.draw(st.integers(0, len(code))) :]
    with contextlib.suppress(EarwitnessError):
        assert all(offset > 0 and offset + length <= len(code) for offset, length in mpy.functions(bytes(code)))


@pytest.mark.parametrize(
    "source",
    [
        "import other\nprint(other.SIZE)\n",
        "import other as o\nprint(o.SIZE)\n",
        "from other import SIZE\nprint(SIZE)\n",
    ],
)
def test_a_constant_is_put_where_another_module_looks_it_up(source: str) -> None:
    """Once it is private, a name that was left would be found by nobody."""
    made = compact({"user.py": source, "other.py": "from micropython import const\nSIZE = const(4 * 8)\n"})
    assert "SIZE" not in made["user.py"] and "32" in made["user.py"]


def test_the_firmware_fits_where_it_goes(firmware: image.Firmware) -> None:
    """With 12 KB to grow and for the chips' drivers; and as a file beside an older starter in what the rest of the flash has."""
    assert len(firmware.image) + 12_000 < image.LARGEST
    assert len(firmware.image) + 2 * 24_576 < (212 - 160) * 4096


def test_a_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    for name in image.STARTERS:
        (tmp_path / name).write_text("")
    (tmp_path / "broken.py").write_text("if:\n")
    with pytest.raises(EarwitnessError, match=r"broken\.py does not compile"):
        image.build(tmp_path, {})


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds a wheel, and a lock that pins it."""
    cache = tmp_path / "cache"
    cache.mkdir()
    wheel = cache / "adafruit_circuitpython_ds3231-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("adafruit_ds3231.py", "registers = 7\n")
        archive.writestr("../outside.py", "")
        archive.writestr("adafruit_ds3231.pyi", "")
    lock = tmp_path / "drivers.lock"
    lock.write_text(f"adafruit-circuitpython-ds3231==1.0 --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n")
    monkeypatch.setattr(drivers, "LOCK", lock)
    return cache


def test_drivers_at_hand_need_no_network(wheels: Path, tmp_path: Path) -> None:
    modules = drivers.unpack(drivers.fetch(wheels), tmp_path / "out")
    assert {name: path.read_text() for name, path in modules.items()} == {"adafruit_ds3231.py": "registers = 7\n"}
    assert not (tmp_path / "outside.py").exists()


def test_a_driver_of_other_bytes_is_not_used(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wheel = next(wheels.iterdir())
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(EarwitnessError, match="could not be fetched") as refused:
        drivers.fetch(wheels)
    assert "--without-chips" in refused.value.hint


def test_each_pinned_driver_has_a_version_and_a_hash() -> None:
    assert {name.rsplit("_", 1)[1].split("-")[0] for name in drivers.pinned()} == {
        "busdevice",
        "ds3231",
        "max1704x",
        "register",
    }


@pytest.fixture
def nothing_plugged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EARWITNESS_PORT", raising=False)
    monkeypatch.setattr("earwitness.link.transport.list_ports.comports", list)


@pytest.mark.usefixtures("nothing_plugged_in")
def test_without_a_board_it_says_what_to_plug_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--without-chips"]) == 10
    said = capsys.readouterr().err
    assert "No board is plugged in" in said and "cable that carries data" in said


@pytest.mark.usefixtures("nothing_plugged_in")
def test_a_board_without_micropython_is_sent_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "RPI-RP2").mkdir()
    (tmp_path / "RPI-RP2" / "INFO_UF2.TXT").write_text(
        "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
    )
    monkeypatch.setattr("earwitness.commands.install.sys.platform", "darwin")
    real = Path.glob
    monkeypatch.setattr(
        Path, "glob", lambda self, pattern: real(tmp_path if str(self) == "/Volumes" else self, pattern)
    )
    assert main(["install", "--without-chips"]) == 10
    said = capsys.readouterr().err
    assert "no MicroPython yet" in said and "RPI-RP2" in said and ".uf2" in said


@pytest.mark.usefixtures("nothing_plugged_in")
def test_a_port_that_is_not_there_is_said_before_anything_is_compiled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(image, "build", lambda *_: pytest.fail("compiled"))
    assert main(["install", "--without-chips", "--port", str(tmp_path / "ttyACM9")]) == 10
    said = capsys.readouterr().err
    assert "ttyACM9" in said and "Plug it in" in said


@pytest.mark.usefixtures("nothing_plugged_in")
def test_a_port_that_one_may_not_open_is_said_with_the_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port: Permission denied")

    monkeypatch.setattr(serial, "Serial", denied)
    monkeypatch.setattr("earwitness.link.transport.sys.platform", "linux")
    assert main(["install", "--without-chips", "--port", "/dev/ttyACM0"]) == 10
    said = capsys.readouterr().err
    assert "You may not open /dev/ttyACM0" in said and "usermod -a -G dialout" in said


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A serial port at whose other end nobody says anything."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


@pytest.mark.usefixtures("nothing_plugged_in")
def test_what_does_not_answer_is_told_apart(silent_port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--without-chips", "--port", silent_port]) == 10
    said = capsys.readouterr().err
    assert "neither a recorder nor MicroPython" in said and "BOOTSEL" in said


class Prompt:
    """Something at a serial port that speaks as MicroPython's raw prompt does, and answers each question with `says`."""

    def __init__(self, says: Callable[[str], bytes]) -> None:
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self._says = says
        self._over, self._end = socket.socketpair()
        self.port = os.ttyname(self._theirs)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        held = b""
        while data := self._read():
            held += data
            if held.endswith(b"\x01") and not held.endswith(b"\x05A\x01"):
                self._write(b"raw REPL; CTRL-B to exit\r\n>")
                held = b""
            elif held.endswith(b"\x05A\x01"):
                self._write(b"R\x00")
                held = b""
            elif held.endswith(b"\x04"):
                self._write(b"OK" + self._says(held.decode()) + b"\x04>")
                held = b""

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._ours, self._over], [], [])
        return b"" if self._over in ready else os.read(self._ours, 4096)

    def _write(self, data: bytes) -> None:
        while data:
            over, _, _ = select.select([self._over], [self._ours], [])
            if over:
                return
            data = data[os.write(self._ours, data) :]

    def close(self) -> None:
        self._end.close()
        self._thread.join(30)
        assert not self._thread.is_alive()  # the next test's port may have the same number
        self._over.close()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def prompt() -> Iterator[Callable[[Callable[[str], bytes]], str]]:
    made: list[Prompt] = []

    def make(says: Callable[[str], bytes]) -> str:
        made.append(Prompt(says))
        return made[-1].port

    yield make
    for one in made:
        one.close()


def test_a_board_that_will_do_is_known(prompt: Callable[..., str]) -> None:
    said = b"['Raspberry Pi Pico W with RP2040', (1, 28, 0, ''), 4870]\r\n\x04"
    with Board(prompt(lambda code: said if "implementation" in code else b"\x04")) as found:
        assert found.check() == "MicroPython 1.28.0 on Raspberry Pi Pico W with RP2040"


@pytest.mark.parametrize(
    "said",
    [
        "None",
        "7",
        "'Pico W'",
        "[]",
        "[None, None, None]",
        "[None, (1, 28, 0), 4870]",
        "[['Pico W'], (1, 28, 0), 4870]",
        "['Pico W', 'one', 4870]",
        "['Pico W', ('1', '28'), 4870]",
        "['Pico W', (1,), 4870]",
        "['Pico W', {}, 4870]",
        "['Pico W', (1, 28, 0), None]",
        "['Pico W', (1, 28, 0), 1.5]",
        "['Pico W', (1, 28) + (0,) * 9, 4870]",
        "['Pico W', (1, 28, 0), 4870",
        "<object>",
        "\xff\xfe",
        "[" * 3000,
        "(" * 500 + ")" * 500,
        "",
    ],
)
def test_a_board_that_answers_anything_at_all_is_told_in_a_sentence(prompt: Callable[..., str], said: str) -> None:
    answer = said.encode("latin-1") + b"\r\n\x04"
    with (
        Board(prompt(lambda code: answer if "implementation" in code else b"\x04")) as found,
        pytest.raises((BoardError, NoDeviceError)) as caught,
    ):
        found.check()
    assert caught.value.message.isprintable() and caught.value.message.endswith(".") and caught.value.hint


@pytest.mark.parametrize("talk", [b"and " * 30_000, b"\x1b[2J['Pico W" * 9000])
def test_a_board_that_does_not_stop_talking_is_told_so(prompt: Callable[..., str], talk: bytes) -> None:
    with (
        Board(prompt(lambda code: talk)) as found,
        pytest.raises(BoardError, match="does not stop talking") as caught,
    ):
        found.check()
    assert "another board" in caught.value.hint


def test_a_board_that_drips_is_told_so(prompt: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then, for ever: no single one is late."""
    monkeypatch.setattr(board, "_ANSWER_S", -board._READ_TIMEOUT_S + 0.5)
    over = threading.Event()

    def drip(_code: str) -> bytes:
        over.wait(1.5)
        return b"x" * 20

    with Board(prompt(drip)) as found, pytest.raises(BoardError, match="does not stop talking"):
        found.check()


@pytest.mark.usefixtures("nothing_plugged_in")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            "['Raspberry Pi Pico W with RP2040', (1, 27, 0, ''), 4870]",
            ("1.27.0", "too old", "1.28 is needed", "BOOTSEL"),
        ),
        (
            "['Raspberry Pi Pico with RP2040', (1, 28, 0, ''), 4870]",
            ("Raspberry Pi Pico with RP2040", "a Raspberry Pi Pico W"),
        ),
        ("['Raspberry Pi Pico W with RP2040', (1, 29, 0, ''), 4871]", ("does not run the code", "BOOTSEL")),
    ],
)
def test_a_board_that_will_not_do_is_told_what_it_needs(
    prompt: Callable[..., str],
    firmware: image.Firmware,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr(image, "build", lambda *_: firmware)
    port = prompt(lambda code: answer.encode() + b"\r\n\x04" if "implementation" in code else b"\x04")
    assert main(["install", "--without-chips", "--port", port]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert all(word in said for word in words), said


@pytest.mark.usefixtures("nothing_plugged_in")
def test_files_of_something_else_are_not_lost_unawares(
    prompt: Callable[..., str],
    firmware: image.Firmware,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(image, "build", lambda *_: firmware)
    asked: list[str] = []

    def says(code: str) -> bytes:
        asked.append(code)
        if "implementation" in code:
            return b"['Raspberry Pi Pico W with RP2040', (1, 28, 0, ''), 4870]\r\n\x04"
        return b"['main.py', 'weather\\x1b[2J.csv']\r\n\x04" if "listdir" in code else b"\x04"

    assert main(["install", "--without-chips", "--port", prompt(says)]) == 1
    said = capsys.readouterr().err
    assert "main.py, weather" in said and "--erase" in said and "\x1b" not in said
    assert not any("open(" in code or "reserve" in code for code in asked)


def test_a_recorder_that_was_not_awake_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not answer as a board does is not called foreign before it had a second chance to be a recorder."""
    boards = iter([NoDeviceError("neither"), "the board"])
    recorders = iter([False, True])

    def found(_port: str) -> object:
        made = next(boards)
        if isinstance(made, Exception):
            raise made
        return made

    monkeypatch.setattr(board, "Board", found)
    monkeypatch.setattr(command, "_leave_recorder", lambda _: next(recorders))
    assert command._at_prompt("port") == "the board"


def test_a_recorder_that_does_not_come_up_is_told(silent_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_FIRST_START_S", 0.1)
    monkeypatch.setattr(command, "_RESTART_S", 0.1)
    with pytest.raises(NoDeviceError, match="does not answer") as caught:
        command._wait_for_recorder(silent_port)
    assert "flickers" in caught.value.hint


def test_letters_that_are_none_reach_no_terminal(prompt: Callable[..., str]) -> None:
    said = b"['\\x1b[31mPico W', (1, 2, 0), 4870]\r\n\x04"
    with (
        Board(prompt(lambda code: said if "implementation" in code else b"\x04")) as found,
        pytest.raises(BoardError, match="too old") as caught,
    ):
        found.check()
    assert "\x1b" not in caught.value.message


def test_a_list_of_files_that_is_none_is_told(prompt: Callable[..., str]) -> None:
    with Board(prompt(lambda code: b"7\r\n\x04")) as found, pytest.raises(BoardError, match="list its files"):
        found.names()
