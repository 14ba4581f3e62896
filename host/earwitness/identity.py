"""The owner's key: an ordinary age X25519 identity, which ordinary age tools open and back up as well."""

from __future__ import annotations

from typing import Final

import bech32
import pyrage
from pyrage import x25519

from earwitness.errors import KeyMissingError, UsageError

_SECRET_PREFIX: Final = "age-secret-key-"
_PUBLIC_PREFIX: Final = "age"
_KEY_BYTES: Final = 32


def _decode(text: str, prefix: str) -> bytes | None:
    found, words = bech32.bech32_decode(text.strip())
    if found != prefix or words is None:
        return None
    raw = bech32.convertbits(words, 5, 8, False)
    return bytes(raw) if raw is not None and len(raw) == _KEY_BYTES else None


def recipient_bytes(recipient: str) -> bytes:
    """The raw 32-byte X25519 public key of an `age1…` recipient, as the recorder takes it."""
    raw = _decode(recipient, _PUBLIC_PREFIX)
    if raw is None:
        raise UsageError(
            "That is not an age public key.", "It starts with age1 and has 62 characters; check for a missing letter."
        )
    return raw


def recipient_text(raw: bytes) -> str:
    """The same the other way round: `age1…` of 32 raw bytes."""
    words = bech32.convertbits(raw, 8, 5)
    if len(raw) != _KEY_BYTES or words is None:
        raise UsageError("A public key has 32 bytes.")
    return str(bech32.bech32_encode(_PUBLIC_PREFIX, words))


class Identity:
    """The owner's secret key. `repr` and `str` never show it."""

    def __init__(self, inner: x25519.Identity) -> None:
        self._inner = inner

    @classmethod
    def generate(cls) -> Identity:
        """A new key from the operating system's random numbers."""
        return cls(x25519.Identity.generate())

    @classmethod
    def from_text(cls, text: str) -> Identity:
        """From `AGE-SECRET-KEY-1…`, comment lines (#) and blank lines allowed, as in age's own files."""
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        if len(lines) != 1:
            raise KeyMissingError("That holds no key, or more than one.", "Expected one line AGE-SECRET-KEY-1….")
        try:
            return cls(x25519.Identity.from_str(lines[0].upper()))
        except pyrage.IdentityError:
            raise KeyMissingError(
                "That is not a key: a letter is missing or wrong.",
                "Expected one line AGE-SECRET-KEY-1…, 74 characters.",
            ) from None

    @classmethod
    def from_secret(cls, secret: bytes) -> Identity:
        """From the 32 raw secret bytes (as the 24 words hold them)."""
        words = bech32.convertbits(secret, 8, 5)
        if len(secret) != _KEY_BYTES or words is None:
            raise KeyMissingError("A key has 32 bytes.")
        return cls.from_text(bech32.bech32_encode(_SECRET_PREFIX, words))

    @property
    def text(self) -> str:
        """`AGE-SECRET-KEY-1…`"""
        return str(self._inner)

    @property
    def secret(self) -> bytes:
        """The 32 raw secret bytes, for the 24 words."""
        raw = _decode(self.text, _SECRET_PREFIX)
        assert raw is not None
        return raw

    @property
    def recipient(self) -> str:
        """The public key, `age1…`: not secret."""
        return str(self._inner.to_public())

    @property
    def recipient_bytes(self) -> bytes:
        """The public key as 32 raw bytes."""
        return recipient_bytes(self.recipient)

    def open_envelope(self, envelope: bytes) -> bytes:
        """The payload of an age file made for this key; `KeyMissingError` if it was made for other keys."""
        try:
            return bytes(pyrage.decrypt(envelope, [self._inner]))
        except pyrage.DecryptError:
            raise KeyMissingError(
                "This recording was not made for your key.",
                "The recorder was paired with another key then. 'earwitness key restore' brings a key back.",
            ) from None

    def __repr__(self) -> str:
        return f"Identity({self.recipient})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Identity.from_text, (self.text,))
