"""Firmware into an emulated board's flash, as `earwitness install` would leave it, without the hour that copying would take.

The file system is MicroPython's littlefs, made here over the same 212 blocks at the end of the flash.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from littlefs import LittleFS, UserContext

from earwitness.install import drivers, image
from earwitness.install.installer import IMAGE

START = 0x12C000  # of the file system in a Pico W's 2 MiB
BLOCKS = 212
BLOCK_BYTES = 4096
_PROGRAM_BYTES = 32  # as MicroPython mounts it
_VERSION = 0x00020000
_DRIVERS = Path(tempfile.gettempdir()) / "earwitness-drivers"


@cache
def firmware(*, chips: bool = False) -> dict[str, bytes]:
    """The files of a recorder's flash, compiled. `chips`: with the drivers of clock chip and gauge, fetched if need be."""
    with tempfile.TemporaryDirectory() as folder:
        modules: Mapping[str, Path] = drivers.unpack(drivers.fetch(_DRIVERS), Path(folder)) if chips else {}
        built = image.build(image.sources(), modules)
    return {**built.files, IMAGE.lstrip("/"): built.image}


def without_starters() -> dict[str, bytes]:
    """The firmware installed and not started: the prompt is there, and `import bundle; bundle.mount()` finds the modules."""
    return {name: data for name, data in firmware().items() if name not in image.STARTERS}


def put(flash: Any, files: Mapping[str, bytes]) -> None:
    """Make a file system with `files` (by path, folders made) in `flash`."""
    context = UserContext(buffsize=BLOCK_BYTES * BLOCKS)
    system = LittleFS(
        context=context,
        block_size=BLOCK_BYTES,
        block_count=BLOCKS,
        prog_size=_PROGRAM_BYTES,
        read_size=_PROGRAM_BYTES,
        lookahead_size=32,
        block_cycles=100,
        disk_version=_VERSION,
    )
    for name, data in files.items():
        folder = str(Path(name).parent)
        if folder != ".":
            system.makedirs(folder, exist_ok=True)
        with system.open(name, "wb") as file:
            file.write(data)
    system.unmount()
    flash[START : START + BLOCKS * BLOCK_BYTES] = context.buffer
