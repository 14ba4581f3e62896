"""The run of samples over all pages: gaps, marks, events, and whether time and sample count agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from earwitness import events, moment
from earwitness.body import Body
from earwitness.errors import FormatError
from earwitness.events import Clock, Event, Meta
from earwitness.moment import Moment

RATE = 16_000
LOST, MUTED, DAMAGED = "lost", "muted", "damaged"
SILENT = "silent"  # stored as it came, and no sound: the microphone was dead
WITHHELD, NOT_RECORDED = "withheld", "not recorded"  # in excerpts only; the latter where the reason is withheld
TOLERANCE_US = 5_000  # one crystal drives samples and microseconds: what is more has another cause

_MAX_KEPT = 50_000  # marks, gaps and events each: far more than any recorder writes, few enough to hold


@dataclass(frozen=True, slots=True)
class Mark:
    """A press of the button. `kind`: moment, disputed, notice given."""

    sample: int
    kind: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Gap:
    """`count` samples from `sample` on that are not there: lost by the recorder, muted by its owner, damaged since, withheld.

    Or, among `silences`, that are there and hold nothing.
    """

    sample: int
    count: int
    reason: str
    rate: int = RATE

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.count / self.rate


@dataclass(slots=True)
class Timeline:
    """Takes pages in order by `add`; the fields say what stands until there."""

    excerpt: bool = False  # pages that are not here are withheld by the owner, not damaged
    rate: int = RATE
    samples: int = 0  # gaps included: the number of the next sample
    first_index: int = 0  # of the first page taken
    index: int = 0  # of the page taken last
    gaps: list[Gap] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    meta: Meta | None = None
    clocks: list[Clock] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # entries beyond what is kept
    told_lost: int = 0  # samples that LOST events account for
    worst_us: int = 0  # largest disagreement of time and sample count
    stops: int = 0
    stop_reason: str = ""
    stop_is_last: bool = False  # the last event taken is a STOP and its page the last
    start_us: int = 0  # when sample 0 was due, since boot
    _silent: list[tuple[int, int]] = field(default_factory=list)  # from, to
    _silent_from: int | None = None
    _muted_from: int | None = None
    _muted: list[tuple[int, int]] = field(default_factory=list)  # ended mutes that a gap may still lie in
    _mute_withheld: bool = False  # a mute may go on that began in pages that are withheld

    def add(self, index: int, body: Body) -> list[Gap]:
        """One page. Returns the gaps right before its samples, in order. Raises FormatError if it cannot follow."""
        begin = body.first_sample - body.lost_before
        hidden = self.excerpt and index != self.index + 1  # pages before this one are withheld
        if index == 1 and (body.first_sample or body.lost_before):
            raise FormatError("the first page does not begin at sample 0")
        if begin < self.samples or (begin > self.samples and index == self.index + 1):
            raise FormatError("the sample count jumps")
        entries = list(events.parse(body.events)) if body.events else []
        absent = WITHHELD if self.excerpt else DAMAGED
        found = [Gap(self.samples, begin - self.samples, absent, self.rate)] if begin > self.samples else []
        if hidden:
            self._muted_from, self._muted, self._mute_withheld = None, [], True  # whether a mute goes on is withheld
        untold = self._mute_withheld
        self._note_mutes(entries)
        if body.lost_before:
            told = not untold or any(event.type == events.LOST for event in entries)
            found += self._explain(begin, body.first_sample, LOST if told else NOT_RECORDED)
        if body.samples:
            self._mute_withheld = False
        if self._muted:
            self._muted = [span for span in self._muted if span[1] > body.first_sample]
        if body.samples and self._muted_from is not None and self._muted_from < body.first_sample:
            self._muted_from = None  # sound again: the page that said so is damaged
        for gap in found:
            self._keep_gap(gap)
        for event in entries:
            self._take(event)
        self._check_time(index, body)
        self.index = index
        self.samples = body.end
        self.stop_is_last = bool(entries) and entries[-1].type == events.STOP
        return found

    @property
    def mutes(self) -> tuple[Gap, ...]:
        """Gaps by the owner's will."""
        return tuple(gap for gap in self.gaps if gap.reason == MUTED)

    @property
    def losses(self) -> tuple[Gap, ...]:
        """Gaps that the recorder could not help."""
        return tuple(gap for gap in self.gaps if gap.reason == LOST)

    @property
    def silences(self) -> tuple[Gap, ...]:
        """Spans in which the recorder found its microphone dead; one that nothing ended goes on to the end."""
        spans = [*self._silent, *([] if self._silent_from is None else [(self._silent_from, self.samples)])]
        inside = [(min(low, self.samples), min(high, self.samples)) for low, high in spans]
        return tuple(Gap(low, max(high - low, 0), SILENT, self.rate) for low, high in inside)

    def _note_mutes(self, entries: list[Event]) -> None:
        for event in entries:
            if event.type == events.MUTED and self._muted_from is None:
                self._muted_from = events.sample(event)
            elif event.type == events.UNMUTED and self._muted_from is not None:
                self._muted.append((self._muted_from, events.sample(event)))
                self._muted_from = None
            elif event.type == events.UNMUTED and self._mute_withheld:
                self._muted.append((0, events.sample(event)))  # it began in what is withheld
            if event.type in (events.MUTED, events.UNMUTED):
                self._mute_withheld = False

    def _explain(self, begin: int, end: int, other: str) -> list[Gap]:
        """Samples `begin` to `end` are not stored: which of them were muted; the others are `other`."""
        spans = list(self._muted)
        if self._muted_from is not None:
            spans.append((self._muted_from, end))
        found: list[Gap] = []
        at = begin
        for low, high in sorted(spans):
            low, high = max(low, at), min(high, end)  # noqa: PLW2901
            if low < high:
                if at < low:
                    found.append(Gap(at, low - at, other, self.rate))
                found.append(Gap(low, high - low, MUTED, self.rate))
                at = high
        if at < end:
            found.append(Gap(at, end - at, other, self.rate))
        return found

    def _keep_gap(self, gap: Gap) -> None:
        last = self.gaps[-1] if self.gaps else None
        if last and last.reason == gap.reason and last.sample + last.count == gap.sample:
            self.gaps[-1] = Gap(last.sample, last.count + gap.count, gap.reason, self.rate)
        elif len(self.gaps) < _MAX_KEPT:
            self.gaps.append(gap)
        else:
            self.left_out["gaps"] += 1

    def _take(self, event: Event) -> None:
        if len(self.events) < _MAX_KEPT:
            self.events.append(event)
        else:
            self.left_out["events"] += 1
        if event.type == events.MARK:
            kind, sample = events.mark(event)
            if len(self.marks) < _MAX_KEPT:
                name = events.MARK_KINDS.get(kind, f"kind {kind}")
                self.marks.append(Mark(sample, name, sample / self.rate))
        elif event.type == events.META and self.meta is None:
            self.meta = events.meta(event)
            self.rate = self.meta.rate
        elif event.type == events.CLOCK and len(self.clocks) < _MAX_KEPT:
            self.clocks.append(events.clock(event))  # where one is left out, so was an event
        elif event.type == events.SILENT and self._silent_from is None:
            self._silent_from = events.sample(event)
        elif event.type == events.HEARD and self._silent_from is not None:
            if len(self._silent) < _MAX_KEPT:  # where one is left out, so was an event
                self._silent.append((self._silent_from, events.sample(event)))
            self._silent_from = None
        elif event.type == events.LOST:
            self.told_lost += events.lost(event)[1]
        elif event.type == events.STOP:
            self.stops += 1
            reason = event.data[0]
            self.stop_reason = events.STOP_REASONS.get(reason, f"reason {reason}")

    def _check_time(self, index: int, body: Body) -> None:
        start = body.mono_us - body.first_sample * 1_000_000 // self.rate
        if not self.first_index:
            self.first_index, self.start_us = index, start
        self.worst_us = max(self.worst_us, abs(start - self.start_us))

    def moments(self, sample: int) -> list[Moment]:
        """When a sample was taken, by each setting of the device's clock that is not out of range."""
        return moment.of(self.clocks, self.start_us + sample * 1_000_000 // self.rate)
