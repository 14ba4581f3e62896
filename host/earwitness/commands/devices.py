"""`earwitness devices`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from earwitness.console import console

if TYPE_CHECKING:
    from earwitness.devices import DeviceRecord


_SHORT: Final = 12


def recipients(record: DeviceRecord) -> list[str]:
    """Who can open what it records from the pairing on: public keys as age writes them."""
    from earwitness.identity import recipient_text

    return [recipient_text(bytes.fromhex(key)) for key in record.recipients]


def said(record: DeviceRecord, yours: str) -> list[str]:
    """The same in short, the owner's marked."""
    return [f"{text[:_SHORT]}…{' (yours)' if text == yours else ''}" for text in recipients(record)]


def devices() -> None:
    """List the recorders that this computer is paired with, and what is plugged in."""
    from earwitness.devices import DeviceStore
    from earwitness.keystore import Keystore
    from earwitness.pairing import ports

    paired = DeviceStore().active()
    plugged = ports()
    info = Keystore().info()
    lines = []
    for record in paired:
        lines.append(f"{record.name}  {record.short_key}  paired {record.paired_utc[:10]}")
        lines += [f"  its recordings open with {text}" for text in said(record, info.recipient if info else "")]
    lines += [f"at {port.name}  {port.description}".rstrip() for port in plugged]
    if not paired:
        console.say("No recorder is paired yet. Plug one in and run 'earwitness pair'.")
    if not plugged:
        console.say("No recorder is plugged in.")
    data = {
        "paired": [
            {
                "name": record.name,
                "device": record.short_key,
                "public_key": record.public_key,
                "paired_utc": record.paired_utc,
                "newest_known": record.newest,
                "recipients": list(recipients(record)),
            }
            for record in paired
        ],
        "ports": [{"port": port.name, "description": port.description} for port in plugged],
    }
    console.result("\n".join(lines), data)
