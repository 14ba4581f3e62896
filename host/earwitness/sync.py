"""Bring recordings home in two phases: copy into a `.part` file that any interruption leaves to be taken up again, then
verify it wholly, make it durable, and only then let it appear in the library.

The same code takes recordings from the recorder (`sync`) and from its card in a reader (`import_card.import_card`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from earwitness import beacon
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
from earwitness.link.client import ClockSet, Page, Recorder
from earwitness.link.messages import FREED, OPEN, PAGE_BYTES, Recording, Status

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.library import Library
    from earwitness.verify import Verdict

NEW, PRESENT, UNOPENED, DAMAGED, SKIPPED, FAILED = "new", "present", "unopened", "damaged", "skipped", "failed"
_CHECKPOINT: Final = b"EWR1\x03"
_AUDIO: Final = b"EWR1\x02"
_HEADER: Final = b"EWR1\x01"
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

    `new`: it is in the library and verified. `present`: it was there. `unopened`: new, but the identity at hand does not
    open it. `damaged`: new, all that there is, and the verdict says what is wrong. `skipped`: still being recorded.
    `failed`: not copied; `reason` says why.
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
    to_the_end: bool  # read past the final note: whatever stands behind it on a card is evidence too

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
        for page in self._recorder.read(recording, first):
            yield page
            if page.data is not None and _is_final(page.data, recording.recording_id):
                return


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
    known = {entry.recording_id: entry for entry in library.entries()}
    items = []
    for recording in source.recordings():
        name = recording.recording_id.hex()
        have = known.get(name)
        if recording.state == FREED and have is None:
            items.append(Item(recording.seq, name, SKIPPED, reason="freed on the recorder"))
        elif have is not None and (recording.state == FREED or is_finished(have.path)):
            library.came(have, source.how)
            if time_now:
                library.compared(have, time_now)
            items.append(Item(recording.seq, name, PRESENT, have.path))
        elif recording.state == OPEN:
            items.append(Item(recording.seq, name, SKIPPED, reason="still being recorded"))
        else:
            try:
                item = _take(source, recording, library, pinned, identity, progress)
                items.append(item)
                if time_now and item.path:
                    library.compared(library.entry(item.path), time_now)
            except NoDeviceError:
                raise
            except EarwitnessError as error:
                items.append(Item(recording.seq, name, FAILED, reason=error.message))
    return items


def is_finished(path: Path) -> bool:
    """Whether a recording's file ends with a final note: there is nothing to add to it. Looks only, verifies nothing."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < 2 * PAGE_BYTES:
            return False
        file.seek(size // PAGE_BYTES * PAGE_BYTES - PAGE_BYTES)
        page = file.read(PAGE_BYTES)
    return _is_final(page, page[12:28])


def _is_final(page: bytes, recording_id: bytes) -> bool:
    """Whether this page looks like the recording's last; verification decides."""
    return page[:5] == _CHECKPOINT and page[12:28] == recording_id and b"\nstate running\n" not in page[34:434]


def part_path(library: Library, recording: Recording) -> Path:
    """The unfinished copy of a recording, hidden, beside where it will be."""
    return library.root / f".{recording.recording_id.hex()}.part"


def _take(
    source: Source,
    recording: Recording,
    library: Library,
    pinned: set[bytes],
    identity: Identity | None,
    progress: Callable[[Progress], None] | None,
) -> Item:
    part = part_path(library, recording)
    name = recording.recording_id.hex()
    resumed = _copy(source, recording, part, progress)
    verdict, outcome = _check(part, recording, pinned, identity, progress)
    if outcome == DAMAGED and resumed:
        # What an earlier run left may be what is wrong (a computer that lost power): all of it once more.
        part.unlink()
        _copy(source, recording, part, progress)
        verdict, outcome = _check(part, recording, pinned, identity, progress)
    size = part.stat().st_size
    entry = library.add(part, how=source.how)
    sync_folder(entry.path.parent)
    if verdict is not None:
        library.learn(entry, verdict)
    return Item(recording.seq, name, outcome, entry.path, verdict, bytes=size)


def _copy(source: Source, recording: Recording, part: Path, progress: Callable[[Progress], None] | None) -> bool:
    """Fill `part` to its last page; True if it began with what an earlier run had left."""
    total = recording.pages * PAGE_BYTES
    handle = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(handle, "r+b") as file:
        first = _resume(file, recording)
        if first and not source.to_the_end and is_finished(part):
            return True
        need = total - first * PAGE_BYTES
        if shutil.disk_usage(part.parent).free < need:
            raise EarwitnessError(
                f"There is no room for recording {recording.seq}: it needs {need // 1_000_000 + 1} MB.",
                "Free some space on this disk, then run the same again.",
            )
        began, done = time.monotonic(), first
        if first < recording.pages:
            for page in source.read(recording, first):
                _store(file, page, recording)
                done = page.number + 1
                if progress and (done % _TELL_EVERY_PAGES == 0 or done == recording.pages):
                    rate = (done - first) * PAGE_BYTES / max(time.monotonic() - began, 1e-6)
                    progress(Progress(recording.seq, "reading", done * PAGE_BYTES, total, rate))
        _cut(file, recording)
        file.flush()
        os.fsync(file.fileno())
    return first > 0


def _resume(file: BinaryIO, recording: Recording) -> int:
    """Whole pages that are there already and belong to this recording; the file is cut to them."""
    size = file.seek(0, os.SEEK_END)
    pages = min(size // PAGE_BYTES, recording.pages)
    file.seek(0)
    head = file.read(28)
    if head[:5] != _HEADER or head[12:28] != recording.recording_id:
        pages = 0
    file.truncate(pages * PAGE_BYTES)
    file.seek(pages * PAGE_BYTES)
    return pages


def _store(file: BinaryIO, page: Page, recording: Recording) -> None:
    data = page.data if page.data is not None else bytes(PAGE_BYTES)  # unreadable: verification names it
    if page.number == 0 and data[:5] == _HEADER and data[12:28] != recording.recording_id:
        raise FormatError(f"Recording {recording.seq} is not the one that was listed: its file holds another.")
    file.write(data)


def _cut(file: BinaryIO, recording: Recording) -> None:
    """Cut unused space behind the last page of this recording: files on the card are allocated ahead."""
    pages = file.seek(0, os.SEEK_END) // PAGE_BYTES
    while pages > 1:
        file.seek((pages - 1) * PAGE_BYTES)
        head = file.read(28)
        if head[:5] in (_AUDIO, _CHECKPOINT, _HEADER) and head[12:28] == recording.recording_id:
            break
        pages -= 1
    file.truncate(pages * PAGE_BYTES)


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
    with part.open("rb") as file:
        device = file.read(100)[68:100]
    key = device if device in pinned else None
    if key is None and len(pinned) == 1:
        (key,) = pinned
    outcome = NEW
    verdict: Verdict | None
    try:
        try:
            verdict = verify(part, identity, pinned=key, progress=tell)
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
