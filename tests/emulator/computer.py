"""The computer at the other end of the cable: a pseudo-terminal, and real programs that take it for the board's serial port."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import pty
import struct
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .board import Board, BoardError

_PATIENCE = Path(__file__).with_name("patience.py")
_HOST = Path(__file__).resolve().parents[2] / "host"
_PIECE = 4096
_TURN_S = 0.002  # of the board's time, between two looks at the port


class Computer:
    """One computer with its own keys and library below `home`. `port` is what programs open, `program` the folder of `earwitness`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.program = _HOST
        home.mkdir(parents=True, exist_ok=True)
        self._master, self._slave = pty.openpty()  # both stay open: programs come and go
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._seconds_file = home / "board-seconds"
        self._seconds_file.write_bytes(bytes(8))
        with self._seconds_file.open("r+b") as file:
            self._seconds = mmap.mmap(file.fileno(), 8)
        self._unsent = b""

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)
        self._seconds.close()

    def earwitness(
        self,
        board: Board,
        *arguments: str,
        seconds: float = 120,
        code: int = 0,
        kill: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Run `earwitness --json ARGUMENTS` while the board runs; returns its answer. Raises BoardError for another exit code.

        As soon as `kill()` is true, it is killed, and its exit code is -9.
        """
        command = [sys.executable, str(_PATIENCE), str(self._seconds_file), "--json", *arguments]
        done = self.run(board, command, seconds=seconds, kill=kill)
        if done.returncode != code:
            raise BoardError(f"earwitness {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return dict(json.loads(done.stdout)) if done.stdout.strip() else {}

    def run(
        self,
        board: Board,
        command: list[str],
        *,
        seconds: float = 120,
        kill: Callable[[], bool] = lambda: False,
    ) -> subprocess.CompletedProcess[str]:
        """Run any program while the board runs and the port carries bytes, for at most so many of the board's seconds, or until
        it is killed, as soon as `kill()` says so."""
        environment = dict(os.environ, EARWITNESS_HOME=str(self.home), PYTHONPATH=str(self.program))
        until = board.seconds + seconds
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
            try:
                while process.poll() is None and not kill():
                    self.turn(board)
                    if board.seconds > until:
                        raise BoardError(f"{command[-3:]} was not over after {seconds} s of the board's time")
            finally:
                process.kill()
                process.wait()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())

    def turn(self, board: Board) -> None:
        """A moment of the board's time and of the port's. The board's time is not let run ahead of ours: programs think, too."""
        began, was = time.monotonic(), board.seconds
        board.run(_TURN_S)
        struct.pack_into("<d", self._seconds, 0, board.seconds)
        with contextlib.suppress(BlockingIOError):
            board.cable.send(os.read(self._master, _PIECE))
        self._unsent += board.cable.take()
        if self._unsent:
            with contextlib.suppress(BlockingIOError):
                self._unsent = self._unsent[os.write(self._master, self._unsent) :]
        ahead = (board.seconds - was) - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
