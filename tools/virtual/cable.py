"""The cable: carries bytes between the interpreter's sockets and what the computer opens, a terminal device or a TCP port."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import threading
from typing import Any

_BUFFER_BYTES = 4096
_LOOK_MS = 20  # how often a closed terminal device is looked at


def _listen(port: str) -> socket.socket:
    number = port[4:]
    if not (number.isascii() and number.isdecimal() and int(number[:6]) < 65_536):
        raise ValueError(f"{port!r} has no port number between 0 and 65535.")
    try:
        return socket.create_server(("127.0.0.1", int(number)))
    except OSError as error:
        raise OSError(f"Port {number} cannot be used ({error.strerror}). Take another, or tcp:0 for any.") from None


class Cable:
    """One thread, one host at a time. `url` is what a host opens; empty where there is no cable."""

    def __init__(self, port: str) -> None:
        self.url = ""
        self._master = -1
        self._slave_name = ""
        self._listener: socket.socket | None = None
        if port == "pty":
            self._open_pty()
        elif port.startswith("tcp:"):
            self._listener = _listen(port)
            self._listener.setblocking(False)
            self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        elif port != "none":
            raise ValueError(f"{port!r} is none of pty, none, tcp:NUMBER")
        self._device_listener = socket.create_server(("127.0.0.1", 0))
        self._device_listener.setblocking(False)
        self.device_port: int = self._device_listener.getsockname()[1]
        self._control: socket.socket | None = None
        self._device: socket.socket | None = None
        self._host: socket.socket | None = None
        self._host_open = False
        self._to_host = b""
        self._to_device = b""
        self._lock = threading.Lock()
        self._wake_out, self._wake_in = socket.socketpair()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="cable", daemon=True)
        self._thread.start()

    def _open_pty(self) -> None:
        import pty
        import tty

        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self._slave_name = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self.url = self._slave_name

    def order(self, message: dict[str, Any]) -> None:
        """Tell the interpreter something. Raises ConnectionError if there is none."""
        with self._lock:
            if self._control is None:
                raise ConnectionError("the virtual recorder has no power")
            self._control.sendall(json.dumps(message).encode() + b"\n")

    def connected(self) -> bool:
        """The interpreter has its sockets."""
        return self._control is not None and self._device is not None

    def unplug_device(self) -> None:
        """Forget the interpreter's sockets: it has lost its power."""
        with self._lock:
            for sock in (self._control, self._device):
                if sock is not None:
                    sock.close()
            self._control = self._device = None
            self._to_device = b""

    def close(self) -> None:
        """End the thread and give the port back. A second time does nothing."""
        if self._stopping:
            return
        self._stopping = True
        self._wake_in.send(b".")
        self._thread.join()
        self.unplug_device()
        for sock in (self._listener, self._device_listener, self._host, self._wake_in, self._wake_out):
            if sock is not None:
                sock.close()
        if self._master >= 0:
            os.close(self._master)

    # --- the thread

    def _run(self) -> None:
        while not self._stopping:
            wanted = self._wanted()
            poller = select.poll()
            for fd, mask in wanted.items():
                poller.register(fd, mask)
            try:
                ready = dict(poller.poll(_LOOK_MS if self._master >= 0 and not self._host_open else 100))
            except (ValueError, OSError):
                continue
            if self._wake_out.fileno() in ready:
                break
            self._look_at_pty()
            if self._device_listener.fileno() in ready:
                self._accept_device()
            if self._listener is not None and self._listener.fileno() in ready:
                self._accept_host()
            self._move(ready)

    def _wanted(self) -> dict[int, int]:
        wanted = {self._wake_out.fileno(): select.POLLIN, self._device_listener.fileno(): select.POLLIN}
        if self._listener is not None and self._host is None:
            wanted[self._listener.fileno()] = select.POLLIN
        if self._host_open:
            mask = (select.POLLIN if len(self._to_device) < _BUFFER_BYTES else 0) | (
                select.POLLOUT if self._to_host else 0
            )
            wanted[self._host_fd()] = mask
        device = self._device
        if device is not None and device.fileno() >= 0:
            mask = (select.POLLIN if len(self._to_host) < _BUFFER_BYTES else 0) | (
                select.POLLOUT if self._to_device else 0
            )
            wanted[device.fileno()] = mask
        return wanted

    def _host_fd(self) -> int:
        return self._host.fileno() if self._host is not None else self._master

    def _look_at_pty(self) -> None:
        if self._master < 0:
            return
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        hung_up = any(mask & select.POLLHUP for _, mask in poller.poll(0))
        if hung_up and self._host_open:
            self._set_host(False)
        elif not hung_up and not self._host_open:
            self._set_host(True)

    def _set_host(self, is_open: bool) -> None:
        self._host_open = is_open
        self._to_host = self._to_device = b""
        with contextlib.suppress(OSError):
            self.order({"host": int(is_open)})

    def _accept_host(self) -> None:
        assert self._listener is not None
        self._host, _ = self._listener.accept()
        self._host.setblocking(False)
        self._set_host(True)

    def _drop_host(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None
        self._set_host(False)

    def _accept_device(self) -> None:
        sock, _ = self._device_listener.accept()
        sock.settimeout(5)
        kind = sock.recv(1)
        with self._lock:
            before = self._control if kind == b"C" else self._device
            if before is not None:
                before.close()
            if kind == b"C":
                self._control = sock
            else:
                sock.setblocking(False)
                self._device = sock
        if kind == b"C" and self._host_open:
            self._set_host(True)

    def _move(self, ready: dict[int, int]) -> None:
        device = self._device
        if device is not None and ready.get(device.fileno(), 0):
            try:
                self._move_device(device, ready[device.fileno()])
            except OSError:
                device.close()
                self._device = None
        if self._host_open and ready.get(self._host_fd(), 0):
            try:
                self._move_host(ready[self._host_fd()])
            except OSError:
                self._drop_host()

    def _move_device(self, device: socket.socket, mask: int) -> None:
        if mask & select.POLLOUT and self._to_device:
            self._to_device = self._to_device[device.send(self._to_device) :]
        if mask & (select.POLLIN | select.POLLHUP):
            data = device.recv(_BUFFER_BYTES)
            if not data:
                raise ConnectionResetError
            if self._host_open:
                self._to_host += data

    def _move_host(self, mask: int) -> None:
        fd = self._host_fd()
        if mask & select.POLLOUT and self._to_host:
            self._to_host = self._to_host[os.write(fd, self._to_host) :]
        if mask & (select.POLLIN | select.POLLHUP):
            data = os.read(fd, _BUFFER_BYTES)
            if not data:
                raise ConnectionResetError
            if self._device is not None:
                self._to_device += data
