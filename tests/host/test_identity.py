"""The owner's key is an ordinary age identity."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from earwitness.errors import KeyMissingError, UsageError
from earwitness.identity import Identity, recipient_bytes


def test_the_devices_bytes_are_the_x25519_public_key() -> None:
    identity = Identity.generate()
    expected = X25519PrivateKey.from_private_bytes(identity.secret).public_key()
    assert identity.recipient_bytes == expected.public_bytes(Encoding.Raw, PublicFormat.Raw)


def test_text_and_raw_secret_lead_back_to_the_same_key() -> None:
    identity = Identity.generate()
    for again in (
        Identity.from_text(identity.text),
        Identity.from_text(f"# created: today\n# public key: x\n{identity.text}\n"),
        Identity.from_text(identity.text.lower()),
        Identity.from_secret(identity.secret),
        pickle.loads(pickle.dumps(identity)),
    ):
        assert again.recipient == identity.recipient


def test_opens_what_was_sealed_for_it_and_nothing_else() -> None:
    mine, other = Identity.generate(), Identity.generate()
    sealed = pyrage.encrypt(b"k" * 32, [pyrage.x25519.Recipient.from_str(mine.recipient)])
    assert mine.open_envelope(sealed) == b"k" * 32
    with pytest.raises(KeyMissingError, match="not made for your key"):
        other.open_envelope(sealed)


@pytest.mark.skipif(shutil.which("age") is None, reason="needs the age program")
def test_the_age_program_opens_with_it(tmp_path: Path) -> None:
    identity = Identity.generate()
    (tmp_path / "key.txt").write_text(identity.text)
    sealed = pyrage.encrypt(b"hello", [pyrage.x25519.Recipient.from_str(identity.recipient)])
    done = subprocess.run(["age", "-d", "-i", tmp_path / "key.txt"], input=sealed, capture_output=True, check=True)
    assert done.stdout == b"hello"


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t[:20] + ("Q" if t[20] != "Q" else "P") + t[21:], lambda t: ""]
)
def test_a_mistyped_key_is_refused_without_repeating_it(spoil: object) -> None:
    text = spoil(Identity.generate().text)  # type: ignore[operator]
    with pytest.raises(KeyMissingError) as caught:
        Identity.from_text(text)
    assert "AGE-SECRET-KEY-1Q" not in str(caught.value) and (not text or text not in str(caught.value))


def test_a_mistyped_recipient_is_refused() -> None:
    good = Identity.generate().recipient
    with pytest.raises(UsageError, match="not an age public key"):
        recipient_bytes(good[:-1] + ("q" if good[-1] != "q" else "p"))
    with pytest.raises(UsageError):
        recipient_bytes(Identity.generate().text)


def test_it_never_shows_itself() -> None:
    identity = Identity.generate()
    assert identity.text not in repr(identity) + str(identity)
