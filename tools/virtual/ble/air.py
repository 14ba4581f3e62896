"""The air between the controllers: the place where packets are late, slow, lost or heard by somebody else."""

from __future__ import annotations

import asyncio
import struct
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bumble import core, hci, ll
from bumble.controller import Controller
from bumble.link import LocalLink

_ATT_CHANNEL = 4
_NOTIFICATION, _WRITE_COMMAND = 0x1B, 0x52
_LINK_BYTES = 10  # of a packet on the air, beside what it carries: preamble, access address, head, CRC
_ESTABLISH_S = 0.1  # six connection events without an answer
_KEPT = 4000  # packets and advertisements that a listener remembers


@dataclass
class Faults:
    """What is wrong with the air. Numbers of packets count from 0 since these faults were set."""

    rate: float = 0.0  # bytes a second that each direction carries; 0: no limit
    latency: float = 0.0  # seconds that every packet is under way: connection events
    drop_notifications: list[int] = field(default_factory=list)
    drop_writes: list[int] = field(default_factory=list)
    cut_at_notification: int = -1  # the connection is lost there
    dark_s: float = 0.0  # from now on nothing gets through for so long
    supervision_s: float = 2.0  # a silence longer than this ends a connection


@dataclass
class Heard:
    """What passed since the counters were set back."""

    notifications: int = 0
    notified_bytes: int = 0  # values only
    longest_notification: int = 0
    writes: int = 0
    requests: int = 0  # writes that carry something, not a confirmation alone
    written_bytes: int = 0
    longest_write: int = 0
    lost: int = 0
    busy_s: float = 0.0  # that the slower direction was on the air at the rate that is set
    most_waiting_bytes: int = 0  # in the device's queue


class _Lane:
    """One direction of one connection: packets in order."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._running = False
        self._free_at = 0.0

    def put(self, size: int, deliver: Callable[[], None]) -> None:
        self._waiting.append((size, deliver))
        if not self._running:
            self._running = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < self._air.dark_until:
            loop.call_at(self._air.dark_until, self._next)
            return
        if not self._waiting:
            self._running = False
            return
        size, deliver = self._waiting.popleft()
        faults = self._air.faults
        if not faults.rate and not faults.latency:
            deliver()
            loop.call_soon(self._next)
            return
        self._free_at = max(self._free_at, now) + (size / faults.rate if faults.rate else 0)
        loop.call_at(self._free_at + faults.latency, deliver)
        loop.call_at(self._free_at, self._next)


class Air(LocalLink):  # type: ignore[misc]
    """Bumble's link with faults, counters and a listener."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = Faults()
        self.heard = Heard()
        self.dark_until = 0.0
        self.advertised: set[tuple[str, bytes]] = set()
        self.packets: deque[bytes] = deque(maxlen=_KEPT)  # as a listener with the connection's key hears them
        self._notification = self._write = 0
        self._lanes: dict[tuple[int, str], _Lane] = {}
        self._waiting_bytes = 0
        self._losing: asyncio.TimerHandle | None = None  # of connections in the dark
        self._on_sent: defaultdict[int, deque[Callable[[], None]]] = defaultdict(deque)

    def set_faults(self, faults: Faults) -> None:
        """These and no others from now on."""
        self.faults = faults
        self._notification = self._write = 0
        self.dark_until = 0.0
        if self._losing is not None:
            self._losing.cancel()
        if faults.dark_s:
            loop = asyncio.get_running_loop()
            self.dark_until = loop.time() + faults.dark_s
            if faults.dark_s > faults.supervision_s:
                self._losing = loop.call_later(faults.supervision_s, self.lose_all)

    def lose_all(self) -> None:
        """Every connection is lost: both ends notice at the end of their patience."""
        for controller in self.controllers:
            for connection in list(controller.le_connections.values()):
                controller.on_le_disconnected(connection, hci.HCI_CONNECTION_TIMEOUT_ERROR)

    def lose(self, controller: Controller) -> None:
        """One end fell silent, for example because its power went."""
        for connection in list(controller.le_connections.values()):
            other = self.find_le_controller(connection.peer_address)
            controller.on_le_disconnected(connection, hci.HCI_CONNECTION_TIMEOUT_ERROR)
            far = other.le_connections.get(connection.self_address) if other is not None else None
            if other is not None and far is not None:
                other.on_le_disconnected(far, hci.HCI_CONNECTION_TIMEOUT_ERROR)

    def after_notification(self, controller: Controller, tell: Callable[[], None]) -> None:
        """Call `tell` when the next notification of this controller that nobody waits for yet has left it."""
        self._on_sent[id(controller)].append(tell)

    def _has_left(self, controller: Controller, size: int) -> None:
        self._waiting_bytes = max(0, self._waiting_bytes - size)
        if self._on_sent[id(controller)]:
            self._on_sent[id(controller)].popleft()()

    # --- what Bumble calls

    def send_advertising_pdu(self, sender_controller: Controller, packet: Any) -> None:
        if asyncio.get_running_loop().time() < self.dark_until:
            return
        if hasattr(packet, "data"):
            self.advertised.add((str(packet.advertiser_address), bytes(packet.data)))
        super().send_advertising_pdu(sender_controller, packet)
        if isinstance(packet, ll.ConnectInd):
            asyncio.get_running_loop().call_later(_ESTABLISH_S, self._check_established, sender_controller, packet)

    def _check_established(self, central: Controller, packet: ll.ConnectInd) -> None:
        """Who asked for a connection and is not answered, because the other stopped advertising just then, loses it."""
        connection = central.le_connections.get(packet.advertiser_address)
        receiver = self.find_le_controller(packet.advertiser_address)
        if connection is not None and (receiver is None or packet.initiator_address not in receiver.le_connections):
            central.on_le_disconnected(connection, hci.HCI_CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        connection = sender_controller.le_connections.get(destination_address)
        if connection is None:
            return
        source = connection.self_address  # LocalLink would take the random address, whichever is in use
        receiver = self.find_le_controller(destination_address)
        far = receiver.le_connections.get(source) if receiver is not None else None
        is_notification = False
        if len(data) > 7 and struct.unpack_from("<H", data, 2)[0] == _ATT_CHANNEL:
            is_notification = data[4] == _NOTIFICATION
            if self._count(data[4], len(data) - 7):
                if is_notification:
                    self._has_left(sender_controller, 0)
                return
        size = len(data)
        if is_notification:
            self._waiting_bytes += size
            self.heard.most_waiting_bytes = max(self.heard.most_waiting_bytes, self._waiting_bytes)

        def deliver() -> None:
            if is_notification:
                self._has_left(sender_controller, size)
            self.packets.append(data)
            # not into a later connection of the same two
            if receiver is not None and far is not None and receiver.le_connections.get(source) is far:
                receiver.on_link_acl_data(source, transport, data)

        if self.faults.rate and is_notification:
            self.heard.busy_s += (size + _LINK_BYTES) / self.faults.rate
        lane = self._lanes.setdefault((id(sender_controller), str(destination_address)), _Lane(self))
        lane.put(size + _LINK_BYTES, deliver)

    def _count(self, kind: int, size: int) -> bool:
        """Count a packet of the application; True if it is lost."""
        heard, faults = self.heard, self.faults
        lost = False
        if kind == _NOTIFICATION:
            heard.notifications += 1
            heard.notified_bytes += size
            heard.longest_notification = max(heard.longest_notification, size)
            if self._notification == faults.cut_at_notification:
                asyncio.get_running_loop().call_soon(self.lose_all)
            lost = self._notification in faults.drop_notifications
            self._notification += 1
        elif kind == _WRITE_COMMAND:
            heard.writes += 1
            heard.requests += size > 1
            heard.written_bytes += size
            heard.longest_write = max(heard.longest_write, size)
            lost = self._write in faults.drop_writes
            self._write += 1
        heard.lost += lost
        return lost
