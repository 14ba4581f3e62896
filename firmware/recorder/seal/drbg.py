"""HMAC-DRBG with SHA-256 (NIST SP 800-90A Rev. 1, 10.1.2), without prediction resistance.

Feeding it is the caller's business (store/seeds, hal.entropy, the host): 32 bytes of entropy make 256-bit strength.
After every call the state is moved on, so that an output cannot be found again from a later state.
"""

from micropython import const

from . import mac, wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    Bytes = bytes | bytearray | memoryview

_MAX_REQUEST_BYTES = const(65536)  # SP 800-90A table 2: 2**19 bits a request


class Drbg:
    """One generator. `entropy` >= 32 bytes, `nonce` >= 16 bytes, `personal` any (table 2, 8.6.7)."""

    def __init__(self, entropy: "Bytes", nonce: "Bytes", personal: "Bytes" = b"") -> None:
        if len(entropy) < 32 or len(nonce) < 16:
            raise ValueError("too little entropy")
        self._key = bytearray(32)
        self._value = bytearray(b"\x01" * 32)
        self._update(entropy, nonce, personal)

    def reseed(self, data: "Bytes") -> None:
        """Mix fresh entropy in; it never makes the state worse."""
        self._update(data)

    def generate(self, count: int, additional: "Bytes" = b"") -> bytearray:
        """`count` <= 65536 random bytes."""
        if not 0 <= count <= _MAX_REQUEST_BYTES:
            raise ValueError("at most 65536 bytes")
        if additional:
            self._update(additional)
        out = bytearray(count)
        at = 0
        while at < count:
            mac.hmac_into(self._value, self._key, self._value)
            take = min(32, count - at)
            wipe.copy(memoryview(out)[at:], self._value, take)
            at += take
        self._update(additional)
        return out

    def _update(self, *data: "Bytes") -> None:
        """10.1.2.2: key and value from the old ones and the data; the second pass only where there is data."""
        some = any(len(part) for part in data)
        for separator in (b"\x00", b"\x01") if some else (b"\x00",):
            mac.hmac_into(self._key, self._key, self._value, separator, *data)
            mac.hmac_into(self._value, self._key, self._value)
