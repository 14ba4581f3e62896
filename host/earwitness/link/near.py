"""Find the paired recorder that is in range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import KeyMissingError, NoDeviceError
from earwitness.link import ble
from earwitness.link.answering import Place, Way, named, the_one
from earwitness.link.client import Recorder
from earwitness.link.conversation import TRIES
from earwitness.link.transport import Transport

LOOK_S: Final = 10.0
ANSWER_S: Final = 6.0  # a page at the smallest MTU takes more than a second
ASK_S: Final = 45.0  # all that call themselves recorders: anybody can, by the hundred
_BRING: Final = (
    "Press the button of the one that you want, hold it close to this computer, and try again. Or use the cable."
)
_WAY: Final = Way(
    "in range", _BRING, silent=("What calls itself a recorder in range does not answer.", _BRING), tries=2
)


def connect_near(
    store: DeviceStore,
    *,
    which: str | None = None,
    look_s: float = LOOK_S,
    answer_s: float = ANSWER_S,
    ask_s: float = ASK_S,
    places: list[ble.Near] | None = None,
) -> tuple[Recorder, DeviceRecord]:
    """A session over Bluetooth with the one paired recorder in range, or among `places`; the closest is asked first.
    `which`: its name or the start of its short key. Raises NoDeviceError, BluetoothOffError, KeyMissingError (in range, and
    not ours), UsageError (several of ours)."""
    if which is not None:
        named(store, which)  # a slip of the pen is said at once
    elif not store.active():
        raise KeyMissingError(
            "This computer is not paired with a recorder.", "Pair over the cable first: 'earwitness pair'."
        )
    places = ble.find(look_s) if places is None else places
    if not places:
        raise NoDeviceError(
            "No recorder is in range.",
            "Press its button: for one minute it can be found. It must not be recording, and be within some metres.",
        )
    return the_one(
        [Place("Bluetooth", _opener(place)) for place in places],
        store,
        which,
        _WAY,
        timeout=answer_s,
        tries=TRIES,
        patience=ask_s,
    )


def _opener(place: ble.Near) -> Callable[[float], Transport]:
    return lambda patience: ble.BleTransport(place, patience)
