"""`earwitness format`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.commands._device import PortOption, WhichOption, button_waiter
from earwitness.console import console
from earwitness.errors import UsageError


def format_(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    everything: Annotated[
        bool, typer.Option("--lose-recordings", help="Even if the card holds recordings that are not here yet.")
    ] = False,
    which: WhichOption = None,
    port: PortOption = None,
) -> None:
    """Make the recorder's card empty, as FAT32. Wants its button. Cut off, the recorder says "card not FAT32": run it again."""
    from earwitness.devices import DeviceStore
    from earwitness.link.client import ButtonError
    from earwitness.link.connect import connect

    recorder, record = connect(DeviceStore(), port, which=which)
    with recorder:
        if not yes:
            lost = " Recordings on it that are not on this computer are lost." if everything else ""
            console.say(f"Everything on the card in {record.name} will be gone.{lost}")
            if console.prompt(f"Type the recorder's name, {record.name}, to format its card: ") != record.name:
                raise UsageError("Not formatted: that was another name.")
        wait = button_waiter("Hold the recorder's button down. A large card takes a minute; leave it plugged in.")
        while True:
            try:
                recorder.format(everything=everything)
                break
            except ButtonError:
                if not wait():
                    raise
    console.result(f"The card in {record.name} is empty.", {"device": record.short_key, "formatted": True})
