"""AES-256-CTR from counter 0, against the host's implementation."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Mpy = Callable[..., list[Any]]


def _stream(key: bytes, size: int) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(bytes(size)) + encryptor.finalize()


def test_any_length_at_any_alignment_agrees_with_the_host(mpy: Mpy) -> None:
    """Every offset modulo a word, lengths about blocks, words and the 512-byte chunk, and nothing written outside."""
    rng = random.Random(38)
    lengths = [0, 1, 3, 15, 16, 17, 31, 511, 512, 513, 527, 1023, 1025, 4016]
    cases = [(rng.randbytes(32), offset, length) for offset in range(5) for length in lengths]
    source = """
        from recorder.seal import aesctr
        for key, offset, length in ARGS["cases"]:
            around = bytearray(i * 7 & 0xFF for i in range(offset + length + 5))
            aesctr.xor(bytes.fromhex(key), memoryview(around)[offset : offset + length])
            emit(around.hex())
    """
    got = mpy(source, args={"cases": [(key.hex(), offset, length) for key, offset, length in cases]})
    for (key, offset, length), result in zip(cases, got, strict=True):
        expected = bytearray(i * 7 & 0xFF for i in range(offset + length + 5))
        for i, byte in enumerate(_stream(key, length)):
            expected[offset + i] ^= byte
        assert result == expected.hex(), (offset, length)


def test_the_counter_runs_past_a_byte(mpy: Mpy) -> None:
    key = bytes(range(32))
    source = """
        from recorder.seal import aesctr
        long = bytearray(70000 * 16)
        aesctr.xor(bytes(range(32)), long)
        emit([long[at * 16 : at * 16 + 16].hex() for at in (255, 256, 65535, 65536)])
    """
    stream = _stream(key, 70000 * 16)
    assert mpy(source, heap="8M") == [[stream[at * 16 : at * 16 + 16].hex() for at in (255, 256, 65535, 65536)]]


def test_applying_it_twice_gives_the_plaintext_and_the_scratch_is_wiped(mpy: Mpy) -> None:
    source = """
        from recorder.seal import aesctr
        body = bytearray(range(200))
        aesctr.xor(bytearray(range(32)), body)
        hidden = bytes(body)
        aesctr.xor(bytes(range(32)), body)
        emit([hidden != bytes(body), bytes(body) == bytes(range(200)), bytes(aesctr._stream) == bytes(512)])
    """
    assert mpy(source) == [[True, True, True]]


def test_a_key_that_is_not_256_bits_is_refused(mpy: Mpy) -> None:
    source = """
        from recorder.seal import aesctr
        for size in (0, 16, 31, 33):
            try:
                aesctr.xor(bytes(size), bytearray(16))
                emit("taken")
            except ValueError:
                emit("refused")
    """
    assert mpy(source) == ["refused"] * 4
