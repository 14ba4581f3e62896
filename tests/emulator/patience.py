"""`earwitness` as a program whose patience runs in the emulated board's seconds, which are many of ours.

python patience.py SECONDS-FILE ARGUMENT...; the file holds the board's time, a double that the emulator keeps writing.
"""

from __future__ import annotations

import importlib
import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Any

_WAITING = (
    *(
        f"earwitness.{name}"
        for name in ("link.client", "link.conversation", "commands.pair", "commands.unpair", "sync")
    ),
    *("earwitness.commands.install", "earwitness.install.board", "mpremote.transport_serial"),
)


class BoardTime:
    """The time module, with another monotonic clock."""

    def __init__(self, seconds: mmap.mmap) -> None:
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def monotonic(self) -> float:
        return float(struct.unpack_from("<d", self._seconds)[0])

    def monotonic_ns(self) -> int:
        return round(self.monotonic() * 1e9)


def main() -> None:
    with Path(sys.argv[1]).open("rb") as file:
        board_time = BoardTime(mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ))
    for name in _WAITING:
        module = importlib.import_module(name)
        if hasattr(module, "time"):
            module.time = board_time  # type: ignore[attr-defined]
    sys.argv[:2] = ["earwitness"]
    from earwitness.cli import main as earwitness

    sys.exit(earwitness())


if __name__ == "__main__":
    main()
