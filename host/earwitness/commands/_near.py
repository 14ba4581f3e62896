"""Watching for recorders in range."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from earwitness.console import console
from earwitness.errors import DeviceBusyError, EarwitnessError, KeyMissingError, NoDeviceError

if TYPE_CHECKING:
    from earwitness.link.ble import Near

_LOOK_S: Final = 30.0
_AGAIN_S: Final = 300.0  # one that stays in range is asked again so often
_WAIT_S: Final = 5.0


def watch_near(sync: Callable[[Near], None]) -> None:
    """Hand every recorder that comes into range to `sync`. What goes wrong with one is said once, and the others go on."""
    from earwitness.link import ble

    console.say("Waiting for a recorder in range: slide it off or press its button. Ctrl-C ends this.")
    due: dict[str, float] = {}  # by address, which a recorder keeps while its radio is on
    said = ""
    while True:
        try:
            places = [near for near in ble.find(_LOOK_S) if time.monotonic() >= due.get(near.address, 0)]
            if not places:
                time.sleep(1)
            for near in places:
                due[near.address] = time.monotonic() + _AGAIN_S
                try:
                    sync(near)
                except (DeviceBusyError, NoDeviceError):
                    due[near.address] = time.monotonic() + _WAIT_S
                    raise
            said = ""
        except EarwitnessError as error:
            if error.message != said or not isinstance(error, (DeviceBusyError, NoDeviceError, KeyMissingError)):
                console.error(error)
            said = error.message
            time.sleep(_WAIT_S)
