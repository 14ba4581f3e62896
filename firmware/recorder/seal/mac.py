"""SHA-256 (FIPS 180-4) and HMAC (RFC 2104) that leave no key, pad, digest or context in the heap.

One hash object, made at import, serves every call: its memory is set back to the state of a new object after each use.
That wipes it, and it spares the 128 bytes that a new object costs; sealing a page takes about fourteen hashes. Not for
interrupt handlers: there is one hash, and one pad.
"""

import hashlib

import micropython

from . import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    Bytes = bytes | bytearray | memoryview

_hash = hashlib.sha256()
_state = id(_hash) + wipe.HEAD_BYTES
_state_bytes = wipe.learn_context(hashlib.sha256) - wipe.HEAD_BYTES
_new = bytearray(_state_bytes)
wipe.copy(_new, _state, _state_bytes)
_pad = bytearray(64)


@micropython.viper
def _fill_pad(pad: ptr8, key: ptr8, count: int, value: int):  # type: ignore  # noqa: F821
    i = 0
    while i < 64:
        pad[i] = value
        if i < count:
            pad[i] = key[i] ^ value
        i += 1


# Up to five parts. They are parameters of their own because *parts makes a tuple, and a page takes fourteen hashes.


def sha256(a: "Bytes", b: "Bytes" = b"", c: "Bytes" = b"", d: "Bytes" = b"", e: "Bytes" = b"") -> bytes:
    """SHA-256 over the parts, one after the other. Wipe the result if it is secret."""
    try:
        _hash.update(a)
        if b != b"":
            _hash.update(b)
        if c != b"":
            _hash.update(c)
        if d != b"":
            _hash.update(d)
        if e != b"":
            _hash.update(e)
        return _hash.digest()
    finally:
        wipe.copy(_state, _new, _state_bytes)


def sha256_into(out: "bytearray | memoryview", data: "Bytes") -> None:
    """Write the first len(out) <= 32 bytes of the hash over `data` into `out`."""
    _move(out, sha256(data))


def hmac_into(
    out: "bytearray | memoryview",
    key: "Bytes",
    a: "Bytes",
    b: "Bytes" = b"",
    c: "Bytes" = b"",
    d: "Bytes" = b"",
    e: "Bytes" = b"",
) -> None:
    """Write the first len(out) <= 32 bytes of HMAC-SHA256(key, parts) into `out`, which may be the key itself."""
    if len(key) > 64:
        short = sha256(key)
        hmac_into(out, short, a, b, c, d, e)
        wipe.wipe(short)
        return
    try:
        _fill_pad(_pad, key, len(key), 0x36)
        # Not by way of `sha256`: two calls more and one deeper, six times a page, from within every wait of the card.
        _hash.update(_pad)
        _hash.update(a)
        if b != b"":
            _hash.update(b)
        if c != b"":
            _hash.update(c)
        if d != b"":
            _hash.update(d)
        if e != b"":
            _hash.update(e)
        inner = _hash.digest()
        wipe.copy(_state, _new, _state_bytes)
        _fill_pad(_pad, key, len(key), 0x5C)
        _hash.update(_pad)
        _hash.update(inner)
        wipe.wipe(inner)
        _move(out, _hash.digest())
    finally:
        wipe.copy(_state, _new, _state_bytes)
        wipe.wipe(_pad)


def equal(a: "Bytes", b: "Bytes") -> bool:
    """Compare in time that depends only on the lengths."""
    if len(a) != len(b):
        return False
    different = 0
    for i in range(len(a)):
        different |= a[i] ^ b[i]
    return different == 0


def _move(out: "bytearray | memoryview", digest: bytes) -> None:
    count = len(out)
    if count <= 32:
        wipe.copy(out, digest, count)
    wipe.wipe(digest)
    if count > 32:
        raise ValueError("at most 32 bytes")


# Putting a context back by copying is right only where it holds no pointers: true of mbedtls and of the small built-in
# code. A port where it is not must fail here and not in somebody's recording.
if (
    sha256(b"abc")[:4] != b"\xba\x78\x16\xbf"
    or sha256(b"") != hashlib.sha256().digest()
    or sha256(b"abc")[:1] != b"\xba"
):
    raise RuntimeError("sha256 context cannot be reused")
