"""Find the paired recorder that is plugged in. A recorder tells a stranger nothing, so every known secret is tried."""

from __future__ import annotations

from collections.abc import Sequence

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import EarwitnessError, KeyMissingError, NoDeviceError, UsageError
from earwitness.link.client import DeniedError, Recorder
from earwitness.link.transport import Port, discover, open_port


def connect(
    store: DeviceStore, port: str | None = None, *, timeout: float = 2.0, tries: int = 4
) -> tuple[Recorder, DeviceRecord]:
    """A session with the one paired recorder that is there. Raises NoDeviceError, KeyMissingError, DeviceBusyError,
    UsageError (several: name one)."""
    places = [Port(port, "named")] if port else discover()
    if not places:
        raise NoDeviceError("No recorder is plugged in.", "Plug it in, or name its port with --port.")
    found: list[tuple[Recorder, DeviceRecord]] = []
    failure: EarwitnessError | None = None
    try:
        for place in places:
            try:
                found.append(_open(place.name, store.active(), timeout, tries))
            except EarwitnessError as error:
                failure = failure or error
        if len(found) > 1:
            names = ", ".join(f"{record.name} ({recorder.name})" for recorder, record in found)
            raise UsageError(f"There is more than one recorder: {names}.", "Name one with --port.")
    except BaseException:
        for recorder, _ in found:
            recorder.close()
        raise
    if not found:
        assert failure is not None
        raise failure
    return found[0]


def _open(name: str, records: Sequence[DeviceRecord], timeout: float, tries: int) -> tuple[Recorder, DeviceRecord]:
    recorder = Recorder(open_port(name), timeout=timeout, tries=tries)
    try:
        recorder.hello()
        for record in records:
            try:
                recorder.authenticate(record.secret, record.public)
            except DeniedError:
                continue
            return recorder, record
        raise KeyMissingError(
            "The recorder is not paired with this computer.",
            "Run 'earwitness pair'; if it belongs to another computer, use that one or read its card.",
        )
    except BaseException:
        recorder.close()
        raise
