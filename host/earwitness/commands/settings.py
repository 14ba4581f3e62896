"""`earwitness settings`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.commands._device import PortOption, WhichOption, button_waiter
from earwitness.console import console
from earwitness.errors import UsageError


def settings(
    light: Annotated[
        int | None, typer.Option(metavar="N", help="How bright its light is, 8 to 255. It cannot be put out.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What you call it.")] = None,
    second: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AGE1…", help="Who else may open what it records from now on; up to two. Wants its button."
        ),
    ] = None,
    only_mine: Annotated[
        bool, typer.Option("--only-mine", help="Nobody but you opens what it records from now on. Wants its button.")
    ] = False,
    which: WhichOption = None,
    port: PortOption = None,
) -> None:
    """Show or change what is set on the recorder. Recordings that exist are not changed."""
    from dataclasses import replace

    from earwitness.devices import DeviceStore
    from earwitness.identity import recipient_bytes, recipient_text
    from earwitness.link.connect import connect
    from earwitness.link.messages import LIGHT_LEAST
    from earwitness.pairing import change_recipients, check_name

    if light is not None and not LIGHT_LEAST <= light <= 255:
        raise UsageError(
            f"The light cannot be set to {light}.", f"From {LIGHT_LEAST} to 255; 40 is what it comes with."
        )
    if second and only_mine:
        raise UsageError("--second and --only-mine contradict each other.")
    if name is not None:
        check_name(name)
    others = [recipient_bytes(text) for text in second or []]
    store = DeviceStore()
    recorder, record = connect(store, port, which=which)
    with recorder:
        found = recorder.settings(light=light, name=name)
        if found.name != record.name:
            record = replace(record, name=found.name)
            store.put(record)
        if others or only_mine:
            keys = [_owner(record.recipients), *others]
            record = change_recipients(recorder, record, keys, store, wait_for_button=button_waiter())
            found = recorder.settings()
    who = [recipient_text(key) for key in found.recipients]
    lines = [f"{found.name} ({record.short_key})", f"  Light: {found.light} of 255"]
    lines += [f"  What it records from now on opens with {text}" for text in who]
    data = {"name": found.name, "device": record.short_key, "light": found.light, "recipients": who}
    console.result("\n".join(lines), data)


def _owner(known: tuple[str, ...]) -> bytes:
    """The owner's public key: that of this computer, else the one that the recorder was paired with."""
    from earwitness.identity import recipient_bytes
    from earwitness.keystore import Keystore

    info = Keystore().info()
    return recipient_bytes(info.recipient) if info is not None else bytes.fromhex(known[0])
