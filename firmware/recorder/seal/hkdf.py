"""HKDF with SHA-256 (RFC 5869)."""

from . import mac, wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    Bytes = bytes | bytearray | memoryview


def hkdf(ikm: "Bytes", salt: "Bytes", info: "Bytes", length: int) -> bytearray:
    """Derive `length` <= 8160 bytes. An empty salt stands for 32 zero bytes, as the RFC says."""
    if not 0 < length <= 255 * 32:
        raise ValueError("1 to 8160 bytes")
    prk = bytearray(32)
    block = bytearray(32)
    mac.hmac_into(prk, salt, ikm)
    out = bytearray(length)
    previous = memoryview(block)[:0]
    counter = bytearray(1)
    at = 0
    while at < length:
        counter[0] += 1
        mac.hmac_into(block, prk, previous, info, counter)
        previous = memoryview(block)
        take = min(32, length - at)
        wipe.copy(memoryview(out)[at:], block, take)
        at += take
    wipe.wipe(prk)
    wipe.wipe(block)
    return out
