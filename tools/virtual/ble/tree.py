"""D-Bus objects with their properties, told to whoever asks or listens, as bluetoothd tells its own."""

from __future__ import annotations

from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

Interfaces = dict[str, dict[str, Variant]]


class Tree:
    """Object path -> interface -> property -> value."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.objects: dict[str, Interfaces] = {}

    def add(self, path: str, interfaces: Interfaces) -> None:
        """A new object; a known one is replaced silently."""
        is_new = path not in self.objects
        self.objects[path] = interfaces
        if is_new:
            self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove(self, path: str) -> None:
        """An object and all below it."""
        for below in sorted((one for one in self.objects if one.startswith(path + "/")), reverse=True):
            self._drop(below)
        self._drop(path)

    def _drop(self, path: str) -> None:
        interfaces = self.objects.pop(path, None)
        if interfaces is not None:
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, list(interfaces)])

    def get(self, path: str, interface: str, name: str) -> Any:
        """A property's value; KeyError if there is none."""
        return self.objects[path][interface][name].value

    def put(self, path: str, interface: str, **values: Variant) -> None:
        """Change properties and say so."""
        if path not in self.objects:
            return
        self.objects[path][interface].update(values)
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, values, []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus.connected:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def answer(self, message: Message) -> Message | None:
        """What ObjectManager and Properties answer; None: not for them."""
        if message.message_type != MessageType.METHOD_CALL:
            return None
        if message.interface == OBJECT_MANAGER and message.member == "GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self.objects])
        if message.interface == PROPERTIES and message.path in self.objects:
            there = self.objects[message.path]
            if message.member == "GetAll":
                return Message.new_method_return(message, "a{sv}", [there.get(message.body[0], {})])
            if message.member == "Get":
                value = there.get(message.body[0], {}).get(message.body[1])
                if value is not None:
                    return Message.new_method_return(message, "v", [value])
                return Message.new_error(message, "org.freedesktop.DBus.Error.InvalidArgs", "No such property")
        return None
