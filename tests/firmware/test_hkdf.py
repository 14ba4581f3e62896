"""HKDF-SHA-256: RFC 5869, appendix A, and the host's on random inputs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Mpy = Callable[..., list[Any]]

_DERIVE = """
from recorder.seal.hkdf import hkdf
for ikm, salt, info, length in ARGS["cases"]:
    emit(hkdf(bytes.fromhex(ikm), bytes.fromhex(salt), bytes.fromhex(info), length).hex())
"""

_RFC_5869 = [
    (
        ("0b" * 22, bytes(range(13)).hex(), bytes(range(0xF0, 0xFA)).hex(), 42),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        (bytes(range(80)).hex(), bytes(range(0x60, 0xB0)).hex(), bytes(range(0xB0, 0x100)).hex(), 82),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        ("0b" * 22, "", "", 42),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


def test_hkdf_gives_the_rfc_5869_results(mpy: Mpy) -> None:
    assert mpy(_DERIVE, args={"cases": [case for case, _ in _RFC_5869]}) == [okm for _, okm in _RFC_5869]


def test_hkdf_agrees_with_the_host_on_random_inputs(mpy: Mpy) -> None:
    rng = random.Random(5869)
    cases = [
        (
            rng.randbytes(rng.randrange(1, 90)),
            rng.randbytes(rng.randrange(90)),
            rng.randbytes(rng.randrange(90)),
            length,
        )
        for length in [1, 16, 31, 32, 33, 64, 65, 500, 8160]
    ]
    got = mpy(_DERIVE, args={"cases": [(a.hex(), b.hex(), c.hex(), n) for a, b, c, n in cases]})
    assert got == [HKDF(hashes.SHA256(), n, salt, info).derive(ikm).hex() for ikm, salt, info, n in cases]


def test_more_than_255_blocks_are_refused(mpy: Mpy) -> None:
    source = """
        from recorder.seal.hkdf import hkdf
        for length in (0, 8161):
            try:
                hkdf(b"k", b"", b"", length)
                emit("given")
            except ValueError:
                emit("refused")
    """
    assert mpy(source) == ["refused", "refused"]
