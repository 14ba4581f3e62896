"""`earwitness status`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.console import console


def status(
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Where it is plugged in, if not found.")] = None,
) -> None:
    """Ask the recorder how it is: it signs its newest recording's number, so that a rollback shows."""
    from earwitness.devices import DeviceStore
    from earwitness.link.connect import connect

    store = DeviceStore()
    recorder, record = connect(store, port)
    with recorder:
        said = recorder.status()
    store.remember(record, said)
    told = dict(said.told)
    lines = [f"{record.name} ({record.short_key})"]
    lines.append(f"  newest finished recording  {said.newest or 'none'}")
    if said.open_seq:
        lines.append(f"  unfinished                 {said.open_seq}")
    lines += [f"  {name.replace('_', ' '):26} {value}" for name, value in told.items()]
    data = {
        "name": record.name,
        "device": record.short_key,
        "epoch": said.epoch,
        "newest": said.newest,
        "open": said.open_seq,
        "told": told,
    }
    console.result("\n".join(lines), data)
