"""Fixtures shared by every ring of tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.virtual.device import VirtualRecorder

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
VIRTUAL = ROOT / "tools" / "virtual"

_PRELUDE = """
import sys, json
sys.path[:0] = [{firmware!r}, {virtual!r}]
def emit(value):
    print("@EMIT", json.dumps(value))
ARGS = json.loads({args!r})
import virtual_hal
"""

# `micropython` and the other programs of this Python's environment come first, whoever starts pytest.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"]
)

# A shell turns Ctrl-C off for what it runs in the background; the programs that tests interrupt must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def mpy(tmp_path: Path) -> Callable[..., list[Any]]:
    """Run source under the real MicroPython interpreter with the firmware on its path; returns what it emitted.

    `args` is ARGS there; `args["virtual"]` are settings of the virtual hardware.
    """

    def run(source: str, *, heap: str = "4M", args: dict[str, Any] | None = None, timeout: float = 120) -> list[Any]:
        script = tmp_path / "case.py"
        prelude = _PRELUDE.format(firmware=str(FIRMWARE), virtual=str(VIRTUAL), args=json.dumps(args or {}))
        script.write_text(prelude + textwrap.dedent(source))
        done = subprocess.run(
            ["micropython", "-X", f"heapsize={heap}", str(script)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("@EMIT")]

    return run


@pytest.fixture
def virtual_recorder(tmp_path: Path) -> Iterator[Callable[..., VirtualRecorder]]:
    """Makes virtual recorders and takes their power away after the test. The first one's files lie in tmp_path/recorder."""
    made: list[VirtualRecorder] = []

    def make(**settings: Any) -> VirtualRecorder:
        state = settings.pop("state", tmp_path / ("recorder" if not made else f"recorder{len(made)}"))
        made.append(VirtualRecorder(state, **settings))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()


@pytest.fixture(scope="session")
def speech() -> Path:
    """Three made-up voices in a meeting: 43.7 s, 16 kHz mono 16 bit."""
    return ROOT / "tools" / "speech" / "meeting.flac"
