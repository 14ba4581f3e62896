"""Bytes to and from a recorder: a serial port, a pseudo-terminal, or socket://host:port."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import serial
from serial.tools import list_ports

from earwitness.errors import DeviceBusyError, NoDeviceError, UsageError

PORT_VARIABLE: Final = "EARWITNESS_PORT"
_USB_IDS: Final = frozenset({(0x2E8A, 0x0005)})  # Raspberry Pi Pico running MicroPython, its USB descriptor
_WRITE_TIMEOUT_S: Final = 5.0
_READ_BYTES: Final = 65536
_GROUP: Final = "dialout"
_CLOSE: Final = "Close that program, perhaps a serial monitor or another earwitness, and try again."


class Transport(Protocol):
    """Carries bytes and knows nothing of them."""

    name: str

    def read(self, timeout: float) -> bytes:
        """What is there; waits for at most `timeout` seconds. Empty: nothing came. Raises NoDeviceError when gone."""

    def write(self, data: bytes) -> None:
        """Send all of it. Raises NoDeviceError when the recorder is gone or takes nothing."""

    def close(self) -> None:
        """Give the port back."""


@dataclass(frozen=True)
class Port:
    """A place where a recorder may answer."""

    name: str
    description: str


def discover() -> list[Port]:
    """Ports named by EARWITNESS_PORT, else every USB serial port that is a Raspberry Pi Pico's."""
    named = os.environ.get(PORT_VARIABLE, "").strip()
    if named:
        return [Port(named, f"from {PORT_VARIABLE}")]
    return [
        Port(port.device, port.description or "")
        for port in sorted(list_ports.comports(), key=lambda port: port.device)
        if (port.vid, port.pid) in _USB_IDS
    ]


def open_port(name: str) -> Transport:
    """Open a serial port (`/dev/ttyACM0`, `COM3`, a pty) or `socket://host:port`."""
    if name.startswith("socket://"):
        return SocketTransport(name)
    return SerialTransport(name)


class GoneError(NoDeviceError):
    """The connection to the recorder ended."""


def _gone(name: str) -> GoneError:
    return GoneError(f"The recorder at {name} went away.", "Check the cable; running the same again resumes.")


class SerialTransport:
    """A serial port, for this program alone."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            # `exclusive` exists on POSIX only; Windows opens ports exclusively anyway
            self._port = serial.Serial(
                name,
                115200,
                timeout=0,
                write_timeout=_WRITE_TIMEOUT_S,
                exclusive=True if os.name == "posix" else None,
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise _open_error(name, error) from error

    def read(self, timeout: float) -> bytes:
        try:
            waiting = self._port.in_waiting
            if waiting == 0 and timeout > 0:
                self._port.timeout = timeout
                first: bytes = self._port.read(1)
                if not first:
                    return b""
                self._port.timeout = 0
                return first + bytes(self._port.read(min(self._port.in_waiting, _READ_BYTES)))
            self._port.timeout = 0
            return bytes(self._port.read(min(waiting, _READ_BYTES)))
        except (serial.SerialException, OSError, TypeError) as error:
            # TypeError: pyserial's read on a port that another thread closed
            raise _gone(self.name) from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise _gone(self.name) from error

    def close(self) -> None:
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()


def _group(name: str) -> str:
    """Who may open a port on this Linux: dialout on most, uucp on some."""
    try:
        found = Path(name).group()
    except (OSError, KeyError):
        found = "root"
    return _GROUP if found == "root" else found


def _open_error(name: str, error: Exception) -> NoDeviceError | DeviceBusyError:
    code = getattr(error, "errno", None)
    text = str(error)
    if code == errno.EACCES or isinstance(error, PermissionError) or "PermissionError" in text:
        if sys.platform == "win32":
            return DeviceBusyError(f"{name} is in use by another program.", _CLOSE)
        hint = "Close other programs that use it."
        if sys.platform.startswith("linux"):
            hint = f"Join the group that may (sudo usermod -a -G {_group(name)} $USER), then log out and in again."
        return NoDeviceError(f"You may not open {name}.", hint)
    if code in (errno.EBUSY, errno.EAGAIN) or "lock" in text:
        return DeviceBusyError(f"{name} is in use by another program.", _CLOSE)
    return NoDeviceError(
        f"There is no recorder at {name}.", "Plug it in; 'earwitness devices' shows the ports where one may be."
    )


class SocketTransport:
    """TCP: the virtual recorder, and systems without pseudo-terminals."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            parts = urlsplit(name)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or not port:
            raise UsageError(f"{name} is not an address.", "Expected socket://127.0.0.1:PORT.")
        try:
            self._socket = socket.create_connection((host, port), timeout=_WRITE_TIMEOUT_S)
        except OSError as error:
            raise NoDeviceError(f"There is no recorder at {name}.", "Is the virtual recorder running?") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, timeout: float) -> bytes:
        try:
            ready, _, _ = select.select([self._socket], [], [], max(timeout, 0))
            if not ready:
                return b""
            data = self._socket.recv(_READ_BYTES)
        except (OSError, ValueError) as error:
            raise _gone(self.name) from error
        if not data:
            raise _gone(self.name)
        return data

    def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise _gone(self.name) from error

    def close(self) -> None:
        self._socket.close()
