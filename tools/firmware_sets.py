#!/usr/bin/env python3
"""Prints what each module of the firmware takes, compiled as it is installed, by resident set.

The record set is what session.py imports, and what that imports: it stays while it records. The idle set is the rest,
imported when asked for and dropped before recording. Of both, the chip uses bytecode and long constants where they lie in flash
(bundle.py), and names that it has anyway; other constants and native code take RAM.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "host")]

from tools.environment import install_packages, use_environment  # noqa: E402

_START = "recorder/session.py"


def sources() -> dict[str, str]:
    """Path to text of every module of the firmware but its starters."""
    folder = ROOT / "firmware"
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("recorder/**/*.py"))}


def record_set(modules: Mapping[str, str]) -> set[str]:
    """Paths of the modules that are resident while recording."""
    found: set[str] = set()
    waiting = [_START]
    while waiting:
        path = waiting.pop()
        if path in found or path not in modules:
            continue
        found.add(path)
        parts = path[:-3].split("/")
        waiting += ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts))]
        for node in ast.parse(modules[path]).body:  # imports inside functions and under TYPE_CHECKING are not
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                package = parts[: len(parts) - node.level] if node.level else []
                whole = ".".join([*package, *([node.module] if node.module else [])])
                names = [whole, *(f"{whole}.{alias.name}" for alias in node.names)]
            waiting += [name.replace(".", "/") + ".py" for name in names]
    return found


@dataclass(frozen=True)
class Size:
    """Bytes of a module as it is installed, and how many of them the chip has in flash and does not copy."""

    whole: int
    in_flash: int

    @property
    def in_ram(self) -> int:
        return self.whole - self.in_flash


def sizes() -> dict[str, Size]:
    """Path to size of each module."""
    from earwitness.install.compact import compact
    from earwitness.install.image import compiled
    from earwitness.install.names import Names

    modules = compact(sources())
    names = Names(modules)
    modules = {path: names.source(path, text) for path, text in modules.items()}
    with ThreadPoolExecutor(2) as pool:
        codes = pool.map(lambda item: compiled(item[1], item[0]), modules.items())
        return {path: Size(len(code), _in_flash(code)) for path, code in zip(modules, codes, strict=True)}


def _in_flash(code: bytes) -> int:
    from earwitness.install import mpy
    from earwitness.install.names import chip_names

    pieces = sum(length for _, length in mpy.functions(code) + mpy.constants(code))
    return pieces + sum(len(name) + 2 for name in mpy.names(code) if name in chip_names())


def main() -> int:
    use_environment()
    install_packages()
    resident = record_set(sources())
    taken = sizes()
    print(f"{'bytes of .mpy':42} {'whole':>6} {'in RAM':>6}")
    for title, paths in (("record set", resident), ("idle set", set(taken) - resident)):
        for path in sorted(paths, key=lambda path: -taken[path].whole):
            print(f"  {path:40} {taken[path].whole:6d} {taken[path].in_ram:6d}")
        whole, in_ram = (
            sum(numbers) for numbers in zip(*((taken[p].whole, taken[p].in_ram) for p in paths), strict=True)
        )
        print(f"{title:42} {whole:6d} {in_ram:6d}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
