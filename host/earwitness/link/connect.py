"""Find the paired recorder that is plugged in, and have one go to its prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import NoDeviceError
from earwitness.link.answering import Place, Way, named, the_one
from earwitness.link.client import ButtonError, DeniedError, Recorder
from earwitness.link.conversation import TIMEOUT_S, TRIES
from earwitness.link.transport import Port, Transport, discover, open_port

PLUG_IN: Final = "Plug it in with a cable that carries data (many only charge), or name its port with --port."
_ASK_TIMEOUTS: Final = 30  # a minute for all ports, whatever answers there
_WAY: Final = Way("plugged in", "Plug in the one that you want.", has_ports=True)


def connect(
    store: DeviceStore,
    port: str | None = None,
    *,
    which: str | None = None,
    timeout: float = TIMEOUT_S,
    tries: int = TRIES,
) -> tuple[Recorder, DeviceRecord]:
    """A session with the one paired recorder that is there. `which`: its name or the start of its short key. Raises
    NoDeviceError, KeyMissingError, DeviceBusyError, UsageError (several: name one)."""
    if which is not None:
        named(store, which)  # a slip of the pen is said at once
    places = [Port(port, "named")] if port else discover()
    if not places:
        raise NoDeviceError("No recorder is plugged in.", PLUG_IN)
    return the_one(
        [Place(place.name, _opener(place)) for place in places],
        store,
        which,
        _WAY,
        timeout=timeout,
        tries=tries,
        patience=_ASK_TIMEOUTS * timeout,
    )


def _opener(place: Port) -> Callable[[float], Transport]:
    return lambda _patience: open_port(place.name)


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
