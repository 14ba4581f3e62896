"""The recorders that this computer is paired with: pinned key, link secret, and how far each one's history had come.

One JSON file that only its owner may read, replaced whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from earwitness import places
from earwitness.atomic import write_private
from earwitness.errors import FormatError, IntegrityError, KeyMissingError
from earwitness.link.messages import Status, short_key

_FILE: Final = "recorders.json"
_VERSION: Final = 1
_ROLLBACK_HINT: Final = (
    "Keep the recorder and this computer's files as they are: what it says now contradicts what it signed before."
)


@dataclass(frozen=True)
class DeviceRecord:
    """A paired recorder. Binary values are hex text; `repr` shows no secret."""

    public_key: str
    link_secret: str
    receipt_seed: str  # Ed25519 seed that signs receipts
    name: str
    recipients: tuple[str, ...]
    epoch: int
    pairing_note: str
    paired_utc: str
    newest: int = 0  # the highest that it has signed in a STATUS
    newest_hash: str = ""

    def __repr__(self) -> str:
        return f"DeviceRecord({self.name!r}, {self.short_key})"

    @property
    def public(self) -> bytes:
        """Its Ed25519 key, 32 bytes."""
        return bytes.fromhex(self.public_key)

    @property
    def secret(self) -> bytes:
        """The link secret, 32 bytes."""
        return bytes.fromhex(self.link_secret)

    @property
    def short_key(self) -> str:
        """16 hex digits, as in its notes and file names."""
        return short_key(self.public)


@dataclass(frozen=True)
class Pending:
    """A pairing that was sent and not yet confirmed: sent again as it is, the recorder answers it again."""

    link_secret: str
    receipt_seed: str
    name: str
    recipients: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Pending({self.name!r})"


class DeviceStore:
    """The file of paired recorders."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or places.state_dir()) / _FILE

    def all(self) -> list[DeviceRecord]:
        """Every paired recorder, in the order of pairing."""
        return [_record(DeviceRecord, item) for item in self._load()["recorders"]]

    def get(self, public: bytes) -> DeviceRecord:
        """The record of the recorder with this key."""
        for record in self.all():
            if record.public == public:
                return record
        raise KeyMissingError("This computer is not paired with that recorder.", "Run 'earwitness pair'.")

    def put(self, record: DeviceRecord) -> None:
        """Store or replace a record; a pending pairing is thereby done."""
        records = [old for old in self.all() if old.public_key != record.public_key]
        at = next((i for i, old in enumerate(self.all()) if old.public_key == record.public_key), len(records))
        records.insert(at, record)
        self._save(records, None)

    def active(self) -> list[DeviceRecord]:
        """Those that this computer can still talk to."""
        return [record for record in self.all() if record.link_secret]

    def retire(self, public: bytes) -> None:
        """Forget how to talk to a recorder, and keep its key: what it recorded is still known to be its."""
        self.put(replace(self.get(public), link_secret="", receipt_seed=""))

    def remove(self, public: bytes) -> None:
        """Forget a recorder. What it recorded stays, and can still be opened with the identity."""
        self._save([record for record in self.all() if record.public != public], self.pending())

    def pending(self) -> Pending | None:
        """The unconfirmed pairing, if one was cut off."""
        item = self._load()["pending"]
        return None if item is None else _record(Pending, item)

    def set_pending(self, pending: Pending | None) -> None:
        """Remember (or drop) an unconfirmed pairing before it is sent."""
        self._save(self.all(), pending)

    def remember(self, record: DeviceRecord, status: Status) -> DeviceRecord:
        """Hold a fresh STATUS against what this recorder signed before, and keep the higher. Raises IntegrityError on a
        rollback or a copied key."""
        record = next((known for known in self.all() if known.public_key == record.public_key), record)
        updated = advance(record, status)
        if updated != record:
            self.put(updated)
        return updated

    def _load(self) -> dict[str, Any]:
        try:
            data = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {"recorders": [], "pending": None}
        except ValueError as error:
            raise FormatError(f"{self.path} is damaged.", "Restore it from a backup, or pair again.") from error
        if not isinstance(data, dict) or data.get("version") != _VERSION:
            raise FormatError(f"{self.path} is of another version than this program knows.", "Update earwitness.")
        return {"recorders": data.get("recorders", []), "pending": data.get("pending")}

    def _save(self, records: list[DeviceRecord], pending: Pending | None) -> None:
        data = {
            "version": _VERSION,
            "recorders": [asdict(record) for record in records],
            "pending": None if pending is None else asdict(pending),
        }
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.path, (json.dumps(data, indent=1) + "\n").encode())


_T = TypeVar("_T", DeviceRecord, Pending)


def _record(kind: type[_T], item: dict[str, Any]) -> _T:
    known = {field.name for field in fields(kind)}
    try:
        values = {name: value for name, value in item.items() if name in known}
        values["recipients"] = tuple(values["recipients"])
        return kind(**values)
    except (TypeError, KeyError) as error:
        raise FormatError("The file of paired recorders is damaged.", "Restore it, or pair again.") from error


def advance(record: DeviceRecord, status: Status) -> DeviceRecord:
    """The record after a STATUS whose signature was checked. Raises IntegrityError: rollback or a copied key."""
    said = status.newest_hash.hex()
    if status.epoch < record.epoch or status.newest < record.newest:
        raise IntegrityError(
            f"Rollback or a copied key: the recorder says that its newest recording is {status.newest}, "
            f"and signed {record.newest} before.",
            _ROLLBACK_HINT,
        )
    if record.newest and status.newest == record.newest and said != record.newest_hash:
        raise IntegrityError(
            f"Rollback or a copied key: the recorder signed two different endings of recording {status.newest}.",
            _ROLLBACK_HINT,
        )
    if status.newest == record.newest:
        return record
    return replace(record, newest=status.newest, newest_hash=said)
