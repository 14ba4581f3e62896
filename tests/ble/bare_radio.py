"""A radio that does anything at all to the recorder behind it: the other end of the stand-in's socket, without air.

What Bumble and BlueZ would never do, a broken or hostile peer's stack may: events in any order, writes of any length.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from earwitness.errors import NoDeviceError
from tools.virtual.ble import wire

_TO_RECORDER, _TO_COMPUTER = 12, 14
_ADDRESS = bytes((0xC0, 1, 2, 3, 4, 5))
WINDOW = 128  # LINK.md, "Window"
SMALLEST, LARGEST = 23, 247
_PATIENCE_S = 5.0


class BareRadio:
    """Serves one recorder. Whatever it notifies is checked against LINK.md; `broken` holds what was not kept to."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "radio")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._socket: socket.socket | None = None
        self._reader = wire.Reader()
        self.advertising = self.connected = False
        self.stream = bytearray()  # of this connection, without the numbers
        self.last = 0
        self.room = SMALLEST - 3
        self._since_write = 0
        self.broken: list[str] = []
        self.settle: Callable[[], None] = lambda: None  # returns when the recorder has dealt with what it was told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
        self._listener.close()

    # ---- to the recorder

    def tell(self, kind: int, payload: bytes = b"") -> None:
        """An event, whatever state either is in."""
        assert self._socket is not None
        self._socket.sendall(wire.pack(kind, payload))

    def connect(self) -> None:
        """A computer connects, as soon as the recorder lets itself be found."""
        if self.connected:
            self.disconnect()
        until = time.monotonic() + _PATIENCE_S
        while not self.advertising:
            assert time.monotonic() < until, "cannot be found any more"
            self.serve(0.05)
        self.advertising = False
        self.connected_event()

    def connected_event(self) -> None:
        """A computer connects, also where one is connected. It takes a turn of the recorder's main loop to notice: what is
        written before is not for it, and what it says before is of the connection that was."""
        self.connected = False
        self.tell(wire.CONNECTED, bytes(7))
        self.settle()
        self.serve()
        self.connected = True
        self.stream.clear()
        self.last = self._since_write = 0
        self.room = SMALLEST - 3

    def disconnect(self) -> None:
        """The connection ends."""
        if self.connected:
            self.connected = False
            self.tell(wire.DISCONNECTED)

    def agree(self, mtu: int) -> None:
        """The computer asked for an MTU."""
        self.serve()
        self.tell(wire.MTU_NOW, mtu.to_bytes(2, "little"))
        self.room = max(self.room, min(mtu, LARGEST) - 3)  # what is on its way may still have the older one

    def write(self, value: bytes) -> None:
        """A value, of any length."""
        self.serve()
        self._since_write = 0
        self.tell(wire.WRITTEN, _TO_RECORDER.to_bytes(2, "little") + value)

    # ---- from the recorder

    def serve(self, timeout: float = 0.0, *, until_told: bool = True) -> None:
        """Take what the recorder has to say, for so long, or until something came of it for the computer."""
        until = time.monotonic() + timeout
        while True:
            sources = [self._listener if self._socket is None else self._socket]
            ready, _, _ = select.select(sources, [], [], max(until - time.monotonic(), 0))
            if not ready:
                return
            if self._socket is None:
                self._socket, _ = self._listener.accept()
                continue
            data = self._socket.recv(65536)
            assert data, "the recorder died"
            for kind, payload in self._reader.feed(data):
                self._obey(kind, payload)
            if timeout and until_told and self.stream:
                return

    def _obey(self, kind: int, payload: bytes) -> None:
        if kind in (wire.ACTIVE, wire.ADDRESS):
            if kind == wire.ACTIVE:
                self.advertising = self.connected = False
            self.tell(wire.DONE, _ADDRESS)
        elif kind == wire.SERVICES:
            ((_, characteristics),) = json.loads(payload)
            assert len(characteristics) == 2
            self.tell(wire.DONE, json.dumps([[_TO_RECORDER, _TO_COMPUTER]]).encode())
        elif kind == wire.ADVERTISE:
            self.advertising = True
        elif kind == wire.SILENCE:
            self.advertising = False
        elif kind == wire.HANG_UP:
            self.disconnect()
        elif kind == wire.NOTIFY:
            self._notified(payload[2:])

    def _notified(self, value: bytes) -> None:
        self.tell(wire.SENT)
        if not self.connected:
            return
        self._since_write += 1
        number = value[0] if value else -1
        if number != (self.last + 1) & 0xFF:
            self.broken.append(f"number {number} after {self.last}")
        if len(value) > self.room:
            self.broken.append(f"{len(value)} bytes where {self.room} fit")
        if self._since_write > WINDOW:
            self.broken.append(f"{self._since_write} under way")
        self.last = number
        self.stream += value[1:]


class BareTransport:
    """A computer that keeps to the rules, over such a radio."""

    name = "bare"

    def __init__(self, radio: BareRadio, mtu: int = LARGEST) -> None:
        self._radio = radio
        radio.connect()
        if mtu != SMALLEST:  # then nobody says a word of it
            radio.agree(mtu)
        self._fits = mtu - 3

    def write(self, data: bytes) -> None:
        step = self._fits - 1
        for at in range(0, len(data), step):
            self._radio.write(bytes((self._radio.last,)) + data[at : at + step])

    def read(self, timeout: float) -> bytes:
        self._radio.serve(timeout)
        data = bytes(self._radio.stream)
        self._radio.stream.clear()
        if not self._radio.connected and not data:
            raise NoDeviceError("thrown out")
        if self._radio._since_write >= 32:
            self._radio.write(bytes((self._radio.last,)))
        return data

    def close(self) -> None:
        self._radio.disconnect()
