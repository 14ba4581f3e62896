"""`earwitness install`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from earwitness import __version__, places
from earwitness.commands._device import button_waiter
from earwitness.console import console
from earwitness.errors import EarwitnessError, NoDeviceError, UsageError
from earwitness.progress import Progress

_RESTART_S: Final = 2.0
_BACK_S: Final = 15.0  # for the port to come back


def install(
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Where it is plugged in, if not found.")] = None,
    chips: Annotated[
        bool, typer.Option("--chips/--without-chips", help="With the drivers of clock chip and fuel gauge.")
    ] = True,
) -> None:
    """Put the recorder's firmware on a Raspberry Pi Pico W, or bring it up to date. Its key and recordings stay."""
    from earwitness.install import image, installer
    from earwitness.install.board import Board

    place = port or _only_port()
    firmware = _firmware(chips)
    _leave_recorder(place)
    with Board(place) as board:
        with Progress("install", installer.total_bytes(firmware)) as progress:
            done = installer.install(board, firmware, progress)
        board.reset()
    data = {
        "board": done.board,
        "version": __version__,
        "firmware": done.hash.hex(),
        "written": list(done.written),
        "architecture": image.ARCHITECTURE,
    }
    console.say(f"The board runs {done.board}.")
    words = f"Firmware {__version__} is installed" if done.written else f"Firmware {__version__} was installed already"
    console.result(f"{words} (recordings will name it {done.hash.hex()[:16]}).", data)
    console.say("It starts again now. A new recorder is paired next: 'earwitness pair'.")


def _firmware(chips: bool):  # type: ignore[no-untyped-def]
    from earwitness.install import drivers, image

    with tempfile.TemporaryDirectory() as folder:
        modules = drivers.unpack(drivers.fetch(places.state_dir() / "drivers"), Path(folder)) if chips else {}
        return image.build(image.sources(), modules)


def _only_port() -> str:
    from earwitness.link.transport import discover

    found = discover()
    if not found:
        drive = next(_waiting_drives(), None)
        if drive is not None:
            raise NoDeviceError(*_no_micropython(drive))
        raise NoDeviceError(
            "No board is plugged in.",
            "Plug it in with a cable that carries data (many only charge), or name its port with --port.",
        )
    if len(found) > 1:
        names = ", ".join(port.name for port in found)
        raise UsageError(f"There is more than one board: {names}.", "Name one with --port.")
    return found[0].name


def _no_micropython(drive: Path) -> tuple[str, str]:
    from earwitness.install.board import DOWNLOAD

    return (
        f"The board has no MicroPython yet: it shows itself as the drive {drive}.",
        f"Copy the Pico W's newest .uf2 file from {DOWNLOAD} onto that drive; it then restarts by itself. Run this again.",
    )


def _waiting_drives() -> Iterator[Path]:
    """Drives of a Raspberry Pi board that waits for a program: it was plugged in with BOOTSEL held, or was never used."""
    if sys.platform == "win32":
        roots = [Path(f"{letter}:\\") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    elif sys.platform == "darwin":
        roots = list(Path("/Volumes").glob("*"))
    else:
        user = os.environ.get("USER", "*")
        roots = [path for base in ("/media", "/run/media") for path in Path(base).glob(f"{user}/*")]
    for root in roots:
        try:
            if "RP2" in (root / "INFO_UF2.TXT").read_text("ascii", "replace"):
                yield root
        except OSError:
            continue


def _leave_recorder(place: str) -> None:
    """Bring a recorder that is at work to its prompt; a board that is there already stays."""
    from earwitness.devices import DeviceStore
    from earwitness.link.client import LinkLostError, Recorder
    from earwitness.link.connect import to_prompt
    from earwitness.link.transport import open_port

    with Recorder(open_port(place), timeout=1.0, tries=1) as recorder:
        try:
            recorder.hello()
        except LinkLostError:
            return
    to_prompt(
        DeviceStore(), place, button_waiter("A recorder is at work there. Hold its button until its light goes out.")
    )
    time.sleep(_RESTART_S)
    give_up = time.monotonic() + _BACK_S
    while True:
        try:
            open_port(place).close()
            return
        except EarwitnessError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)
