"""SHA-512: FIPS 180-4 examples, the host's on every length about the block, and the constants from the primes."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from math import isqrt
from typing import Any

Mpy = Callable[..., list[Any]]

_EXAMPLES = [  # NIST, FIPS 180-4 example values for SHA-512
    (
        b"abc",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
    (
        b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
        b"ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
        "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
    ),
]

_HASH = """
from recorder.seal.sha512 import sha512
for parts in ARGS["cases"]:
    emit(sha512(*[bytes.fromhex(part) for part in parts]).hex())
"""


def test_sha512_gives_the_published_results(mpy: Mpy) -> None:
    assert mpy(_HASH, args={"cases": [[message.hex()] for message, _ in _EXAMPLES]}) == [d for _, d in _EXAMPLES]


def test_sha512_agrees_with_the_host_on_every_length_about_the_block(mpy: Mpy) -> None:
    rng = random.Random(512)
    cases = [[rng.randbytes(length)] for length in [*range(0, 20), *range(105, 135), *range(238, 260), 5000]]
    cases += [[rng.randbytes(rng.randrange(90)) for _ in range(rng.randrange(5))] for _ in range(40)]
    cases += [[b"\xff" * 200], [b"\x80" * 128], [b"\x7f" * 64, b"\xff" * 64]]
    got = mpy(_HASH, args={"cases": [[part.hex() for part in parts] for parts in cases]})
    assert got == [hashlib.sha512(b"".join(parts)).hexdigest() for parts in cases]


def test_parts_may_be_any_buffer(mpy: Mpy) -> None:
    source = """
        from recorder.seal.sha512 import sha512
        data = bytearray(range(100))
        emit(sha512(data, memoryview(data)[3:50], bytes(data)).hex())
    """
    data = bytes(range(100))
    assert mpy(source) == [hashlib.sha512(data + data[3:50] + data).hexdigest()]


def _primes() -> Iterator[int]:
    return (n for n in itertools.count(2) if all(n % d for d in range(2, isqrt(n) + 1)))


def _cube_root(n: int) -> int:
    low, high = 0, 1 << (n.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= n else (low, middle - 1)
    return low


def test_the_constants_are_the_roots_of_the_primes(mpy: Mpy) -> None:
    source = """
        from recorder.seal import sha512
        emit([sha512._ROUNDS.hex(), sha512._START.hex()])
    """
    primes = list(itertools.islice(_primes(), 80))
    low = (1 << 64) - 1
    rounds = b"".join((_cube_root(p << 192) & low).to_bytes(8, "little") for p in primes)
    start = b"".join((isqrt(p << 128) & low).to_bytes(8, "little") for p in primes[:8])
    assert mpy(source) == [[rounds.hex(), start.hex()]]
