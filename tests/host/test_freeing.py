"""A computer vouches for a copy only after it has read it from its own disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import sealed_recording
from earwitness.devices import DeviceRecord
from earwitness.errors import EarwitnessError
from earwitness.freeing import verify_here
from earwitness.identity import Identity
from earwitness.intake import take
from earwitness.library import Entry, Library

SEED = bytes(range(32))
OWNER = Identity.generate()
RECORD = DeviceRecord(sealed_recording.public_key(SEED).hex(), "", "11" * 32, "Recorder", (), 1, "", "")


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    source = tmp_path / "came.ewr"
    source.write_bytes(sealed_recording.make(SEED, OWNER.recipient_bytes, 1, 6))
    library = Library()
    taken = take(library, source, how="USB").entry
    library.close()
    return taken


def test_the_file_and_its_name_are_made_durable_first(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was cut off right after the rename may have left the name in memory only."""
    synced = []
    fsync = os.fsync

    def watch(handle: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    assert verify_here(entry, RECORD, OWNER).opened
    assert synced == ["file", "folder"]


def test_a_copy_that_cannot_be_read_gets_no_receipt_and_ends_no_sync(entry: Entry) -> None:
    entry.path.unlink()
    entry.path.mkdir()
    with pytest.raises(EarwitnessError, match="cannot be read"):
        verify_here(entry, RECORD, OWNER)
