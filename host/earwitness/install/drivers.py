"""Drivers of the clock chip and the fuel gauge: Adafruit's, unmodified, each version pinned by its hash.

They are fetched by pip on their own, for their requirements are for CPython on a Raspberry Pi and not for this board.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from earwitness.errors import EarwitnessError

LOCK: Final = Path(__file__).with_name("drivers.lock")
_PINNED: Final = re.compile(r"^([a-z0-9-]+)==([0-9.]+) --hash=sha256:([0-9a-f]{64})$", re.M)
_MOST_BYTES: Final = 100_000  # of one module's source
# What the two drivers import, directly or through each other.
_MODULES: Final = re.compile(
    r"adafruit_(ds3231|max1704x|bus_device/(__init__|i2c_device)"
    r"|register/(__init__|i2c_bit|i2c_bits|i2c_struct|i2c_bcd_alarm|i2c_bcd_datetime))\.py"
)


def pinned() -> Mapping[str, str]:
    """SHA-256 of each wheel by the start of its file's name."""
    return {
        f"{name.replace('-', '_')}-{version}-": digest for name, version, digest in _PINNED.findall(LOCK.read_text())
    }


def fetch(cache: Path) -> list[Path]:
    """The pinned wheels, from `cache` or by pip into it. Raises EarwitnessError."""
    wheels = _present(cache)
    if wheels is None:
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-qq", "--no-deps"]
        done = subprocess.run(
            [*command, "--require-hashes", "--only-binary", ":all:", "-d", str(cache), "-r", str(LOCK)],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = _present(cache)
        if wheels is None:
            raise EarwitnessError(
                "The drivers of clock chip and fuel gauge could not be fetched.",
                "Connect to the internet once, or leave them out with --without-chips: the recorder then has its time from "
                "this computer and its battery from a voltage divider. " + done.stderr.strip()[-200:],
            )
    return wheels


def _present(cache: Path) -> list[Path] | None:
    """The wheels whose bytes are the pinned ones, or None where one is missing or another."""
    found = []
    for start, digest in pinned().items():
        match = [path for path in cache.glob(f"{start}*.whl") if sha256(path.read_bytes()).hexdigest() == digest]
        if not match:
            return None
        found.append(match[0])
    return found


def unpack(wheels: list[Path], folder: Path) -> dict[str, Path]:
    """The modules that a recorder needs, as files below `folder`, by their path there. Raises EarwitnessError."""
    modules = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for item in archive.infolist():
                if not _MODULES.fullmatch(item.filename):
                    continue
                if item.file_size > _MOST_BYTES:
                    raise EarwitnessError(f"{wheel.name} holds a module that is too large: {item.filename}.")
                target = folder / item.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(item))
                modules[item.filename] = target
    return modules
