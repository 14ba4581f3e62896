"""The sound of a recording: verified first, then opened page by page in constant memory.

Of a recording of an hour or two the pages that were opened to verify it are kept, so that it is read once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from earwitness import body, pcm
from earwitness.body import Body
from earwitness.container import Container
from earwitness.errors import EarwitnessError, FormatError, IntegrityError
from earwitness.keys import Opener
from earwitness.opening import PageOpener
from earwitness.pcm import Samples
from earwitness.stitch import Stitcher
from earwitness.structure import Structure
from earwitness.timeline import Gap, Mark, Timeline
from earwitness.verdict import Verdict
from earwitness.verify import verify

__all__ = ["Audio", "Gap", "Mark"]

_KEPT_BYTES = 64 << 20  # the longest file whose pages are kept: what it takes of memory, for about two hours of sound
_BATCH_PAGES = 32
_RUNS_AHEAD = 4
_DECODERS = 2  # decoding costs twice what opening does
_SILENCE_SAMPLES = 1 << 16
_HINT = "See `earwitness verify`. What cannot be proven is played or exported only if you ask for it."


class Audio:
    """A recording as sound. Only proven pages count, unless `allow_unverified`.

    rate: samples a second. samples: all of them, gaps included. marks, gaps: in order. Gaps are silence of exact length:
    lost, muted, or damaged since. verdict: what `verify` said.

    Raises IntegrityError unless the file is what a recorder sealed (damaged pages among proven ones are gaps), and
    KeyMissingError if `identity` does not open it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        identity: Opener,
        *,
        allow_unverified: bool = False,
        pinned: bytes | None = None,
    ) -> None:
        self._container = Container(path)
        self._identity = identity
        self._allow = allow_unverified
        kept: list[tuple[int, int, Body]] | None = None
        if not allow_unverified and self._container.size_bytes <= _KEPT_BYTES:
            kept = []
        self._kept = kept
        keep = None if kept is None else lambda leaf, page: kept.append((leaf.index, leaf.file_page, page))
        self._rely_on(verify(path, identity, pinned=pinned, opened=keep))
        if allow_unverified:
            timeline = Timeline()
            for _ in self._pieces(timeline):
                pass
            self.rate, self.samples = timeline.rate, timeline.samples
            self.marks, self.gaps, self.silences = timeline.marks, timeline.gaps, timeline.silences

    def _rely_on(self, verdict: Verdict) -> None:
        if not self._allow and (verdict.intact.state == "not intact" or verdict.by.ok is False):
            raise IntegrityError((verdict.by if verdict.by.ok is False else verdict.intact).reason, _HINT)
        self.verdict = verdict
        self.rate = verdict.rate
        self.samples = verdict.samples
        self.marks = list(verdict.marks)
        self.gaps = list(verdict.gaps)
        self.silences = verdict.silences

    def blocks(self, first: int = 0, end: int | None = None) -> Iterator[Samples]:
        """Samples `first` to `end` (all by default) as int16 arrays of any length, gaps as silence."""
        stop = self.samples if end is None else min(end, self.samples)
        at = 0
        for block in self._decoded_ahead(first, stop if end is not None else None):
            if isinstance(block, int):
                at += block
                continue
            part = block[max(first - at, 0) : max(stop - at, 0)]
            at += len(block)
            if len(part):
                yield part

    def _decoded_ahead(self, first: int, stop: int | None) -> Iterator[Samples | int]:
        """Decoded runs, or the length of one that ends before `first`. Threads decode while the next pages are opened."""
        at = 0
        waiting: deque[Future[list[Samples]] | int] = deque()
        with ThreadPoolExecutor(_DECODERS) as worker:
            for run in self._runs():
                length = sum(map(_length, run))
                at += length
                waiting.append(worker.submit(self._decode, run) if at > first else length)
                if len(waiting) > _RUNS_AHEAD:
                    yield from _results(waiting.popleft())
                if stop is not None and at >= stop:
                    break  # without an end the walk goes on to its last check
            while waiting:
                yield from _results(waiting.popleft())

    def flac_frames(self) -> Iterator[bytes]:
        """Consecutive frames of one valid FLAC stream, some at a time: the recorder's own wherever they can stay."""
        stitcher = Stitcher(self.rate)
        for run in self._runs():
            yield from self._stitched(stitcher, run)
        yield from stitcher.end()

    def encoded(self, stitcher: Stitcher) -> Iterator[tuple[bytes, Samples]]:
        """The frames and, beside them, the samples that they hold, in one pass; the two do not keep step exactly."""
        for run in self._runs():
            frames = b"".join(self._stitched(stitcher, run))
            samples = np.concatenate(list(self._decoded(run)))
            yield frames, samples
        yield b"".join(stitcher.end()), np.zeros(0, np.int16)

    def _pieces(self, timeline: Timeline) -> Iterator[Gap | Body]:
        """Gaps and pages with sound, in order and without a gap between them."""
        for index, file_page, page in self._bodies():
            try:
                gaps = timeline.add(index, page)
            except FormatError as error:
                if self._allow:
                    continue
                raise _unusable(file_page, error) from error
            yield from gaps
            if page.samples:
                yield page

    def _bodies(self) -> Iterator[tuple[int, int, Body]]:
        """The pages that count: index of the leaf, page of the file, and what is inside."""
        if self._kept is not None:
            yield from self._kept
            return
        structure = Structure(self._container)
        pages = PageOpener(self._container, self._identity)
        for leaf in structure.leaves():
            if not leaf.proven and not self._allow:
                continue
            try:
                page = pages.open(leaf)
            except (FormatError, IntegrityError) as error:
                if self._allow:
                    continue
                raise _unusable(leaf.file_page, error) from error
            yield leaf.index, leaf.file_page, page
        if structure.survey.findings.failure_count and not self._allow:
            raise IntegrityError("The file has changed while it was read.", _HINT)

    def _runs(self) -> Iterator[list[Gap | Body]]:
        """Pieces in runs of one kind that can be treated at once: frames, plain samples, or a stretch of silence."""
        run: list[Gap | Body] = []
        timeline = Timeline()
        for piece in self._pieces(timeline):
            if isinstance(piece, Gap):
                if run:
                    yield run
                    run = []
                for at in range(0, piece.count, _SILENCE_SAMPLES):
                    count = min(_SILENCE_SAMPLES, piece.count - at)
                    yield [Gap(piece.sample + at, count, piece.reason, piece.rate)]
                continue
            if run and (len(run) == _BATCH_PAGES or _codec(run[0]) != piece.codec):
                yield run
                run = []
            run.append(piece)
        if run:
            yield run
        if timeline.samples != self.samples:
            raise IntegrityError("The file has changed while it was read.", _HINT)

    def _decoded(self, run: list[Gap | Body]) -> Iterator[Samples]:
        pages = [piece for piece in run if isinstance(piece, Body)]
        if not pages:
            yield np.zeros(sum(map(_length, run)), np.int16)
        elif pages[0].codec == body.PCM16:
            yield np.frombuffer(b"".join(page.audio for page in pages), "<i2").astype(np.int16)
        else:
            try:
                yield pcm.decode_pages(pages, self.rate)
            except IntegrityError:
                for page in pages:
                    yield self._decoded_page(page)

    def _decode(self, run: list[Gap | Body]) -> list[Samples]:
        return list(self._decoded(run))

    def _decoded_page(self, page: Body) -> Samples:
        try:
            return pcm.decode_pages([page], self.rate)
        except IntegrityError as error:
            if self._allow:
                return np.zeros(page.samples, np.int16)
            seconds = page.first_sample / self.rate
            raise IntegrityError(f"{error.message} (at {seconds:.1f} s)", _HINT) from error

    def _stitched(self, stitcher: Stitcher, run: list[Gap | Body]) -> Iterator[bytes]:
        for piece in run:
            if isinstance(piece, Gap):
                yield from stitcher.silence(piece.count)
            elif piece.codec == body.PCM16:
                yield from stitcher.samples(np.frombuffer(piece.audio, "<i2").astype(np.int16))
            else:
                try:
                    if self._allow:
                        pcm.decode_pages([piece], self.rate)
                    yield from stitcher.frames(piece)
                except (FormatError, IntegrityError):
                    yield from stitcher.samples(self._decoded_page(piece))


def _unusable(file_page: int, error: EarwitnessError) -> IntegrityError:
    return IntegrityError(f"Page {file_page} cannot be used: {error.message}.", _HINT)


def _results(run: Future[list[Samples]] | int) -> Iterator[Samples | int]:
    if isinstance(run, int):
        yield run
    else:
        yield from run.result()


def _length(piece: Gap | Body) -> int:
    return piece.count if isinstance(piece, Gap) else piece.samples


def _codec(piece: Gap | Body) -> int:
    return -1 if isinstance(piece, Gap) else piece.codec
