"""What the objects of `org.bluez` say of themselves: properties, and what of them comes out of an advertisement."""

from __future__ import annotations

from typing import Any

from bumble import core
from dbus_fast import Variant

_FLAGS = (
    (0x02, "read"),
    (0x04, "write-without-response"),
    (0x08, "write"),
    (0x10, "notify"),
    (0x20, "indicate"),
)


def uuids_in(data: bytes) -> list[str]:
    """Service UUIDs in advertising data."""
    found: list[str] = []
    at = 0
    while at < len(data) and data[at]:
        kind, value = data[at + 1], data[at + 2 : at + 1 + data[at]]
        size = {0x02: 2, 0x03: 2, 0x06: 16, 0x07: 16}.get(kind, 0)
        if size:
            found += [uuid_text(value[i : i + size]) for i in range(0, len(value) - size + 1, size)]
        at += 1 + data[at]
    return found


def name_in(data: bytes) -> str:
    at = 0
    while at < len(data) and data[at]:
        if data[at + 1] in (0x08, 0x09):
            return data[at + 2 : at + 1 + data[at]].decode("utf-8", "replace")
        at += 1 + data[at]
    return ""


def uuid_text(value: bytes) -> str:
    return str(core.UUID.from_bytes(value).to_hex_str("-") if len(value) == 16 else _short(value)).lower()


def _short(value: bytes) -> str:
    return f"{int.from_bytes(value, 'little'):08x}-0000-1000-8000-00805f9b34fb"


def adapter(address: str) -> dict[str, Variant]:
    """Adapter1 of an adapter that is on."""
    return {
        "Address": Variant("s", address),
        "AddressType": Variant("s", "public"),
        "Name": Variant("s", "computer"),
        "Alias": Variant("s", "computer"),
        "Powered": Variant("b", True),
        "Discovering": Variant("b", False),
        "Roles": Variant("as", ["central", "peripheral"]),
        "UUIDs": Variant("as", []),
    }


def service(path: str, uuid: Any) -> dict[str, Variant]:
    """GattService1 of the device at `path`."""
    return {
        "UUID": Variant("s", uuid_text(bytes(uuid))),
        "Primary": Variant("b", True),
        "Device": Variant("o", path),
        "Includes": Variant("ao", []),
    }


def characteristic(path: str, proxy: Any, mtu: int) -> dict[str, Variant]:
    """GattCharacteristic1 of the service at `path`."""
    flags = [name for bit, name in _FLAGS if proxy.properties & bit]
    properties = {
        "UUID": Variant("s", uuid_text(bytes(proxy.uuid))),
        "Service": Variant("o", path),
        "Flags": Variant("as", flags),
        "MTU": Variant("q", mtu),
    }
    if "notify" in flags:
        properties["Notifying"] = Variant("b", False)
        properties["NotifyAcquired"] = Variant("b", False)
    if "write-without-response" in flags:
        properties["WriteAcquired"] = Variant("b", False)
    return properties


def descriptor(path: str, proxy: Any) -> dict[str, Variant]:
    """GattDescriptor1 of the characteristic at `path`."""
    return {
        "UUID": Variant("s", uuid_text(bytes(proxy.type))),
        "Characteristic": Variant("o", path),
        "Flags": Variant("as", ["read", "write"]),
    }
