"""The master: bit for bit what the microphone gave, as one FLAC or WAV file."""

from __future__ import annotations

import hashlib
import struct
from typing import BinaryIO

from earwitness import flac
from earwitness.audio import Audio
from earwitness.errors import IntegrityError
from earwitness.stitch import Stitcher

_SAMPLE_BYTES = 2
_WAV_LIMIT = (1 << 32) - 1 - 64  # beyond it RIFF's 32-bit sizes do not reach: RF64 (EBU Tech 3306)


def write_master_flac(audio: Audio, file: BinaryIO) -> None:
    """One valid FLAC stream with MD5. Where `file` cannot seek, the recording is read twice instead of once."""
    if file.seekable():
        start = file.tell()
        file.write(flac.streaminfo(audio.rate, 0, (flac.MIN_BLOCK, flac.BLOCK)))
        begin = _encode(audio, file)
        end = file.tell()
        file.seek(start)
        file.write(begin)
        file.seek(end)
        return
    file.write(_encode(audio, None))
    for frames in audio.flac_frames():
        file.write(frames)


def write_master_wav(audio: Audio, file: BinaryIO) -> None:
    """16-bit mono WAV, or RF64 where WAV cannot hold it."""
    size = audio.samples * _SAMPLE_BYTES
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, audio.rate, audio.rate * _SAMPLE_BYTES, _SAMPLE_BYTES, 16)
    if size <= _WAV_LIMIT:
        file.write(struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + layout + struct.pack("<4sI", b"data", size))
    else:
        unknown = (1 << 32) - 1
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, 72 + size, size, audio.samples, 0)
        file.write(struct.pack("<4sI4s", b"RF64", unknown, b"WAVE") + sizes + layout)
        file.write(struct.pack("<4sI", b"data", unknown))
    written = 0
    for block in audio.blocks():
        file.write(block.astype("<i2").tobytes())
        written += len(block)
    _expect(written, audio.samples)


def _encode(audio: Audio, file: BinaryIO | None) -> bytes:
    """Write all frames, if there is a file, and return the stream's beginning that goes before them."""
    stitcher = Stitcher(audio.rate)
    md5 = hashlib.md5(usedforsecurity=False)
    for frames, samples in audio.encoded(stitcher):
        md5.update(samples.astype("<i2").tobytes())
        if file:
            file.write(frames)
    _expect(stitcher.number, audio.samples)
    return flac.streaminfo(audio.rate, audio.samples, stitcher.blocks, md5.digest())


def _expect(written: int, samples: int) -> None:
    if written != samples:
        raise IntegrityError("The recording has changed while it was exported.", "Export it again.")
