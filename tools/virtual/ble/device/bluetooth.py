"""Stands in for MicroPython's `bluetooth` on a Pico W (BTstack), limits and absences included.

The radio is a process at the other end of a Unix socket (tools/virtual/ble). What the chip's build lacks is missing
here too: gap_pair, gap_passkey, the `bond`, `mitm`, `io`, `le_secure` and `rxbuf` settings, resolvable addresses; and
the central's half, which the recorder has no use for. On the chip events come between any two bytecodes; here they come
in every call of this module, so code that waits must call it.
"""

import json
import select
import socket
import struct

from ble_uuid import UUID  # noqa: F401
from micropython import const

FLAG_READ = const(0x02)
FLAG_WRITE_NO_RESPONSE = const(0x04)
FLAG_WRITE = const(0x08)
FLAG_NOTIFY = const(0x10)
FLAG_INDICATE = const(0x20)

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)
_IRQ_MTU_EXCHANGED = const(21)

_ENODEV = const(19)
_EINVAL = const(22)
_ENOTCONN = const(128)
_DEFAULT_BYTES = const(20)  # of a characteristic's value, unless gatts_set_buffer says otherwise
_TABLE_BYTES = const(512)  # BTstack's attribute table; the chip writes past its end, here it is an error
_LARGEST_MTU = const(1017)
_REPLY_MS = const(10000)
_HANDLE = const(64)  # BTstack's first connection

path = ""  # of the radio's socket, set by whoever starts us
on_socket = None  # called with the socket, so that a sleep may end when it has something
on_connection = None  # called with True and False


class _Value:
    def __init__(self, data=b"", room=_DEFAULT_BYTES):
        self.data = data
        self.room = room
        self.append = False


class BLE:
    """The one radio: every BLE() is the same."""

    _only = None

    def __new__(cls):
        if BLE._only is None:
            BLE._only = object.__new__(cls)
            BLE._only._begin()
        return BLE._only

    def _begin(self):
        self._socket = None
        self._poller = None
        self._rest = b""
        self._handler = None
        self._active = False
        self._address = (0, bytes(6))
        self._name = b"MPY BTSTACK"
        self._mtu = _LARGEST_MTU
        self._values = {}
        self._subscriptions = ()
        self._peer = -1
        self._agreed = 0  # MTU of the connection; 0: nobody asked
        self._pending = []  # notifications that the radio has not sent yet: they live on the heap, without bound
        self._replies = []
        self._events = []
        self._in_handler = False
        self.most_pending = 0

    # --- the socket

    def _connect(self):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(struct.pack("<H", socket.AF_UNIX) + path.encode() + b"\x00")
        self._socket.setblocking(False)
        self._poller = select.poll()
        self._poller.register(self._socket, select.POLLIN)
        if on_socket is not None:
            on_socket(self._socket)

    def _send(self, kind, payload=b""):
        message = memoryview(struct.pack("<HB", 1 + len(payload), kind) + payload)
        while message:
            try:
                count = self._socket.write(message)
            except OSError:
                count = 0
            if count:
                message = message[count:]
            else:
                self._take(1)

    def _take(self, wait_ms):
        """Read what the radio has to say; what it says is handled in _pump."""
        if self._socket is None:
            return
        for _ in self._poller.ipoll(wait_ms):
            data = self._socket.read(65536)
            if data is None:
                return
            if not data:
                raise SystemExit("the virtual radio is gone")
            self._rest += data
            while len(self._rest) >= 2:
                end = 2 + struct.unpack("<H", self._rest[:2])[0]
                if len(self._rest) < end:
                    break
                kind, payload = self._rest[2], self._rest[3:end]
                self._rest = self._rest[end:]
                if kind == 0x64:  # d
                    self._replies.append(payload)
                elif kind == 0x73:  # s
                    if self._pending:
                        self._pending.pop(0)
                else:
                    self._events.append((kind, payload))

    def _pump(self):
        """Events, in order, to the handler; not into a handler that runs."""
        self._take(0)
        if self._in_handler:
            return
        while self._events:
            kind, payload = self._events.pop(0)
            if not self._active:
                continue
            self._in_handler = True
            try:
                self._event(kind, payload)
            finally:
                self._in_handler = False

    def _event(self, kind, payload):
        if kind == 0x63:  # c
            self._peer = _HANDLE
            self._agreed = 0
            self._pending = []
            if on_connection is not None:
                on_connection(True)
            self._call(_IRQ_CENTRAL_CONNECT, (_HANDLE, payload[0], payload[1:7]))
        elif kind == 0x78:  # x
            self._peer = -1
            self._pending = []
            if on_connection is not None:
                on_connection(False)
            self._call(_IRQ_CENTRAL_DISCONNECT, (_HANDLE, 0xFF, bytes(6)))
        elif kind == 0x6D:  # m
            self._agreed = struct.unpack("<H", payload)[0]
            self._call(_IRQ_MTU_EXCHANGED, (_HANDLE, self._agreed))
        elif kind == 0x77:  # w
            handle = struct.unpack("<H", payload[:2])[0]
            value = self._values[handle]
            data = payload[2:]
            if value.append:
                data = value.data + data
            value.data = data[: value.room]
            self._call(_IRQ_GATTS_WRITE, (_HANDLE, handle))

    def _call(self, event, data):
        if self._handler is not None:
            self._handler(event, data)

    def _reply(self):
        waited = 0
        while not self._replies:
            self._take(10)
            waited += 10
            if waited > _REPLY_MS:
                raise OSError(110)
        return self._replies.pop(0)

    def _must_be_active(self):
        self._pump()
        if not self._active:
            raise OSError(_ENODEV)

    # --- the chip's functions

    def active(self, on=None):
        """Switch the radio, or tell whether it is on."""
        if on is None:
            self._pump()
            return self._active
        if bool(on) == self._active:
            return self._active
        if self._socket is None:
            self._connect()
        self._send(ord("A"), bytes((1 if on else 0,)))
        address = self._reply()
        if self._peer >= 0 and on_connection is not None:
            on_connection(False)
        self._active = bool(on)
        self._address = (0, bytes(reversed(address)))
        self._values = {}
        self._peer = -1
        self._pending = []
        self._events = []
        self._name = b"MPY BTSTACK"
        return self._active

    def config(self, *names, **values):
        """Ask for one setting by name, or set some."""
        if names:
            if values:
                raise TypeError("can't specify pos and kw args")
            self._pump()
            if names[0] == "mac":
                return self._address
            if names[0] == "mtu":
                return self._mtu
            if names[0] == "gap_name":
                return self._name
            raise ValueError("unknown config param")
        for name, value in values.items():
            self._must_be_active()
            if name == "gap_name":
                self._name = value.encode() if isinstance(value, str) else bytes(value)
                self._send(ord("G"), self._name)
            elif name == "mtu":
                if not 23 <= value <= _LARGEST_MTU:
                    raise OSError(_EINVAL)
                self._mtu = value
                self._send(ord("P"), struct.pack("<H", value))
            elif name == "addr_mode":
                if value not in (0, 1):
                    raise OSError(_EINVAL)
                self._send(ord("R"), bytes((value,)))
                self._address = (value, bytes(reversed(self._reply())))
            else:
                raise ValueError("unknown config param")

    def irq(self, handler):
        """Who is told of events."""
        self._handler = handler

    def gap_advertise(self, interval_us=500000, adv_data=None, *, resp_data=None, connectable=True):
        """Be found every `interval_us`; None: no more."""
        if interval_us is None:
            self._pump()
            if self._active:
                self._send(ord("Q"))
            return
        self._must_be_active()
        adv = bytes(adv_data or b"")
        answer = bytes(resp_data or b"")
        if len(adv) > 31 or len(answer) > 31:
            raise OSError(_EINVAL)
        self._send(ord("V"), struct.pack("<IBB", interval_us, 1 if connectable else 0, len(adv)) + adv + answer)

    def gap_disconnect(self, conn_handle):
        """End a connection; False if there is none."""
        self._must_be_active()
        if conn_handle != self._peer:
            return False
        self._send(ord("D"))
        return True

    def gatts_register_services(self, services):
        """Handles of the characteristics' and descriptors' values, a tuple for each service."""
        self._must_be_active()
        self._values = {}
        table = 60  # GAP and GATT, which BTstack puts before
        described = []
        for uuid, characteristics in services:
            table += 8 + len(uuid)
            below = []
            for item in characteristics:
                table += 11 + len(item[0]) + 6 + len(item[0])
                table += 10 if item[1] & (FLAG_NOTIFY | FLAG_INDICATE) else 0
                descriptors = item[2] if len(item) > 2 else ()
                table += sum(6 + len(one[0]) for one in descriptors)
                below.append([item[0].text(), item[1], [[one[0].text(), one[1]] for one in descriptors]])
            described.append([uuid.text(), below])
        if table > _TABLE_BYTES:
            raise MemoryError("BTstack's attribute table has 512 bytes")
        self._send(ord("S"), json.dumps(described).encode())
        handles = json.loads(self._reply())
        for group in handles:
            for handle in group:
                self._values[handle] = _Value()
        return tuple(tuple(group) for group in handles)

    def gatts_set_buffer(self, value_handle, room, append=False):
        """Room for a value, and whether writes add to it until it is read."""
        value = self._value(value_handle)
        value.room = room
        value.data = b""
        value.append = append

    def gatts_read(self, value_handle):
        """What was written last."""
        value = self._value(value_handle)
        data = value.data
        if value.append:
            value.data = b""
        return data

    def gatts_write(self, value_handle, data, send_update=False):
        """The value that a host reads; with `send_update` subscribers are notified."""
        value = self._value(value_handle)
        value.data = bytes(data)
        value.room = max(value.room, len(value.data))
        self._send(ord("U"), struct.pack("<H", value_handle) + value.data)
        if send_update:
            self.gatts_notify(self._peer, value_handle, data)
        return len(data)

    def gatts_notify(self, conn_handle, value_handle, data=None):
        """Queue a notification. It is cut silently at MTU - 3, and the queue grows as long as there is memory."""
        self._pump()
        if not self._active:
            raise OSError(_ENODEV)
        value = self._value(value_handle)
        if conn_handle != self._peer or conn_handle < 0:
            raise OSError(_EINVAL)
        sent = bytes(value.data if data is None else data)[: (self._agreed or 23) - 3]
        self._pending.append(sent)
        self.most_pending = max(self.most_pending, len(self._pending))
        self._send(ord("N"), struct.pack("<H", value_handle) + sent)

    gatts_indicate = gatts_notify

    def _value(self, handle):
        self._pump()
        try:
            return self._values[handle]
        except KeyError:
            raise OSError(_EINVAL) from None
