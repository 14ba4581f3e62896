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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from earwitness import beacon
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
from earwitness.intake import take
from earwitness.link.client import ClockSet, Page, Recorder
from earwitness.link.messages import FREED, OPEN, PAGE_BYTES, Recording, Status
from earwitness.part import Part, part_path

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.library import Entry, Library
    from earwitness.verify import Verdict

NEW, PRESENT, UNOPENED, DAMAGED, SKIPPED, FAILED = "new", "present", "unopened", "damaged", "skipped", "failed"
_TELL_EVERY_PAGES: Final = 16


@dataclass(frozen=True)
class Progress:
    """Where a copy stands. `phase` is `reading` or `checking`; `rate` is bytes a second of this run, 0 at its start."""

    seq: int
    phase: str
    done: int
    total: int
    rate: float


@dataclass(frozen=True)
class Item:
    """What became of one recording.

    `new`: it is in the library and verified. `present`: it was there, verified to its final note. `unopened`: new, but the
    identity at hand does not open it. `damaged`: this is all that there is, and the verdict says what is wrong. `skipped`:
    still being recorded. `failed`: not copied. `path` and `verdict` are of the file that was read now; without a path it
    was not kept, because a better copy was here: `reason` says so.
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

    @property
    def ok(self) -> bool:
        """Nothing failed and nothing came damaged."""
        return all(item.outcome not in (DAMAGED, FAILED) for item in self.items)


class Source(Protocol):
    """Where recordings come from."""

    how: str  # for the custody log
    to_the_end: bool  # read past the final note: whatever stands behind it on a card is evidence too, and costs little

    def recordings(self) -> list[Recording]:
        """What there is; `pages` may count unused space at a file's end."""

    def read(self, recording: Recording, first: int) -> Iterator[Page]:
        """The file's pages from `first` on, in order."""


class RecorderSource:
    """A recorder on the link. Its files may be allocated far ahead, and only the final note says where they end."""

    to_the_end = False

    def __init__(self, recorder: Recorder, how: str = "USB") -> None:
        self.how = how
        self._recorder = recorder

    def recordings(self) -> list[Recording]:
        return self._recorder.list()

    def read(self, recording: Recording, first: int) -> Iterator[Page]:
        return self._recorder.read(recording, first)


def sync(
    recorder: Recorder,
    record: DeviceRecord,
    library: Library,
    store: DeviceStore,
    *,
    identity: Identity | None = None,
    progress: Callable[[Progress], None] | None = None,
    how: str = "USB",
) -> SyncReport:
    """Copy every recording that the library lacks. The recorder is authenticated (see link.connect).

    First its STATUS is held against what it signed before: IntegrityError is a rollback or a copied key, and nothing is
    copied. Then it gets entropy, the time, and at the end the hash of the newest time token here (beacon.py). Raises
    LinkLostError where it went away; running it again resumes.
    """
    status = recorder.status()
    store.remember(record, status)
    if status.told.get("state") in ("recording", "muted"):
        raise DeviceBusyError("The recorder is recording.", "Slide it off, then run the same again.")
    recorder.entropy()
    clock = recorder.set_clock()
    items = take_all(
        RecorderSource(recorder, how),
        library,
        pinned={record.public},
        identity=identity,
        progress=progress,
        time_now=Comparison(status.boot_id.hex(), clock.mono_us, clock.utc_us, clock.error_us),
    )
    for item in items:
        if item.path is not None and item.verdict is not None:
            beacon.keep_beside(item.path, item.verdict)
    token = beacon.offer(library)
    if token is not None:
        recorder.beacon(beacon.TIME_TOKEN, token)
    return SyncReport(items, status, clock)


def take_all(
    source: Source,
    library: Library,
    *,
    pinned: set[bytes],
    identity: Identity | None = None,
    progress: Callable[[Progress], None] | None = None,
    time_now: Comparison | None = None,
) -> list[Item]:
    """Copy, verify and take in whatever `source` has and `library` lacks. `pinned`: keys of the paired recorders.

    `time_now`, from a recorder that was just asked, dates what it recorded before its clock was set.
    """
    known: dict[str, list[Entry]] = {}
    for entry in library.entries():
        known.setdefault(entry.recording_id, []).append(entry)
    items = []
    for recording in source.recordings():
        name = recording.recording_id.hex()
        # A copy under another key is another recording, whatever id it says it has.
        keys = {recording.device} if recording.device else pinned
        have = next((entry for entry in known.get(name, []) if bytes.fromhex(entry.row.device_key) in keys), None)
        whole = have is not None and library.is_whole(have)
        if have is not None and (whole or recording.state == FREED):
            library.came(have, source.how)
            if time_now:
                library.compared(have, time_now)
            reason = "" if whole else "freed on the recorder; the copy here is not whole"
            items.append(Item(recording.seq, name, PRESENT if whole else SKIPPED, have.path, reason=reason))
        elif recording.state == FREED:
            items.append(Item(recording.seq, name, SKIPPED, reason="freed on the recorder"))
        elif recording.state == OPEN:
            items.append(Item(recording.seq, name, SKIPPED, reason="still being recorded"))
        else:
            try:
                item, entry = _take(source, recording, library, pinned, identity, progress)
                items.append(item)
                if time_now:
                    library.compared(entry, time_now)
            except NoDeviceError:
                raise
            except EarwitnessError as error:
                items.append(Item(recording.seq, name, FAILED, reason=error.message))
    return items


def _take(
    source: Source,
    recording: Recording,
    library: Library,
    pinned: set[bytes],
    identity: Identity | None,
    progress: Callable[[Progress], None] | None,
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


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
