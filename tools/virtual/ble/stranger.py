"""Somebody with a radio and no secret."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from bumble import att, core

from .air import Air
from .central import Central

_LOOK_S = 0.5  # at the least
_ADDRESS = "66:66:66:66:66:66"


async def look_around(air: Air, stay_s: float, patience_s: float) -> list[dict[str, Any]]:
    """Scan, connect to everything, read every attribute, stay connected for `stay_s` seconds; values as hex text.

    The first may be silent for `patience_s`."""
    central = Central(air, _ADDRESS, 517)
    seen: dict[str, tuple[str, bytes]] = {}
    heard = asyncio.Event()

    def hear(address: str, kind: str, data: bytes, _rssi: int) -> None:
        seen[address] = (kind, data)
        heard.set()

    central.on_advertisement = hear
    await central.power_on()
    await central.scan(True)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(heard.wait(), patience_s)
    await asyncio.sleep(_LOOK_S)
    await central.scan(False)
    found = []
    for address, (kind, data) in seen.items():
        mtu = await central.connect(address, kind)
        services = await central.discover(address)
        attributes: list[dict[str, str]] = []
        for service in services:
            attributes.append({"uuid": str(service.uuid), "kind": "service"})
            for characteristic in service.characteristics:
                attributes.append(await _read(central, address, characteristic.handle, str(characteristic.uuid)))
                for descriptor in characteristic.descriptors:
                    attributes.append(await _read(central, address, descriptor.handle, str(descriptor.type)))
        gone = asyncio.Event()
        central.on_disconnected = lambda _address, gone=gone: gone.set()
        if stay_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), stay_s)
        found.append(
            {
                "address": address,
                "kind": kind,
                "advertised": data.hex(),
                "mtu": mtu,
                "attributes": attributes,
                "thrown_out": gone.is_set(),
            }
        )
        await central.disconnect(address)
    central.leave()
    return found


async def _read(central: Central, address: str, handle: int, uuid: str) -> dict[str, str]:
    try:
        value = (await central.read(address, handle)).hex()
    except (att.ATT_Error, core.BaseBumbleError) as error:
        value = f"refused: {type(error).__name__}"
    return {"uuid": uuid, "kind": "attribute", "value": value}
