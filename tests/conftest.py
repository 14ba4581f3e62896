"""Fixtures shared by every ring of tests."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
VIRTUAL = ROOT / "tools" / "virtual"

_PRELUDE = """
import sys, json
sys.path[:0] = [{firmware!r}, {virtual!r}]
def emit(value):
    print("@EMIT", json.dumps(value))
ARGS = json.loads({args!r})
try:
    import virtual_hal
except ImportError:
    pass
"""


@pytest.fixture
def mpy(tmp_path: Path) -> Callable[..., list[Any]]:
    """Run source under the real MicroPython interpreter with the firmware on its path; returns what it emitted."""

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
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout[-2000:] + done.stderr[-4000:]
        return [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("@EMIT")]

    return run
