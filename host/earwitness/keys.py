"""The recording key and the ratchet of page keys (FORMAT.md, "Keys")."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from earwitness.errors import IntegrityError
from earwitness.page import TAG_OFFSET, Header

_KEY_BYTES = 32
_INNER = bytes(byte ^ 0x36 for byte in range(256))  # RFC 2104: ipad and opad as translation tables
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_FILL = bytes(64 - _KEY_BYTES)
_COUNTER_ZERO = CTR(bytes(16))


class Opener(Protocol):
    """Whoever holds the owner's identity: opens the age envelope of a header."""

    def open_envelope(self, envelope: bytes, /) -> bytes:
        """The payload of the envelope; raises KeyMissingError if this identity is none of its recipients."""


def hmac32(key: bytes, message: bytes) -> bytes:
    """M(key, message) for a 32-byte key. By hand, because `hmac.digest` costs a third more on so short messages."""
    block = key + _FILL
    return sha256(block.translate(_OUTER) + sha256(block.translate(_INNER) + message).digest()).digest()


def _hmac_pair(key: bytes, first: bytes, second: bytes) -> tuple[bytes, bytes]:
    block = key + _FILL
    inner, outer = block.translate(_INNER), block.translate(_OUTER)
    return (
        sha256(outer + sha256(inner + first).digest()).digest(),
        sha256(outer + sha256(inner + second).digest()).digest(),
    )


def recording_key(header: Header, opener: Opener) -> bytes:
    """The 32-byte recording key out of the header's envelope."""
    key = opener.open_envelope(header.envelope)
    if len(key) != _KEY_BYTES:
        raise IntegrityError("The envelope of this recording opens, but what is inside is no recording key.")
    return key


def chain_key(key: bytes, header: Header) -> bytes:
    """CK_1 of a recording: bound to every byte of its header up to the tag."""
    salt = sha256(memoryview(header.page)[:TAG_OFFSET]).digest()
    return HKDF(SHA256(), _KEY_BYTES, salt, b"earwitness/v1/chain").derive(key)


def page_keys(page_key: bytes) -> tuple[bytes, bytes]:
    """(enc_i, mac_i) of one page, from its K_i: 32 bytes each. An excerpt discloses K_i and no more."""
    return _hmac_pair(page_key, b"enc", b"mac")


def open_body(enc: bytes, sealed: memoryview | bytes) -> bytes:
    """AES-256-CTR from counter 0: the plain body of a page."""
    return Cipher(AES256(enc), _COUNTER_ZERO).decryptor().update(sealed)


class Ratchet:
    """Walks K_1, K_2, … of one recording; there is no way back."""

    __slots__ = ("_chain", "index")

    def __init__(self, key: bytes, header: Header) -> None:
        self._chain = chain_key(key, header)
        self.index = 1  # of the page whose key comes next

    def page_key(self, index: int) -> bytes:
        """K_index; `index` may skip pages that are missing, never go back."""
        if index < self.index:
            raise ValueError("the ratchet turns one way")
        while self.index < index:
            self._chain = hmac32(self._chain, b"next")
            self.index += 1
        key, self._chain = _hmac_pair(self._chain, b"page", b"next")
        self.index += 1
        return key
