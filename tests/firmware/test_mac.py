"""SHA-256 and HMAC: RFC 4231, and the host's own on random inputs."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable
from typing import Any

Mpy = Callable[..., list[Any]]

# RFC 4231, 4.2 to 4.8: key, data, HMAC-SHA-256
_RFC_4231 = [
    ("0b" * 20, b"Hi There".hex(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe".hex(),
        b"what do ya want for nothing?".hex(),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    ("aa" * 20, "dd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        bytes(range(1, 26)).hex(),
        "cd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        "aa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First".hex(),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]


def test_hmac_gives_the_rfc_4231_results(mpy: Mpy) -> None:
    source = """
        from recorder.seal import mac
        for key, data, _ in ARGS["cases"]:
            out = bytearray(32)
            mac.hmac_into(out, bytes.fromhex(key), bytes.fromhex(data))
            emit(out.hex())
    """
    assert mpy(source, args={"cases": _RFC_4231}) == [result for _, _, result in _RFC_4231]


def test_hash_and_hmac_agree_with_the_host_on_random_parts(mpy: Mpy) -> None:
    rng = random.Random(4231)
    cases = [
        {
            "key": rng.randbytes(rng.choice([0, 1, 31, 32, 33, 63, 64, 65, 100])).hex(),
            "parts": [
                rng.randbytes(rng.choice([0, 1, 32, 55, 56, 63, 64, 65, 200])).hex() for _ in range(rng.randrange(6))
            ],
            "size": rng.choice([1, 16, 31, 32]),
        }
        for _ in range(120)
    ]
    source = """
        from recorder.seal import mac
        for case in ARGS["cases"]:
            parts = [bytes.fromhex(part) for part in case["parts"]]
            tag, digest = bytearray(case["size"]), bytearray(case["size"])
            mac.hmac_into(tag, bytes.fromhex(case["key"]), *(parts or [b""]))
            mac.sha256_into(memoryview(digest), b"".join(parts))
            emit([tag.hex(), digest.hex(), mac.sha256(*(parts or [b""])).hex()])
    """
    expected = []
    for case in cases:
        data = bytes.fromhex("".join(case["parts"]))
        digest = hashlib.sha256(data).hexdigest()
        tag = hmac.new(bytes.fromhex(case["key"]), data, hashlib.sha256).hexdigest()
        expected.append([tag[: 2 * case["size"]], digest[: 2 * case["size"]], digest])
    assert mpy(source, args={"cases": cases}) == expected


def test_the_result_may_overwrite_its_own_key(mpy: Mpy) -> None:
    source = """
        from recorder.seal import mac
        key = bytearray(range(32))
        mac.hmac_into(key, key, b"next")
        emit(key.hex())
    """
    assert mpy(source) == [hmac.new(bytes(range(32)), b"next", hashlib.sha256).hexdigest()]


def test_a_refused_call_leaves_no_trace_in_the_next_one(mpy: Mpy) -> None:
    source = """
        from recorder.seal import mac
        def refused(call):
            try:
                call()
            except (TypeError, ValueError):
                return True
        emit(refused(lambda: mac.sha256(b"abc", 5)))
        emit(refused(lambda: mac.hmac_into(bytearray(32), bytes(32), b"abc", None)))
        emit(refused(lambda: mac.sha256_into(bytearray(33), b"abc")))
        emit([mac.sha256(b"abc").hex(), bytes(mac._pad) == bytes(64)])
    """
    abc = hashlib.sha256(b"abc").hexdigest()
    assert mpy(source) == [True, True, True, [abc, True]]


def test_equal_compares_every_byte_and_the_length(mpy: Mpy) -> None:
    source = """
        from recorder.seal import mac
        tag = bytes(range(32))
        emit(mac.equal(tag, bytearray(tag)))
        emit([mac.equal(tag, tag[:i] + bytes([tag[i] ^ 0x80]) + tag[i + 1:]) for i in range(32)])
        emit([mac.equal(tag, tag[:31]), mac.equal(tag[:31], tag), mac.equal(b"", b"")])
    """
    assert mpy(source) == [True, [False] * 32, [False, False, True]]
