"""One session's keys (LINK.md, "Sessions" and "Sealed frames"). The host proves first, then the recorder."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from earwitness.link.frames import Frame

TAG_BYTES: Final = 16
_COUNTER_BYTES: Final = 4
_LAST_COUNTER: Final = 0x3FFFFFFF
_LABEL: Final = b"earwitness/v1/link/"


def _mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), sha256)


class Channel:
    """Seals what goes to the recorder and opens what comes from it, once both have proved the link secret."""

    def __init__(self, link_secret: bytes, versions: bytes, host_nonce: bytes, device_nonce: bytes) -> None:
        nonces = host_nonce + device_nonce
        self.proof = _mac(link_secret, _LABEL, b"proof\x01", versions, nonces)
        self._expected = _mac(link_secret, _LABEL, b"proof\x02", versions, nonces)

        def key(name: bytes) -> bytes:
            return HKDF(algorithm=SHA256(), length=32, salt=nonces, info=_LABEL + name).derive(link_secret)

        self._send_enc, self._send_mac = key(b"host/enc"), key(b"host/mac")
        self._receive_enc, self._receive_mac = key(b"device/enc"), key(b"device/mac")
        self._sent = 0
        self._received = 0

    def is_recorder(self, proof: bytes) -> bool:
        """Whether the other end knows the link secret too."""
        return hmac.compare_digest(proof, self._expected)

    def seal(self, head: bytes, text: bytes) -> bytes:
        """The payload of the next sealed frame with this head (type, request id)."""
        if self._sent >= _LAST_COUNTER:
            raise ValueError("session over")
        self._sent += 1
        number = self._sent.to_bytes(_COUNTER_BYTES, "little")
        sealed = number + _xor(_mac(self._send_enc, b"frame", number), text)
        return sealed + _mac(self._send_mac, head, sealed)[:TAG_BYTES]

    def unseal(self, frame: Frame) -> bytes | None:
        """The text of a sealed frame; None if it is not the recorder's, was changed, or comes again or too late."""
        sealed, tag = frame.payload[:-TAG_BYTES], frame.payload[-TAG_BYTES:]
        if len(sealed) <= _COUNTER_BYTES:
            return None
        if not hmac.compare_digest(_mac(self._receive_mac, frame.head, sealed)[:TAG_BYTES], tag):
            return None
        number = int.from_bytes(sealed[:_COUNTER_BYTES], "little")
        if not self._received < number <= _LAST_COUNTER:
            return None
        self._received = number
        return _xor(_mac(self._receive_enc, b"frame", sealed[:_COUNTER_BYTES]), sealed[_COUNTER_BYTES:])


def _xor(key: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(data)
