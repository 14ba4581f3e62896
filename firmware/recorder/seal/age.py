"""A binary age v1 file (C2SP age.md) with X25519 recipients: the key envelope of a recording.

The owner's key is an ordinary age identity, so ordinary age programs open what this writes.
"""

import binascii

from micropython import const

from . import chacha20poly1305, mac, sweeping, wipe
from .hkdf import hkdf
from .x25519 import public_key, x25519

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

    from .drbg import Drbg

    Bytes = bytes | bytearray | memoryview

_FILE_KEY_BYTES = const(16)
_NONCE_BYTES = const(16)
_CHUNK_BYTES = const(65536)  # one STREAM chunk
_ZERO_NONCE = bytes(12)
_LAST_CHUNK_NONCE = bytes(11) + b"\x01"  # big-endian chunk number 0, then the flag of the last chunk


def _base64(data: "Bytes") -> bytes:
    """Standard base64 without padding and line break."""
    return binascii.b2a_base64(bytes(data)).rstrip(b"=\n")


def _stanza(file_key: bytearray, recipient: bytes, drbg: "Drbg", between: "Callable[[], object] | None") -> bytes:
    """The X25519 recipient stanza: the file key, wrapped under a fresh secret shared with the recipient."""
    ephemeral = drbg.generate(32)
    share = public_key(ephemeral, between)
    shared = x25519(ephemeral, recipient, between)  # refuses a recipient of small order, as the specification demands
    wipe.wipe(ephemeral)
    wrap_key = hkdf(shared, share + bytes(recipient), b"age-encryption.org/v1/X25519", 32)
    wipe.wipe(shared)
    body = chacha20poly1305.seal(wrap_key, _ZERO_NONCE, file_key)
    wipe.wipe(wrap_key)
    return b"-> X25519 " + _base64(share) + b"\n" + _base64(body) + b"\n"


def envelope(
    payload: "Bytes", recipients: "Sequence[bytes]", drbg: "Drbg", between: "Callable[[], object] | None" = None
) -> bytes:
    """Encrypt 1 to 65536 bytes to every recipient (32-byte X25519 public keys): 102 + 98 n bytes more than the payload.

    Raises x25519.WeakKeyError for a recipient of small order. Takes about 0.4 s a recipient on the chip, in
    which `between` is called every 10 ms. Ends with
    sweeping.sweep(): afterwards the heap holds the payload where the caller keeps it, and nothing that opens the envelope.
    """
    if not 0 < len(payload) <= _CHUNK_BYTES or not recipients:
        raise ValueError("1 to 65536 bytes, at least one recipient")
    file_key = drbg.generate(_FILE_KEY_BYTES)
    try:
        head = b"age-encryption.org/v1\n"
        for recipient in recipients:
            head += _stanza(file_key, recipient, drbg, between)
        head += b"---"
        tag = bytearray(32)
        mac_key = hkdf(file_key, b"", b"header", 32)
        mac.hmac_into(tag, mac_key, head)
        nonce = drbg.generate(_NONCE_BYTES)
        stream_key = hkdf(file_key, nonce, b"payload", 32)
        sealed = chacha20poly1305.seal(stream_key, _LAST_CHUNK_NONCE, payload)
        wipe.wipe(mac_key)
        wipe.wipe(stream_key)
        return head + b" " + _base64(tag) + b"\n" + bytes(nonce) + sealed
    finally:
        wipe.wipe(file_key)
        sweeping.sweep()
