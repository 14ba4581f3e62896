"""The pins that the firmware was built for, from its own module."""

from __future__ import annotations

from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[2] / "firmware" / "recorder" / "hal" / "pins.py"


def _read() -> dict[str, int]:
    names: dict[str, int] = {}
    text = _SOURCE.read_text().replace("from micropython import const", "const = int")
    exec(compile(text, str(_SOURCE), "exec"), names)
    return {name: value for name, value in names.items() if name.isupper()}


PINS = _read()
