"""Turns a sound file into the microphone's tape: 16 kHz mono 16-bit, raw. What is that already passes bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

RATE_HZ = 16_000
_BLOCK = 65_536


def make_tape(source: Path, target: Path) -> int:
    """Write the tape, return its samples. `source` is anything libsndfile reads, or a raw `.s16` tape."""
    if source.suffix == ".s16":
        shutil.copyfile(source, target)
        return target.stat().st_size // 2
    import numpy as np
    import soundfile as sf

    written = 0
    with sf.SoundFile(str(source)) as sound, target.open("wb") as tape:
        exact = sound.samplerate == RATE_HZ and sound.channels == 1 and sound.subtype in ("PCM_16", "PCM_S8", "PCM_U8")
        resampler = None
        if sound.samplerate != RATE_HZ:
            import soxr

            resampler = soxr.ResampleStream(sound.samplerate, RATE_HZ, 1, dtype="float32")
        last = False
        while not last:
            if exact:
                block = sound.read(_BLOCK, dtype="int16")
                last = len(block) < _BLOCK
                samples = block
            else:
                block = sound.read(_BLOCK, dtype="float32", always_2d=True).mean(axis=1)
                last = len(block) < _BLOCK
                if resampler is not None:
                    block = resampler.resample_chunk(block, last=last)
                samples = np.clip(np.round(block * 32767.0), -32768, 32767).astype("<i2")
            tape.write(samples.astype("<i2").tobytes())
            written += len(samples)
    return written
