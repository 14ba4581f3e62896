"""The USB cable: a host that sends when it has something, and takes what comes at the pace of full speed.

The emulator's own host answers every armed OUT endpoint with an empty packet each 10 µs, which makes the chip three times
slower than it is, and takes IN packets in no time at all. A real host polls, and the chip's controller answers NAK by itself.
"""

from __future__ import annotations

from typing import Any

from rp2040py.usb.cdc import USBCDC

from .timebase import Timebase

_PACKET_S = 60e-6  # 64 bytes and their handshakes at 12 Mbit/s, with a host that does nothing else


class Cable:
    """The host's end. `sent` grows with what the board says; `send` queues bytes for it; `reading` False stops the host reading."""

    def __init__(self, mcu: Any, time: Timebase, *, plugged: bool = True) -> None:
        self.sent = bytearray()
        self.connected = False
        self._usb = mcu.usb_ctrl
        self._queue = bytearray()
        self._armed: int | None = None
        self._reading = True
        self._held = False
        self.plugged = plugged
        self._cdc = cdc = USBCDC(self._usb)
        cdc.on_serial_data = self.sent.extend
        cdc.on_device_connected = self._connect
        self._in_done = time.alarm(self._take)
        self._plain_read = self._usb.on_endpoint_read
        self._plain_enable = self._usb.on_usb_enabled
        self._plain_reset = self._usb.on_reset
        self._plain_ready = self._usb._indicate_buffer_ready
        self._usb.on_endpoint_read = self._read
        self._usb.on_usb_enabled = self._enable
        self._usb.on_reset = self._reset
        self._usb._indicate_buffer_ready = self._ready

    def send(self, data: bytes | bytearray) -> None:
        """Queue bytes for the board; they go when it listens."""
        self._queue += data
        self._give()

    @property
    def waiting(self) -> int:
        """Bytes that the board has not taken yet."""
        return len(self._queue)

    @property
    def reading(self) -> bool:
        return self._reading

    @reading.setter
    def reading(self, reading: bool) -> None:
        self._reading = reading
        if reading and self._held:
            self._held = False
            self._in_done.after(_PACKET_S)

    def plug(self) -> None:
        self.plugged = True
        self._plain_enable()

    def unplug(self) -> None:
        """The host is gone: nothing is taken or given any more."""
        self.plugged = False
        self._queue.clear()
        if self.connected:
            self._cdc.set_control_lines(dtr=False, rts=False)
        self.connected = False

    def take(self) -> bytes:
        """All that the board has said since the last time."""
        data = bytes(self.sent)
        self.sent.clear()
        return data

    def _enable(self) -> None:
        if self.plugged:
            self._plain_enable()

    def _connect(self) -> None:
        self.connected = True

    def _reset(self) -> None:
        self.connected = False
        self._armed = None
        self._held = False
        self._in_done.cancel()
        self._plain_reset()

    def _read(self, endpoint: int, size: int) -> None:
        if endpoint != self._cdc._out_endpoint:
            self._plain_read(endpoint, size)
            return
        self._armed = size
        self._give()

    def _give(self) -> None:
        if self._armed is None or not self._queue or not self.plugged:
            return
        piece = bytes(self._queue[: self._armed])
        del self._queue[: self._armed]
        self._armed = None
        self._usb.endpoint_read_done(self._cdc._out_endpoint, piece, round(_PACKET_S * 1e6))

    def _ready(self, endpoint: int, out: bool) -> None:
        if endpoint != self._cdc._in_endpoint or out:
            self._plain_ready(endpoint, out)
        elif self._reading and self.plugged:
            self._in_done.after(_PACKET_S)
        else:
            self._held = True

    def _take(self) -> None:
        self._plain_ready(self._cdc._in_endpoint, False)
