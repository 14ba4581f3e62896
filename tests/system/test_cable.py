"""A long recording over the cable, as a person does it: what comes home is what is on the card and what was said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from earwitness.fat32 import Fat32
from earwitness.item import NEW, Item
from earwitness.library import Library
from earwitness.verify import verify
from tests.host.program import run

from .kit import RATE_HZ, READY_S, Paired, master, speech

PAGE = 4096


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
@pytest.mark.parametrize("minutes", [1, pytest.param(30, marks=pytest.mark.long)])
def test_speech_synced_over_a_terminal_device_is_bit_identical(
    paired: Paired, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    home = paired.computer(tmp_path / "home")
    tape = speech(minutes * 60 + 4)
    with paired.recorder(tmp_path, tape, port="pty", card_size=512 << 20) as recorder:
        assert recorder.run(f"{READY_S}:on {READY_S + minutes * 60}:off", settle=4, timeout=900) == "done"
        done = run(home, "sync", "--port", recorder.port, "--json")
        assert done.returncode == 0, done.stderr
        told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        assert told[-1]["rate"] > 50_000 and told[-1]["left_s"] == 0
        recorder.power_off()
        with recorder.card.open("rb") as file:
            volume = Fat32(file)
            (entry,) = [entry for entry in volume.files() if entry.name == "EW000001.EWR"]
            on_card = volume.read(entry, 0, entry.size)
    monkeypatch.setenv("EARWITNESS_HOME", str(home))
    library = Library()
    (here,) = library.entries()
    library.close()
    data = here.path.read_bytes()
    assert data == on_card[: len(data)] and not any(on_card[len(data) :]), "to the last byte, and nothing behind it"
    verdict = verify(here.path, paired.owners[0], pinned=paired.record.public, decode=True)
    assert verdict.exit_code == 0 and verdict.duration_s >= minutes * 60 - 1
    item = Item(1, here.recording_id, NEW, here.path, verdict)
    heard = master(item, paired, tmp_path / "master.flac")
    at = int(np.flatnonzero([np.array_equal(tape[k : k + 64], heard[:64]) for k in range(RATE_HZ)])[0])
    assert np.array_equal(heard, tape[at : at + len(heard)]) and len(heard) >= (minutes * 60 - 1) * RATE_HZ
