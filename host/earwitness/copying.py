"""Copies recordings in two phases: into a `.part` file that any interruption leaves to be taken up again, then verified wholly,
made durable, and only then into the library.

The same code takes recordings from the recorder (sync.py) and from its card in a reader (import_card.py).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwitness.atomic import sync_folder
from earwitness.container import Container
from earwitness.dating import Comparison
from earwitness.errors import EarwitnessError, FormatError, IntegrityError, KeyMissingError, NoDeviceError
from earwitness.freeing import note_freed
from earwitness.intake import take
from earwitness.item import DAMAGED, FAILED, GONE, NEW, PRESENT, SKIPPED, UNOPENED, Item, Progress
from earwitness.link.messages import ELSEWHERE, FREED, LOST, OPEN, PAGE_BYTES, STATES, Recording
from earwitness.part import OtherFileError, Part, part_path
from earwitness.settled import Settled
from earwitness.source import Source

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.library import Entry, Library
    from earwitness.verify import Verdict

_TELL_EVERY_PAGES: Final = 16
_MOST_FAILED: Final = 50  # in a row: a recorder that lists thousands and gives none must not take a day
_GONE_WORDS: Final = {
    FREED: "freed on the recorder",
    LOST: "lost with its card: the recorder signed that it is gone",
    ELSEWHERE: "not on the card that is in the recorder",
}


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
    items: list[Item] = []
    failed = 0  # in a row
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
        elif gone or recording.state == OPEN or recording.state not in STATES:
            why = "still being recorded" if recording.state == OPEN else "in a state that this program does not know"
            items.append(Item(recording.seq, name, GONE if gone else SKIPPED, reason=gone or why))
        elif failed >= _MOST_FAILED and not source.to_the_end:
            items.append(Item(recording.seq, name, FAILED, reason=f"not tried: the {failed} before it were not copied"))
        else:
            failed += 1
            try:
                item, entry = _take(source, recording, library, pinned, identity, progress, settled)
                items.append(item)
                failed = 0
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
    try:
        resumed = _copy(source, recording, part, progress)
    except OtherFileError:
        part.unlink(missing_ok=True)
        raise
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
