"""Where the key rests, and that it is never lost or replaced by accident."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from earwitness.errors import KeyMissingError, UsageError
from earwitness.identity import Identity
from earwitness.keystore import Keystore

GOOD = "correct horse battery"


class Ring:
    """A keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, user: str, secret: str) -> None:
        self.kept[service, user] = secret

    def get_password(self, service: str, user: str) -> str | None:
        return self.kept.get((service, user))


def nobody(_prompt: str) -> str:
    raise AssertionError("must not ask")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def identity() -> Identity:
    return Identity.generate()


def files_holding(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_passphrase_locks_the_key(tmp_path: Path, identity: Identity) -> None:
    Keystore(backend=lambda: None).save(identity, "passphrase", passphrase=GOOD)
    assert not files_holding(tmp_path, identity.text)
    assert Keystore().load(lambda _p: GOOD).recipient == identity.recipient
    with pytest.raises(KeyMissingError, match="passphrase is wrong"):
        Keystore().load(lambda _p: GOOD + "x")


def test_the_public_key_needs_no_unlocking(identity: Identity) -> None:
    Keystore().save(identity, "passphrase", passphrase=GOOD)
    assert Keystore().require_info().recipient == identity.recipient


def test_a_keyring_keeps_it_out_of_all_files(tmp_path: Path, identity: Identity) -> None:
    ring = Ring()
    store = Keystore(backend=lambda: ring)  # type: ignore[arg-type,return-value]
    assert store.best_place() == "keyring"
    store.save(identity, "keyring")
    assert not files_holding(tmp_path, identity.text)
    assert store.load(nobody).text == identity.text
    assert all(str(tmp_path) in service for service, _ in ring.kept), "a demo's key must not land on the real one"


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_plain_file_is_for_this_account_only(tmp_path: Path, identity: Identity) -> None:
    Keystore().save(identity, "file")
    (path,) = files_holding(tmp_path, identity.text)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert Keystore().load(nobody).text == identity.text


def test_moving_to_a_passphrase_leaves_no_plain_copy(tmp_path: Path, identity: Identity) -> None:
    Keystore().save(identity, "file")
    Keystore().save(identity, "passphrase", passphrase=GOOD)
    assert not files_holding(tmp_path, identity.text)


def test_another_key_is_never_replaced(identity: Identity) -> None:
    Keystore().save(identity, "file")
    with pytest.raises(UsageError, match="already another key"):
        Keystore().save(Identity.generate(), "file")
    assert Keystore().load(nobody).text == identity.text


def test_a_short_passphrase_is_refused(identity: Identity) -> None:
    with pytest.raises(UsageError, match="at least"):
        Keystore().save(identity, "passphrase", passphrase="short")
    assert Keystore().info() is None


def test_without_a_real_keyring_a_passphrase_is_the_best_place() -> None:
    assert Keystore(backend=lambda: None).best_place() == "passphrase"


@pytest.mark.parametrize("place", ["identity.txt", "identity.json"])
def test_a_lost_or_damaged_file_says_how_to_get_the_key_back(tmp_path: Path, identity: Identity, place: str) -> None:
    Keystore().save(identity, "file")
    path = tmp_path / "config" / place
    if place.endswith("txt"):
        path.unlink()
    else:
        path.write_text("{")
    with pytest.raises(KeyMissingError) as caught:
        Keystore().load(nobody)
    assert "key restore" in caught.value.hint


def test_no_key_at_all_says_how_to_get_one() -> None:
    with pytest.raises(KeyMissingError) as caught:
        Keystore().load(nobody)
    assert "pair" in caught.value.hint and caught.value.exit_code == 12
