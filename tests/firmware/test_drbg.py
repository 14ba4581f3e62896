"""HMAC-DRBG: a NIST CAVP vector, and an independent implementation on random calls."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .reference_drbg import ReferenceDrbg

Mpy = Callable[..., list[Any]]

# CAVP drbgvectors_no_reseed, HMAC_DRBG, SHA-256, no prediction resistance, no personalization, COUNT = 0:
# two requests of 1024 bits, the second is given.
_ENTROPY = "ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488"
_NONCE = "659ba96c601dc69fc902940805ec0ca8"
_RETURNED = (
    "e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89d54fbb978a15b5c443c9ec21036d2460"
    "b6f73ebad0dc2aba6e624abf07745bc107694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668"
    "961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8"
)

_CALLS = """
from recorder.seal.drbg import Drbg
for case in ARGS["cases"]:
    source = Drbg(bytes.fromhex(case["entropy"]), bytes.fromhex(case["nonce"]), bytes.fromhex(case["personal"]))
    for name, data, count in case["calls"]:
        if name == "reseed":
            source.reseed(bytes.fromhex(data))
        else:
            emit(source.generate(count, bytes.fromhex(data)).hex())
"""


def test_the_nist_vector_comes_out(mpy: Mpy) -> None:
    calls = [("generate", "", 128), ("generate", "", 128)]
    case = {"entropy": _ENTROPY, "nonce": _NONCE, "personal": "", "calls": calls}
    assert mpy(_CALLS, args={"cases": [case]})[1] == _RETURNED


def test_it_agrees_with_an_independent_implementation_on_random_calls(mpy: Mpy) -> None:
    rng = random.Random(90)
    cases, expected = [], []
    for _ in range(25):
        entropy, nonce, personal = (
            rng.randbytes(32 + rng.randrange(40)),
            rng.randbytes(16),
            rng.randbytes(rng.choice([0, 9])),
        )
        reference = ReferenceDrbg(entropy, nonce, personal)
        calls = []
        for _ in range(6):
            data, count = rng.randbytes(rng.choice([0, 0, 1, 32])), rng.choice([0, 1, 31, 32, 33, 64, 100])
            if rng.random() < 0.3:
                reference.reseed(data)
                calls.append(("reseed", data.hex(), 0))
            else:
                expected.append(reference.generate(count, data).hex())
                calls.append(("generate", data.hex(), count))
        cases.append({"entropy": entropy.hex(), "nonce": nonce.hex(), "personal": personal.hex(), "calls": calls})
    assert mpy(_CALLS, args={"cases": cases}) == expected


def test_the_state_moves_on_after_every_output(mpy: Mpy) -> None:
    source = """
        from recorder.seal.drbg import Drbg
        source = Drbg(bytes(32), bytes(16))
        out = source.generate(32)
        emit([bytes(out) != bytes(source._value), bytes(out) != bytes(source._key), source.generate(32) != out])
    """
    assert mpy(source) == [[True, True, True]]


def test_too_little_entropy_and_too_much_output_are_refused(mpy: Mpy) -> None:
    source = """
        from recorder.seal.drbg import Drbg
        def refused(call):
            try:
                call()
            except ValueError:
                return True
            return False
        source = Drbg(bytes(32), bytes(16))
        emit([refused(lambda: Drbg(bytes(31), bytes(16))), refused(lambda: Drbg(bytes(32), bytes(15)))])
        emit([refused(lambda: source.generate(65537)), refused(lambda: source.generate(-1))])
    """
    assert mpy(source) == [[True, True], [True, True]]
