"""The inside of an audio page, once decrypted (FORMAT.md, "Audio page")."""

from __future__ import annotations

import struct
from typing import NamedTuple

from earwitness import flac
from earwitness.errors import FormatError

PCM16, FLAC = 0, 1
MAX_SAMPLES = 1 << 32  # 74 h at 16 kHz, where the recorder's counter ends; it rolls over before

_FIXED = struct.Struct("<QQHHHBBII")
_BODY_BYTES = 4016
_ROOM_BYTES = _BODY_BYTES - _FIXED.size
_ZEROS = bytes(_ROOM_BYTES)


class Body(NamedTuple):
    """One page of sound. `first_sample` counts from 0 and includes lost and muted samples; `mono_us` is since boot."""

    first_sample: int
    mono_us: int
    samples: int
    lost_before: int
    codec: int
    events: bytes
    audio: bytes

    @property
    def end(self) -> int:
        """Number of the sample after the last."""
        return self.first_sample + self.samples

    def frames(self) -> list[flac.Frame]:
        """Where codec 1 has its frames in `audio`. Raises FormatError unless they are exactly this page's samples."""
        return flac.frames(self.audio, self.first_sample, self.samples)


def parse(plain: bytes) -> Body:
    """A decrypted body (4016 bytes). Raises FormatError saying which rule it breaks.

    Of FLAC only the first frame's header is looked at; `Body.frames` and decoding find the rest.
    """
    first, mono, samples, event_bytes, audio_bytes, codec, flags, lost, zero = _FIXED.unpack_from(plain)
    used = event_bytes + audio_bytes
    if flags or zero:
        raise FormatError("fields that the format keeps zero are not")
    if used > _ROOM_BYTES:
        raise FormatError("events and audio are longer than the page")
    if plain[_FIXED.size + used :] != _ZEROS[used:]:
        raise FormatError("the padding is not zero")
    events_end = _FIXED.size + event_bytes
    audio = plain[events_end : _FIXED.size + used]
    if first + samples > MAX_SAMPLES:
        raise FormatError("the sample count is beyond what a recorder can count to")
    if codec == PCM16:
        if audio_bytes != 2 * samples:
            raise FormatError(f"{audio_bytes} bytes of PCM cannot be {samples} samples")
    elif codec == FLAC:
        flac.check_first(audio, first, samples)
    else:
        raise FormatError(f"codec {codec} is not known")
    return Body(first, mono, samples, lost, codec, plain[_FIXED.size : events_end], audio)
