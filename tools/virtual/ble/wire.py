"""What travels on the socket between the stand-in `bluetooth` (device/bluetooth.py) and the process with the radio.

A message is `u16 length, u8 kind, payload`; integers little-endian, the length counts kind and payload.
"""

from __future__ import annotations

import struct

# from the interpreter
ACTIVE = ord("A")  # u8 on
ADDRESS = ord("R")  # u8 mode: 0 public, 1 random
SERVICES = ord("S")  # JSON: [[uuid, [[uuid, flags, [[uuid, flags], ...]], ...]], ...]
NAME = ord("G")  # the GAP name
ADVERTISE = ord("V")  # u32 interval in microseconds, u8 connectable, u8 length, data, scan response
SILENCE = ord("Q")
NOTIFY = ord("N")  # u16 handle, value
VALUE = ord("U")  # u16 handle, value to be read
HANG_UP = ord("D")
MTU = ord("P")  # u16, the largest we agree to

# to the interpreter
DONE = ord("d")  # answer to ACTIVE, ADDRESS, SERVICES: payload by kind
CONNECTED = ord("c")  # u8 address type, address
DISCONNECTED = ord("x")
WRITTEN = ord("w")  # u16 handle, value
MTU_NOW = ord("m")  # u16
SENT = ord("s")  # a notification left the device


def pack(kind: int, payload: bytes = b"") -> bytes:
    """One message."""
    return struct.pack("<HB", 1 + len(payload), kind) + payload


class Reader:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Whole messages so far: (kind, payload)."""
        self._rest += data
        found: list[tuple[int, bytes]] = []
        while len(self._rest) >= 2:
            end = 2 + int.from_bytes(self._rest[:2], "little")
            if len(self._rest) < end:
                break
            found.append((self._rest[2], self._rest[3:end]))
            self._rest = self._rest[end:]
        return found
