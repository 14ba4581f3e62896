"""`earwitness devices`."""

from __future__ import annotations

from earwitness.console import console


def devices() -> None:
    """List the recorders that this computer is paired with, and what is plugged in."""
    from earwitness.devices import DeviceStore
    from earwitness.pairing import ports

    paired = DeviceStore().active()
    plugged = ports()
    lines = [f"{record.name}  {record.short_key}  paired {record.paired_utc[:10]}" for record in paired]
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
            }
            for record in paired
        ],
        "ports": [{"port": port.name, "description": port.description} for port in plugged],
    }
    console.result("\n".join(lines), data)
