"""Pairing: a computer and a recorder agree who its owner is. Over the cable, its button held (LINK.md, "PAIR").

The order is such that a cut at any moment leaves nothing that cannot be taken up again: what will be sent is on the
disk before it is sent, the recorder answers a repeated request again, and only then does the record of it appear.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from earwitness.devices import DeviceRecord, DeviceStore, Pending
from earwitness.errors import NoDeviceError, UsageError
from earwitness.link.client import ButtonError, Recorder
from earwitness.link.connect import PLUG_IN
from earwitness.link.messages import check_pairing
from earwitness.link.transport import Port, discover, open_port

_NAME_BYTES: Final = 32
_ENTROPY_BYTES: Final = 64


def receipt_public(seed: bytes) -> bytes:
    """The public key that belongs to a receipt seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def pair(
    recorder: Recorder,
    recipients: Sequence[bytes],
    store: DeviceStore,
    *,
    name: str = "Recorder",
    wait_for_button: Callable[[], bool] | None = None,
) -> DeviceRecord:
    """Pair with the recorder and pin its key.

    `recipients`: 1 to 3 raw X25519 public keys, the owner's first. `wait_for_button` is called each time that the
    recorder finds its button up and says whether to ask once more (without it, that is an error at once).
    """
    _check_recipients(recipients)
    check_name(name)
    keys = tuple(key.hex() for key in recipients)
    pending = store.pending()
    if pending is None or pending.recipients != keys or pending.name != name:
        pending = Pending(secrets.token_hex(32), secrets.token_hex(32), name, keys)
        store.set_pending(pending)
    receipt_seed = bytes.fromhex(pending.receipt_seed)
    while True:
        try:
            public, epoch, note = recorder.pair(
                entropy=secrets.token_bytes(_ENTROPY_BYTES),
                recipients=list(recipients),
                link_secret=bytes.fromhex(pending.link_secret),
                receipt_key=receipt_public(receipt_seed),
                name=name,
            )
            break
        except ButtonError:
            if wait_for_button is None or not wait_for_button():
                raise
    record = DeviceRecord(
        public_key=public.hex(),
        link_secret=pending.link_secret,
        receipt_seed=pending.receipt_seed,
        name=name,
        recipients=keys,
        epoch=epoch,
        pairing_note=note.decode("utf-8"),
        paired_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.put(record)
    return record


def change_recipients(
    recorder: Recorder,
    record: DeviceRecord,
    recipients: Sequence[bytes],
    store: DeviceStore,
    *,
    wait_for_button: Callable[[], bool] | None = None,
) -> DeviceRecord:
    """For whom the recorder seals what it records from now on; what it recorded before is not changed.

    `recipients` and `wait_for_button` as in `pair`. The recorder signs what it stored, and that is compared.
    """
    _check_recipients(recipients)
    while True:
        try:
            note = recorder.set_recipients(recipients)
            break
        except ButtonError:
            if wait_for_button is None or not wait_for_button():
                raise
    receipt_key = receipt_public(bytes.fromhex(record.receipt_seed))
    name = recorder.settings().name
    check_pairing(note, record.public, record.secret, receipt_key, name, list(recipients))
    keys = tuple(key.hex() for key in recipients)
    record = replace(record, name=name, recipients=keys, pairing_note=note.decode("utf-8"))
    store.put(record)
    return record


def check_name(name: str) -> None:
    """Raises UsageError unless a recorder can be called so."""
    if not name.strip() or len(name.encode()) > _NAME_BYTES or not name.isprintable():
        raise UsageError("The recorder's name is empty or too long.", f"At most {_NAME_BYTES} bytes, on one line.")


def _check_recipients(recipients: Sequence[bytes]) -> None:
    if not 1 <= len(recipients) <= 3 or any(len(key) != 32 for key in recipients):
        raise UsageError("A recorder takes one to three recipients.", "The owner's key, and up to two more.")
    if len(set(recipients)) != len(recipients):
        raise UsageError("The same recipient was given twice.")


def ports(named: str | None = None) -> list[Port]:
    """Where to look for a recorder: the named port alone, else all that `discover` finds."""
    return [Port(named, "named")] if named else discover()


def open_recorder(named: str | None = None) -> Recorder:
    """The one recorder that is plugged in, greeted and not authenticated: what pairing begins with."""
    found = ports(named)
    if not found:
        raise NoDeviceError("No recorder is plugged in.", PLUG_IN)
    if len(found) > 1:
        names = ", ".join(port.name for port in found)
        raise UsageError(f"There is more than one: {names}.", "Name one with --port.")
    recorder = Recorder(open_port(found[0].name))
    try:
        recorder.hello()
    except BaseException:
        recorder.close()
        raise
    return recorder
