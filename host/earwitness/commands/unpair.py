"""`earwitness unpair`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from earwitness.console import console
from earwitness.errors import UsageError

if TYPE_CHECKING:
    from earwitness.devices import DeviceRecord, DeviceStore
    from earwitness.link.client import Recorder

_PATIENCE_S = 30.0


def unpair(
    recorder: Annotated[str, typer.Argument(metavar="RECORDER", help="Its name, or the start of its short key.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Only here: the recorder is lost or broken.")] = False,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Where it is plugged in, if not found.")] = None,
) -> None:
    """Make a recorder free for another owner, its button held. Recordings stay, for the key that they were sealed for."""
    from earwitness.devices import DeviceStore

    store = DeviceStore()
    record = _named(store, recorder)
    if not yes:
        console.say("Its recordings stay, and open with your key as before. This computer will no longer sync with it.")
        if console.prompt(f"Type the recorder's name, {record.name}, to unpair it: ") != record.name:
            raise UsageError("Not unpaired: that was another name.")
    if not forget:
        _unpair(store, record, port)
    store.retire(record.public)
    words = "is forgotten here; the recorder itself was not changed" if forget else "belongs to nobody now"
    console.result(f"{record.name} {words}.", {"name": record.name, "device": record.short_key, "forgotten": forget})


def _named(store: DeviceStore, text: str) -> DeviceRecord:
    found = [record for record in store.active() if record.name == text or record.short_key.startswith(text)]
    if len(found) != 1:
        raise UsageError(
            f"There is no recorder {text}." if not found else f"{text} could be {len(found)} recorders.",
            "'earwitness devices' lists them.",
        )
    return found[0]


def _unpair(store: DeviceStore, record: DeviceRecord, port: str | None) -> None:
    from earwitness.link.connect import connect

    link, there = connect(store, port)
    with link:
        if there.public_key != record.public_key:
            raise UsageError(f"The recorder that is plugged in is {there.name}, not {record.name}.")
        _press(link)


def _press(link: Recorder) -> None:
    from earwitness.link.client import ButtonError

    until = time.monotonic() + _PATIENCE_S
    console.say("Hold the recorder's button down.")
    while True:
        try:
            link.unpair()
            return
        except ButtonError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)
