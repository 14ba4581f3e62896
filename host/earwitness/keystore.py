"""Where the owner's key rests, one of three places, told to the person in plain words:

- `keyring`: the operating system's own store of secrets, where a real one exists;
- `passphrase`: a file `identity.age`, locked with a passphrase by age itself (scrypt);
- `file`: `identity.txt`, readable by this account only, when the person plainly agrees to it.

`identity.json` beside it says which, and holds the public key, so that pairing needs no unlocking. A secret never comes
from the command line or from the environment: it is typed, or read from a file descriptor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from earwitness import places
from earwitness.atomic import write_private
from earwitness.console import MIN_PASSPHRASE
from earwitness.errors import KeyMissingError, UsageError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

    from earwitness.identity import Identity

Kept = Literal["keyring", "passphrase", "file"]
Ask = Callable[[str], str]


@dataclass(frozen=True)
class KeyInfo:
    """What may be known without unlocking. `recovery` is `saved`, `declined`, `restored` or `unfinished`."""

    recipient: str
    kept: Kept
    created: str
    recovery: str


def system_keyring() -> KeyringBackend | None:
    """The system's store of secrets, or None where there is none (a server, a bare Linux)."""
    import keyring
    from keyring.errors import KeyringError

    try:
        backend = keyring.get_keyring()
        real = backend.priority >= 1 and type(backend).__module__.split(".")[-1] not in ("fail", "null")
    except (KeyringError, RuntimeError):
        return None
    return backend if real else None


class Keystore:
    """The one key of this installation."""

    def __init__(
        self, folder: Path | None = None, backend: Callable[[], KeyringBackend | None] = system_keyring
    ) -> None:
        self._folder = folder or places.config_dir()
        self._backend = backend

    @property
    def _about(self) -> Path:
        return self._folder / "identity.json"

    @property
    def _locked(self) -> Path:
        return self._folder / "identity.age"

    @property
    def _plain(self) -> Path:
        return self._folder / "identity.txt"

    @property
    def _service(self) -> str:
        home = places.home_override()  # a demo's key never lands on the real one
        return f"earwitness {home}" if home else "earwitness"

    def info(self) -> KeyInfo | None:
        """What is known of the stored key, or None if there is none."""
        try:
            found = json.loads(self._about.read_text("utf-8"))
            info = KeyInfo(**{name: str(found[name]) for name in KeyInfo.__dataclass_fields__})  # type: ignore[arg-type]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise KeyMissingError(
                f"{self._about} is damaged.", "Delete it and run 'earwitness key restore' with the recovery sheet."
            ) from None
        if info.kept not in get_args(Kept):
            raise KeyMissingError(f"{self._about} names a place for the key that this version does not know.")
        return info

    def require_info(self) -> KeyInfo:
        """As `info`, but having no key is an error."""
        info = self.info()
        if info is None:
            raise KeyMissingError(
                "There is no key on this computer yet.",
                "'earwitness pair' makes one; 'earwitness key restore' brings one back from the recovery sheet.",
            )
        return info

    def best_place(self) -> Kept:
        """`keyring` if the system has one, else `passphrase`."""
        return "keyring" if self._backend() else "passphrase"

    def save(self, identity: Identity, kept: Kept, *, passphrase: str = "", recovery: str = "unfinished") -> KeyInfo:
        """Store a key; refuses to replace another one."""
        old = self.info()
        if old is not None and old.recipient != identity.recipient:
            raise UsageError(
                "There is already another key on this computer.",
                f"Replacing it would lock you out of its recordings. {self._out_of_the_way(old)}",
            )
        secret = identity.text
        if kept == "keyring":
            backend = self._backend()
            if backend is None:
                raise UsageError("This computer has no keyring.", "Use a passphrase instead: --keep passphrase.")
            backend.set_password(self._service, "owner", secret)
            if backend.get_password(self._service, "owner") != secret:
                raise KeyMissingError(
                    "The keyring did not keep the key.", "Use a passphrase instead: --keep passphrase."
                )
        elif kept == "passphrase":
            if len(passphrase) < MIN_PASSPHRASE:
                raise UsageError(
                    f"The passphrase needs at least {MIN_PASSPHRASE} characters.", "Four or five words do well."
                )
            import pyrage

            write_private(self._locked, pyrage.passphrase.encrypt(secret.encode(), passphrase))
        else:
            write_private(self._plain, f"# earwitness, public key: {identity.recipient}\n{secret}\n".encode())
        info = KeyInfo(identity.recipient, kept, datetime.now(UTC).isoformat(timespec="seconds"), recovery)
        self._write(info)
        if kept != "passphrase":
            self._locked.unlink(missing_ok=True)
        if kept != "file":
            self._plain.unlink(missing_ok=True)
        return info

    def _out_of_the_way(self, old: KeyInfo) -> str:
        """What to do before another key may come: with identity.json alone moved, the next key would replace the old."""
        if old.kept == "keyring":
            return f"If you mean it: make sure of its recovery sheet, then move {self._about} away."
        place = self._plain if old.kept == "file" else self._locked
        return f"If you mean it: move {self._about} and {place.name} beside it away first."

    def set_recovery(self, recovery: str) -> KeyInfo:
        """Remember how the recovery sheet ended."""
        info = self.require_info()
        info = KeyInfo(info.recipient, info.kept, info.created, recovery)
        self._write(info)
        return info

    def load(self, ask: Ask) -> Identity:
        """The key; `ask(prompt)` is called for a passphrase when one is needed, and may raise `KeyMissingError`."""
        from earwitness.identity import Identity

        info = self.require_info()
        identity = Identity.from_text(self._secret(info.kept, ask))
        if identity.recipient != info.recipient:
            raise KeyMissingError(
                "The stored key is not the one that belongs here.", "Restore it: 'earwitness key restore'."
            )
        return identity

    def _secret(self, kept: Kept, ask: Ask) -> str:
        gone = KeyMissingError("The key is no longer where it was kept.", "Bring it back: 'earwitness key restore'.")
        if kept == "keyring":
            backend = self._backend()
            found = backend.get_password(self._service, "owner") if backend else None
            if found is None:
                raise gone
            return found
        try:
            if kept == "file":
                return self._plain.read_text("utf-8")
            locked = self._locked.read_bytes()
        except FileNotFoundError:
            raise gone from None
        import pyrage

        try:
            return bytes(pyrage.passphrase.decrypt(locked, ask("Passphrase: "))).decode()
        except pyrage.DecryptError:
            raise KeyMissingError(
                "The passphrase is wrong.",
                "If it is lost, 'earwitness key restore' brings the key back from the sheet.",
            ) from None

    def _write(self, info: KeyInfo) -> None:
        write_private(self._about, (json.dumps(asdict(info), indent=2) + "\n").encode())
