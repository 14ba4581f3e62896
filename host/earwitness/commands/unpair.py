"""`earwitness unpair`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.console import console
from earwitness.errors import UsageError


def unpair(
    recorder: Annotated[str, typer.Argument(metavar="RECORDER", help="Its name, or the start of its short key.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a recorder on this computer. Recordings and key stay; the recorder itself is not changed."""
    from earwitness.devices import DeviceStore

    store = DeviceStore()
    found = [record for record in store.all() if record.name == recorder or record.short_key.startswith(recorder)]
    if len(found) != 1:
        raise UsageError(
            f"There is no recorder {recorder}." if not found else f"{recorder} could be {len(found)} recorders.",
            "'earwitness devices' lists them.",
        )
    record = found[0]
    if not yes:
        console.say("This computer will no longer sync with it, nor know its key when verifying.")
        if console.prompt(f"Type the recorder's name, {record.name}, to forget it: ") != record.name:
            raise UsageError("Not forgotten: that was another name.")
    store.remove(record.public)
    console.result(f"{record.name} is forgotten.", {"name": record.name, "device": record.short_key})
