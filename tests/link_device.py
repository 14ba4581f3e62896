"""The recorder's link under the real interpreter, for tests: starts tests/firmware/link_harness.py and speaks to it."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earwitness.link import messages
from earwitness.link.frames import Receiver, encode
from earwitness.link.transport import SocketTransport

ROOT = Path(__file__).resolve().parent.parent
_LAST_REQUEST = 253  # nobody else's in these tests
HARNESS = ROOT / "tests" / "firmware" / "link_harness.py"
SEED = bytes(range(32))
SECRET = bytes(range(100, 132))


class Device:
    """One running harness."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {"seed": SEED.hex(), "port": port, **settings}
        path = folder / "harness.json"
        path.write_text(json.dumps(settings))
        self._process = subprocess.Popen(
            ["micropython", "-X", "heapsize=2M", str(HARNESS), str(ROOT / "firmware"), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.calls: list[dict[str, Any]] = []
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        first = self._lines.get(timeout=30)
        assert first is not None, self._process.communicate()[1]
        self.public = bytes.fromhex(first["public"])
        self.url = f"socket://127.0.0.1:{port}"
        self.port = port

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def order(self, word: str, value: object = "") -> dict[str, Any]:
        """Give the harness an order and return what it said of itself afterwards."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word} {value}\n")
        self._process.stdin.flush()
        while True:
            line = self._lines.get(timeout=30)
            assert line is not None, "the recorder died"
            if "done" in line:
                return line
            self.calls.append(line)

    def called(self, name: str) -> list[dict[str, Any]]:
        """What the link asked of the session so far."""
        self.order("heap")
        return [line for line in self.calls if line["call"] == name]

    def stop(self) -> None:
        """End it; a traceback of the recorder fails the test. A second time does nothing."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self._thread.join(timeout=10)
        assert self._process.stderr is not None and self._process.stdout is not None
        errors = self._process.stderr.read()
        self._process.stderr.close()
        self._process.stdout.close()
        assert self._process.returncode == 0 and "Traceback" not in errors, errors


class Meddling:
    """Before a transport: somebody in between. `out` and `back` get each frame's number and bytes (with its zeros) and
    give what travels instead."""

    def __init__(
        self,
        url: Any,
        out: Callable[[int, bytes], bytes] = lambda _, data: data,
        back: Callable[[int, bytes], bytes] = lambda _, data: data,
    ) -> None:
        super().__init__(url)  # type: ignore[call-arg]
        self._out, self._back = out, back
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self._held = b""

    def write(self, data: bytes) -> None:
        number = len(self.sent)
        self.sent.append(data)
        super().write(self._out(number, data))  # type: ignore[misc]

    def read(self, timeout: float) -> bytes:
        end = time.monotonic() + timeout
        while True:
            data: bytes = super().read(max(end - time.monotonic(), 0))  # type: ignore[misc]
            self._held += data
            pieces = self._held.split(b"\0")
            self._held = pieces.pop()
            out = b""
            for piece in pieces:
                if piece:
                    framed = b"\0" + piece + b"\0"
                    self.received.append(framed)
                    out += self._back(len(self.received) - 1, framed)
            if out or not data:
                return out


class Meddler(Meddling, SocketTransport):
    """Somebody on the cable."""


def exchange(url: str, data: bytes) -> list[tuple[int, int, bytes]]:
    """Send raw bytes as a stranger and return every frame that comes back before the answer to a HELLO behind them."""
    transport = SocketTransport(url)
    receiver = Receiver()
    found: list[tuple[int, int, bytes]] = []
    last = (messages.HELLO | messages.ANSWER, _LAST_REQUEST)
    try:
        transport.write(data + b"\0" + encode(messages.HELLO, _LAST_REQUEST, b"EWLK\x01\x01"))
        while last not in [one[:2] for one in found]:
            chunk = transport.read(30)
            assert chunk, "no answer to HELLO"
            found += [(frame.kind, frame.request, frame.payload) for frame in receiver.feed(chunk)]
    finally:
        transport.close()
    return found[: [one[:2] for one in found].index(last)]
