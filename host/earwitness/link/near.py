"""Find the paired recorder that is in range. A recorder tells a stranger nothing, so every one is asked with every secret."""

from __future__ import annotations

from collections.abc import Sequence

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import EarwitnessError, KeyMissingError, NoDeviceError, UsageError
from earwitness.link import ble
from earwitness.link.client import DeniedError, Recorder
from earwitness.link.connect import named

LOOK_S = 10.0
ANSWER_S = 6.0  # a page at the smallest MTU takes more than a second


def connect_near(
    store: DeviceStore,
    *,
    which: str | None = None,
    look_s: float = LOOK_S,
    answer_s: float = ANSWER_S,
    places: list[ble.Near] | None = None,
) -> tuple[Recorder, DeviceRecord]:
    """A session over Bluetooth with the one paired recorder in range, or among `places`. `which`: its name or the start of
    its short key. Raises NoDeviceError, BluetoothOffError, KeyMissingError (in range, and not ours), UsageError (several
    of ours)."""
    records = [named(store, which)] if which is not None else store.active()
    if not records:
        raise KeyMissingError(
            "This computer is not paired with a recorder.", "Pair over the cable first: 'earwitness pair'."
        )
    places = ble.find(look_s) if places is None else places
    if not places:
        raise NoDeviceError(
            "No recorder is in range.",
            "Press its button: for one minute it can be found. It must not be recording, and be within some metres.",
        )
    found: list[tuple[Recorder, DeviceRecord]] = []
    failure: EarwitnessError | None = None
    try:
        for place in places:
            try:
                found.append(_open(place, records, answer_s))
            except EarwitnessError as error:
                failure = failure or error
        if len(found) > 1:
            names = " and ".join(record.name for _, record in found)
            raise UsageError(
                f"More than one of your recorders is in range: {names}.",
                "Name one with --recorder.",
            )
    except BaseException:
        for recorder, _ in found:
            recorder.close()
        raise
    if not found:
        assert failure is not None
        raise failure
    return found[0]


def _open(place: ble.Near, records: Sequence[DeviceRecord], answer_s: float) -> tuple[Recorder, DeviceRecord]:
    recorder = Recorder(ble.BleTransport(place), timeout=answer_s)
    try:
        recorder.hello()
        for record in records:
            try:
                recorder.authenticate(record.secret, record.public)
            except DeniedError:
                continue
            return recorder, record
        raise KeyMissingError(
            "The recorder in range is not paired with this computer, or not the one that was named.",
            "If it is yours, use the computer that it was paired with, or pair it here over the cable.",
        )
    except BaseException:
        recorder.close()
        raise
