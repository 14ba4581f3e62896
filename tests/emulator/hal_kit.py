"""The hardware layer alone on an emulated board, for tests that drive it from the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from earwitness.install import drivers, image

_FIRMWARE = image.sources()
_NEEDED = ("recorder/__init__.py", "recorder/errors.py", "bundle.py")


@cache
def hal() -> Mapping[str, bytes]:
    """The hardware layer's modules, compiled as the installer does, as files for a board."""
    modules = [_FIRMWARE / name for name in _NEEDED]
    modules += sorted((_FIRMWARE / "recorder" / "hal").glob("*.py"))
    names = {path: path.relative_to(_FIRMWARE).as_posix() for path in modules}
    return {name[:-3] + ".mpy": image.compiled(path, name) for path, name in names.items()}


@cache
def chip_drivers() -> Mapping[str, bytes]:
    """Adafruit's drivers as the installer puts them beside it."""
    import tempfile

    cached = Path(tempfile.gettempdir()) / "earwitness-drivers"
    with tempfile.TemporaryDirectory() as folder:
        found = drivers.unpack(drivers.fetch(cached), Path(folder))
        return {name[:-3] + ".mpy": image.compiled(path, name) for name, path in found.items()}
