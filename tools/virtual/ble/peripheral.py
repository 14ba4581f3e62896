"""The recorder's radio: a Bumble device that does what the interpreter's `bluetooth` asks, within BTstack's limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from typing import Any

from bumble import att, core, hci
from bumble.controller import Controller
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Descriptor, Service
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from . import wire
from .air import Air

_log = logging.getLogger(__name__)
_ACL_BYTES = 251  # what one packet of Bluetooth 4.2 carries
_READ, _WRITE_COMMAND, _WRITE, _NOTIFY, _INDICATE = 0x02, 0x04, 0x08, 0x10, 0x20


def _uuid(text: str) -> core.UUID:
    return core.UUID(text)


class Peripheral:
    """One interpreter on one socket. Its power is the socket: when that ends the radio falls silent."""

    def __init__(self, air: Air, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._air = air
        self._reader = reader
        self._writer = writer
        self._public = hci.Address(
            "28:CD:C1:" + ":".join(f"{byte:02X}" for byte in secrets.token_bytes(3)), hci.Address.PUBLIC_DEVICE_ADDRESS
        )
        self._random = hci.Address("C0:00:00:00:00:01")
        self._is_random = False
        self._controller: Controller | None = None
        self._device: Device | None = None
        self._connection: Connection | None = None
        self._values: dict[int, bytes] = {}
        self._handles: dict[int, Any] = {}
        self._name = b"MPY BTSTACK"  # MicroPython's default
        self._max_mtu = 1017  # BTstack's buffer
        self._advertising = False

    async def run(self) -> None:
        """Serve until the interpreter is gone."""
        messages = wire.Reader()
        try:
            while data := await self._reader.read(65536):
                for kind, payload in messages.feed(data):
                    await self._obey(kind, payload)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            await self._off()
            self._writer.close()

    def _tell(self, kind: int, payload: bytes = b"") -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._writer.write(wire.pack(kind, payload))

    async def _obey(self, kind: int, payload: bytes) -> None:
        if kind == wire.NOTIFY:
            self._notify(int.from_bytes(payload[:2], "little"), payload[2:])
        elif kind == wire.NAME:
            self._name = payload
        elif kind == wire.VALUE:
            self._values[int.from_bytes(payload[:2], "little")] = payload[2:]
        elif kind == wire.SERVICES:
            self._tell(wire.DONE, json.dumps(self._register(json.loads(payload))).encode())
        else:
            await self._change(kind, payload)

    async def _change(self, kind: int, payload: bytes) -> None:
        """What the radio itself is asked to be."""
        if kind == wire.ACTIVE:
            await self._off()
            if payload[0]:
                await self._on()
            self._tell(wire.DONE, bytes(self._own_address()))
        elif kind == wire.ADDRESS:
            await self._move(payload[0] == 1)
            self._tell(wire.DONE, bytes(self._own_address()))
        elif kind == wire.MTU:
            self._max_mtu = int.from_bytes(payload[:2], "little")
            if self._device is not None:
                self._device.gatt_server.max_mtu = self._max_mtu
        elif kind == wire.ADVERTISE:
            await self._advertise(payload)
        elif kind == wire.SILENCE:
            await self._silence()
        elif kind == wire.HANG_UP and self._connection is not None:
            with contextlib.suppress(core.BaseBumbleError):
                await self._connection.disconnect()

    async def _move(self, is_random: bool) -> None:
        """Take the public address, or a random one that was never used."""
        self._is_random = is_random
        if is_random:
            self._random = hci.Address.generate_static_address()
        if self._device is not None:
            self._device.random_address = self._random
            await self._device.send_sync_command(hci.HCI_LE_Set_Random_Address_Command(random_address=self._random))

    def _own_address(self) -> hci.Address:
        return self._random if self._is_random else self._public

    # --- power

    async def _on(self) -> None:
        self._is_random = False
        controller = Controller("recorder", link=self._air, public_address=self._public)
        controller.le_acl_data_packet_length = _ACL_BYTES
        controller.le_features &= ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        self._controller = controller
        host = Host(controller, AsyncPipeSink(controller))
        config = DeviceConfiguration(
            name="", address=self._random, gap_service_enabled=False, gatt_service_enabled=False
        )
        self._device = Device(config=config, host=host)
        self._device.gatt_server.max_mtu = self._max_mtu
        self._device.on(self._device.EVENT_CONNECTION, self._connected)
        await self._device.power_on()
        self._name = b"MPY BTSTACK"
        self._register([])

    async def _off(self) -> None:
        if self._device is None or self._controller is None:
            return
        await self._silence()
        self._air.lose(self._controller)
        await asyncio.sleep(0)
        with contextlib.suppress(KeyError):
            self._air.remove_controller(self._controller)
        self._device = self._controller = self._connection = None

    # --- advertising

    async def _advertise(self, payload: bytes) -> None:
        device = self._device
        if device is None:
            return
        await self._silence()
        interval_ms = int.from_bytes(payload[:4], "little") / 1000
        end = 6 + payload[5]
        self._advertising = True
        if self._connection is not None:
            return  # one connection: nobody else can connect, so BTstack does not advertise
        own = hci.OwnAddressType.RANDOM if self._is_random else hci.OwnAddressType.PUBLIC
        await device.start_advertising(
            own_address_type=own,
            advertising_data=payload[6:end],
            scan_response_data=payload[end:],
            advertising_interval_min=interval_ms,
            advertising_interval_max=interval_ms,
        )

    async def _silence(self) -> None:
        self._advertising = False
        if self._device is not None and self._device.is_advertising:
            await self._device.stop_advertising()

    # --- attributes

    def _register(self, services: list[Any]) -> list[list[int]]:
        """The attribute table as BTstack lays it out: GAP name, GATT, then ours."""
        assert self._device is not None
        server = self._device.gatt_server
        server.attributes.clear()
        server.services.clear()
        server.attributes_by_handle.clear()
        self._handles.clear()
        readable = Characteristic.Properties.READ
        name = Characteristic(
            _uuid("2A00"), readable, Characteristic.READABLE, CharacteristicValue(read=lambda _: self._name)
        )
        changed = Characteristic(_uuid("2A05"), readable, Characteristic.READABLE, b"")
        server.add_service(Service(_uuid("1800"), [name]))
        server.add_service(Service(_uuid("1801"), [changed]))
        handles: list[list[int]] = []
        for uuid, described in services:
            made: list[Any] = []
            characteristics = []
            for char_uuid, flags, descriptors in described:
                below = [self._make_descriptor(one, flag) for one, flag in descriptors]
                characteristics.append(self._make_characteristic(char_uuid, flags, below))
                made += [characteristics[-1], *below]
            server.add_service(Service(_uuid(uuid), characteristics))
            for attribute in made:
                self._handles[attribute.handle] = attribute
            handles.append([attribute.handle for attribute in made])
        return handles

    def _make_characteristic(self, uuid: str, flags: int, below: list[Any]) -> Any:
        made: Any = Characteristic(
            _uuid(uuid),
            Characteristic.Properties(flags & 0x7F),
            att.Attribute.Permissions(
                (att.Attribute.READABLE if flags & _READ else 0)
                | (att.Attribute.WRITEABLE if flags & (_WRITE | _WRITE_COMMAND) else 0)
            ),
            CharacteristicValue(
                read=lambda _: self._read(made.handle, flags),
                write=lambda _, value: self._written(made.handle, value),
            ),
            below,
        )
        return made

    def _make_descriptor(self, uuid: str, flags: int) -> Any:
        made: Any = Descriptor(
            _uuid(uuid),
            att.Attribute.Permissions(
                (att.Attribute.READABLE if flags & _READ else 0) | (att.Attribute.WRITEABLE if flags & _WRITE else 0)
            ),
            CharacteristicValue(
                read=lambda _: self._read(made.handle, flags),
                write=lambda _, value: self._written(made.handle, value),
            ),
        )
        return made

    def _read(self, handle: int, flags: int) -> bytes:
        if not flags & _READ:
            raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR, handle)
        return self._values.get(handle, b"")

    def _written(self, handle: int, value: bytes) -> None:
        self._tell(wire.WRITTEN, handle.to_bytes(2, "little") + value)

    def _notify(self, handle: int, value: bytes) -> None:
        connection = self._connection
        if connection is None or self._device is None or self._controller is None:
            return
        value = value[: connection.att_mtu - 3]  # BTstack cuts silently
        pdu = att.ATT_Handle_Value_Notification(attribute_handle=handle, attribute_value=value)
        self._air.after_notification(self._controller, lambda: self._tell(wire.SENT))
        self._device.gatt_server.send_gatt_pdu(connection, bytes(pdu))  # whether subscribed or not, as BTstack

    # --- connections

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        self._tell(
            wire.CONNECTED, bytes((connection.peer_address.address_type,)) + bytes(connection.peer_address)[::-1]
        )

        def mtu() -> None:
            self._tell(wire.MTU_NOW, int(connection.att_mtu).to_bytes(2, "little"))

        def gone(_reason: int) -> None:
            if self._connection is connection:
                self._connection = None
                self._tell(wire.DISCONNECTED)

        connection.on(connection.EVENT_CONNECTION_ATT_MTU_UPDATE, mtu)
        connection.on(connection.EVENT_DISCONNECTION, gone)
