"""ChaCha20-Poly1305 (RFC 8439), sealing only: for key envelopes, a few hundred bytes at most.

Poly1305 works on big integers, whose remains stay in the freed heap: end with `sweeping.sweep` where that matters.
"""

import struct

import micropython

from . import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    Bytes = bytes | bytearray | memoryview

_SIGMA = b"expand 32-byte k"
_QUARTERS = (  # which words the eight quarter rounds of a double round work on: four columns, four diagonals (2.3)
    b"\x00\x04\x08\x0c\x01\x05\x09\x0d\x02\x06\x0a\x0e\x03\x07\x0b\x0f"
    b"\x00\x05\x0a\x0f\x01\x06\x0b\x0c\x02\x07\x08\x0d\x03\x04\x09\x0e"
)
_PRIME = (1 << 130) - 5
_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF


@micropython.viper
def _scramble(block: ptr32, state: ptr32, quarters: ptr8):  # type: ignore  # noqa: F821
    """block = state after twenty rounds, plus state. Masked to 32 bits: right on machines of either word size."""
    mask = uint(0xFFFF)  # type: ignore  # noqa: F821
    mask = mask << 16 | 0xFFFF
    i = 0
    while i < 16:
        block[i] = state[i]
        i += 1
    i = 0
    while i < 80:
        at = (i & 7) << 2
        ia = quarters[at]
        ib = quarters[at + 1]
        ic = quarters[at + 2]
        id_ = quarters[at + 3]
        a = uint(block[ia])  # type: ignore  # noqa: F821
        b = uint(block[ib]) & mask  # type: ignore  # noqa: F821
        c = uint(block[ic])  # type: ignore  # noqa: F821
        d = uint(block[id_]) & mask  # type: ignore  # noqa: F821
        a = a + b
        d = (d ^ a) & mask
        d = (d << 16 | d >> 16) & mask
        c = c + d
        b = (b ^ c) & mask
        b = (b << 12 | b >> 20) & mask
        a = a + b
        d = (d ^ a) & mask
        d = (d << 8 | d >> 24) & mask
        c = c + d
        b = (b ^ c) & mask
        b = b << 7 | b >> 25
        block[ia] = int(a)
        block[ib] = int(b)
        block[ic] = int(c)
        block[id_] = int(d)
        i += 1
    i = 0
    while i < 16:
        block[i] = block[i] + state[i]
        i += 1


def _xor(key: "Bytes", counter: int, nonce: "Bytes", data: bytearray) -> None:
    """ChaCha20 (2.4) over `data` in place, from block `counter` on."""
    state = bytearray(64)
    block = bytearray(64)
    wipe.copy(state, _SIGMA, 16)
    wipe.copy(memoryview(state)[16:], key, 32)
    wipe.copy(memoryview(state)[52:], nonce, 12)
    for at in range(0, len(data), 64):
        struct.pack_into("<I", state, 48, counter)
        _scramble(block, state, _QUARTERS)
        for i in range(min(64, len(data) - at)):
            data[at + i] ^= block[i]
        counter += 1
    wipe.wipe(state)
    wipe.wipe(block)


def _poly1305(key: bytearray, message: bytearray) -> bytes:
    """The 16-byte tag (2.5) of a message of whole 16-byte blocks under a 32-byte one-time key."""
    r = int.from_bytes(key[:16], "little") & _CLAMP
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16], "little") + (1 << 128)) * r % _PRIME
    total += int.from_bytes(key[16:], "little")
    return (total & ((1 << 128) - 1)).to_bytes(16, "little")


def seal(key: "Bytes", nonce: "Bytes", plaintext: "Bytes", aad: "Bytes" = b"") -> bytes:
    """Ciphertext and 16-byte tag (2.8) under a 32-byte key and a 12-byte nonce, which must never come twice."""
    if len(key) != 32 or len(nonce) != 12:
        raise ValueError("32-byte key, 12-byte nonce")
    sealed = bytearray(plaintext)
    _xor(key, 1, nonce, sealed)
    one_time_key = bytearray(32)
    _xor(key, 0, nonce, one_time_key)
    lengths = struct.pack("<QQ", len(aad), len(sealed))
    covered = bytearray(aad) + bytes(-len(aad) % 16) + sealed + bytes(-len(sealed) % 16) + lengths
    tag = _poly1305(one_time_key, covered)
    wipe.wipe(one_time_key)
    return bytes(sealed) + tag
