"""Frames on the wire: COBS between zero bytes, a CRC-32 inside. LINK.md, "Frames".

A frame decoded is `type u8 | request id u8 | payload | CRC-32 u32`. Nothing here knows what a frame means.
"""

from binascii import crc32
from struct import pack_into, unpack_from

import micropython
from micropython import const

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Union

    Bytes = Union[bytes, bytearray, memoryview]

_HEAD_BYTES = const(2)  # type, request id
_CRC_BYTES = const(4)
_MAX_INBOUND_BYTES = const(512)  # a decoded frame to the recorder, LINK.md "Limits"
_MAX_ENCODED_BYTES = const(515)  # the same on the wire, between its zeros


def encoded_bytes(count: int) -> int:
    """Room that a frame of `count` bytes before its CRC needs on the wire: COBS adds one byte in 254, and a zero stands
    at either end."""
    count += _CRC_BYTES
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
        if byte:
            out[at] = byte
            at += 1
            run += 1
        if byte == 0 or run == 255:
            out[mark] = run
            mark = at
            at += 1
            run = 1
    out[mark] = run
    out[at] = 0
    return at + 1


def _uncobs(raw: bytearray, count: int) -> int:
    """Undo COBS of raw[0:count] (no zero in it) in place; the length, -1 if it announces more than there is."""
    at = out = 0
    while at < count:
        code = raw[at]
        end = at + code
        if end > count:
            return -1
        for index in range(at + 1, end):
            raw[out] = raw[index]
            out += 1
        at = end
        if code != 255 and at < count:
            raw[out] = 0
            out += 1
    return out


def encode(raw: "bytearray | memoryview", count: int, out: bytearray) -> int:
    """Close the frame raw[0:count] with its CRC-32 and write it to `out` as it travels; returns its length there.

    `raw` needs four bytes of room behind `count`, `out` needs encoded_bytes(count).
    """
    if count + _CRC_BYTES > len(raw) or encoded_bytes(count) > len(out):
        raise ValueError("frame too long")
    pack_into("<I", raw, count, crc32(memoryview(raw)[:count]))
    return int(_cobs(raw, count + _CRC_BYTES, out))


class Receiver:
    """Takes bytes one at a time into one bounded buffer: a host that lies about lengths, or noise without end, costs no
    memory. What is not a whole and valid frame is dropped without a word."""

    def __init__(self) -> None:
        self.raw = bytearray(_MAX_ENCODED_BYTES)
        self.count = 0  # bytes of the valid frame in `raw`, its CRC not counted; meaningful after push() said True
        self._at = 0

    def push(self, byte: int) -> bool:
        """One more byte from the wire. True when it ended a valid frame, which stays in `raw` until the next push."""
        at = self._at
        raw = self.raw
        if byte:
            if at < _MAX_ENCODED_BYTES:
                raw[at] = byte
                self._at = at + 1
            else:
                self._at = _MAX_ENCODED_BYTES + 1  # too long: dropped up to the next zero
            return False
        self._at = 0
        count = -1 if at > _MAX_ENCODED_BYTES else _uncobs(raw, at)
        self.count = count = count - _CRC_BYTES
        return _HEAD_BYTES <= count <= _MAX_INBOUND_BYTES - _CRC_BYTES and unpack_from("<I", raw, count)[0] == crc32(
            memoryview(raw)[:count]
        )
