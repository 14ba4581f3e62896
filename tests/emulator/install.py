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
from earwitness.install.names import Names

IMAGE = "(image)"  # among files: what lies in flash of its own, and is no file
START = 0x12C000  # of the file system in a Pico W's 2 MiB
BLOCKS = 212
BLOCK_BYTES = 4096
RESERVED_BLOCKS = 160  # at the end: the image, then identity, seeds and journal lie there
_IMAGE_AT = START + (BLOCKS - RESERVED_BLOCKS) * BLOCK_BYTES
_FOLDERS = 3
_PROGRAM_BYTES = 256
_HELD_BYTES = 768  # more than littlefs keeps inside a directory
_VERSION = 0x00020000
_CORRUPT = -84  # LFS_ERR_CORRUPT
_NAMES: dict[bytes, Names] = {}  # by image: what everything in it is called
_DRIVERS = Path(tempfile.gettempdir()) / "earwitness-drivers"


@cache
def firmware(*, chips: bool = False) -> dict[str, bytes]:
    """The files of a recorder's flash, compiled. `chips`: with the drivers of clock chip and gauge, fetched if need be."""
    with tempfile.TemporaryDirectory() as folder:
        modules: Mapping[str, Path] = drivers.unpack(drivers.fetch(_DRIVERS), Path(folder)) if chips else {}
        built = image.build(image.sources(), modules)
    _NAMES[built.image] = built.names
    return {**built.files, IMAGE: built.image}


def as_installed(files: Mapping[str, bytes], path: str, source: str) -> str:
    """A source that is run beside the firmware among `files`, with the names that the installation gave to everything."""
    names = _NAMES.get(files.get(IMAGE, b""))
    return names.source(path, source) if names is not None else source


def names(flash: bytes) -> set[str]:
    """What lies at the top of the board's file system."""
    context = UserContext(buffsize=BLOCK_BYTES * BLOCKS)
    context.buffer[:] = flash[START : START + BLOCK_BYTES * BLOCKS]
    system = _system(context)
    system.mount()
    return set(system.listdir("/"))


def lies_in_place(flash: bytes, firmware: bytes) -> bool:
    """The image is where it is run from, every byte of it."""
    return flash[_IMAGE_AT : _IMAGE_AT + len(firmware)] == firmware


def without_starters(*, chips: bool = False) -> dict[str, bytes]:
    """The firmware installed and not started: the prompt is there, and `import bundle; bundle.mount()` finds the modules."""
    return {name: data for name, data in firmware(chips=chips).items() if name not in image.STARTERS}


class _Guide(UserContext):  # type: ignore[misc]
    """A flash whose reserved blocks are bad but for what is `holding` them, and whose other blocks are bad for that.

    As firmware/recorder/hal/reserve.py does it on the chip: afterwards each reserved block belongs to a file of its own, so
    that littlefs gives it to no other, and what is in it is nobody's business but the recorder's.
    """

    def __init__(self) -> None:
        super().__init__(buffsize=BLOCK_BYTES * BLOCKS)
        self.holding = False

    def erase(self, cfg: Any, block: int) -> int:
        if (block >= BLOCKS - RESERVED_BLOCKS) != self.holding:
            return _CORRUPT
        return int(super().erase(cfg, block))


def _system(context: UserContext, disk_version: int = 0) -> LittleFS:
    """MicroPython's file system. `disk_version`: that of a new one; of one that is there it is what it is."""
    return LittleFS(
        context=context,
        mount=False,
        block_size=BLOCK_BYTES,
        block_count=BLOCKS,
        prog_size=_PROGRAM_BYTES,
        read_size=_PROGRAM_BYTES,
        lookahead_size=32,
        block_cycles=100,
        disk_version=disk_version,
    )


def put(flash: Any, files: Mapping[str, bytes]) -> None:
    """Make a file system with `files` (by path, folders made) in `flash`; the reserved region is left as it is there."""
    guide = _Guide()
    ours = BLOCK_BYTES * (BLOCKS - RESERVED_BLOCKS)
    system = _system(guide, _VERSION)
    system.format()
    system.mount()
    for folder in range(_FOLDERS):
        system.mkdir(f"reserved{folder}")
        for _ in range(20):
            with system.open(f"reserved{folder}/0", "wb") as file:
                file.write(b"0")
    for number in range(RESERVED_BLOCKS):
        with system.open(f"reserved{number % _FOLDERS}/{number // _FOLDERS}", "wb") as file:
            guide.holding = True
            file.write(bytes(_HELD_BYTES))
            file.flush()
            guide.holding = False
    for name, data in files.items():
        if name == IMAGE:  # as firmware/update.py leaves it
            flash[_IMAGE_AT : _IMAGE_AT + len(data)] = data
            continue
        folder = str(Path(name).parent)
        if folder != ".":
            system.makedirs(folder, exist_ok=True)
        with system.open(name, "wb") as file:
            file.write(data)
    with system.open("reserved", "wb") as file:
        file.write(b"52 160")
    system.unmount()
    flash[START : START + ours] = guide.buffer[:ours]
