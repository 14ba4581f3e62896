"""`earwitness unpair`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from earwitness.commands._device import PortOption, button_waiter
from earwitness.console import console
from earwitness.errors import UsageError

if TYPE_CHECKING:
    from earwitness.devices import DeviceRecord, DeviceStore
    from earwitness.link.client import Recorder


def unpair(
    recorder: Annotated[str, typer.Argument(metavar="RECORDER", help="Its name, or the start of its short key.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Only here: the recorder is lost or broken.")] = False,
    port: PortOption = None,
) -> None:
    """Make a recorder free for another owner, its button held. Recordings stay, for the key that they were sealed for."""
    from earwitness.devices import DeviceStore
    from earwitness.link.answering import named

    store = DeviceStore()
    record = named(store, recorder)
    if not yes:
        console.say("Its recordings stay, and open with your key as before. This computer will no longer sync with it.")
        if console.prompt(f"Type the recorder's name, {record.name}, to unpair it: ") != record.name:
            raise UsageError("Not unpaired: that was another name.")
    if not forget:
        _unpair(store, record, port)
    store.retire(record.public)
    words = "is forgotten here; the recorder itself was not changed" if forget else "belongs to nobody now"
    console.result(f"{record.name} {words}.", {"name": record.name, "device": record.short_key, "forgotten": forget})


def _unpair(store: DeviceStore, record: DeviceRecord, port: str | None) -> None:
    from earwitness.link.connect import connect

    link, _ = connect(store, port, which=record.short_key)
    with link:
        _press(link, record)


def _press(link: Recorder, record: DeviceRecord) -> None:
    from earwitness.link.client import ButtonError, DeniedError, LinkLostError

    wait = button_waiter()
    while True:
        try:
            link.unpair()
            return
        except ButtonError:
            if not wait():
                raise
        except LinkLostError:  # its answer, perhaps: then it knows us no more
            try:
                link.authenticate(record.secret, record.public)
            except DeniedError:
                return
