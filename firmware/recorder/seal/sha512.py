"""SHA-512 (FIPS 180-4, 6.4) for Ed25519; the chip's hashlib has none.

Each 64-bit word is two 32-bit halves, low half first, so that the same code is right on 32-bit and on 64-bit machines:
`mask` drops what a 64-bit register keeps above the half, and a carry is told by comparing unsigned halves.
"""

import micropython
from micropython import const

from . import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Bytes = bytes | bytearray | memoryview

# Fractional parts of the cube roots of the first 80 primes (4.2.3) and of the square roots of the first 8 (5.3.5), each
# as a little-endian 64-bit word. The tests derive both again from the primes.
_ROUNDS = (
    b"\x22\xae\x28\xd7\x98\x2f\x8a\x42\xcd\x65\xef\x23\x91\x44\x37\x71\x2f\x3b\x4d\xec\xcf\xfb\xc0\xb5\xbc\xdb"
    b"\x89\x81\xa5\xdb\xb5\xe9\x38\xb5\x48\xf3\x5b\xc2\x56\x39\x19\xd0\x05\xb6\xf1\x11\xf1\x59\x9b\x4f\x19\xaf"
    b"\xa4\x82\x3f\x92\x18\x81\x6d\xda\xd5\x5e\x1c\xab\x42\x02\x03\xa3\x98\xaa\x07\xd8\xbe\x6f\x70\x45\x01\x5b"
    b"\x83\x12\x8c\xb2\xe4\x4e\xbe\x85\x31\x24\xe2\xb4\xff\xd5\xc3\x7d\x0c\x55\x6f\x89\x7b\xf2\x74\x5d\xbe\x72"
    b"\xb1\x96\x16\x3b\xfe\xb1\xde\x80\x35\x12\xc7\x25\xa7\x06\xdc\x9b\x94\x26\x69\xcf\x74\xf1\x9b\xc1\xd2\x4a"
    b"\xf1\x9e\xc1\x69\x9b\xe4\xe3\x25\x4f\x38\x86\x47\xbe\xef\xb5\xd5\x8c\x8b\xc6\x9d\xc1\x0f\x65\x9c\xac\x77"
    b"\xcc\xa1\x0c\x24\x75\x02\x2b\x59\x6f\x2c\xe9\x2d\x83\xe4\xa6\x6e\xaa\x84\x74\x4a\xd4\xfb\x41\xbd\xdc\xa9"
    b"\xb0\x5c\xb5\x53\x11\x83\xda\x88\xf9\x76\xab\xdf\x66\xee\x52\x51\x3e\x98\x10\x32\xb4\x2d\x6d\xc6\x31\xa8"
    b"\x3f\x21\xfb\x98\xc8\x27\x03\xb0\xe4\x0e\xef\xbe\xc7\x7f\x59\xbf\xc2\x8f\xa8\x3d\xf3\x0b\xe0\xc6\x25\xa7"
    b"\x0a\x93\x47\x91\xa7\xd5\x6f\x82\x03\xe0\x51\x63\xca\x06\x70\x6e\x0e\x0a\x67\x29\x29\x14\xfc\x2f\xd2\x46"
    b"\x85\x0a\xb7\x27\x26\xc9\x26\x5c\x38\x21\x1b\x2e\xed\x2a\xc4\x5a\xfc\x6d\x2c\x4d\xdf\xb3\x95\x9d\x13\x0d"
    b"\x38\x53\xde\x63\xaf\x8b\x54\x73\x0a\x65\xa8\xb2\x77\x3c\xbb\x0a\x6a\x76\xe6\xae\xed\x47\x2e\xc9\xc2\x81"
    b"\x3b\x35\x82\x14\x85\x2c\x72\x92\x64\x03\xf1\x4c\xa1\xe8\xbf\xa2\x01\x30\x42\xbc\x4b\x66\x1a\xa8\x91\x97"
    b"\xf8\xd0\x70\x8b\x4b\xc2\x30\xbe\x54\x06\xa3\x51\x6c\xc7\x18\x52\xef\xd6\x19\xe8\x92\xd1\x10\xa9\x65\x55"
    b"\x24\x06\x99\xd6\x2a\x20\x71\x57\x85\x35\x0e\xf4\xb8\xd1\xbb\x32\x70\xa0\x6a\x10\xc8\xd0\xd2\xb8\x16\xc1"
    b"\xa4\x19\x53\xab\x41\x51\x08\x6c\x37\x1e\x99\xeb\x8e\xdf\x4c\x77\x48\x27\xa8\x48\x9b\xe1\xb5\xbc\xb0\x34"
    b"\x63\x5a\xc9\xc5\xb3\x0c\x1c\x39\xcb\x8a\x41\xe3\x4a\xaa\xd8\x4e\x73\xe3\x63\x77\x4f\xca\x9c\x5b\xa3\xb8"
    b"\xb2\xd6\xf3\x6f\x2e\x68\xfc\xb2\xef\x5d\xee\x82\x8f\x74\x60\x2f\x17\x43\x6f\x63\xa5\x78\x72\xab\xf0\xa1"
    b"\x14\x78\xc8\x84\xec\x39\x64\x1a\x08\x02\xc7\x8c\x28\x1e\x63\x23\xfa\xff\xbe\x90\xe9\xbd\x82\xde\xeb\x6c"
    b"\x50\xa4\x15\x79\xc6\xb2\xf7\xa3\xf9\xbe\x2b\x53\x72\xe3\xf2\x78\x71\xc6\x9c\x61\x26\xea\xce\x3e\x27\xca"
    b"\x07\xc2\xc0\x21\xc7\xb8\x86\xd1\x1e\xeb\xe0\xcd\xd6\x7d\xda\xea\x78\xd1\x6e\xee\x7f\x4f\x7d\xf5\xba\x6f"
    b"\x17\x72\xaa\x67\xf0\x06\xa6\x98\xc8\xa2\xc5\x7d\x63\x0a\xae\x0d\xf9\xbe\x04\x98\x3f\x11\x1b\x47\x1c\x13"
    b"\x35\x0b\x71\x1b\x84\x7d\x04\x23\xf5\x77\xdb\x28\x93\x24\xc7\x40\x7b\xab\xca\x32\xbc\xbe\xc9\x15\x0a\xbe"
    b"\x9e\x3c\x4c\x0d\x10\x9c\xc4\x67\x1d\x43\xb6\x42\x3e\xcb\xbe\xd4\xc5\x4c\x2a\x7e\x65\xfc\x9c\x29\x7f\x59"
    b"\xec\xfa\xd6\x3a\xab\x6f\xcb\x5f\x17\x58\x47\x4a\x8c\x19\x44\x6c"
)
_START = (
    b"\x08\xc9\xbc\xf3\x67\xe6\x09\x6a\x3b\xa7\xca\x84\x85\xae\x67\xbb\x2b\xf8\x94\xfe\x72\xf3\x6e\x3c\xf1\x36"
    b"\x1d\x5f\x3a\xf5\x4f\xa5\xd1\x82\xe6\xad\x7f\x52\x0e\x51\x1f\x6c\x3e\x2b\x8c\x68\x05\x9b\x6b\xbd\x41\xfb"
    b"\xab\xd9\x83\x1f\x79\x21\x7e\x13\x19\xcd\xe0\x5b"
)


# The working memory, in 32-bit words: 160 of message schedule, 176 through which the state slides, 16 of terms.
_WORK_BYTES = const(1408)


@micropython.viper
def _compress(s: uint, x: uint, work: ptr32, state: ptr32, data: ptr8, rounds: ptr32):  # type: ignore  # noqa: F821
    """Work one 128-byte block into the state (16 words); `work` is _WORK_BYTES of scratch, left full of secrets.

    Every step handles one half: i counts them, even ones are low. Instead of moving a ... h down one place a round, the
    place where they are read moves up by one: the new a stands before the old one, the new e where d was. Pass 0 for `s`
    and `x`: viper keeps the first two locals, which are the parameters, in machine registers, and these are the busiest.
    """
    mask = uint(0xFFFF)  # type: ignore  # noqa: F821
    mask = mask << 16 | 0xFFFF
    term = ptr32(int(work) + 4 * 336)  # type: ignore  # noqa: F821
    i = 0
    while i < 16:
        work[320 + i] = state[i]
        i += 1
    i = 0
    while i < 160:
        half = i & 1
        if half == 0:
            term[12] = 0  # the carries of the three sums from the low half to the high one
            term[13] = 0
            term[14] = 0
        total = 1
        if i < 32:  # the first 16 words of the schedule are the block's, big-endian
            at = (i ^ 1) << 2
            work[i] = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
            term[5] = work[i]
        else:  # w[t] = w[t - 16] + sigma0(w[t - 15]) + w[t - 7] + sigma1(w[t - 2])
            total = 0
            here = ptr32(int(work) + 4 * (i - 32))  # type: ignore  # noqa: F821
            there = ptr32(int(work) + 4 * ((i ^ 1) - 32))  # type: ignore  # noqa: F821
            x = uint(here[2]) & mask  # type: ignore  # noqa: F821
            y = uint(there[2]) & mask  # type: ignore  # noqa: F821
            s = x >> 1 ^ y << 31 ^ x >> 8 ^ y << 24 ^ x >> 7
            if half == 0:
                s = s ^ y << 25
            term[1] = int(s)
            x = uint(here[28]) & mask  # type: ignore  # noqa: F821
            y = uint(there[28]) & mask  # type: ignore  # noqa: F821
            s = x >> 19 ^ y << 13 ^ y >> 29 ^ x << 3 ^ x >> 6
            if half == 0:
                s = s ^ y << 26
            term[3] = int(s)
            term[0] = here[0]
            term[2] = here[18]
        here = ptr32(int(work) + 4 * (320 - i + half + half))  # type: ignore  # noqa: F821
        there = ptr32(int(work) + 4 * (321 - i))  # type: ignore  # noqa: F821
        term[4] = here[6]  # d
        term[6] = here[14]  # h
        x = uint(here[8]) & mask  # type: ignore  # noqa: F821
        y = uint(there[8]) & mask  # type: ignore  # noqa: F821
        term[7] = int(x >> 14 ^ y << 18 ^ x >> 18 ^ y << 14 ^ y >> 9 ^ x << 23)  # Sigma1(e)
        term[8] = here[12] ^ here[8] & (here[10] ^ here[12])  # Ch(e, f, g)
        term[9] = rounds[i]
        x = uint(here[0]) & mask  # type: ignore  # noqa: F821
        y = uint(there[0]) & mask  # type: ignore  # noqa: F821
        term[10] = int(x >> 28 ^ y << 4 ^ y >> 2 ^ x << 30 ^ y >> 7 ^ x << 25)  # Sigma0(a)
        term[11] = here[0] & here[2] ^ here[4] & (here[0] ^ here[2])  # Maj(a, b, c)
        while total < 3:  # w[t] = terms 0 to 3, which becomes term 5; e = terms 4 to 9; a = terms 5 to 11
            at = 0
            stop = 4
            if total:
                at = total + 3
                stop = total + total + 8
            s = uint(term[12 + total])  # type: ignore  # noqa: F821
            carry = 0
            while at < stop:
                x = uint(term[at]) & mask  # type: ignore  # noqa: F821
                at += 1
                s = (x + s) & mask
                if s < x:
                    carry += 1
            term[12 + total] = carry
            if total:
                here[14 - (total << 3)] = int(s)
            else:
                work[i] = int(s)
                term[5] = int(s)
            total += 1
        i += 1
    i = 0
    carry = 0
    while i < 16:
        x = uint(work[160 + i]) & mask  # type: ignore  # noqa: F821
        s = (uint(state[i]) + uint(carry) + x) & mask  # type: ignore  # noqa: F821
        state[i] = int(s)
        carry = 0
        if s < x:  # after a high half this is not the carry: there one came in, and none may go out
            carry = 1 - (i & 1)
        i += 1


def slices(out: bytearray, *parts: "Bytes") -> "Iterator[None]":
    """Write SHA-512 over the parts into `out` (64 bytes); yields after each block of 128 bytes, about 4 ms on the chip.

    The padded message is made in memory: for notes and keys, not for files. Wipes its copies.
    """
    size = 0
    for part in parts:
        size += len(part)
    message = bytearray((size + 17 + 127) & ~127)  # 0x80, zeros, 128-bit length (5.1.2)
    view = memoryview(message)
    at = 0
    for part in parts:
        wipe.copy(view[at:], part, len(part))
        at += len(part)
    message[at] = 0x80
    for i in range(4):
        message[-1 - i] = size * 8 >> 8 * i & 0xFF
    state = bytearray(_START)
    work = bytearray(_WORK_BYTES)
    for at in range(0, len(message), 128):
        _compress(0, 0, work, state, view[at:], _ROUNDS)
        yield
    for i in range(64):
        out[i] = state[i ^ 7]
    for secret in (message, state, work):
        wipe.wipe(secret)


def sha512(*parts: "Bytes") -> bytes:
    """SHA-512 over the parts, one after the other. Wipe the result if it is secret."""
    out = bytearray(64)
    for _block in slices(out, *parts):
        pass
    digest = bytes(out)
    wipe.wipe(out)
    return digest
