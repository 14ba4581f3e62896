"""Marked minutes that come ahead of their recordings: 45 s before and 15 s after each mark, over a link that is too slow for
all of it.

They lie beside the recordings as they came, encrypted, in hidden files that go when the whole recording is there: page n
at its place in a file with holes. What is opened is checked with its tag, by the recording's own key; that the recorder
signed for it is proved with the whole recording only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from earwitness import events, page
from earwitness.body import FLAC, Body
from earwitness.container import find_header
from earwitness.errors import EarwitnessError, IntegrityError, NoDeviceError
from earwitness.link.messages import FINAL, PAGE_BYTES, WINDOW_PAGES, Recording
from earwitness.pages_ahead import RATE_HZ, Opener, Pages
from earwitness.pcm import decode_pages

if TYPE_CHECKING:
    import numpy.typing as npt

    from earwitness.identity import Identity
    from earwitness.library import Library
    from earwitness.link.client import Recorder

BEFORE_S: Final = 45.0
AFTER_S: Final = 15.0
_PAGE_S: Final = 0.47  # of speech, about: where nobody can open the pages
_SUFFIX: Final = ".minutes"
_LONGEST_PAGE_S: Final = 0.875  # 14,000 samples
_ENOUGH_PAGES: Final = 20  # to know how long pages are here
_MARGIN: Final = 1.1
_STEPS: Final = 40  # ranges asked for in one direction
_SILENT_PAGES: Final = 8  # in a row that hold no sound: there is no more behind them
_MOST_PAGES: Final = 640  # of a minute: noise that does not shrink fills 480

Progress = Callable[[int, int], None]


class Minute(NamedTuple):
    """One mark of one recording on the recorder: `number` counts its marks from 1."""

    seq: int
    number: int
    pages: int  # that are here
    seconds: float  # of sound that is here and whose tags are right; 0 where it could not be opened
    at_s: float  # of the mark, from the recording's beginning; -1 where it could not be opened
    reason: str  # why it did not come, or ""


@dataclass(frozen=True)
class Sound:
    """A marked minute that was opened."""

    seq: int
    number: int
    first_sample: int
    mark_sample: int
    samples: npt.NDArray[np.int16]  # holes, and what was off the record, as silence


def minutes_path(library: Library, recording_id: str) -> Path:
    """Where what came ahead of a recording lies."""
    return library.root / f".{recording_id}{_SUFFIX}"


class _Fetcher:
    """Has the pages of one recording brought here as they are wanted."""

    def __init__(
        self,
        recorder: Recorder,
        recording: Recording,
        pages: Pages,
        identity: Identity | None,
        progress: Callable[[int], None],
    ) -> None:
        self._recorder = recorder
        self._recording = recording
        self._pages = pages
        self._progress = progress
        self.bring(0, min(2, recording.pages))
        header, _ = find_header(pages.get(0) or b"", pages.get(1) or b"")
        if header.recording_id != recording.recording_id:
            raise IntegrityError("Its file holds another recording than the one that was listed.")
        self.opener = Opener(pages, identity) if identity is not None else None

    def bring(self, first: int, end: int) -> int:
        """Have pages first to end-1 here, as far as the card can give them; returns how many are."""
        here = 0
        at = first
        while at < end:
            if self._pages.get(at) is not None:
                here += 1
                at += 1
                continue
            until = at + 1
            while until < end and self._pages.get(until) is None:
                until += 1
            for got in self._recorder.read(self._recording, at, until):
                if got.data is not None and self._is_ours(got.data):
                    self._pages.put(got.number, got.data)
                    here += 1
                self._progress(PAGE_BYTES)
            at = until
        return here

    def _is_ours(self, data: bytes) -> bool:
        start = page.start(data)
        return start is not None and start.recording_id == self._recording.recording_id

    def minute(self, number: int, mark: int) -> Minute:
        """Bring what belongs to the mark in file page `mark`."""
        seq, last = self._recording.seq, self._recording.pages - 1
        opener = self.opener
        mark = min(mark, last)  # what was written last may have gone with the power
        # The recorder told where the mark would be written; a checkpoint may have come in between.
        around = [one for one in (mark, mark + 1, mark + 2, mark - 1) if 1 < one <= last]
        self.bring(min(around, default=mark), max(around, default=mark) + 1)
        at = opener.mark_s(around) if opener is not None else None
        if opener is None or at is None:
            low = max(1, mark - int(BEFORE_S / _PAGE_S))
            high = min(last, mark + int(AFTER_S / _PAGE_S))
            return Minute(seq, number, self.bring(low, high + 1), 0.0, -1.0, "")
        low = high = mark
        for _ in range(_STEPS):
            begin = opener.begin_s(low, mark + 2)
            missing = (begin if begin is not None else at) - max(0.0, at - BEFORE_S)
            if missing <= 0 or low <= 1 or not self._goes_on(opener, range(low, high + 1)):
                break
            end, low = low, max(1, low - self._step(opener, low, high, missing))
            self.bring(low, end)
        for _ in range(_STEPS):
            end_s = opener.end_s(high, mark)
            missing = at + AFTER_S - (end_s if end_s is not None else at)
            if missing <= 0 or high >= last or not self._goes_on(opener, range(high, low - 1, -1)):
                break
            start, high = high + 1, min(last, high + self._step(opener, low, high, missing))
            self.bring(start, high + 1)
        seconds = sum(opener.length_s(one) for one in range(low, high + 1))
        return Minute(seq, number, high + 1 - low, round(seconds, 2), round(at, 2), "")

    @staticmethod
    def _goes_on(opener: Opener, pages: range) -> bool:
        """Whether there may be more before the first of these pages: it is not all damage or unused space there, and no
        minute has as many."""
        edge = pages[:_SILENT_PAGES]
        silent = len(edge) == _SILENT_PAGES and not any(opener.length_s(one) for one in edge)
        return not silent and len(pages) < _MOST_PAGES

    @staticmethod
    def _step(opener: Opener, low: int, high: int, missing_s: float) -> int:
        """How many pages surely hold no more than `missing_s`, by the mean of those that are here; at least one."""
        known_s = sum(opener.length_s(one) for one in range(low, high + 1))
        if high - low < _ENOUGH_PAGES or known_s <= 0:
            return max(1, int(missing_s / _LONGEST_PAGE_S))
        return max(1, min(WINDOW_PAGES, int(missing_s / (_MARGIN * known_s / (high + 1 - low)))))


def fetch(
    recorder: Recorder,
    recordings: Iterable[Recording],
    library: Library,
    *,
    identity: Identity | None = None,
    progress: Progress | None = None,
) -> list[Minute]:
    """Bring the marked minutes of recordings that the library lacks, the newest recording first. What an earlier run
    brought is not brought again.

    With an identity exactly 45 s before and 15 s after each mark are taken; without, about as many pages. Raises
    LinkLostError where the recorder went away; running it again resumes.
    """
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, max(done, total))

    found: list[Minute] = []
    total = 0
    wanted = [one for one in recordings if one.state == FINAL and one.marks and not _is_here(library, one)]
    total = sum(min(one.pages, len(one.marks) * int((BEFORE_S + AFTER_S) / _PAGE_S)) for one in wanted) * PAGE_BYTES
    for recording in sorted(wanted, key=lambda one: -one.seq):
        with Pages(minutes_path(library, recording.recording_id.hex())) as pages:
            try:
                fetcher = _Fetcher(recorder, recording, pages, identity, tell)
                for number, mark in enumerate(recording.marks, 1):
                    found.append(fetcher.minute(number, mark))
            except NoDeviceError:
                raise
            except EarwitnessError as error:
                found.append(Minute(recording.seq, 0, 0, 0.0, -1.0, error.message))
    return found


def _is_here(library: Library, recording: Recording) -> bool:
    entry = library.has(recording.recording_id.hex())
    return entry is not None and library.is_whole(entry)


def settle(library: Library) -> None:
    """Delete what came ahead of recordings that are here as a whole now."""
    for path in waiting(library):
        entry = library.has(path.name[1 : -len(_SUFFIX)])
        if entry is not None and library.is_whole(entry):
            path.unlink(missing_ok=True)


def waiting(library: Library) -> list[Path]:
    """Files of marked minutes whose recordings have not come yet."""
    return sorted(library.root.glob(f".*{_SUFFIX}"))


def sounds(path: Path, identity: Identity) -> Iterator[Sound]:
    """What came of each mark, in order. Raises KeyMissingError if the identity does not open it."""
    with Pages(path) as pages:
        opener = Opener(pages, identity)
        header, _ = find_header(pages.get(0) or b"", pages.get(1) or b"")
        bodies = [body for number in range(pages.count()) if (body := opener.body(number)) is not None]
        number = 0
        for body in bodies:
            for event in events.parse(body.events):
                if event.type == events.MARK:
                    number += 1
                    _, at = events.mark(event)
                    yield Sound(header.seq, number, *_cut(bodies, at))


def _cut(bodies: list[Body], at: int) -> tuple[int, int, npt.NDArray[np.int16]]:
    first = max(0, at - int(BEFORE_S * RATE_HZ))
    end = at + int(AFTER_S * RATE_HZ)
    near = [body for body in bodies if body.end > first and body.first_sample < end]
    first = max(first, near[0].first_sample)
    end = min(end, near[-1].end)
    out = np.zeros(max(0, end - first), dtype=np.int16)
    for body in near:
        if body.samples:
            samples = decode_pages([body], RATE_HZ) if body.codec == FLAC else np.frombuffer(body.audio, "<i2")
            start, stop = max(body.first_sample, first), min(body.end, end)
            out[start - first : stop - first] = samples[start - body.first_sample : stop - body.first_sample]
    return first, at, out
