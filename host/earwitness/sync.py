"""Brings home what a recorder has: its state first, then recordings or marked minutes, then receipts, then freeing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from earwitness import beacon
from earwitness.copying import take_all
from earwitness.dating import Comparison
from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import DeviceBusyError
from earwitness.freeing import Freed, free, give_receipts, keep_ends
from earwitness.item import DAMAGED, FAILED, NEW, Item, Progress
from earwitness.link.client import ClockSet, Recorder
from earwitness.link.messages import FREED, LOST, Status
from earwitness.places import ENDS
from earwitness.source import RecorderSource

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.library import Library
    from earwitness.marked_minutes import Minute


@dataclass(frozen=True)
class SyncReport:
    """All recordings that were met, in order; with a recorder also what it signed and the time it was told."""

    items: list[Item]
    status: Status | None = None
    clock: ClockSet | None = None
    freed: list[Freed] = field(default_factory=list)  # what was to be freed, if that was asked for
    minutes: list[Minute] = field(default_factory=list)  # that came ahead of their recordings
    whole: bool = True  # whole recordings were asked for, not the marked minutes alone
    unlisted: int = 0  # on its card, and not of this pairing: only the card itself gives them

    @property
    def ok(self) -> bool:
        """Nothing failed and nothing came damaged."""
        return all(item.outcome not in (DAMAGED, FAILED) for item in self.items) and not any(
            [item.reason for item in self.freed] + [minute.reason for minute in self.minutes]
        )


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
    told = status.told.get("on_card", "")
    on_card = int(told) if told.isascii() and told.isdecimal() and len(told) < 7 else 0
    unlisted = max(on_card - sum(entry.state not in (FREED, LOST) for entry in listed), 0)
    return SyncReport(items, status, clock, freed, minutes, whole, unlisted)


def _learn_settings(recorder: Recorder, record: DeviceRecord, store: DeviceStore) -> None:
    """What may have been set by a run that was cut off, or on another computer: name and recipients."""
    settings = recorder.settings()
    known = store.get(record.public) if any(known.public == record.public for known in store.all()) else record
    keys = tuple(key.hex() for key in settings.recipients)
    if (settings.name, keys) != (known.name, known.recipients):
        store.put(replace(known, name=settings.name or known.name, recipients=keys))
