"""Frames on the wire: COBS between zero bytes, a CRC-32 inside. LINK.md, "Frames".

A frame decoded is `type u8 | request id u8 | payload | CRC-32 u32`. Nothing here knows what a frame means.
"""

from binascii import crc32

import micropython
from micropython import const

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Union

    Bytes = Union[bytes, bytearray, memoryview]

HEAD_BYTES = const(2)  # type, request id
CRC_BYTES = const(4)
MAX_INBOUND_BYTES = const(512)  # a decoded frame to the recorder, LINK.md "Limits"
MAX_SMALL_BYTES = const(1280)  # a decoded frame from the recorder that carries no page
MAX_PAGE_BYTES = const(4144)  # a decoded frame from the recorder that carries one page


def encoded_bytes(count: int) -> int:
    """Room that `count` bytes need on the wire: COBS adds one byte in 254, and a zero stands at either end."""
    return count + count // 254 + 3


@micropython.viper
def _cobs(source: ptr8, count: int, out: ptr8) -> int:  # type: ignore[name-defined]  # noqa: F821
    """COBS of source[0:count], a zero before and behind; returns the length. Twin: earwitness.link.frames.encode."""
    out[0] = 0
    mark = 1  # where the length of the run in progress goes
    at = 2
    run = 1
    i = 0
    while i < count:
        byte = int(source[i])
        i += 1
        if byte == 0:
            out[mark] = run
            mark = at
            at += 1
            run = 1
        else:
            out[at] = byte
            at += 1
            run += 1
            if run == 255:
                out[mark] = 255
                mark = at
                at += 1
                run = 1
    out[mark] = run
    out[at] = 0
    return at + 1


def encode(raw: bytearray, count: int, out: bytearray) -> int:
    """Close the frame raw[0:count] with its CRC-32 and write it to `out` as it travels; returns its length there.

    `raw` needs CRC_BYTES of room behind `count`, `out` needs encoded_bytes(count + CRC_BYTES).
    """
    if count + CRC_BYTES > len(raw) or encoded_bytes(count + CRC_BYTES) > len(out):
        raise ValueError("frame too long")
    crc = crc32(memoryview(raw)[:count])
    raw[count] = crc & 0xFF
    raw[count + 1] = crc >> 8 & 0xFF
    raw[count + 2] = crc >> 16 & 0xFF
    raw[count + 3] = crc >> 24 & 0xFF
    return int(_cobs(raw, count + CRC_BYTES, out))


class Receiver:
    """Takes bytes one at a time and undoes COBS as they come, in one bounded buffer: a host that lies about lengths,
    or noise without end, costs no memory. What is not a whole and valid frame is dropped without a word."""

    def __init__(self) -> None:
        self.raw = bytearray(MAX_INBOUND_BYTES)
        self.count = 0  # bytes of the valid frame in `raw`, its CRC not counted; meaningful after push() said True
        self._at = 0
        self._left = 0  # bytes that the run in progress still owes
        self._code = 255  # its announced length; 255 means that no zero follows it
        self._bad = False

    def push(self, byte: int) -> bool:
        """One more byte from the wire. True when it ended a valid frame, which stays in `raw` until the next push."""
        if byte == 0:
            whole = not self._bad and self._left == 0 and self._at >= HEAD_BYTES + CRC_BYTES
            count = self._at - CRC_BYTES
            self._at = 0
            self._left = 0
            self._code = 255
            self._bad = False
            if not whole:
                return False
            raw = self.raw
            crc = crc32(memoryview(raw)[:count])
            # Compared by bytes: the value of the CRC as one integer is read nowhere.
            if (
                raw[count] != crc & 0xFF
                or raw[count + 1] != crc >> 8 & 0xFF
                or raw[count + 2] != crc >> 16 & 0xFF
                or raw[count + 3] != crc >> 24 & 0xFF
            ):
                return False
            self.count = count
            return True
        if self._bad:
            return False
        if self._left:
            self._left -= 1
            self._put(byte)
        else:
            if self._code != 255:
                self._put(0)
            self._code = byte
            self._left = byte - 1
        return False

    def _put(self, byte: int) -> None:
        if self._at == MAX_INBOUND_BYTES:
            self._bad = True  # too long: dropped up to the next zero
        else:
            self.raw[self._at] = byte
            self._at += 1
