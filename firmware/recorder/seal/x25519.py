"""X25519 (RFC 7748, 5): the Montgomery ladder."""

from micropython import const

from ..errors import RecorderError
from . import field25519, wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    Bytes = bytes | bytearray | memoryview

# Registers: 2, 4 X2, Z2; 3, 5 X3, Z3; 6 to 9 scratch; 10 the u coordinate; 11 a24 = 121665. Programs: see field25519.
_REGISTERS = const(12)
_STEP_0 = (
    b"\x01\x06\x02\x04"  # A = X2 + Z2
    b"\x02\x07\x02\x04"  # B = X2 - Z2
    b"\x01\x08\x03\x05"  # C = X3 + Z3
    b"\x02\x09\x03\x05"  # D = X3 - Z3
    b"\x00\x08\x08\x07"  # CB = C * B
    b"\x00\x09\x09\x06"  # DA = D * A
    b"\x01\x03\x09\x08"
    b"\x00\x03\x03\x03"  # X3 = (DA + CB)^2
    b"\x02\x05\x09\x08"
    b"\x00\x05\x05\x05"
    b"\x00\x05\x05\x0a"  # Z3 = u * (DA - CB)^2
    b"\x00\x06\x06\x06"  # AA = A^2
    b"\x00\x07\x07\x07"  # BB = B^2
    b"\x00\x02\x06\x07"  # X2 = AA * BB
    b"\x02\x07\x06\x07"  # E = AA - BB
    b"\x00\x08\x07\x0b"
    b"\x01\x08\x08\x06"
    b"\x00\x04\x07\x08"  # Z2 = E * (AA + a24 * E)
)
# For a scalar bit of 1 the two points change places: the same program with registers 2, 3 and 4, 5 exchanged. The
# operation codes stand at every fourth byte and stay.
_STEP_1 = bytes(b ^ 1 if i & 3 and 2 <= b <= 5 else b for i, b in enumerate(_STEP_0))
_STEPS = (_STEP_0, _STEP_1)
_QUOTIENT = b"\x00\x02\x02\x04"  # X2 = X2 * Z2, with Z2 inverted before


class WeakKeyError(RecorderError):
    """A public key of small order: whatever the secret, the shared secret would be zero, known to everybody."""


def x25519(scalar: "Bytes", u: "Bytes", between: "Callable[[], object] | None" = None) -> bytes:
    """The shared secret (32 bytes) of a secret scalar and a public u coordinate, 32 bytes each; wipe it after use.

    Raises WeakKeyError where it would be zero (RFC 7748, 6.1). About 0.2 s on the chip, in which `between` is called every
    10 ms. Leaves no copies.
    """
    if len(scalar) != 32 or len(u) != 32:
        raise ValueError("32-byte keys")
    size = field25519.REGISTER_BYTES
    registers = bytearray(_REGISTERS * size)
    view = memoryview(registers)
    registers[2 * size] = registers[5 * size] = 1  # X2 = Z3 = 1
    wipe.copy(view[10 * size :], u, 32)
    registers[11 * size - 1] &= 0x7F  # the top bit of u is to be ignored
    wipe.copy(view[3 * size :], view[10 * size :], 32)  # X3 = u
    wipe.copy(view[11 * size :], b"\x41\xdb\x01", 3)
    for bit in range(254, -1, -1):
        byte = scalar[bit >> 3]
        if bit < 8:
            byte &= 0xF8  # clamped as 5 says: bits 0 to 2 clear, bit 254 set
        elif bit == 254:
            byte |= 0x40
        program = _STEPS[byte >> (bit & 7) & 1]
        field25519.run(0, len(_STEP_0), registers, program, registers)
        if between is not None and not bit & 7:
            between()
    cuts = field25519.INVERT_CUTS
    for i in range(len(cuts) - 1):
        field25519.run(cuts[i], cuts[i + 1], registers, field25519.INVERT, registers)
        if between is not None:
            between()
    field25519.run(0, len(_QUOTIENT), registers, _QUOTIENT, registers)
    shared = view[2 * size : 3 * size]
    field25519.freeze(shared)
    secret = bytes(shared)
    wipe.wipe(registers)
    if not any(secret):
        raise WeakKeyError("public key of small order")
    return secret


def public_key(scalar: "Bytes", between: "Callable[[], object] | None" = None) -> bytes:
    """The public key of a secret scalar: its product with u = 9."""
    return x25519(scalar, b"\x09" + bytes(31), between)
