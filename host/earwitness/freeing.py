"""Receipts, and giving up what the recorder need not keep: only what is here, whole, opened, durable and signed for.

The order is such that a cut at any moment, on either side, frees nothing that is not here: the file is in its place and on
the disk, then the receipt goes, then the file is read and verified once more, and only then the recorder deletes its own.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from earwitness.atomic import sync_folder
from earwitness.errors import EarwitnessError, KeyMissingError, NoDeviceError
from earwitness.link.messages import FINAL, FREED, LOST, Recording, b64, receipt_text, short_key
from earwitness.note import parse

if TYPE_CHECKING:
    from earwitness.devices import DeviceRecord
    from earwitness.identity import Identity
    from earwitness.library import Entry, Library
    from earwitness.link.client import Recorder
    from earwitness.verify import Verdict

_ENDS_S: Final = 120.0  # for all final notes: hundreds take a minute over Bluetooth


@dataclass(frozen=True)
class Freed:
    """What became of a recording that was to be freed: `reason` says why the recorder still has it, empty if it has not."""

    seq: int
    recording_id: str
    reason: str = ""


class _NotYet(EarwitnessError):
    """Why a recording stays on the recorder."""


def give_receipts(
    recorder: Recorder,
    record: DeviceRecord,
    library: Library,
    listed: Sequence[Recording],
    identity: Identity | None,
    checked: dict[str, Verdict],
) -> set[str]:
    """Sign for every recording that is here and that the recorder has no receipt for; returns the ids of all it has one for.

    `checked`: verdicts on the bytes that lie in the library now, by recording id; others are verified first. A recording
    that cannot be vouched for is left out: it gets its receipt when it can.
    """
    held = {recording.recording_id.hex() for recording in listed if recording.receipt}
    here = _here(library, record)
    for recording in listed:
        name = recording.recording_id.hex()
        if recording.receipt or recording.state != FINAL:
            continue
        try:
            entry = _entry(here, name)
            note_hash = _given_before(recorder, record, library, recording, entry)
            if note_hash is None:
                note_hash = vouched(checked.get(name) or verify_here(entry, record, identity), recording)
            signature = sign_receipt(record, recording, note_hash)
            recorder.receipt(recording.seq, recording.recording_id, note_hash, signature)
        except NoDeviceError:
            raise
        except EarwitnessError:
            continue
        held.add(name)
        if not _has_step(entry, "receipt"):
            entry.custody.add("receipt", recorder=record.short_key, signature=b64(signature))
    return held


def free(
    recorder: Recorder,
    record: DeviceRecord,
    library: Library,
    listed: Sequence[Recording],
    identity: Identity | None,
    held: set[str],
    progress: Callable[[int, int], None] | None = None,
) -> list[Freed]:
    """Have the recorder delete what this computer holds, each verified from the disk just before. `held`: ids it has
    receipts for. `progress(done, total)` counts recordings."""
    wanted = [recording for recording in listed if recording.state in (FINAL, FREED) and recording.pages]
    done: list[Freed] = []
    here = _here(library, record)
    for number, recording in enumerate(wanted):
        if progress:
            progress(number, len(wanted))
        name = recording.recording_id.hex()
        try:
            entry = _entry(here, name)
            note_hash = vouched(verify_here(entry, record, identity), recording)
            if name not in held:
                raise _NotYet("the recorder has no receipt for it")
            recorder.free(recording.seq, recording.recording_id, note_hash)
        except NoDeviceError:
            raise
        except EarwitnessError as error:
            done.append(Freed(recording.seq, name, error.message))
            continue
        note_freed(entry)
        done.append(Freed(recording.seq, name))
    return done


def note_freed(entry: Entry) -> None:
    """Keep in the custody log that the recorder deleted its copy, once."""
    if not _has_step(entry, "freed"):
        entry.custody.add("freed")


def sign_receipt(record: DeviceRecord, recording: Recording, note_hash: bytes) -> bytes:
    """The computer's signature that it holds a recording."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(record.receipt_seed))
    return key.sign(receipt_text(record.public, recording.seq, recording.recording_id, note_hash))


def _given_before(
    recorder: Recorder, record: DeviceRecord, library: Library, recording: Recording, entry: Entry
) -> bytes | None:
    """The hash of the final note, if this computer signed a receipt for it once and the file has not changed since.

    A recorder keeps receipts of its newest recordings only; all older ones would be verified anew at every sync.
    """
    given = [step.details.get("signature") for step in entry.custody.read().steps if step.act == "receipt"]
    if not given or not library.is_whole(entry):
        return None
    note_hash = sha256(recorder.final_note(recording.seq)).digest()
    return note_hash if b64(sign_receipt(record, recording, note_hash)) in given else None


def verify_here(entry: Entry, record: DeviceRecord, identity: Identity | None) -> Verdict:
    """Read the file from the disk, not from what the system remembers of it, and verify all of it, opened and decoded."""
    from earwitness.verify import verify

    if identity is None:
        raise _NotYet("your key is not at hand, so nobody can tell whether the copy here opens")
    try:
        with entry.path.open("rb+") as file:
            os.fsync(file.fileno())
            with contextlib.suppress(OSError, AttributeError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        sync_folder(entry.path.parent)  # a run may have been cut off between giving the file its name and this
        return verify(entry.path, identity, pinned=record.public, decode=True)
    except KeyMissingError as error:
        raise _NotYet("your key does not open the copy here") from error
    except OSError as error:
        raise _NotYet(f"the copy here cannot be read: {error.strerror}") from error


def vouched(verdict: Verdict, recording: Recording) -> bytes:
    """The hash of the final note, if this verdict is reason enough to do without the recorder's copy."""
    if verdict.recording_id != recording.recording_id or verdict.seq != recording.seq:
        raise _NotYet("the copy here is of another recording")
    if verdict.by.ok is not True or verdict.intact.ok is not True or not verdict.final_note:
        raise _NotYet("the copy here is not intact to its end")
    if not verdict.opened:
        raise _NotYet("the copy here was not opened")
    return sha256(verdict.final_note).digest()


def keep_ends(recorder: Recorder, record: DeviceRecord, listed: Sequence[Recording], folder: Path) -> None:
    """Keep the signed final notes of what is not on the card any more, so that the chain of recordings stays provable.

    Each goes to `<recorder>-<seq>.note` in `folder`, checked. What takes too long is left to the next time.
    """
    end = time.monotonic() + _ENDS_S
    for recording in listed:
        place = folder / f"{short_key(record.public)}-{recording.seq:06d}.note"
        if recording.state not in (FREED, LOST) or place.exists() or time.monotonic() > end:
            continue
        try:
            note = recorder.final_note(recording.seq)
            said = parse(note, record.public)
        except NoDeviceError:
            raise
        except EarwitnessError:
            continue  # of no use, and no reason to bring nothing home
        if said.final and said.seq == recording.seq and said.recording_id == recording.recording_id:
            from earwitness.atomic import write_private

            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(place, note)


def _here(library: Library, record: DeviceRecord) -> dict[str, Entry]:
    """What the library holds of this recorder's, by recording id."""
    return {entry.recording_id: entry for entry in library.entries() if entry.row.device_key == record.public_key}


def _entry(here: dict[str, Entry], name: str) -> Entry:
    if name not in here:
        raise _NotYet("it is not on this computer")
    return here[name]


def _has_step(entry: Entry, act: str) -> bool:
    return any(step.act == act for step in entry.custody.read().steps)
