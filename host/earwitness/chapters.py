"""Chapters: marks, losses and mutes by name, in the places where players and editors look for them.

FLAC and Opus: `CHAPTERxxx` comments (mutagen); FLAC also a CUESHEET; WAV: `cue ` points with `labl` names.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from earwitness.plain import one_line

if TYPE_CHECKING:
    from earwitness.timeline import Gap, Mark

RATE: Final = 16_000
_GAPS: Final = {
    "muted": "Off the record",
    "lost": "Sound lost",
    "damaged": "Sound damaged",
    "silent": "Microphone dead",
    "withheld": "Withheld",
    "not recorded": "Not recorded",
}
_MOST_TRACKS: Final = 254  # FLAC CUESHEET: track numbers 1 to 254, 255 is the lead-out


@dataclass(frozen=True)
class Chapter:
    """A named place; `sample` counts from the start of the exported span."""

    sample: int
    title: str


def clock(sample: int) -> str:
    """`0:12:34.5` for a sample position."""
    tenths = round(sample * 10 / RATE)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def seconds_clock(seconds: float) -> str:
    """The same for seconds."""
    return clock(round(seconds * RATE))


def seconds_text(samples: int) -> str:
    """`0.52 s`, `12 s` or `4 min 10 s`."""
    seconds = samples / RATE
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def mark_title(number: int, kind: str, labels: Mapping[int, str]) -> str:
    """`Mark 3: disputed (titled by the owner: Agreed)`: what was sealed first, the title as what it is."""
    title = one_line(labels.get(number, ""))
    return f"Mark {number}: {kind}{f' (titled by the owner: {title})' if title else ''}"


def gap_title(reason: str, samples: int) -> str:
    """What a silent span is."""
    return f"{_GAPS.get(reason, reason)}, {seconds_text(samples)}"


def chapters(
    marks: Sequence[Mark], gaps: Sequence[Gap], first: int, end: int, labels: Mapping[int, str]
) -> list[Chapter]:
    """Everything with a name between samples `first` and `end`, in order; always something at 0."""
    found = [
        Chapter(mark.sample - first, mark_title(number, mark.kind, labels))
        for number, mark in enumerate(marks, 1)
        if first <= mark.sample < end
    ]
    for gap in gaps:
        if gap.sample < end and gap.sample + gap.count > first:
            found.append(Chapter(max(0, gap.sample - first), gap_title(gap.reason, gap.count)))
            if gap.sample + gap.count < end:
                found.append(Chapter(gap.sample + gap.count - first, "Sound again"))
    found.sort(key=lambda chapter: chapter.sample)
    if not found or found[0].sample > 0:
        found.insert(0, Chapter(0, "Start"))
    return found


def _comments(places: Iterable[Chapter], tags: Mapping[str, str]) -> dict[str, str]:
    comments = dict(tags)
    for number, place in enumerate(places):
        whole, rest = divmod(place.sample, RATE)
        comments[f"CHAPTER{number:03d}"] = (
            f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest * 1000 // RATE:03d}"
        )
        comments[f"CHAPTER{number:03d}NAME"] = place.title
    return comments


def tag_flac(file: IO[bytes], places: Sequence[Chapter], tags: Mapping[str, str], samples: int) -> None:
    """Comments and a cue sheet into a finished FLAC file."""
    import mutagen.flac

    library: Any = mutagen.flac  # its functions are not annotated
    file.seek(0)
    flac = library.FLAC(fileobj=file)
    if flac.tags is None:
        flac.add_tags()
    flac.tags.update(_comments(places, tags))
    sheet = library.CueSheet(None)
    sheet.lead_in_samples, sheet.compact_disc, sheet.media_catalog_number = 0, False, b""
    sheet.tracks = []
    for number, place in enumerate(places[:_MOST_TRACKS], 1):
        track = library.CueSheetTrack(number, place.sample)
        track.indexes = [library.CueSheetTrackIndex(1, 0)]
        sheet.tracks.append(track)
    sheet.tracks.append(library.CueSheetTrack(255, samples))
    flac.metadata_blocks.append(sheet)
    flac.cuesheet = sheet
    file.seek(0)
    flac.save(fileobj=file)


def tag_opus(file: IO[bytes], places: Sequence[Chapter], tags: Mapping[str, str]) -> None:
    """Comments into a finished Ogg Opus file."""
    import mutagen.oggopus

    library: Any = mutagen.oggopus
    file.seek(0)
    opus = library.OggOpus(fileobj=file)
    opus.tags.update(_comments(places, tags))
    file.seek(0)
    opus.save(fileobj=file)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def tag_wav(file: IO[bytes], places: Sequence[Chapter], tags: Mapping[str, str]) -> None:
    """Cue points with names, and an INFO list, behind the samples of a finished WAV file."""
    file.seek(0)
    if file.read(4) != b"RIFF":
        return  # RF64, beyond 4 GB: the list of moments stands beside the file
    points = b"".join(
        struct.pack("<II4sIII", number, place.sample, b"data", 0, 0, place.sample)
        for number, place in enumerate(places, 1)
    )
    names = b"".join(
        _chunk(b"labl", struct.pack("<I", number) + place.title.encode() + b"\0")
        for number, place in enumerate(places, 1)
    )
    info = b"".join(
        _chunk(name, tags[tag].encode() + b"\0")
        for name, tag in ((b"INAM", "TITLE"), (b"ICRD", "DATE"), (b"ICMT", "COMMENT"), (b"ISFT", "ENCODED_BY"))
        if tag in tags
    )
    end = file.seek(0, 2)
    if end % 2:
        end += file.write(b"\0")
    file.write(_chunk(b"cue ", struct.pack("<I", len(places)) + points))
    file.write(_chunk(b"LIST", b"adtl" + names))
    file.write(_chunk(b"LIST", b"INFO" + info))
    end = file.tell()
    file.seek(4)
    file.write(struct.pack("<I", end - 8))
    file.seek(0, 2)
