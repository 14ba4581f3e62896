"""`earwitness install`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earwitness import __version__, places
from earwitness.commands._device import button_waiter
from earwitness.console import console
from earwitness.errors import EarwitnessError, NoDeviceError, UsageError
from earwitness.progress import Progress

if TYPE_CHECKING:
    from earwitness.install.board import Board

_RESTART_S: Final = 2.0
_BACK_S: Final = 15.0  # for the port to come back
_FIRST_START_S: Final = 60.0  # the board puts the firmware in place: 3 s, and 20 s with the slowest flash
_HELLO_S: Final = 1.0
_AGAIN_S: Final = 0.5


def install(
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Where it is plugged in, if not found.")] = None,
    chips: Annotated[
        bool, typer.Option("--chips/--without-chips", help="With the drivers of clock chip and fuel gauge.")
    ] = True,
    erase: Annotated[
        bool, typer.Option("--erase", help="Even if the board holds files of something else: they are lost.")
    ] = False,
) -> None:
    """Put the recorder's firmware on a Raspberry Pi Pico W, or bring it up to date. Its key and recordings stay."""
    from earwitness.install import image, installer

    place = port or _only_port()
    _check_port(place)
    firmware = _firmware(chips)
    with _at_prompt(place) as board:
        with Progress("install", installer.total_bytes(firmware)) as progress:
            done = installer.install(board, firmware, progress, erase=erase)
        board.reset()
    console.say(f"The board runs {done.board}. It starts again now; that takes some seconds.")
    _wait_for_recorder(place)
    data = {
        "board": done.board,
        "version": __version__,
        "firmware": done.hash.hex(),
        "written": list(done.written),
        "architecture": image.ARCHITECTURE,
    }
    words = f"Firmware {__version__} is installed" if done.written else f"Firmware {__version__} was installed already"
    console.result(f"{words} and runs (recordings will name it {done.hash.hex()[:16]}).", data)
    console.say("A new recorder is paired next: 'earwitness pair'.")


def _firmware(chips: bool):  # type: ignore[no-untyped-def]
    from earwitness.install import drivers, image

    with tempfile.TemporaryDirectory() as folder:
        modules = drivers.unpack(drivers.fetch(places.state_dir() / "drivers"), Path(folder)) if chips else {}
        return image.build(image.sources(), modules)


def _only_port() -> str:
    from earwitness.install.board import DOWNLOAD
    from earwitness.link.transport import discover

    found = discover()
    if not found:
        drive = next(_waiting_drives(), None)
        if drive is not None:
            raise NoDeviceError(*_no_micropython(drive))
        raise NoDeviceError(
            "No board is plugged in.",
            "Plug it in with a cable that carries data (many only charge), or name its port with --port. If a drive RPI-RP2 "
            f"appears, the board has no MicroPython yet: copy the Pico W's newest .uf2 file from {DOWNLOAD} onto it.",
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


def _check_port(place: str) -> None:
    """Something is there, and may be opened: said before minutes go into compiling."""
    from earwitness.link.transport import open_port

    try:
        open_port(place).close()
    except NoDeviceError:
        drive = next(_waiting_drives(), None)
        if drive is not None:
            raise NoDeviceError(*_no_micropython(drive)) from None
        raise


def _at_prompt(place: str) -> Board:
    """The board, nothing of ours running on it any more."""
    from earwitness.install.board import Board

    _leave_recorder(place)
    try:
        return Board(place)
    except NoDeviceError:
        if not _leave_recorder(place):
            raise
        return Board(place)  # a recorder that was not awake yet, or had its hands full


def _leave_recorder(place: str) -> bool:
    """Bring a recorder that is at work to its prompt; a board that is there already stays. Was there a recorder?"""
    from earwitness.devices import DeviceStore
    from earwitness.link.connect import to_prompt

    if not _answers(place):
        return False
    to_prompt(
        DeviceStore(), place, button_waiter("A recorder is at work there. Hold its button until its light goes out.")
    )
    console.say("Let the button go.")  # held for ten seconds at a start, it unpairs
    time.sleep(_RESTART_S)
    _wait(lambda: _opens(place), _BACK_S)
    return True


def _wait_for_recorder(place: str) -> None:
    """Until the new firmware answers. Raises NoDeviceError."""
    time.sleep(_RESTART_S)
    if not _wait(lambda: _runs(place), _FIRST_START_S):
        raise NoDeviceError(
            f"The firmware is on the board, but the recorder does not answer at {place}.",
            "Unplug it and plug it in again. If its light then flickers fast, run the same again; else look with 'earwitness devices' "
            "whether it has another port now.",
        )


def _wait(is_so: Callable[[], bool], seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > give_up:
            return False
        time.sleep(_AGAIN_S)
    return True


def _opens(place: str) -> bool:
    from earwitness.link.transport import open_port

    try:
        open_port(place).close()
        return True
    except EarwitnessError:
        return False


def _runs(place: str) -> bool:
    try:
        return _answers(place)
    except EarwitnessError:  # its port is not there yet, or goes again
        return False


def _answers(place: str) -> bool:
    """A recorder is at work there."""
    from earwitness.link.client import LinkLostError, Recorder
    from earwitness.link.transport import open_port

    with Recorder(open_port(place), timeout=_HELLO_S, tries=1) as recorder:
        try:
            recorder.hello()
            return True
        except LinkLostError:
            return False
