"""The computer's radio: a Bumble central that scans, connects and carries GATT out for bluez.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from bumble import att, core, hci
from bumble.controller import Controller
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from .air import Air

_ACL_BYTES = 251
_CONNECT_S = 20.0


class _Controller(Controller):  # type: ignore[misc]
    """Bumble's, which says yes to the end of an attempt to connect and goes on with it for ever."""

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        ended = hci.HCI_LE_Connection_Complete_Event(  # Core Specification, Vol 4, Part E, 7.8.13
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, ended)  # after the command's own answer
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


class Central:
    """One adapter. `mtu` is what it asks for; 0: it does not ask, so that it stays at 23."""

    def __init__(self, air: Air, address: str, mtu: int) -> None:
        self._air = air
        self.address = address
        self.mtu = mtu
        self._device: Device | None = None
        self._controller: Controller | None = None
        self.signals: dict[str, int] = {}  # address -> dBm, where it is not that of something near
        self.on_advertisement: Callable[[str, str, bytes, int], None] = lambda *_: None
        self.on_disconnected: Callable[[str], None] = lambda _: None
        self._connections: dict[str, Connection] = {}
        self._peers: dict[str, Peer] = {}
        self._scanning = False
        self._connecting = ""  # to whom

    async def power_on(self) -> None:
        """Become part of the air."""
        controller = _Controller("computer", link=self._air, public_address=self.address)
        controller.le_acl_data_packet_length = _ACL_BYTES
        controller.le_features &= ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        host = Host(controller, AsyncPipeSink(controller))
        config = DeviceConfiguration(name="computer", address=hci.Address("C0:00:00:00:00:02"))
        device = Device(config=config, host=host)
        device.on(device.EVENT_ADVERTISEMENT, self._heard)
        await device.power_on()
        self._device = device
        self._controller = controller

    def leave(self) -> None:
        """Be no part of the air any more."""
        if self._controller is not None:
            self._air.remove_controller(self._controller)

    def _heard(self, advertisement: Advertisement) -> None:
        kind = "random" if advertisement.address.address_type & 1 else "public"
        address = advertisement.address.to_string(False)
        signal = self.signals.get(address, advertisement.rssi)
        self.on_advertisement(address, kind, bytes(advertisement.data_bytes), signal)

    async def scan(self, on: bool) -> None:
        """Start or stop listening."""
        if self._device is None or on == self._scanning:
            return
        self._scanning = on
        if on:
            await self._device.start_scanning(active=False, own_address_type=hci.OwnAddressType.PUBLIC)
        else:
            await self._device.stop_scanning()

    async def connect(self, address: str, kind: str) -> int:
        """Connect, agree on an MTU, find the services; returns the MTU. Raises BaseBumbleError, TimeoutError."""
        assert self._device is not None
        was_scanning = self._scanning
        await self.scan(False)
        self._connecting = address
        try:
            connection = await self._device.connect(
                hci.Address(
                    address,
                    hci.Address.RANDOM_DEVICE_ADDRESS if kind == "random" else hci.Address.PUBLIC_DEVICE_ADDRESS,
                ),
                own_address_type=hci.OwnAddressType.PUBLIC,
                timeout=_CONNECT_S,
            )
        finally:
            self._connecting = ""
            await self.scan(was_scanning)
        self._connections[address] = connection

        def gone(_reason: int) -> None:
            if self._connections.get(address) is connection:
                del self._connections[address]
                self._peers.pop(address, None)
                self.on_disconnected(address)

        connection.on(connection.EVENT_DISCONNECTION, gone)
        peer = Peer(connection)
        self._peers[address] = peer
        with contextlib.suppress(att.ATT_Error):
            if self.mtu:
                await peer.request_mtu(self.mtu)
        return int(connection.att_mtu)

    async def discover(self, address: str) -> list[Any]:
        """Its services, with characteristics and descriptors."""
        peer = self._peers[address]
        await peer.discover_services()
        for service in peer.services:
            await service.discover_characteristics()
            for characteristic in service.characteristics:
                await characteristic.discover_descriptors()
        return list(peer.services)

    async def disconnect(self, address: str) -> None:
        """End a connection, or the attempt at one, if there is one."""
        if self._device is not None and self._connecting == address:
            await self._device.cancel_connection()
        connection = self._connections.get(address)
        if connection is not None:
            with contextlib.suppress(core.BaseBumbleError, asyncio.TimeoutError):
                await connection.disconnect()

    async def read(self, address: str, handle: int) -> bytes:
        """The value of an attribute. Raises ATT_Error."""
        return bytes(await self._peers[address].gatt_client.read_value(handle))

    async def write(self, address: str, handle: int, value: bytes, *, with_response: bool) -> None:
        """Write a value that fits the MTU, or, with a response, any: in pieces, each of which BTstack takes for the
        whole value. Raises ATT_Error, ValueError."""
        client = self._peers[address].gatt_client
        fits = client.mtu - 3
        if not with_response:
            if len(value) > fits:
                raise ValueError("longer than the MTU allows")
            await client.write_value(handle, value, with_response=False)
            return
        for start in range(0, max(len(value), 1), fits):
            await client.write_value(handle, value[start : start + fits], with_response=True)

    async def subscribe(self, address: str, characteristic: CharacteristicProxy[Any], take: Any) -> None:
        """Have notifications given to `take`."""
        await self._peers[address].gatt_client.subscribe(characteristic, take)

    async def unsubscribe(self, address: str, characteristic: CharacteristicProxy[Any], take: Any) -> None:
        """No more notifications for `take`."""
        peer = self._peers.get(address)
        if peer is not None:
            await peer.gatt_client.unsubscribe(characteristic, take)
