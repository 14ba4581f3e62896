"""Bluetooth LE on the Pico W (BTstack). LINK.md, "Bluetooth LE": one byte of window control, then bytes of the stream.

Written on `bluetooth` itself: aioble, though frozen in the image, takes 7 kB of memory before the first line of ours, and
all of this takes 5. What BTstack does not do is done here: it overwrites and cuts what is longer than the MTU
allows, and its queue takes all that there is of memory, so nothing longer is sent, and never more than a window ahead.
"""

import time

import bluetooth
import network
from micropython import const

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CENTRAL_CONNECT = const(1)
_CENTRAL_DISCONNECT = const(2)
_GATTS_WRITE = const(3)
_MTU_EXCHANGED = const(21)

_INTERVAL_US = const(100_000)
_RANDOM_ADDRESS = const(1)
_SMALLEST_MTU = const(23)  # nobody tells if the computer does not ask for more
_LARGEST_MTU = const(247)  # fills one packet of Bluetooth 4.2
_ATT_BYTES = const(3)  # of the MTU, around a value
_WINDOW = const(128)  # notifications that are not confirmed yet: 31 kB at the largest MTU, under half of 256
_INPUT_BYTES = const(2048)  # a power of 2; the longest request has some 1030
_WAIT_MS = const(100)
_LOST_MS = const(1000)  # silence after which a new request tells that what was not confirmed never will be

_SERVICE = "031c2973-20ab-4741-a4a4-3117fa3468cb"  # stands for version 1 of all this
_TO_RECORDER = "031c2974-20ab-4741-a4a4-3117fa3468cb"
_TO_COMPUTER = "031c2975-20ab-4741-a4a4-3117fa3468cb"


class _Radio:
    """State that the interrupt and the main loop share. The interrupt only records."""

    def __init__(self) -> None:
        self.ble: "Any" = bluetooth.BLE()  # the stubs have other signatures than the chip
        self.connection = -1
        self.is_new = False  # the connection was not accepted yet
        self.advertising = False
        self.room = _SMALLEST_MTU - _ATT_BYTES
        self.sent = 0  # counts notifications, modulo 256
        self.confirmed = 0
        self.confirmed_ms: "Any" = 0
        self.heard_ms: "Any" = 0
        self.inbox = bytearray(_INPUT_BYTES)
        self.into = 0  # written so far, modulo 2 * _INPUT_BYTES
        self.outof = 0
        self.packet = bytearray(_LARGEST_MTU - _ATT_BYTES)
        self.from_computer = 0
        self.to_computer = 0

    def on(self) -> None:
        """Start the stack. An address that was never used before, and no name: nothing to know it again by."""
        ble = self.ble
        if ble.active():
            return
        ble.irq(self._irq)
        ble.active(True)
        ble.config(addr_mode=_RANDOM_ADDRESS)
        ble.config(gap_name="", mtu=_LARGEST_MTU)
        inward = (bluetooth.UUID(_TO_RECORDER), bluetooth.FLAG_WRITE_NO_RESPONSE)
        outward = (bluetooth.UUID(_TO_COMPUTER), bluetooth.FLAG_NOTIFY)
        ((self.from_computer, self.to_computer),) = ble.gatts_register_services(
            ((bluetooth.UUID(_SERVICE), (inward, outward)),)
        )
        ble.gatts_set_buffer(self.from_computer, _LARGEST_MTU - _ATT_BYTES)
        self.connection = -1
        self.advertising = False

    def _irq(self, event: int, data: "Any") -> None:
        if event == _GATTS_WRITE:
            self._written(self.ble.gatts_read(self.from_computer))
        elif event == _CENTRAL_CONNECT:
            self.connection = data[0]
            self.is_new = True
            self.room = _SMALLEST_MTU - _ATT_BYTES
            self.advertising = False
        elif event == _CENTRAL_DISCONNECT:
            self.connection = -1
        elif event == _MTU_EXCHANGED:
            self.room = min(data[1], _LARGEST_MTU) - _ATT_BYTES

    def _written(self, data: bytes) -> None:
        """One write: the number of the last notification that arrived, then bytes for us."""
        if not data or self.is_new:
            return
        waiting = (self.sent - self.confirmed) & 0xFF
        newly = (data[0] - self.confirmed) & 0xFF
        now = self.heard_ms = time.ticks_ms()
        if 0 < newly <= waiting:
            self.confirmed = data[0]
            self.confirmed_ms = now
        elif len(data) > 1 and time.ticks_diff(now, self.confirmed_ms) >= _LOST_MS:
            self.confirmed = self.sent
        count = len(data) - 1
        if count > _INPUT_BYTES - ((self.into - self.outof) & (2 * _INPUT_BYTES - 1)):
            return  # more than one request at a time: its CRC will tell
        for index in range(1, count + 1):
            self.inbox[self.into & (_INPUT_BYTES - 1)] = data[index]
            self.into = (self.into + 1) & (2 * _INPUT_BYTES - 1)

    def is_full(self) -> bool:
        """The window: as much under way as may be."""
        return ((self.sent - self.confirmed) & 0xFF) >= _WINDOW


_radio = _Radio()


def advertise(on: bool) -> None:
    radio = _radio
    if on:
        radio.on()
        if radio.connection < 0 and not radio.advertising:
            uuid: "Any" = bluetooth.UUID(_SERVICE)
            data = b"\x02\x01\x06\x11\x07" + bytes(uuid)  # flags, complete list of services
            radio.ble.gap_advertise(_INTERVAL_US, data)
            radio.advertising = True
    elif radio.ble.active():
        radio.ble.gap_advertise(None)
        radio.advertising = False
        if radio.connection < 0:
            off()


def accept() -> bool:
    radio = _radio
    if not radio.ble.active() or radio.connection < 0 or not radio.is_new:
        return False
    radio.sent = radio.confirmed = 0
    radio.outof = radio.into
    radio.heard_ms = time.ticks_ms()
    radio.is_new = False
    return True


def is_connected() -> bool:
    return _radio.ble.active() and _radio.connection >= 0 and not _radio.is_new


def quiet_ms() -> int:
    return time.ticks_diff(time.ticks_ms(), _radio.heard_ms)


def read(into: bytearray) -> int:
    radio = _radio
    if not is_connected():
        return 0
    count = min((radio.into - radio.outof) & (2 * _INPUT_BYTES - 1), len(into))
    for index in range(count):
        into[index] = radio.inbox[(radio.outof + index) & (_INPUT_BYTES - 1)]
    radio.outof = (radio.outof + count) & (2 * _INPUT_BYTES - 1)
    return count


def write(data: "bytes | bytearray | memoryview") -> int:
    radio = _radio
    view = memoryview(data)
    taken = 0
    started = time.ticks_ms()
    while taken < len(view) and is_connected():
        if radio.is_full():
            if time.ticks_diff(time.ticks_ms(), started) >= _WAIT_MS:
                break
            time.sleep_ms(1)
            continue
        count = min(radio.room - 1, len(view) - taken)
        number = (radio.sent + 1) & 0xFF
        radio.packet[0] = number
        radio.packet[1 : 1 + count] = view[taken : taken + count]
        if radio.sent == radio.confirmed:
            radio.confirmed_ms = time.ticks_ms()  # nothing was due before
        radio.sent = number
        try:
            radio.ble.gatts_notify(radio.connection, radio.to_computer, memoryview(radio.packet)[: 1 + count])
        except OSError:  # gone, or no memory: what was not confirmed is asked for again
            break
        taken += count
    return taken


def hang_up() -> None:
    if is_connected():
        _radio.ble.gap_disconnect(_radio.connection)


def off() -> None:
    radio = _radio
    radio.advertising = False
    radio.ble.irq(None)  # it would keep this module in memory
    if radio.ble.active():
        radio.ble.active(False)
        network.WLAN().deinit()  # the chip behind both: its driver must know that it has no power from now on
    radio.connection = -1
