"""What a program on the computer sees of Bluetooth: `org.bluez` on a bus of its own, carried out by central.py.

It answers as bluetoothd does, as far as a GATT client goes: ObjectManager, Adapter1, Device1, GattService1,
GattCharacteristic1, GattDescriptor1. What a radio would refuse, it refuses with BlueZ's errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Callable
from typing import Any

from bumble import att, core
from dbus_fast import BusType, Message, MessageFlag, MessageType, NameFlag, Variant
from dbus_fast.aio import MessageBus

from . import objects
from .air import Air
from .central import Central
from .tree import OBJECT_MANAGER, PROPERTIES, Tree

ADAPTER = "/org/bluez/hci0"
_ADAPTER1, _DEVICE1 = "org.bluez.Adapter1", "org.bluez.Device1"
_SERVICE1, _CHARACTERISTIC1 = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
_DESCRIPTOR1 = "org.bluez.GattDescriptor1"
_FORGET_S = 30.0  # a device that was only seen is forgotten
_RSSI_EVERY_S = 0.3


class BluezError(Exception):
    """An answer of the kind org.bluez.Error, or another kind of error."""

    def __init__(self, name: str, text: str, kind: str = "org.bluez.Error.") -> None:
        super().__init__(text)
        self.name = kind + name


class Bluez:
    """One computer with one adapter. `state` is `on`, `off` or `absent`."""

    def __init__(self, air: Air, bus_address: str, own_address: str, mtu: int) -> None:
        self.central = Central(air, own_address, mtu)
        self._bus = MessageBus(bus_address=bus_address, bus_type=BusType.SYSTEM, negotiate_unix_fd=True)
        self._tree = Tree(self._bus)
        self.state = "on"
        self._sessions: dict[str, list[str]] = {}  # who discovers -> the UUIDs looked for
        self._filters: dict[str, list[str]] = {}
        self._seen: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._handles: dict[str, Any] = {}  # object path -> Bumble's proxy
        self._takers: dict[str, Callable[[bytes], None]] = {}
        self._pipes: dict[str, socket.socket] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take the name on the bus."""
        await self._bus.connect()
        self._bus.add_message_handler(self._handle)
        await self._bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=["type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"],
            )
        )
        await self.central.power_on()
        self.central.on_advertisement = self._advertised
        self.central.on_disconnected = self._disconnected
        self.set_state("on")
        await self._bus.request_name("org.bluez", NameFlag.DO_NOT_QUEUE)
        self._spawn(self._forget())

    def set_state(self, state: str) -> None:
        """The adapter is on, off (the person's switch), or absent."""
        self.state = state
        if state == "absent":
            self._tree.remove(ADAPTER)
            return
        if ADAPTER not in self._tree.objects:
            self._tree.add(ADAPTER, {_ADAPTER1: objects.adapter(self.central.address)})
        self._tree.put(ADAPTER, _ADAPTER1, Powered=Variant("b", state == "on"))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- messages

    def _handle(self, message: Message) -> Message | bool | None:
        if message.message_type == MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, new = message.body
            if not new:
                self._spawn(self._client_gone(name))
            return None
        if message.message_type != MessageType.METHOD_CALL:
            return None
        if message.interface in (OBJECT_MANAGER, PROPERTIES):
            if message.member == "Set":
                return Message.new_method_return(message)
            return self._tree.answer(message)
        if not (message.path or "").startswith("/org/bluez"):
            return None
        self._spawn(self._call(message))
        return True

    async def _call(self, message: Message) -> None:
        interface = (message.interface or "").rpartition(".")[2]
        method = getattr(self, f"_{interface}_{message.member}", None)
        path = message.path or ""
        try:
            if path not in self._tree.objects:  # gone, and whoever asks has not heard of it yet
                raise BluezError(
                    "UnknownObject", f'Method "{message.member}" does not exist', "org.freedesktop.DBus.Error."
                )
            if method is None:
                raise BluezError("NotSupported", "Operation is not supported")
            reply = await method(message)
        except BluezError as error:
            reply = Message.new_error(message, error.name, str(error))
        except att.ATT_Error as error:
            reply = Message.new_error(
                message,
                "org.bluez.Error.Failed",
                f"Operation failed with ATT error: 0x{error.error_code:02x}",
            )
        except (core.BaseBumbleError, TimeoutError, KeyError, asyncio.CancelledError) as error:
            # Bumble cancels what waits for an answer when the connection ends
            reply = Message.new_error(message, "org.bluez.Error.Failed", str(error) or "Not connected")
        reply = reply or Message.new_method_return(message)
        if not message.flags & MessageFlag.NO_REPLY_EXPECTED:
            with contextlib.suppress(ConnectionError, EOFError):
                await self._bus.send(reply)
        for handle in reply.unix_fds:
            os.close(handle)

    async def _client_gone(self, name: str) -> None:
        """A program left the bus: its discovery ends; its connections stay, as BlueZ keeps them."""
        self._filters.pop(name, None)
        if self._sessions.pop(name, None) is not None:
            await self._rescan()

    # --- the adapter

    async def _Adapter1_SetDiscoveryFilter(self, message: Message) -> None:
        wanted = message.body[0].get("UUIDs")
        self._filters[message.sender or ""] = [one.lower() for one in wanted.value] if wanted is not None else []

    async def _Adapter1_StartDiscovery(self, message: Message) -> None:
        if self.state != "on":
            raise BluezError("NotReady", "Resource Not Ready")
        sender = message.sender or ""
        if sender in self._sessions:
            raise BluezError("InProgress", "Operation already in progress")
        self._sessions[sender] = self._filters.get(sender, [])
        await self._rescan()

    async def _Adapter1_StopDiscovery(self, message: Message) -> None:
        if self._sessions.pop(message.sender or "", None) is None:
            raise BluezError("Failed", "No discovery started")
        await self._rescan()

    async def _Adapter1_RemoveDevice(self, message: Message) -> None:
        path = message.body[0]
        if path not in self._tree.objects:
            raise BluezError("DoesNotExist", "Does Not Exist")
        await self.central.disconnect(self._tree.get(path, _DEVICE1, "Address"))
        self._tree.remove(path)

    async def _rescan(self) -> None:
        await self.central.scan(bool(self._sessions))
        self._tree.put(ADAPTER, _ADAPTER1, Discovering=Variant("b", bool(self._sessions)))

    def _advertised(self, address: str, kind: str, data: bytes, rssi: int) -> None:
        uuids = objects.uuids_in(data)
        if not any(not wanted or set(wanted) & set(uuids) for wanted in self._sessions.values()):
            return
        path = ADAPTER + "/dev_" + address.replace(":", "_")
        now = time.monotonic()
        self._seen[path] = now
        rssi -= random.randrange(10)
        if path in self._tree.objects:
            if now - self._told.get(path, 0) >= _RSSI_EVERY_S:
                self._told[path] = now
                self._tree.put(path, _DEVICE1, RSSI=Variant("n", rssi), UUIDs=Variant("as", uuids))
            return
        name = objects.name_in(data)
        properties = {
            "Address": Variant("s", address),
            "AddressType": Variant("s", kind),
            "Alias": Variant("s", name or address.replace(":", "-")),
            "Adapter": Variant("o", ADAPTER),
            "UUIDs": Variant("as", uuids),
            "RSSI": Variant("n", rssi),
            **{name: Variant("b", False) for name in ("Paired", "Bonded", "Trusted", "Blocked", "LegacyPairing")},
            **{name: Variant("b", False) for name in ("Connected", "ServicesResolved")},
        }
        if name:
            properties["Name"] = Variant("s", name)
        self._told[path] = now
        self._tree.add(path, {_DEVICE1: properties})

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(1)
            for path, when in list(self._seen.items()):
                if path not in self._tree.objects:
                    del self._seen[path]
                elif time.monotonic() - when > _FORGET_S and not self._tree.get(path, _DEVICE1, "Connected"):
                    del self._seen[path]
                    self._tree.remove(path)

    # --- devices

    async def _Device1_Connect(self, message: Message) -> None:
        path = message.path or ""
        if self.state != "on":
            raise BluezError("NotReady", "Resource Not Ready")
        if self._tree.get(path, _DEVICE1, "Connected"):
            return
        address = self._tree.get(path, _DEVICE1, "Address")
        mtu = await self.central.connect(address, self._tree.get(path, _DEVICE1, "AddressType"))
        self._tree.put(path, _DEVICE1, Connected=Variant("b", True))
        self._spawn(self._resolve(path, address, mtu))

    async def _resolve(self, path: str, address: str, mtu: int) -> None:
        try:
            services = await self.central.discover(address)
        except (core.BaseBumbleError, TimeoutError, KeyError):
            await self.central.disconnect(address)
            return
        for service in services:
            below = f"{path}/service{service.handle:04x}"
            self._tree.add(below, {_SERVICE1: objects.service(path, service.uuid)})
            for characteristic in service.characteristics:
                at = f"{below}/char{characteristic.handle - 1:04x}"
                self._handles[at] = (address, characteristic)
                self._tree.add(at, {_CHARACTERISTIC1: objects.characteristic(below, characteristic, mtu)})
                for descriptor in characteristic.descriptors:
                    lowest = f"{at}/desc{descriptor.handle:04x}"
                    self._handles[lowest] = (address, descriptor)
                    self._tree.add(lowest, {_DESCRIPTOR1: objects.descriptor(at, descriptor)})
        self._tree.put(path, _DEVICE1, ServicesResolved=Variant("b", True))

    async def _Device1_Disconnect(self, message: Message) -> None:
        await self.central.disconnect(self._tree.get(message.path or "", _DEVICE1, "Address"))

    async def _Device1_Pair(self, message: Message) -> None:
        raise BluezError("AuthenticationFailed", "Authentication Failed")  # the recorder's stack has no pairing

    def _disconnected(self, address: str) -> None:
        path = ADAPTER + "/dev_" + address.replace(":", "_")
        for at in [one for one in self._handles if one.startswith(path + "/")]:
            del self._handles[at]
            self._takers.pop(at, None)
            pipe = self._pipes.pop(at, None)
            if pipe is not None:
                asyncio.get_running_loop().remove_reader(pipe)
                pipe.close()
        self._seen[path] = time.monotonic()
        self._tree.put(path, _DEVICE1, ServicesResolved=Variant("b", False), Connected=Variant("b", False))
        for at in [one for one in self._tree.objects if one.startswith(path + "/service") and one.count("/") == 5]:
            self._tree.remove(at)

    # --- attributes

    async def _GattCharacteristic1_ReadValue(self, message: Message) -> Message:
        address, proxy = self._proxy(message)
        return Message.new_method_return(message, "ay", [await self.central.read(address, proxy.handle)])

    async def _GattDescriptor1_ReadValue(self, message: Message) -> Message:
        address, proxy = self._proxy(message)
        return Message.new_method_return(message, "ay", [await self.central.read(address, proxy.handle)])

    async def _GattCharacteristic1_WriteValue(self, message: Message) -> None:
        address, proxy = self._proxy(message)
        value, options = message.body
        kind = options["type"].value if "type" in options else "request"
        flags = self._tree.get(message.path or "", _CHARACTERISTIC1, "Flags")
        needed = "write-without-response" if kind == "command" else "write"
        if needed not in flags:
            raise BluezError("NotSupported", "Operation is not supported")
        try:
            await self.central.write(address, proxy.handle, bytes(value), with_response=kind != "command")
        except ValueError:
            raise BluezError("Failed", "Failed to initiate write") from None

    async def _GattCharacteristic1_StartNotify(self, message: Message) -> None:
        path = message.path or ""
        if path in self._takers:
            raise BluezError("InProgress", "Operation already in progress")

        def take(value: bytes) -> None:
            self._tree.put(path, _CHARACTERISTIC1, Value=Variant("ay", bytes(value)))

        await self._subscribe(message, take)
        self._tree.put(path, _CHARACTERISTIC1, Notifying=Variant("b", True))

    async def _GattCharacteristic1_AcquireNotify(self, message: Message) -> Message:
        path = message.path or ""
        if path in self._takers:
            raise BluezError("NotPermitted", "Notify acquired")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

        def take(value: bytes) -> None:
            with contextlib.suppress(OSError):
                ours.send(bytes(value))

        self._pipes[path] = ours
        await self._subscribe(message, take)
        self._tree.put(path, _CHARACTERISTIC1, NotifyAcquired=Variant("b", True))
        asyncio.get_running_loop().add_reader(ours, self._released, path, ours)
        mtu = self._tree.get(path, _CHARACTERISTIC1, "MTU")
        return Message.new_method_return(message, "hq", [0, mtu], unix_fds=[theirs.detach()])

    def _released(self, path: str, pipe: socket.socket) -> None:
        """The program closed its end, or died."""
        asyncio.get_running_loop().remove_reader(pipe)
        pipe.close()
        if self._pipes.get(path) is pipe:
            del self._pipes[path]
            self._spawn(self._unsubscribe(path))

    async def _subscribe(self, message: Message, take: Callable[[bytes], None]) -> None:
        address, proxy = self._proxy(message)
        self._takers[message.path or ""] = take
        await self.central.subscribe(address, proxy, take)

    async def _unsubscribe(self, path: str) -> None:
        take = self._takers.pop(path, None)
        if take is not None and path in self._handles:
            address, proxy = self._handles[path]
            with contextlib.suppress(core.BaseBumbleError, TimeoutError, att.ATT_Error):
                await self.central.unsubscribe(address, proxy, take)
            values = {"Notifying": Variant("b", False), "NotifyAcquired": Variant("b", False)}
            self._tree.put(path, _CHARACTERISTIC1, **values)

    async def _GattCharacteristic1_StopNotify(self, message: Message) -> None:
        await self._unsubscribe(message.path or "")

    def _proxy(self, message: Message) -> Any:
        try:
            return self._handles[message.path or ""]
        except KeyError:
            raise BluezError("Failed", "Not connected") from None
