"""The verdict on an excerpt: the same six answers, and what of the recording is withheld."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from earwitness import note
from earwitness.answers import Found
from earwitness.body import FLAC, Body
from earwitness.chain import Chain, cut_short
from earwitness.chapters import clock, seconds_text
from earwitness.errors import IntegrityError
from earwitness.excerpt import Excerpt, Run, Walk
from earwitness.findings import Findings, Survey
from earwitness.timeline import Timeline
from earwitness.verdict import Answer, Verdict
from earwitness.verify import conclude

_STATES = {note.END: "sealed as end", note.RECOVERED: "recovered", note.DAMAGED: "damaged", note.RUNNING: "unfinished"}
_LISTED = 100


@dataclass(frozen=True, slots=True)
class ExcerptVerdict(Verdict):
    """`pages` counts the disclosed ones, and `samples` ends with the last of them. `runs`: all parts, in order."""

    runs: tuple[Run, ...] = ()
    withheld_pages: int = 0

    def to_json(self) -> dict[str, Any]:
        """As of a recording, and `excerpt` beside it."""
        runs = [asdict(run) for run in self.runs]
        return Verdict.to_json(self) | {"excerpt": {"withheld_pages": self.withheld_pages, "parts": runs}}


def verify_excerpt(
    path: str | os.PathLike[str], *, pinned: bytes | None = None, chain: Chain | None = None, decode: bool = False
) -> ExcerptVerdict:
    """What can be said of the excerpt at `path`; nobody's key is needed. pinned, chain, decode: as for `verify`.

    Raises FormatError if the file is no excerpt, IntegrityError if what the recorder signed is not in it. Everything
    else that is wrong is in the verdict: then nothing of the excerpt is proven.
    """
    excerpt = Excerpt(path)
    header, signed = excerpt.header, excerpt.seal.note
    timeline = Timeline()
    walk = Walk(excerpt, timeline)
    survey = Survey(Findings(), proven_to=signed.n, begins_sealed=True, final_whole=True, checkpoints=1)
    survey.final = signed if signed.final else None
    fault = ""
    try:
        for piece in walk.pieces():
            if decode and isinstance(piece, Body) and piece.codec == FLAC:
                _decode(piece, walk.disclosed, timeline.rate)
    except IntegrityError as error:
        fault, timeline = error.message, Timeline()
    else:
        survey.proven = 1 + walk.disclosed
    found = Found(
        header, survey, timeline, pinned == header.device, cut_short(chain, header, survey.final, survey.proven_to)
    )
    base = conclude(header, survey, timeline, pinned, chain)
    changed: dict[str, Answer] = {}
    if fault:
        changed["intact"] = Answer("not intact", False, f"Not intact: {fault}. Nothing of this excerpt is proven.")
        changed["complete"] = Answer("not complete", False, "Nothing of this excerpt is proven.")
    elif walk.withheld:
        changed = _answers(base, found, timeline, walk)
    values = {field.name: getattr(base, field.name) for field in fields(base)} | changed
    return ExcerptVerdict(
        **values,
        runs=() if fault else tuple(walk.runs),
        withheld_pages=0 if fault else walk.withheld,
    )


def _decode(body: Body, number: int, rate: int) -> None:
    from earwitness import pcm

    try:
        pcm.decode_pages([body], rate)
    except IntegrityError as error:
        words = error.message.removesuffix(".")
        raise IntegrityError(f"disclosed page {number} of it cannot be used: {words}") from error


def _answers(base: Verdict, found: Found, timeline: Timeline, walk: Walk) -> dict[str, Answer]:
    """The answers that are others because pages are withheld."""
    details = base.intact.details
    reason = f"Every disclosed page is as it was recorded, and in its place{found.whose}."
    if not walk.disclosed:
        reason = f"Sealed as recorded{found.whose}; nothing is disclosed."
    answers = {
        "intact": Answer("intact" if walk.disclosed else "sealed", True, reason, details),
        "complete": _complete(found, timeline, walk),
    }
    if timeline.index:
        inside = base.continuous
        words = f"In what is disclosed: {inside.reason[0].lower()}{inside.reason[1:]}"
        answers["continuous"] = Answer(f"{inside.state} where disclosed", inside.ok, words, inside.details)
    if not timeline.clocks:
        words = "Nothing disclosed tells the time: the clock stands in the first page, or was not set."
        answers["when"] = Answer("not disclosed", None, words, base.when.details)
    return answers


def _complete(found: Found, timeline: Timeline, walk: Walk) -> Answer:
    final, details = found.survey.final, described(walk.runs)
    state = _STATES[final.state if final else note.RUNNING]
    if found.cut_short:
        return Answer("cut short; an excerpt", False, f"Cut short: {found.cut_short}. And it is an excerpt.", details)
    ends = not walk.runs[-1].withheld
    stopped = timeline.stops == 1 and timeline.stop_is_last if ends else not timeline.stops
    if final and final.state == note.END and not stopped:
        return Answer(
            "not complete", False, "Not complete: the recorder's one STOP is not where its signed end is.", details
        )
    total = walk.withheld + walk.disclosed
    words = f"{state.capitalize()}; an excerpt{found.whose}: {walk.disclosed} of {total} pages of sound are disclosed."
    return Answer(f"{state}; an excerpt", False, f"{words} {_withheld(walk.runs)}", details)


def _withheld(runs: Sequence[Run]) -> str:
    known = [run.count for run in runs if run.withheld and run.count is not None]
    words = []
    if known:
        words.append(f"{seconds_text(sum(known))} in {len(known)} place{'s' * (len(known) != 1)}")
    if runs[-1].count is None:
        words.append(f"{_pages(runs[-1].pages)} at the end, of unknown length")
    return f"Withheld: {', and '.join(words)}."


def described(runs: Sequence[Run]) -> tuple[str, ...]:
    """Each part in words, the first hundred."""
    lines = []
    for run in runs[:_LISTED]:
        what = "withheld" if run.withheld else "disclosed"
        if run.count is None:
            lines.append(f"{what}: {_pages(run.pages)} from {clock(run.sample)} on; how long they are is not known")
        else:
            until = clock(run.sample + run.count)
            lines.append(f"{what}: {clock(run.sample)} to {until} ({seconds_text(run.count)}, {_pages(run.pages)})")
    if len(runs) > _LISTED:
        lines.append(f"and {len(runs) - _LISTED} more parts")
    return tuple(lines)


def _pages(count: int) -> str:
    return f"{count} page{'s' * (count != 1)}"
