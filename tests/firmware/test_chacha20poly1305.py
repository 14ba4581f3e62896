"""ChaCha20-Poly1305: RFC 8439, 2.8.2, and the host's on random inputs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

Mpy = Callable[..., list[Any]]

_SEAL = """
from recorder.seal import chacha20poly1305
for case in ARGS["cases"]:
    emit(chacha20poly1305.seal(*[bytes.fromhex(field) for field in case]).hex())
"""


def test_the_rfc_8439_message_is_sealed_as_published(mpy: Mpy) -> None:
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    case = [
        bytes(range(0x80, 0xA0)).hex(),
        "070000004041424344454647",
        plaintext.hex(),
        "50515253c0c1c2c3c4c5c6c7",
    ]
    assert mpy(_SEAL, args={"cases": [case]}) == [
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
        "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
    ]


def test_sealing_agrees_with_the_host_on_every_length_about_the_blocks(mpy: Mpy) -> None:
    rng = random.Random(8439)
    lengths = [0, 1, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 129, 400]
    cases = [
        (rng.randbytes(32), rng.randbytes(12), rng.randbytes(length), rng.randbytes(rng.choice([0, 1, 15, 16, 17, 40])))
        for length in lengths * 3
    ]
    cases.append((b"\xff" * 32, b"\xff" * 12, b"\xff" * 64, b"\xff" * 16))
    got = mpy(_SEAL, args={"cases": [[field.hex() for field in case] for case in cases]})
    expected = [ChaCha20Poly1305(key).encrypt(nonce, plain, aad).hex() for key, nonce, plain, aad in cases]
    assert got == expected


def test_the_callers_plaintext_is_left_as_it_was_and_wrong_sizes_are_refused(mpy: Mpy) -> None:
    source = """
        from recorder.seal import chacha20poly1305
        plain = bytearray(b"kept")
        chacha20poly1305.seal(bytes(32), bytes(12), plain)
        emit(plain.decode())
        for key, nonce in ((31, 12), (33, 12), (32, 11), (32, 13)):
            try:
                chacha20poly1305.seal(bytes(key), bytes(nonce), plain)
                emit("taken")
            except ValueError:
                emit("refused")
    """
    assert mpy(source) == ["kept", *["refused"] * 4]
