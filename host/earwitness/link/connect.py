"""Find the paired recorder that is plugged in. A recorder tells a stranger nothing, so every known secret is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import EarwitnessError, KeyMissingError, NoDeviceError, UsageError
from earwitness.link.client import ButtonError, DeniedError, Recorder
from earwitness.link.transport import Port, discover, open_port

PLUG_IN: Final = "Plug it in with a cable that carries data, or name its port with --port."


def connect(
    store: DeviceStore,
    port: str | None = None,
    *,
    which: str | None = None,
    timeout: float = 2.0,
    tries: int = 4,
) -> tuple[Recorder, DeviceRecord]:
    """A session with the one paired recorder that is there. `which`: its name or the start of its short key. Raises
    NoDeviceError, KeyMissingError, DeviceBusyError, UsageError (several: name one)."""
    records = store.active()
    if which is not None:
        records = [named(store, which)]
        which = records[0].name
    places = [Port(port, "named")] if port else discover()
    if not places:
        raise NoDeviceError("No recorder is plugged in.", PLUG_IN)
    found: list[tuple[Recorder, DeviceRecord]] = []
    failure: EarwitnessError | None = None
    try:
        for place in places:
            try:
                found.append(_open(place.name, records, which, timeout, tries))
            except EarwitnessError as error:
                failure = failure or error
        if len(found) > 1:
            names = " and ".join(f"{record.name} (at {recorder.name})" for recorder, record in found)
            raise UsageError(f"There is more than one recorder: {names}.", "Name one with --recorder.")
    except BaseException:
        for recorder, _ in found:
            recorder.close()
        raise
    if not found:
        assert failure is not None
        raise failure
    return found[0]


def named(store: DeviceStore, text: str) -> DeviceRecord:
    """The paired recorder with this name, or whose short key begins so. Raises UsageError."""
    active = store.active()
    found = [record for record in active if record.name == text] or [
        record for record in active if record.short_key.startswith(text)
    ]
    if len(found) != 1:
        raise UsageError(
            f"There is no recorder {text}." if not found else f"{text} could be {len(found)} recorders.",
            "'earwitness devices' lists them, each with the key that tells it from the others.",
        )
    return found[0]


def to_prompt(store: DeviceStore, port: str, wait_for_button: Callable[[], bool] | None = None) -> None:
    """Have the recorder at `port` start again into MicroPython's prompt, its button held; paired or not.

    `wait_for_button` is called each time that it finds its button up and says whether to ask once more (without it, that
    is an error at once). Raises KeyMissingError where it is paired with another computer.
    """
    recorder = Recorder(open_port(port))
    try:
        recorder.hello()
        for record in store.active():
            try:
                recorder.authenticate(record.secret, record.public)
                break
            except DeniedError:
                continue
        else:
            recorder.hello()  # it belongs to nobody, or to another computer: it says which only with a hand on its button
        while True:
            try:
                recorder.maintenance()
                return
            except ButtonError:
                if wait_for_button is None or not wait_for_button():
                    raise
                if not recorder.is_open:
                    recorder.hello()  # a greeting does not wait for ever
    finally:
        recorder.close()


def _open(
    name: str, records: Sequence[DeviceRecord], which: str | None, timeout: float, tries: int
) -> tuple[Recorder, DeviceRecord]:
    recorder = Recorder(open_port(name), timeout=timeout, tries=tries)
    try:
        recorder.hello()
        for record in records:
            try:
                recorder.authenticate(record.secret, record.public)
            except DeniedError:
                continue
            return recorder, record
        if which is not None:
            raise KeyMissingError(f"The recorder that is plugged in is not {which}.", "Plug that one in.")
        raise KeyMissingError(
            "The recorder is not paired with this computer.",
            "Run 'earwitness pair'; if it belongs to another computer, use that one or read its card.",
        )
    except BaseException:
        recorder.close()
        raise
