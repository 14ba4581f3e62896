"""HMAC-DRBG with SHA-256 written anew from NIST SP 800-90A, 10.1.2, on the host's own HMAC."""

from __future__ import annotations

import hashlib
import hmac


class ReferenceDrbg:
    def __init__(self, entropy: bytes, nonce: bytes, personal: bytes = b"") -> None:
        self.k, self.v = b"\x00" * 32, b"\x01" * 32
        self._update(entropy + nonce + personal)

    def _hmac(self, data: bytes) -> bytes:
        return hmac.new(self.k, data, hashlib.sha256).digest()

    def _update(self, provided: bytes) -> None:
        self.k = self._hmac(self.v + b"\x00" + provided)
        self.v = self._hmac(self.v)
        if provided:
            self.k = self._hmac(self.v + b"\x01" + provided)
            self.v = self._hmac(self.v)

    def reseed(self, entropy: bytes) -> None:
        self._update(entropy)

    def generate(self, count: int, additional: bytes = b"") -> bytes:
        if additional:
            self._update(additional)
        out = b""
        while len(out) < count:
            self.v = self._hmac(self.v)
            out += self.v
        self._update(additional)
        return out[:count]
