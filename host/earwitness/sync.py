"""Bring recordings home in two phases: copy into a `.part` file that any interruption leaves to be taken up again, then
verify it wholly, make it durable, and only then let it appear in the library.

The same code takes recordings from the recorder (`sync`) and from its card in a reader (`import_card.import_card`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from earwitness import beacon
from earwitness.atomic import sync_folder
from earwitness.container import Container
from earwitness.dating import Comparison
from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import (
    DeviceBusyError,
    EarwitnessError,
    FormatError,
    IntegrityError,
    KeyMissingError,
    NoDeviceError,
)
from earwitness.freeing import Freed, free, give_receipts, keep_ends, note_freed
from earwitness.intake import take
from earwitness.link.client import ClockSet, Page, Recorder
from earwitness.link.messages import ELSEWHERE, FREED, LOST, OPEN, PAGE_BYTES, Recording, Status
from earwitness.part import Part, part_path
from earwitness.places import ENDS
from earwitness.settled import Settled

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.library import Entry, Library
    from earwitness.marked_minutes import Minute
    from earwitness.verify import Verdict

NEW, PRESENT, UNOPENED, DAMAGED, SKIPPED, FAILED, GONE = (
    "new",
    "present",
    "unopened",
    "damaged",
    "skipped",
    "failed",
    "gone",
)
_TELL_EVERY_PAGES: Final = 16
_GONE_WORDS: Final = {
    FREED: "freed on the recorder",
    LOST: "lost with its card: the recorder signed that it is gone",
    ELSEWHERE: "not on the card that is in the recorder",
}


@dataclass(frozen=True)
class Progress:
    """Where a copy stands. `phase` is `marked`, `reading`, `checking` or `freeing`; `rate` is bytes a second of this run, 0 at its
    start."""

    seq: int
    phase: str
    done: int
    total: int
    rate: float


@dataclass(frozen=True)
class Item:
    """What became of one recording.

    `new`: it is in the library and verified. `present`: it was there, verified to its final note, or as whole as it ever
    will be: `reason` says so. `unopened`: new, but the
    identity at hand does not open it. `damaged`: this is all that there is, and the verdict says what is wrong. `skipped`:
    still being recorded. `gone`: not on the recorder's card any more. `failed`: not copied. `path` and `verdict` are of
    the file that was read now; without a path it was not kept, because a better copy was here: `reason` says so.
    """

    seq: int
    recording_id: str
    outcome: str
    path: Path | None = None
    verdict: Verdict | None = field(default=None, repr=False)
    reason: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class SyncReport:
    """All recordings that were met, in order; with a recorder also what it signed and the time it was told."""

    items: list[Item]
    status: Status | None = None
    clock: ClockSet | None = None
    freed: list[Freed] = field(default_factory=list)  # what was to be freed, if that was asked for
    minutes: list[Minute] = field(default_factory=list)  # that came ahead of their recordings
    whole: bool = True  # whole recordings were asked for, not the marked minutes alone

    @property
    def ok(self) -> bool:
        """Nothing failed and nothing came damaged."""
        return all(item.outcome not in (DAMAGED, FAILED) for item in self.items) and not any(
            [item.reason for item in self.freed] + [minute.reason for minute in self.minutes]
        )


class Source(Protocol):
    """Where recordings come from."""

    how: str  # for the custody log
    to_the_end: bool  # read past the final note: whatever stands behind it on a card is evidence too, and costs little

    def recordings(self) -> list[Recording]:
        """What there is; `pages` may count unused space at a file's end."""

    def read(self, recording: Recording, first: int, stop: int | None = None) -> Iterator[Page]:
        """The file's pages from `first` on, in order, to `stop` (not with it) or to its end."""


class RecorderSource:
    """A recorder on the link. Its files may be allocated far ahead, and only the final note says where they end."""

    to_the_end = False

    def __init__(self, recorder: Recorder, how: str = "USB") -> None:
        self.how = how
        self._recorder = recorder
        self._listed: list[Recording] | None = None

    def recordings(self) -> list[Recording]:
        if self._listed is None:
            self._listed = self._recorder.list()
        return self._listed

    def read(self, recording: Recording, first: int, stop: int | None = None) -> Iterator[Page]:
        return self._recorder.read(recording, first, stop)


def sync(
    recorder: Recorder,
    record: DeviceRecord,
    library: Library,
    store: DeviceStore,
    *,
    identity: Identity | None = None,
    progress: Callable[[Progress], None] | None = None,
    how: str = "USB",
    free_synced: bool = False,
    again: bool = False,
    marked_first: bool = False,
    whole: bool = True,
) -> SyncReport:
    """Copy every recording that the library lacks. The recorder is authenticated (see link.connect).

    `marked_first`: before them, the marked minutes; without `whole` those are all that is copied.

    Then it gets a receipt for each that is here, verified and opened; `free_synced`: and deletes those. `again`: read once
    more what is known to be damaged on the recorder.

    First its STATUS is held against what it signed before: IntegrityError is a rollback or a copied key, and nothing is
    copied. Then it gets entropy, the time, and at the end the hash of the newest time token here (beacon.py). Raises
    LinkLostError where it went away; running it again resumes.
    """
    from earwitness import marked_minutes

    status = recorder.status()
    store.remember(record, status)
    if status.told.get("state") in ("recording", "muted"):
        raise DeviceBusyError("The recorder is recording.", "Slide it off, then run the same again.")
    _learn_settings(recorder, record, store)
    recorder.entropy()
    clock = recorder.set_clock()
    source = RecorderSource(recorder, how)
    minutes: list[Minute] = []
    if marked_first:

        def tell_marked(done: int, total: int) -> None:
            if progress:
                progress(Progress(0, "marked", done, total, 0))

        minutes = marked_minutes.fetch(recorder, source.recordings(), library, identity=identity, progress=tell_marked)
    items: list[Item] = []
    if whole:
        items = take_all(
            source,
            library,
            pinned={record.public},
            identity=identity,
            progress=progress,
            time_now=Comparison(status.boot_id.hex(), clock.mono_us, clock.utc_us, clock.error_us),
            again=again,
        )
    for item in items:
        if item.path is not None and item.verdict is not None:
            beacon.keep_beside(item.path, item.verdict)
    token = beacon.offer(library)
    if token is not None:
        recorder.beacon(beacon.TIME_TOKEN, token)
    listed = source.recordings()
    keep_ends(recorder, record, listed, library.root / ENDS)
    checked = {item.recording_id: item.verdict for item in items if item.outcome == NEW and item.verdict is not None}
    held = give_receipts(recorder, record, library, listed, identity, checked)
    freed: list[Freed] = []
    if free_synced:

        def tell(done: int, total: int) -> None:
            if progress:
                progress(Progress(0, "freeing", done, total, 0))

        freed = free(recorder, record, library, listed, identity, held, tell)
    marked_minutes.settle(library)
    return SyncReport(items, status, clock, freed, minutes, whole)


def _learn_settings(recorder: Recorder, record: DeviceRecord, store: DeviceStore) -> None:
    """What may have been set by a run that was cut off, or on another computer: name and recipients."""
    settings = recorder.settings()
    known = store.get(record.public) if any(known.public == record.public for known in store.all()) else record
    keys = tuple(key.hex() for key in settings.recipients)
    if (settings.name, keys) != (known.name, known.recipients):
        store.put(replace(known, name=settings.name or known.name, recipients=keys))


def take_all(
    source: Source,
    library: Library,
    *,
    pinned: set[bytes],
    identity: Identity | None = None,
    progress: Callable[[Progress], None] | None = None,
    time_now: Comparison | None = None,
    again: bool = False,
) -> list[Item]:
    """Copy, verify and take in whatever `source` has and `library` lacks. `pinned`: keys of the paired recorders.

    What came damaged from a recorder, and still is there, is not read from end to end at each sync, but for `again`.
    `time_now`, from a recorder that was just asked, dates what it recorded before its clock was set.
    """
    known: dict[str, list[Entry]] = {}
    for entry in library.entries():
        known.setdefault(entry.recording_id, []).append(entry)
    items = []
    settled = Settled()
    for recording in source.recordings():
        name = recording.recording_id.hex()
        # A copy under another key is another recording, whatever id it says it has.
        keys = {recording.device} if recording.device else pinned
        have = next((entry for entry in known.get(name, []) if bytes.fromhex(entry.row.device_key) in keys), None)
        whole = have is not None and library.is_whole(have)
        gone = _GONE_WORDS.get(recording.state, "")
        known_bad = have is not None and not (whole or gone or again) and _is_settled(settled, source, recording)
        if have is not None and (whole or gone or known_bad):
            library.came(have, source.how)
            if recording.state == FREED:
                note_freed(have)
            if time_now:
                library.compared(have, time_now)
            why = f"{gone}; the copy here is not whole" if gone else "damaged on the recorder; the copy here stays"
            outcome, path = (PRESENT, None) if known_bad else (PRESENT if whole else GONE, have.path)
            items.append(Item(recording.seq, name, outcome, path, reason="" if whole else why))
        elif gone or recording.state == OPEN:
            items.append(Item(recording.seq, name, GONE if gone else SKIPPED, reason=gone or "still being recorded"))
        else:
            try:
                item, entry = _take(source, recording, library, pinned, identity, progress, settled)
                items.append(item)
                if time_now:
                    library.compared(entry, time_now)
            except NoDeviceError:
                raise
            except EarwitnessError as error:
                items.append(Item(recording.seq, name, FAILED, reason=error.message))
    return items


def _is_settled(settled: Settled, source: Source, recording: Recording) -> bool:
    """Damaged on the recorder, and the damage is still as it was. From a card it is read again: that costs little."""

    def look(number: int) -> bytes | None:
        page = next(source.read(recording, number, number + 1), None)
        return None if page is None else page.data

    if source.to_the_end or recording.state == OPEN:
        return False
    try:
        return settled.still(recording, source.how, look)
    except NoDeviceError:
        raise
    except EarwitnessError:
        return False  # reading it says why


def _take(
    source: Source,
    recording: Recording,
    library: Library,
    pinned: set[bytes],
    identity: Identity | None,
    progress: Callable[[Progress], None] | None,
    settled: Settled,
) -> tuple[Item, Entry]:
    part = part_path(library, recording)
    resumed = _copy(source, recording, part, progress)
    verdict, outcome = _check(part, recording, pinned, identity, progress)
    if outcome == DAMAGED and resumed:
        # What an earlier run left may be what is wrong (a computer that lost power): all of it once more.
        part.unlink()
        _copy(source, recording, part, progress)
        verdict, outcome = _check(part, recording, pinned, identity, progress)
    size = part.stat().st_size
    if not source.to_the_end and (verdict is None or verdict.intact.ok is not True or not verdict.final_note):
        settled.note(recording, source.how, part)
    taken = take(library, part, how=source.how)
    sync_folder(taken.entry.path.parent)
    entry, reason = taken.entry, ""
    if taken.path == entry.path:
        if verdict is not None:
            entry = library.learn(entry, verdict)
        if taken.other:
            reason = f"the copy that was here proves other parts of it, and is kept as {taken.other}"
    elif taken.path is not None:
        sync_folder(taken.path.parent)
        reason = f"the copy that is here stays; this one proves other parts of it, and is kept as {taken.path}"
    else:
        part.unlink()
        outcome = DAMAGED if outcome == DAMAGED else PRESENT
        reason = "not kept: the copy that is here stays, which proves all that this one does"
    return Item(recording.seq, recording.recording_id.hex(), outcome, taken.path, verdict, reason, size), entry


def _copy(source: Source, recording: Recording, path: Path, progress: Callable[[Progress], None] | None) -> bool:
    """Fill a `.part` to the recording's last page; True if it began with what an earlier run had left."""
    total = recording.pages * PAGE_BYTES
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(handle, "r+b") as file:
        part = Part(file, recording)
        first = part.pages
        if not source.to_the_end and part.is_finished:
            return True
        need = total - first * PAGE_BYTES
        if shutil.disk_usage(path.parent).free < need:
            raise EarwitnessError(
                f"There is no room for recording {recording.seq}: it needs {need // 1_000_000 + 1} MB.",
                "Free some space on this disk, then run the same again.",
            )
        began = time.monotonic()
        if first < recording.pages:
            for page in source.read(recording, first):
                part.store(page)
                done = part.pages
                if progress and (done % _TELL_EVERY_PAGES == 0 or done == recording.pages):
                    rate = (done - first) * PAGE_BYTES / max(time.monotonic() - began, 1e-6)
                    progress(Progress(recording.seq, "reading", done * PAGE_BYTES, total, rate))
                if not source.to_the_end and page.data is not None and part.is_final(page.data):
                    break
        part.cut()
        file.flush()
        os.fsync(file.fileno())
    return first > 0


def _check(
    part: Path,
    recording: Recording,
    pinned: set[bytes],
    identity: Identity | None,
    progress: Callable[[Progress], None] | None,
) -> tuple[Verdict | None, str]:
    from earwitness.verify import verify

    size = part.stat().st_size

    def tell(pages: int) -> None:
        if progress:
            progress(Progress(recording.seq, "checking", min(pages * PAGE_BYTES, size), size, 0))

    tell(0)
    # What comes over the link has to be of the recorder that was asked; a card may hold a stranger's, and says so.
    key = next(iter(pinned)) if len(pinned) == 1 and not recording.device else None
    with contextlib.suppress(FormatError, IntegrityError):
        device = Container(part).header.device
        key = device if device in pinned else key
    outcome = NEW
    verdict: Verdict | None
    try:
        try:
            verdict = verify(part, identity, pinned=key, decode=True, progress=tell)
        except KeyMissingError:
            outcome = UNOPENED
            verdict = verify(part, None, pinned=key, progress=tell)
    except (FormatError, IntegrityError):
        return None, DAMAGED  # not even its header holds
    tell(size // PAGE_BYTES)
    if verdict.intact.ok is False or verdict.by.ok is False:
        outcome = DAMAGED
    return verdict, outcome
