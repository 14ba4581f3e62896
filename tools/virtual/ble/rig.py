"""Starts the air, and computers and recorders in it. For tests, for tools/virtual_recorder.py and by hand:

python3 -m tools.virtual.ble.rig     # prints what to set so that programs use it, and stays
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .children import start
from .radio_names import ORDER_SOCKET, RECORDER_SOCKET

ROOT = Path(__file__).resolve().parents[3]
BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
_START_S = 60


class RigError(OSError):
    """The radio's process did not start or refused an order; the message says what it said."""


class Rig:
    """Air with at least one computer. `recorder_socket` is what the stand-in `bluetooth` connects to."""

    def __init__(self, mtu: int = 517) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ew-ble-"))
        self._log = (self.folder / "radio.log").open("wb")
        self._process = start(
            [sys.executable, "-m", "tools.virtual.ble.radio", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
        )
        self._lock = threading.Lock()
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != b"ready":
            raise RigError("The virtual radio did not start:\n" + self._said())
        self._orders = socket.socket(socket.AF_UNIX)
        self._orders.settimeout(_START_S)
        self._orders.connect(str(self.folder / ORDER_SOCKET))
        self._answers = self._orders.makefile("rb")
        self.computers: list[str] = []
        self.staying = 0  # recorders that whoever shares this rig keeps in it
        self.add_computer(mtu)

    @property
    def recorder_socket(self) -> str:
        """Setting `ble` of a virtual recorder."""
        return str(self.folder / RECORDER_SOCKET)

    @property
    def environment(self) -> dict[str, str]:
        """What a program's environment needs to use the first computer's Bluetooth."""
        return {BUS_VARIABLE: self.computers[0]}

    def order(self, do: str, **what: Any) -> Any:
        """Give an order (the do_ methods of radio.Radio) and return its answer."""
        with self._lock:
            self._orders.sendall(json.dumps({"do": do, **what}).encode() + b"\n")
            line = self._answers.readline()
        if not line:
            raise RigError("The virtual radio died:\n" + self._said())
        answer = json.loads(line)
        if "error" in answer:
            raise RigError(answer["error"])
        return answer["ok"]

    def add_computer(self, mtu: int = 517) -> str:
        """Another computer; returns the address of its bus."""
        self.computers.append(self.order("computer", mtu=mtu))
        return self.computers[-1]

    def _said(self) -> str:
        return (self.folder / "radio.log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        """End all of it."""
        self._answers.close()
        self._orders.close()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def main() -> int:
    """Stay until Ctrl-C."""
    with Rig() as rig:
        print(f"export {BUS_VARIABLE}={rig.computers[0]}")
        print(f"recorders: {rig.recorder_socket}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
