"""Samples and FLAC: frames made of samples or silence, and samples out of frames (libsndfile decodes)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import soundfile

from earwitness import flac
from earwitness.body import Body
from earwitness.errors import FormatError, IntegrityError

Samples = npt.NDArray[np.int16]

_CONSTANT, _VERBATIM = b"\x00", b"\x02"  # subframe headers, no wasted bits
_CHUNK = 4096


@cache
def _crc16_tables() -> npt.NDArray[np.uint16]:
    """Row k: what a byte adds to the CRC-16 (x^16 + x^15 + x^2 + 1) when k more bytes follow it."""
    table = np.zeros((_CHUNK, 256), np.uint16)
    crc = np.arange(256, dtype=np.uint32) << 8
    for _ in range(8):
        crc = (crc << 1) ^ np.where(crc & 0x8000, 0x8005, 0).astype(np.uint32) & 0xFFFF
    table[0] = crc & 0xFFFF
    for k in range(1, _CHUNK):
        before = table[k - 1]
        table[k] = (before << 8) ^ table[0][before >> 8]
    return table


def crc16(data: bytes) -> int:
    """CRC-16 of a frame. It is linear, so the bytes of a chunk are looked up all at once and added."""
    table, crc = _crc16_tables(), 0
    for at in range(0, len(data), _CHUNK):
        chunk = np.frombuffer(data, np.uint8, min(_CHUNK, len(data) - at), at).copy()
        if len(chunk) == 1:
            crc = ((crc << 8) & 0xFFFF) ^ int(table[0][(crc >> 8) ^ int(chunk[0])])
            continue
        chunk[0] ^= crc >> 8
        chunk[1] ^= crc & 0xFF
        crc = int(np.bitwise_xor.reduce(table[np.arange(len(chunk) - 1, -1, -1), chunk]))
    return crc


def verbatim(number: int, samples: Samples, rate: int) -> bytes:
    """One frame that holds 1 to 65536 samples as they are."""
    return _closed(flac.header(number, len(samples), rate) + _VERBATIM + samples.astype(">i2").tobytes())


def silence(number: int, count: int, rate: int) -> bytes:
    """One frame of `count` zero samples, in about 14 bytes."""
    return _closed(flac.header(number, count, rate) + _CONSTANT + b"\0\0")


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Read once, forward. soundfile seeks after each read if it may, and libFLAC cannot where numbers begin late."""

    def seekable(self) -> bool:
        return False


def decode(data: bytes, samples: int, rate: int) -> Samples:
    """Consecutive frames to exactly `samples` samples. Raises IntegrityError if that is not what they hold.

    Sample numbers may begin anywhere. One sample more is asked for than there may be, so that frames too many are
    noticed like frames too few.
    """
    stream = flac.streaminfo(rate, samples + 1, (flac.MIN_BLOCK, 65535)) + data
    try:
        with _Stream(io.BytesIO(stream)) as file:
            decoded: Samples = file.read(samples + 1, dtype="int16")
    except soundfile.LibsndfileError as error:
        raise IntegrityError("Sound in this recording is not the FLAC that it says it is.") from error
    if len(decoded) != samples:
        raise IntegrityError(f"Sound in this recording decodes to {len(decoded)} samples where {samples} are due.")
    return decoded


def decode_pages(pages: Sequence[Body], rate: int) -> Samples:
    """The sound of consecutive pages of codec 1. Raises IntegrityError unless each holds exactly what it says."""
    try:
        for page in pages:
            page.frames()
    except FormatError as error:
        raise IntegrityError(f"Sound in this recording is not as its page says: {error.message}.") from error
    return decode(b"".join(page.audio for page in pages), sum(page.samples for page in pages), rate)


def _closed(frame: bytes) -> bytes:
    return frame + crc16(frame).to_bytes(2, "big")
