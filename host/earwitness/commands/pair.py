"""`earwitness pair`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earwitness.commands._device import PortOption, button_waiter
from earwitness.console import console
from earwitness.errors import EarwitnessError

if TYPE_CHECKING:
    from earwitness.devices import DeviceRecord
    from earwitness.link.client import Recorder


def pair(
    name: Annotated[str, typer.Option(metavar="NAME", help="What you call the recorder.")] = "Recorder",
    second: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AGE1…", help="Public key of a backup or a solicitor who may open recordings too; up to two."
        ),
    ] = None,
    port: PortOption = None,
    sheet: Annotated[Path | None, typer.Option(metavar="PDF", help="Where to save the recovery sheet.")] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Where to keep a new key: keyring, passphrase or file.")
    ] = None,
    plain: Annotated[bool, typer.Option("--no-passphrase", help="Keep a new key in a plain file.")] = False,
) -> None:
    """Make this computer, and your key, the recorder's owner. Hold its button while this runs."""
    from earwitness.commands import key
    from earwitness.devices import DeviceStore
    from earwitness.identity import recipient_bytes
    from earwitness.pairing import open_recorder
    from earwitness.pairing import pair as pair_recorder

    others = [recipient_bytes(text) for text in second or []]
    with open_recorder(port) as recorder:
        identity = key.make(sheet, keep, plain)
        if not others and not console.json and not console.quiet and second is None:
            console.say(
                "A second key (backup, solicitor) can be named with --second; without one, only yours opens them."
            )
        record = pair_recorder(
            recorder,
            [identity.recipient_bytes, *others],
            DeviceStore(),
            name=name,
            wait_for_button=button_waiter("Hold the recorder's button down until it buzzes."),
        )
        _first_words(recorder, record)
    data = {
        "name": record.name,
        "device": record.short_key,
        "public_key": record.public_key,
        "recipients": len(others) + 1,
    }
    console.result(f"{record.name} ({record.short_key}) is paired.", data)
    from earwitness.commands.devices import said

    who = " and ".join(said(record, identity.recipient))
    console.say(f"Whoever has one of these keys can open what it records from now on: {who}.")
    console.say(
        "'earwitness sync' brings here what it records from now on. What it recorded before is not changed, and comes from its card."
    )


def _first_words(recorder: Recorder, record: DeviceRecord) -> None:
    """Tell it the time, so that its first recording has a date. It is paired whether this succeeds or not."""
    try:
        recorder.authenticate(record.secret, record.public)
        recorder.entropy()
        recorder.set_clock()
    except EarwitnessError as error:
        console.say(f"Its clock could not be set yet: {error.message} 'earwitness sync' does it.")
