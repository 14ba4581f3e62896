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
_WAIT_MOST_S: Final = 60.0  # what only calls itself a recorder must not keep those waiting that are


def watch_near(sync: Callable[[Near], None]) -> None:
    """Hand every recorder that comes into range to `sync`. What goes wrong with one is said once, and the others go on."""
    from earwitness.link import ble

    console.say("Waiting for a recorder in range: slide it off or press its button. Ctrl-C ends this.")
    due: dict[str, float] = {}  # by address, which a recorder keeps while its radio is on
    waits: dict[str, float] = {}  # twice as long each time that one did not answer
    said = _Said()
    while True:
        try:
            heard = ble.find(_LOOK_S)
        except EarwitnessError as error:
            said(error)
            time.sleep(_WAIT_S)
            continue
        waits = {near.address: waits[near.address] for near in heard if near.address in waits}
        due = {address: when for address, when in due.items() if when > time.monotonic()}
        places = [near for near in heard if near.address not in due]
        for near in places:
            due[near.address] = time.monotonic() + _AGAIN_S
            try:
                sync(near)
                said.text = ""
            except EarwitnessError as error:
                if isinstance(error, (DeviceBusyError, NoDeviceError)):
                    wait = waits.get(near.address, _WAIT_S)
                    due[near.address] = time.monotonic() + wait
                    waits[near.address] = min(2 * wait, _WAIT_MOST_S)
                said(error)
        if not places:
            time.sleep(1)


class _Said:
    """Says an error, but what may go on for hours only once."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, error: EarwitnessError) -> None:
        if error.message != self.text or not isinstance(error, (DeviceBusyError, NoDeviceError, KeyMissingError)):
            console.error(error)
        self.text = error.message
