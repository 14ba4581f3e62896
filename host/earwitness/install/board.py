"""A board at MicroPython's prompt: asked what it is, given files, started again. mpremote does the talking."""

from __future__ import annotations

import base64
import contextlib
import io
import struct
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport
from serial import SerialException

from earwitness.errors import EarwitnessError, NoDeviceError

MICROPYTHON: Final = (1, 28)  # the oldest that will do
DOWNLOAD: Final = "https://micropython.org/download/RPI_PICO_W"
_BYTECODE: Final = (6, 3, 4)  # what mpy-cross writes: version, sub-version, native code for armv6m
_CHUNK_BYTES: Final = 3072
_HASH_BYTES: Final = 4096
_HASH_S: Final = 60.0
_READ_TIMEOUT_S: Final = 10.0
_MOST_SAID_BYTES: Final = 65536  # in one answer; the longest is a list of files
_ANSWER_S: Final = 30.0  # for a whole answer, beside what it may be silent for
_VERSION: Final = 5  # numbers and words of sys.implementation.version
_MACHINE: Final = 100  # letters of its name that are shown


class BoardError(EarwitnessError):
    """The board is not one that the firmware runs on, or did not do what it was told."""


# What mpremote raises for a board that is gone, and for one that answers anything at all
_NO_ANSWER: Final = (
    TransportError,
    SerialException,
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    struct.error,
    RecursionError,
    MemoryError,
)


class _Bounded:
    """A serial port for mpremote, which would listen for ever to a board that never stops talking."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._left = 0
        self._end = 0.0
        self.begin(_READ_TIMEOUT_S)

    def begin(self, silent_s: float) -> None:
        """Another question: the board may be silent for so long, and then has some time for its answer."""
        self._left = _MOST_SAID_BYTES
        self._end = time.monotonic() + silent_s + _ANSWER_S

    def read(self, count: int = 1) -> bytes:
        data: bytes = self._port.read(count)
        self._left -= len(data)
        self._check()
        return data

    def inWaiting(self) -> int:  # its name in pyserial
        self._check()
        return int(self._port.inWaiting())

    def _check(self) -> None:
        if self._left < 0 or time.monotonic() > self._end:
            raise BoardError(
                "The board does not stop talking, and not of what it was asked.",
                "Unplug it, plug it in again, and run the same again. If it says this again, use another board.",
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """mpremote's errors in our words; what it prints stays off the screen."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except TransportExecError as error:
        lines = error.error_output.strip().splitlines()
        raise BoardError(f"The board could not {what}: {lines[-1] if lines else 'it gave no reason'}.") from error
    except _NO_ANSWER as error:
        raise NoDeviceError(
            f"The board stopped answering while it was to {what}.",
            "Check the cable, unplug it and plug it in again, then run the same again. What was installed before is still there.",
        ) from error


class Board:
    """`with Board(port) as board`: at the prompt, nothing of ours running. Raises NoDeviceError, BoardError."""

    def __init__(self, port: str) -> None:
        with _told("answer"):
            self._link = SerialTransport(port, timeout=_READ_TIMEOUT_S)
        self._port = self._link.serial = _Bounded(self._link.serial)
        try:
            with _told("answer"):
                self._link.enter_raw_repl(soft_reset=False)
        except EarwitnessError:
            self.close()
            raise NoDeviceError(
                f"What is plugged in at {port} does not answer: neither a recorder nor MicroPython.",
                "If that is something else, name the board's port with --port. Else unplug it, hold its BOOTSEL button down while "
                f"plugging it in again, copy the Pico W's newest .uf2 file from {DOWNLOAD} onto the drive that appears, and run "
                "this again.",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(OSError, SerialException):
            self._link.close()

    def run(self, code: str, what: str, timeout: float = _READ_TIMEOUT_S) -> None:
        """Run `code` there; it may be silent for `timeout` seconds. `what`: in words, for the error."""
        with _told(what):
            self._port.begin(timeout)
            said, error = self._link.exec_raw(code, timeout=timeout)
            if error:
                raise TransportExecError(said, error.decode("utf-8", "replace"))

    def ask(self, expression: str, what: str) -> Any:
        """The value of a Python expression there."""
        with _told(what):
            self._port.begin(_READ_TIMEOUT_S)
            return self._link.eval(expression)

    def check(self) -> str:
        """Is it a Pico W with a MicroPython that will do? Returns what it calls itself. Raises BoardError."""
        self.run("import sys", "say what it is")
        update = f"Hold BOOTSEL while plugging it in, copy the newest file from {DOWNLOAD} onto the drive that appears, and run this again."
        match self.ask(
            "[getattr(sys.implementation, n, None) for n in ('_machine', 'version', '_mpy')]",
            "say what it is",
        ):
            case [str(machine), (int(major), int(minor), *_) as version, int(bytecode)] if len(version) <= _VERSION:
                machine = "".join(letter if letter.isprintable() else "?" for letter in machine)[:_MACHINE]
            case _:
                raise BoardError("The board does not say what it is as MicroPython on a Pico W does.", update)
        named = f"MicroPython {'.'.join(map(str, version[:3]))} on {machine}"
        if "Pico W" not in machine:
            raise BoardError(f"This is {named}.", "The recorder is built on a Raspberry Pi Pico W.")
        if (major, minor) < MICROPYTHON:
            raise BoardError(f"{named} is too old: {'.'.join(map(str, MICROPYTHON))} is needed.", update)
        if (bytecode & 0xFF, (bytecode >> 8) & 3, (bytecode >> 10) & 15) != _BYTECODE:
            raise BoardError(f"{named} does not run the code that this program compiles.", update)
        return named

    def write(self, path: str, data: bytes, progress: Callable[[int], None] = lambda done: None) -> None:
        """Make a file there, whole. `progress` gets the bytes written so far."""
        what = f"write {path}"
        # One that a computer left half-written here, perhaps still open, would hold its blocks until the new one is done.
        self.run("try:\n _f.close()\nexcept Exception:\n pass", what)
        self.remove(path)
        self.run(f"from binascii import a2b_base64 as _d\n_f = open({path!r}, 'wb')\n_w = _f.write", what)
        for start in range(0, len(data), _CHUNK_BYTES):
            piece = base64.b64encode(data[start : start + _CHUNK_BYTES]).decode()
            self.run(f"_w(_d('{piece}'))", what)
            progress(min(start + _CHUNK_BYTES, len(data)))
        self.run("_f.close()", what)

    def names(self) -> list[str]:
        """Files and folders at the top."""
        found = self.ask("__import__('os').listdir('/')", "list its files")
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise BoardError("The board could not list its files: it answered something else.")
        return found

    def hash(self, path: str) -> bytes | None:
        """SHA-256 of a file as the board reads it, None where there is none."""
        if path.strip("/") not in self.names():
            return None
        with _told(f"read {path}"):
            self._port.begin(_HASH_S)
            return bytes(self._link.fs_hashfile(path, "sha256", _HASH_BYTES))

    def firmware(self) -> bytes:
        """The hash of the firmware that it runs when it starts, b"" where there is none."""
        what = "say what is installed"
        self.run("try:\n import bundle\n _v = bundle.version()[0]\nexcept Exception:\n _v = b''", what)
        hash = self.ask("_v", what)
        return hash if isinstance(hash, bytes) else b""

    def remove(self, path: str) -> None:
        """Have no such file there."""
        self.run(f"import os\ntry:\n os.remove({path!r})\nexcept OSError:\n pass", f"remove {path}")

    def rename(self, old: str, new: str) -> None:
        """Put a file in another's place, in one step."""
        self.run(f"import os\nos.rename({old!r}, {new!r})", f"put {new} in place")

    def reset(self) -> None:
        """Start it again. The port goes away with that."""
        with contextlib.suppress(EarwitnessError), _told("start again"):
            self._link.exec_raw_no_follow("import machine\nmachine.reset()")
