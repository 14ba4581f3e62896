"""Verifying a recording, with or without the owner's identity, in one pass and constant memory."""

from __future__ import annotations

import os
from collections.abc import Callable

from earwitness import answers, moment
from earwitness.answers import Found
from earwitness.body import FLAC, Body
from earwitness.chain import Chain, cut_short, in_sequence
from earwitness.container import Container
from earwitness.errors import FormatError, IntegrityError
from earwitness.findings import Survey
from earwitness.keys import Opener
from earwitness.opening import PageOpener
from earwitness.page import Header
from earwitness.structure import Leaf, Structure
from earwitness.timeline import Timeline
from earwitness.verdict import Answer, Verdict

__all__ = ["Answer", "Chain", "Verdict", "verify"]


def verify(
    path: str | os.PathLike[str],
    identity: Opener | None = None,
    *,
    pinned: bytes | None = None,
    chain: Chain | None = None,
    decode: bool = False,
    progress: Callable[[int], None] | None = None,
    opened: Callable[[Leaf, Body], None] | None = None,
) -> Verdict:
    """What can be said of the file at `path`.

    identity: the owner's; without it the seals are checked and nothing is opened. pinned: the device's Ed25519 public
    key (32 bytes) from pairing. chain: what is known of the device's other recordings. decode: also decode all sound.
    progress: called with the number of file pages read so far. opened: called with each proven page of sound, in order.

    Raises FormatError if the file is no recording, IntegrityError if its header and the copy of it are both spoilt,
    KeyMissingError if `identity` is no recipient. Everything else that is wrong is in the verdict.
    """
    container = Container(path)
    structure = Structure(container)
    survey = structure.survey
    walk = None if identity is None else _Contents(PageOpener(container, identity), survey, decode, opened)
    for leaf in structure.leaves():
        if walk:
            walk.take(leaf)
        if progress and not leaf.index % 256:
            progress(leaf.file_page)
    if walk:
        walk.close()
    return conclude(container.header, survey, walk.timeline if walk else None, pinned, chain)


class _Contents:
    """The walk with the key: tags, bodies, sample numbers."""

    def __init__(
        self, pages: PageOpener, survey: Survey, decode: bool, opened: Callable[[Leaf, Body], None] | None
    ) -> None:
        self._pages = pages
        self._survey = survey
        self._opened = opened
        self._sound = _Sound(survey) if decode else None
        self.timeline = Timeline()

    def take(self, leaf: Leaf) -> None:
        """One leaf in its turn; unproven ones are only told apart from debris."""
        try:
            body = self._pages.open(leaf)
            if leaf.proven:
                self.timeline.add(leaf.index, body)
                if self._sound:
                    self._sound.take(leaf, body, self.timeline.rate)
                if self._opened:
                    self._opened(leaf, body)
        except (FormatError, IntegrityError) as error:
            if leaf.proven:
                self._survey.findings.failure(f"a page is sealed and yet invalid: {error.message}", leaf.file_page)
            else:
                self._survey.unproven -= 1
                self._survey.litter(f"page {leaf.file_page} is torn: {error.message}")

    def close(self) -> None:
        """All leaves are taken."""
        if self._sound:
            self._sound.close()


class _Sound:
    """Decodes pages some at a time, to find what only decoding finds."""

    _PAGES = 64

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._batch: list[tuple[Leaf, Body]] = []
        self._rate = 0

    def take(self, leaf: Leaf, body: Body, rate: int) -> None:
        self._rate = rate
        if body.codec == FLAC and body.samples:
            self._batch.append((leaf, body))
        if len(self._batch) == self._PAGES:
            self.close()

    def close(self) -> None:
        from earwitness import pcm

        batch, self._batch = self._batch, []
        try:
            if batch:
                pcm.decode_pages([body for _, body in batch], self._rate)
        except IntegrityError:
            for leaf, body in batch:
                try:
                    pcm.decode_pages([body], self._rate)
                except IntegrityError as error:
                    self._survey.findings.failure(f"a page is sealed and yet invalid: {error.message}", leaf.file_page)


def conclude(
    header: Header, survey: Survey, timeline: Timeline | None, pinned: bytes | None, known: Chain | None
) -> Verdict:
    """The verdict that follows from finished walks; `timeline` is None if nothing was opened."""
    final = survey.final
    more = cut_short(known, header, final, survey.proven_to)
    found = Found(header, survey, timeline, pinned == header.device, more)
    inside = timeline or Timeline()
    started = moment.best(inside.moments(0))
    return Verdict(
        intact=answers.intact(found),
        complete=answers.complete(found),
        continuous=answers.continuous(found),
        in_sequence=in_sequence(known, header, final),
        when=answers.when(found),
        by=answers.by(found, pinned),
        opened=timeline is not None,
        seq=header.seq,
        recording_id=header.recording_id,
        device=header.device,
        prev=header.prev,
        final_note=final.text if final else b"",
        final_note_hash=final.hash if final else b"",
        pages=max(survey.proven - 1, 0),
        unproven=survey.unproven,
        damaged=survey.damaged + survey.findings.gone_count,
        debris=tuple(survey.debris),
        unused_pages=survey.unused_pages,
        rate=inside.rate,
        samples=inside.samples,
        marks=tuple(inside.marks),
        gaps=tuple(inside.gaps),
        events=tuple(inside.events),
        stop_reason=inside.stop_reason,
        meta=inside.meta,
        clock="" if started is None else moment.utc(started.utc_us),
        started_us=started.utc_us if started else None,
        started_error_us=started.error_us if started else 0,
        began_us=inside.start_us if inside.first_index else None,
        silences=inside.silences,
    )
