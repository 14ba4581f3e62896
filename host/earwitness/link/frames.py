"""Frames on the wire: COBS between zero bytes, a CRC-32 inside (LINK.md, "Frames")."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_TO_RECORDER: Final = 512  # a decoded frame
MAX_FROM_RECORDER: Final = 4144
_HEAD_BYTES: Final = 2
_CRC_BYTES: Final = 4
_MAX_ENCODED: Final = MAX_FROM_RECORDER + MAX_FROM_RECORDER // 254 + 1


@dataclass(frozen=True)
class Frame:
    """A valid frame: what it is, which request it belongs to, what it carries."""

    kind: int
    request: int
    payload: bytes

    @property
    def head(self) -> bytes:
        """The two bytes before the payload."""
        return bytes((self.kind, self.request))


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing: no zero byte is left; one byte longer for each 254."""
    out = bytearray()
    for piece in data.split(b"\0"):
        at = 0
        while len(piece) - at >= 254:
            out.append(255)
            out += piece[at : at + 254]
            at += 254
        out.append(len(piece) - at + 1)
        out += piece[at:]
    return bytes(out)


def cobs_decode(data: bytes) -> bytes | None:
    """The bytes before stuffing, or None if `data` (no zero in it) cannot be that."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        if code == 0 or at + code > len(data):
            return None
        out += data[at + 1 : at + code]
        at += code
        if code != 255 and at < len(data):
            out.append(0)
    return bytes(out)


def encode(kind: int, request: int, payload: bytes) -> bytes:
    """A frame as it travels, a zero byte at either end."""
    raw = bytes((kind, request)) + payload
    return b"\0" + cobs_encode(raw + zlib.crc32(raw).to_bytes(_CRC_BYTES, "little")) + b"\0"


class Receiver:
    """Cuts a stream of bytes into valid frames. Holds one frame at most, whatever comes; drops what is not one."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._bad = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes."""
        pieces = data.split(b"\0")
        for index, piece in enumerate(pieces):
            if self._bad or len(self._held) + len(piece) > _MAX_ENCODED:
                self._bad = True
                self._held.clear()
            else:
                self._held += piece
            if index == len(pieces) - 1:
                return
            block, bad = bytes(self._held), self._bad
            self._held.clear()
            self._bad = False
            frame = None if bad else _parse(block)
            if frame is not None:
                yield frame


def _parse(block: bytes) -> Frame | None:
    raw = cobs_decode(block)
    if raw is None or not _HEAD_BYTES + _CRC_BYTES <= len(raw) <= MAX_FROM_RECORDER:
        return None
    if zlib.crc32(raw[:-_CRC_BYTES]) != int.from_bytes(raw[-_CRC_BYTES:], "little"):
        return None
    return Frame(raw[0], raw[1], raw[_HEAD_BYTES:-_CRC_BYTES])
