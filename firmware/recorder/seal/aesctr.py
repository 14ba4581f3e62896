"""AES-256 in counter mode (NIST SP 800-38A, 6.5), counter block from 0, in place.

The chip's cryptolib offers ECB alone, so counter blocks are encrypted and mixed in here. The counter may start at 0
because no key is ever used for a second message: each page has its own.
"""

import cryptolib
import micropython
from micropython import const

from . import wipe

_ECB = const(1)
_CHUNK_BYTES = const(512)
_CHUNK_BLOCKS = const(32)

_stream = bytearray(_CHUNK_BYTES)


def _learn() -> int:
    key = bytes(32)
    return wipe.learn_context(lambda: cryptolib.aes(key, _ECB))


_learn()


@micropython.viper
def _fill_counters(stream: ptr8, block: int, count: int):  # type: ignore  # noqa: F821
    """Write `count` big-endian 128-bit counters from `block` on."""
    at = 0
    while count > 0:
        i = 0
        while i < 12:
            stream[at + i] = 0
            i += 1
        stream[at + 12] = block >> 24
        stream[at + 13] = block >> 16
        stream[at + 14] = block >> 8
        stream[at + 15] = block
        at += 16
        block += 1
        count -= 1


@micropython.viper
def _mix(buf: ptr8, offset: int, stream: ptr8, count: int):  # type: ignore  # noqa: F821
    """buf[offset : offset + count] ^= stream[:count], by words where the address allows (the chip faults otherwise)."""
    start = int(buf) + offset
    i = 0
    if start & 3 == 0:
        words = count >> 2
        to = ptr32(start)  # type: ignore  # noqa: F821
        source = ptr32(stream)  # type: ignore  # noqa: F821
        while i < words:
            to[i] = to[i] ^ source[i]
            i += 1
        i = words << 2
    out = ptr8(start)  # type: ignore  # noqa: F821
    while i < count:
        out[i] = out[i] ^ stream[i]
        i += 1


def xor(key: "bytes | bytearray | memoryview", buf: "bytearray | memoryview") -> None:
    """Encrypt or decrypt `buf` in place under the 32-byte key; any length. Key schedule and stream are wiped."""
    if len(key) != 32:
        raise ValueError("32-byte key")
    aes = cryptolib.aes(key, _ECB)
    try:
        size = len(buf)
        at = 0
        while at < size:
            _fill_counters(_stream, at >> 4, _CHUNK_BLOCKS)
            aes.encrypt(_stream, _stream)
            _mix(buf, at, _stream, min(_CHUNK_BYTES, size - at))
            at += _CHUNK_BYTES
    finally:
        wipe.wipe_context(aes)
        wipe.wipe(_stream)
