"""A paired virtual recorder for a test (tools/virtual/paired.py), and what its card holds when it is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from earwitness.audio import Audio
from earwitness.item import Item
from earwitness.master import write_master_flac
from tools.virtual.paired import RATE_HZ, READY_S, Paired, Samples, make_pairing

__all__ = ["RATE_HZ", "READY_S", "Paired", "Samples", "make_pairing", "master", "speech"]


def master(item: Item, paired: Paired, out: Path) -> Samples:
    """The samples of the master export, which also lies at `out`."""
    import soundfile as sf

    assert item.path is not None
    audio = Audio(item.path, paired.owners[0], pinned=paired.record.public)
    with out.open("wb") as file:
        write_master_flac(audio, file)
    samples, rate = sf.read(out, dtype="int16")
    assert rate == RATE_HZ
    return np.asarray(samples, dtype=np.int16)


def speech(seconds: float, seed: int = 1) -> Samples:
    """Loud and quiet stretches of something like speech, never the same twice: a place on the tape is known by its samples."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    voice = sum(
        np.sin(2 * np.pi * pitch * t * (1 + 0.02 * np.sin(3 * t))) / k for k, pitch in enumerate((140, 420, 1270), 1)
    )
    envelope = np.clip(np.sin(2 * np.pi * t / 1.7) + 0.4, 0, 1)
    return np.asarray(np.round(900 * envelope * voice + rng.normal(0, 3, len(t))), dtype=np.int16)
