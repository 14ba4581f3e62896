"""'Play with it yourself' of the README, done literally: its lines in two terminals, its keys in the first."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
_SPOKEN_S = 4.0


def _steps() -> list[tuple[str, str]]:
    """("sh", lines) and ("key", letter) in the README's order."""
    section = (ROOT / "README.md").read_text().split("### Play with it yourself\n")[1].split("\nGo on as you like")[0]
    found = re.finditer(r"```sh\n(.*?)```|`([a-z])`", section, re.DOTALL)
    return [("sh", one[1]) if one[1] else ("key", one[2]) for one in found]


class _Terminal:
    """The first terminal: what is typed goes to the recorder, what it shows is kept."""

    def __init__(self, line: str, folder: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            ["sh", "-c", line], stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment
        )
        os.close(slave)
        self.shown = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # the other end is closed
                return
            self.shown += data.decode()

    def wait_for(self, text: str, times: int = 1) -> None:
        until = time.monotonic() + 60
        while self.shown.count(text) < times:
            assert time.monotonic() < until, self.shown
            assert self.process.poll() is None, self.shown
            time.sleep(0.05)

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.press("q")
            self.process.wait(20)
        self._reader.join(5)
        os.close(self._master)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a clone's lines work, so that nobody's own out/mine is touched."""
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    program = programs / "earwitness"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT / "host"))} exec {sys.executable} -m earwitness "$@"\n'
    )
    program.chmod(0o755)
    yield tmp_path


def test_play_with_it_yourself_works_as_it_stands_in_the_readme(folder: Path) -> None:
    steps = _steps()
    assert [step for step in steps if step[0] == "key"] == [("key", key) for key in "bbrmr"]
    environment = dict(os.environ, EARWITNESS_ENVIRONMENT="own", HOME=str(folder))
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    terminal = _Terminal(steps.pop(0)[1], folder, environment)
    second = "set -e\n"
    pressed = 0
    try:
        terminal.wait_for("keys: ")
        for kind, text in steps:
            if kind == "key":
                terminal.press(text)
                pressed += 1
                terminal.wait_for("script ", pressed)
                time.sleep(_SPOKEN_S if text in "rm" else 0.5)
                continue
            done = subprocess.run(
                ["sh", "-c", second + text], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr + terminal.shown
            second += "".join(line + "\n" for line in text.splitlines() if line.startswith("export "))
    finally:
        terminal.close()
    assert terminal.process.returncode == 0
    assert not (folder / "out" / "mine" / "port").is_symlink()
    assert (folder / "out" / "mine" / "meeting.flac").stat().st_size > 10_000
    listed = subprocess.run(
        ["sh", "-c", second + "earwitness show 1 --json"], cwd=folder, env=environment, capture_output=True, check=True
    )
    shown = json.dumps(json.loads(listed.stdout))
    assert '"moment"' in shown
    assert '"complete"' in shown
