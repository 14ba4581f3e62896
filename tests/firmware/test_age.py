"""Key envelopes are ordinary age files: the real `age` program and pyrage open them."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

Mpy = Callable[..., list[Any]]

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

_SEAL = """
from recorder.seal import age, drbg
source = drbg.Drbg(bytes.fromhex(ARGS["entropy"]), bytes(16))
recipients = [bytes.fromhex(recipient) for recipient in ARGS["recipients"]]
for payload in ARGS["payloads"]:
    emit(age.envelope(bytes.fromhex(payload), recipients, source).hex())
"""


def _public_key(identity: pyrage.x25519.Identity) -> bytes:
    """The 32 bytes in an age1... recipient (Bech32: five bits a letter, six letters of checksum)."""
    bits = 0
    letters = str(identity.to_public()).removeprefix("age1")[:-6]
    for letter in letters:
        bits = bits << 5 | _CHARSET.index(letter)
    return (bits >> len(letters) * 5 - 256).to_bytes(32, "big")


def _envelopes(mpy: Mpy, count: int, payloads: list[bytes]) -> tuple[list[pyrage.x25519.Identity], list[bytes]]:
    identities = [pyrage.x25519.Identity.generate() for _ in range(count)]
    args = {
        "entropy": hashlib.sha256(b"test").hexdigest(),
        "recipients": [_public_key(identity).hex() for identity in identities],
        "payloads": [payload.hex() for payload in payloads],
    }
    return identities, [bytes.fromhex(envelope) for envelope in mpy(_SEAL, args=args)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_recipient_opens_the_envelope_and_nobody_else(mpy: Mpy, count: int) -> None:
    payload = bytes(range(32))
    identities, (envelope,) = _envelopes(mpy, count, [payload])
    assert len(envelope) == 134 + 98 * count
    for identity in identities:
        assert pyrage.decrypt(envelope, [identity]) == payload
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(envelope, [pyrage.x25519.Identity.generate()])


@pytest.mark.skipif(shutil.which("age") is None, reason="the age program is not installed")
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_age_program_opens_the_envelope_for_every_recipient(mpy: Mpy, tmp_path: Path, count: int) -> None:
    payload = bytes(range(100, 132))
    identities, (envelope,) = _envelopes(mpy, count, [payload])
    file, key = tmp_path / "envelope.age", tmp_path / "key.txt"
    file.write_bytes(envelope)
    for identity in identities:
        key.write_text(f"{identity}\n")
        done = subprocess.run(["age", "-d", "-i", str(key), str(file)], capture_output=True, check=True)
        assert done.stdout == payload


def test_payloads_of_other_sizes_open_too(mpy: Mpy) -> None:
    payloads = [b"x", bytes(63), bytes(64), bytes(65), bytes(1000)]
    identities, envelopes = _envelopes(mpy, 1, payloads)
    assert [pyrage.decrypt(envelope, identities) for envelope in envelopes] == payloads


def test_no_two_envelopes_share_a_key_a_share_or_a_nonce(mpy: Mpy) -> None:
    _, (first, second) = _envelopes(mpy, 2, [bytes(32), bytes(32)])
    shares = re.findall(rb"-> X25519 (\S+)\n", first) + re.findall(rb"-> X25519 (\S+)\n", second)
    assert len(set(shares)) == 4
    assert first[-64:-48] != second[-64:-48]
    assert first[-48:] != second[-48:]


def test_a_changed_envelope_does_not_open(mpy: Mpy) -> None:
    identities, (envelope,) = _envelopes(mpy, 1, [bytes(32)])
    for at in (40, 100, 150, len(envelope) - 64, len(envelope) - 1):
        changed = bytearray(envelope)
        changed[at] ^= 1
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(bytes(changed), identities)


def test_a_recipient_of_small_order_and_empty_input_are_refused(mpy: Mpy) -> None:
    source = """
        from recorder.seal import age, drbg, x25519
        source = drbg.Drbg(bytes(32), bytes(16))
        good = x25519.public_key(bytes(range(32)))
        for recipients in ([bytes(32)], [good, b"\\x01" + bytes(31)]):
            try:
                age.envelope(bytes(32), recipients, source)
                emit("taken")
            except x25519.WeakKeyError as error:
                emit(str(error))
        for payload, recipients in ((b"", [good]), (bytes(32), []), (bytes(65537), [good])):
            try:
                age.envelope(payload, recipients, source)
                emit("taken")
            except ValueError:
                emit("refused")
    """
    assert mpy(source) == ["public key of small order"] * 2 + ["refused"] * 3
