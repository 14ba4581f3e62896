"""Copies that leave the library: readable by anyone, and saying so.

By default a listening copy (listening.py); with `master` the samples exactly as the recorder stored them. A span may be
cut out, by times or around a mark. Beside every file goes `<name>.moments.txt`: marks, times, dates and gaps. A file
appears under its name when it is whole, or not at all (atomic.py).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from earwitness import chapters
from earwitness.chapters import RATE, clock
from earwitness.dating import BY_RECORDER, ORIGINS
from earwitness.errors import EarwitnessError, UsageError
from earwitness.plain import one_line

if TYPE_CHECKING:
    from earwitness.audio import Audio
    from earwitness.listening import Samples

FORMATS: Final = {
    "flac": ("FLAC", "PCM_16"),
    "wav": ("WAV", "PCM_16"),
    "opus": ("OGG", "OPUS"),
}
READABLE: Final = "This copy is not encrypted: anyone who has it can listen to it."
PROCESSED: Final = (
    "Processed for listening: made louder and evener, 40 Hz to 7.5 kHz. Every moment is where it is in the recording."
)
UNPROCESSED: Final = "The samples exactly as the recorder stored them."
UNVERIFIED: Final = "NOT VERIFIED. "
_PROBE_BYTES: Final = 1 << 20  # more than a library may have had left to write
_HEAD_BYTES: Final = 1 << 14  # of a file of moments: what it is of
Progress = Callable[[int], None]  # called with samples done, of 2 × length for a listening copy


@dataclass(frozen=True)
class Order:
    """What is wanted. Times in samples of the recording; `end` None for its end."""

    kind: str = "flac"
    master: bool = False
    first: int = 0
    end: int | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    title: str = ""
    started: datetime | None = None
    dated: str = ORIGINS[BY_RECORDER]  # where `started` comes from
    origin: str = ""
    excerpt: str = ""  # of what is itself an excerpt: how much is withheld, in words
    warning: str = ""  # why this copy is not to be relied on: it stands first wherever the copy says what it is

    @property
    def whole(self) -> bool:
        """Whether nothing is cut away."""
        return self.first == 0 and self.end is None


def kind_of(path: Path) -> str:
    """The format that a file name asks for."""
    kind = {"oga": "opus", "ogg": "opus"}.get(path.suffix[1:].lower(), path.suffix[1:].lower())
    if kind not in FORMATS:
        raise UsageError(f"{path.name}: cannot tell the format from the name.", "End it with .flac, .wav or .opus.")
    return kind


def listening_blocks(audio: Audio, first: int, end: int, progress: Progress = lambda _n: None) -> Iterator[Samples]:
    """The same span as a listening copy. Two passes over the recording."""
    from earwitness import listening

    done = 0

    def counted() -> Iterator[Samples]:
        nonlocal done
        for block in audio.blocks(first, end):
            done += len(block)
            progress(done)
            yield block

    silent = [(gap.sample - first, gap.count) for gap in audio.gaps]
    plan = listening.measure(counted(), silent)
    yield from listening.render(counted, plan)


def _tags(audio: Audio, order: Order, end: int) -> dict[str, str]:
    tags = {
        "TITLE": one_line(order.title or order.origin or "Recording"),
        "COMMENT": f"{UNVERIFIED + order.warning + ' ' if order.warning else ''}{UNPROCESSED if order.master else PROCESSED} {READABLE}",
        "ENCODED_BY": "Earwitness",
    }
    if order.origin:
        tags["DESCRIPTION"] = order.origin
    if order.excerpt:
        tags["EXCERPT"] = order.excerpt
    elif not order.whole:
        tags["EXCERPT"] = f"{clock(order.first)} to {clock(end)} of {clock(audio.samples)}"
    if order.started:
        tags["COMMENT"] += f" Its date is {order.dated}."
        tags["DATE"] = (order.started + timedelta(seconds=order.first / RATE)).isoformat(timespec="seconds")
    return tags


def _encode(file: IO[bytes], kind: str, blocks: Iterable[Samples]) -> None:
    import soundfile

    container, subtype = FORMATS[kind]
    place: IO[bytes] | int = file
    if (
        os.name == "posix"
    ):  # by its number: Ctrl-C in a call that the library makes to Python would be an error of its own
        with contextlib.suppress(OSError):  # io.UnsupportedOperation: it is in memory
            place = file.fileno()
    samples = 0
    with soundfile.SoundFile(place, "w", RATE, 1, subtype, format=container, closefd=False) as out:
        for block in blocks:
            out.write(block)
            samples += len(block)
    file.seek(0)
    with soundfile.SoundFile(place, closefd=False) as copy:
        if copy.frames != samples:  # the library does not say so when the end of an Opus file does not fit on the disk
            raise RuntimeError(f"{copy.frames} samples were written instead of {samples}")


def nothing_there(first: int, samples: int) -> UsageError:
    """The error for a span that holds nothing."""
    if first >= samples:
        return UsageError(
            f"The recording is only {clock(samples)} long: there is nothing from {clock(first)} on.",
            "Begin earlier.",
        )
    return UsageError("There is nothing between those times.", f"The recording is {clock(samples)} long.")


def write(audio: Audio, file: IO[bytes], order: Order, progress: Progress = lambda _n: None) -> None:
    """Write the copy with its tags into an empty, readable and seekable binary file."""
    with _told_by_the_disk(file):
        _write(audio, file, order, progress)


@contextlib.contextmanager
def _told_by_the_disk(file: IO[bytes]) -> Iterator[None]:
    """The libraries that write sound have words of their own for a full disk: ask the system, by writing more."""
    try:
        yield
    except (OSError, EarwitnessError):
        raise
    except Exception:
        file.seek(0, os.SEEK_END)
        file.write(bytes(_PROBE_BYTES))
        file.flush()
        raise


def _write(audio: Audio, file: IO[bytes], order: Order, progress: Progress) -> None:
    end = audio.samples if order.end is None else min(order.end, audio.samples)
    if not 0 <= order.first < max(end, 1):
        raise nothing_there(order.first, audio.samples)
    if order.master and order.kind == "opus":
        raise UsageError("Opus cannot hold the exact samples.", "Use .flac or .wav with --master.")
    if order.master and order.whole:
        from earwitness import master

        (master.write_master_flac if order.kind == "flac" else master.write_master_wav)(audio, cast(BinaryIO, file))
    elif order.master:
        _encode(file, order.kind, audio.blocks(order.first, end))
    else:
        _encode(file, order.kind, listening_blocks(audio, order.first, end, progress))
    places = chapters.chapters(audio.marks, (*audio.gaps, *audio.silences), order.first, end, order.labels)
    tags = _tags(audio, order, end)
    if order.kind == "flac":
        chapters.tag_flac(file, places, tags, end - order.first)
    elif order.kind == "wav":
        chapters.tag_wav(file, places, tags)
    else:
        chapters.tag_opus(file, places, tags)


def export(
    audio: Audio, target: Path, order: Order, *, overwrite: bool = False, progress: Progress = lambda _n: None
) -> tuple[Path, Path]:
    """Write the copy under `target`, and its moments beside it; returns both paths.

    The copy appears last: where it is, all was done, and moments without it are what a killed run left.
    """
    from earwitness.atomic import replacing

    beside = target.with_name(f"{target.stem}.moments.txt")
    text = moments(audio, order, target.name)
    if not overwrite and beside.exists() and (target.exists() or not _of_the_same(beside, text, order)):
        raise UsageError(f"{beside.name} already exists.", "Choose another name, or add --force to replace both.")
    with replacing(target, overwrite=overwrite) as file:
        write(audio, file, order, progress)
        with replacing(beside) as listed:
            listed.write(text.encode())
    return target, beside


def _of_the_same(path: Path, text: str, order: Order) -> bool:
    """Whether these moments may be replaced: left by a killed run, or of the same span of the same recording."""
    with path.open("rb") as file:
        old = file.read(_HEAD_BYTES).decode("utf-8", "replace").splitlines() or [""]
    (name, _, span), (old_name, _, old_span) = (line.partition(": ") for line in (text.splitlines()[0], old[0]))
    return name == old_name or (span == old_span and bool(order.origin) and order.origin in old)


def stream(audio: Audio, out: IO[bytes], order: Order, progress: Progress = lambda _n: None) -> None:
    """Write the copy to a pipe. Lengths and tags stand at a file's start, so it is made in an unnamed file first."""
    from earwitness.atomic import as_told

    folder = Path(tempfile.gettempdir())
    with tempfile.TemporaryFile(dir=folder) as file:
        with as_told(folder):
            write(audio, file, order, progress)
            file.flush()
        file.seek(0)
        while piece := file.read(1 << 20):
            out.write(piece)
    out.flush()


def moments(audio: Audio, order: Order, name: str) -> str:
    """Marks, times, dates and gaps as plain text."""
    end = audio.samples if order.end is None else min(order.end, audio.samples)

    def when(sample: int) -> str:
        if order.started is None:
            return ""
        return f"{order.started + timedelta(seconds=sample / RATE):%Y-%m-%d %H:%M:%S} UTC"

    def here(sample: int) -> str:
        moment = (cast(datetime, order.started) + timedelta(seconds=sample / RATE)).astimezone()
        return f" ({moment:%H:%M:%S %Z} on the computer that made this copy)" if moment.utcoffset() else ""

    part = (
        order.excerpt or "the whole recording" if order.whole else f"the part from {clock(order.first)} to {clock(end)}"
    )
    lines = [f"{name}: {part}, {clock(end - order.first)} long"]
    if order.warning:
        lines += ["", f"{UNVERIFIED}{order.warning}", ""]
    lines += [one_line(text) for text in (order.title and f"Titled by the owner: {order.title}", order.origin) if text]
    lines += [
        f"Begins {when(order.first)}{here(order.first)}, {order.dated}." if order.started else "Its date is not known."
    ]
    lines += [UNPROCESSED if order.master else PROCESSED, READABLE, "", "Marks"]
    inside = [(number, mark) for number, mark in enumerate(audio.marks, 1) if order.first <= mark.sample < end]
    for number, mark in inside:
        title = chapters.mark_title(number, mark.kind, order.labels)
        lines.append(f"  {clock(mark.sample - order.first)}  {when(mark.sample)}  {title}".rstrip())
    lines += ["  none"] * (not inside) + ["", "Without sound"]
    unheard = sorted((*audio.gaps, *audio.silences), key=lambda gap: gap.sample)
    gaps = [gap for gap in unheard if gap.sample < end and gap.sample + gap.count > order.first]
    for gap in gaps:
        start = max(gap.sample - order.first, 0)
        lines.append(f"  {clock(start)}  {when(gap.sample)}  {chapters.gap_title(gap.reason, gap.count)}".rstrip())
    lines += ["  nothing: sound throughout"] * (not gaps)
    if not order.whole:
        lines += ["", f"Times count from the start of this file; add {clock(order.first)} for those of the recording."]
    return "\n".join(lines) + "\n"
