"""X25519: RFC 7748, 5.2, the host's on random inputs, and every public key of small order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

Mpy = Callable[..., list[Any]]

_MULTIPLY = """
from recorder.seal import x25519
for scalar, u in ARGS["cases"]:
    emit(x25519.x25519(bytes.fromhex(scalar), bytes.fromhex(u)).hex())
"""

_RFC_7748 = [  # scalar, u, result (5.2)
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
]

# The results of iterating (k, u) = (x25519(k, u), k) from k = u = 9, after 1 and 1,000 rounds (5.2).
_ITERATED = {
    1: "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
    1000: "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
}


def test_products_are_those_of_rfc_7748(mpy: Mpy) -> None:
    got = mpy(_MULTIPLY, args={"cases": [(scalar, u) for scalar, u, _ in _RFC_7748]})
    assert got == [result for _, _, result in _RFC_7748]


@pytest.mark.parametrize("rounds", [1, pytest.param(1000, marks=pytest.mark.long)])
def test_iterating_gives_the_rfc_7748_results(mpy: Mpy, rounds: int) -> None:
    source = """
        from recorder.seal import x25519
        k = u = b"\x09" + bytes(31)
        for _ in range(ARGS["rounds"]):
            k, u = x25519.x25519(k, u), k
        emit(k.hex())
    """
    assert mpy(source, args={"rounds": rounds}) == [_ITERATED[rounds]]


def test_products_and_public_keys_agree_with_the_host_on_random_inputs(mpy: Mpy) -> None:
    """Among them points with the top bit set and points at and beyond p, which must be taken modulo p (section 5)."""
    rng = random.Random(7748)
    cases = [(rng.randbytes(32), rng.randbytes(32)) for _ in range(60)]
    cases += [(rng.randbytes(32), (2**255 - 19 + k).to_bytes(32, "little")) for k in range(2, 19)]
    cases += [(b"\x00" * 32, rng.randbytes(32)), (b"\xff" * 32, rng.randbytes(32))]
    source = (
        _MULTIPLY
        + """
for scalar, _ in ARGS["cases"]:
    emit(x25519.public_key(bytes.fromhex(scalar)).hex())
"""
    )
    expected, publics = [], []
    for scalar, u in cases:
        private = X25519PrivateKey.from_private_bytes(scalar)
        expected.append(private.exchange(X25519PublicKey.from_public_bytes(u)).hex())
        publics.append(private.public_key().public_bytes_raw().hex())
    assert mpy(source, args={"cases": [(scalar.hex(), u.hex()) for scalar, u in cases]}) == expected + publics


_P = 2**255 - 19
_ORDER_8 = 325606250916557431795983626356110631294008115727848805560023387167927233504
_SMALL_ORDER = [0, 1, _ORDER_8, _P - 1, _P, _P + 1]


@pytest.mark.parametrize("top_bit", [0, 1])
def test_public_keys_of_small_order_are_refused(mpy: Mpy, top_bit: int) -> None:
    order_8_twin = 39382357235489614581723060781553021112529911719440698176882885853963445705823
    keys = [(u | top_bit << 255).to_bytes(32, "little").hex() for u in [*_SMALL_ORDER, order_8_twin]]
    source = """
        from recorder.errors import RecorderError
        from recorder.seal import x25519
        for key in ARGS["keys"]:
            try:
                x25519.x25519(bytes(range(32)), bytes.fromhex(key))
                emit("taken")
            except x25519.WeakKeyError as error:
                emit([isinstance(error, RecorderError), str(error)])
    """
    assert mpy(source, args={"keys": keys}) == [[True, "public key of small order"]] * 7


def test_keys_of_a_wrong_length_are_refused(mpy: Mpy) -> None:
    source = """
        from recorder.seal import x25519
        for scalar, u in ((31, 32), (33, 32), (32, 31), (32, 33)):
            try:
                x25519.x25519(bytes(scalar), bytes(u))
                emit("taken")
            except ValueError:
                emit("refused")
    """
    assert mpy(source) == ["refused"] * 4
