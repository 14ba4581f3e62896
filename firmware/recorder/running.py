"""The recording that is being made: sealed pages to the card, checkpoints between them, the journal ahead of both.

Why a power cut at any moment loses at most a second: before page 0 is written the journal knows the recording as open;
pages go to space that the FAT already gives to the file; the final note is in the journal before it is on the card. What
stands on the card then is recovered at the next start (store/recovery.py).
"""

import gc
from struct import pack

from micropython import const

from recorder import pages
from recorder.hal import battery, card, clock, light, motor, power
from recorder.seal.log import LEAVES
from recorder.seal.mac import sha256
from recorder.store import journal as entries

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from recorder.capture import Capture
    from recorder.seal.log import Log
    from recorder.seal.page import Sealer
    from recorder.store.journal import Journal
    from recorder.store.recording import RecordingFile

# STOP reasons, FORMAT.md
SWITCH = const(1)
BATTERY = const(2)
CARD_FULL = const(3)
HOST = const(4)
ROLLOVER = const(5)

# How a recording began, in META
BY_SWITCH = "switch"
BY_POWER = "power came back"

EMPTY_MILLIVOLTS = const(3300)  # below it the cell has a few minutes left, and a card write may brown out

_CHECKPOINT_MS = const(60_000)
_LATE_LEAVES = const(32)  # most leaves between a checkpoint's last leaf and its page
_SPARE_PAGES = const(24)  # kept free for the queue and the last checkpoints
_SPARE_ENTRIES = const(32)  # journal entries kept for the end of a recording
_CHECK_MS = const(5_000)
_WATCH_MS = const(1_000)
_COLLECT_PAGES = const(12)  # about five seconds of speech: 20 KB of what sealing left
_BATTERY_EVENT_MS = const(600_000)
_LONGEST_MS = const(71 * 3600 * 1000)  # the microphone's sample counter ends at 74 h
_MOST_PAGES = const(524_000)  # 2 GiB, where FAT tools begin to disagree
_PAGES_A_MINUTE = const(130)  # of speech, until this recording's own rate is known


class Primed:
    """A recording that has not begun: page 0, its log with checkpoint 0 signed, and the file with its space (primer.py)."""

    def __init__(
        self,
        seq: int,
        recording_id: bytes,
        prev: bytes,
        page: bytearray,
        sealer: "Sealer",
        log: "Log",
        checkpoint: bytearray,
        file: "RecordingFile",
    ) -> None:
        self.seq = seq
        self.recording_id = recording_id
        self.prev = prev
        self.page = page
        self.sealer = sealer
        self.log = log
        self.checkpoint = checkpoint
        self.file = file

    def forget(self) -> None:
        """Throw it away unused."""
        self.sealer.forget()
        self.file.abandon()


class Running:
    """One recording from the switch to its final note: `start`, `step` until `done`. A CardError ends it unfinished."""

    def __init__(
        self, primed: "Primed", capture: "Capture", journal: "Journal", meanwhile: "Callable[[], bool]"
    ) -> None:
        """`meanwhile` is called in every wait of the card: it takes sound and hears the person."""
        self.seq = primed.seq
        self.recording_id = primed.recording_id
        self.done = False
        self.stopping = False
        self.reason = 0  # STOP reason, once stopping
        self.warned = 0  # warnings given, for the session to tell
        self.pages = 0  # in the file
        self._primed: "Primed | None" = primed
        self._log = primed.log
        self._file = primed.file
        self.mount = primed.file.mount
        self._capture = capture
        self._queue = capture.queue
        self._journal = journal
        self._meanwhile = meanwhile
        self._indicated = -1
        self._collected = 0  # pages, when the collector ran last

    def start(self, events: "list[tuple[int, bytes, int]]") -> None:
        """Take sound at once, then bring journal, page 0 and checkpoint 0 to where they belong. `events`: opening.py."""
        primed = self._primed
        if primed is None:
            return
        self._primed = None  # its pages are 8 KiB
        self._started = self._checkpointed = self._checked = self._watched = clock.ticks_ms()
        self._capture.begin(primed.sealer)
        card.pump = self._meanwhile
        self._journal.append(entries.OPEN, self.seq, self.recording_id + sha256(primed.page) + primed.prev)
        for event in events:
            self._queue.event(*event)
        self._say_battery()
        self._say_indicator()
        self._file.begin(primed.page, primed.checkpoint)
        self._queue.header_written()
        self.pages = 2

    def mark(self, kind: int, time_us: int) -> None:
        """Mark the moment `time_us` (µs since boot) as MARK kind 1, 2 or 3."""
        sample = self._capture.sample_at(time_us)
        self._queue.event(pages.MARK, pack("<BQ", kind, sample), time_us)
        if self._journal.room() > _SPARE_ENTRIES:
            self._journal.append(entries.MARK, self.seq, pack("<IQB", self.pages + self._queue.queued, sample, kind))

    def stop(self, reason: int) -> None:
        """End the recording; `done` follows when the final note is on the card."""
        if not self.stopping:
            self.stopping = True
            self.reason = reason
            self._capture.stop(reason)

    def abandon(self) -> None:
        """The card is gone or broken: forget the keys, leave the rest to recovery."""
        card.pump = None
        self._capture.abandon()
        self._file.abandon()

    def step(self) -> None:
        """A turn of the main loop. Raises CardError."""
        capture = self._capture
        while capture.pump():
            self._write()
        self._write()
        if self.pages - self._collected >= _COLLECT_PAGES and capture.has_time():
            self._collected = self.pages
            gc.collect()  # 5 to 12 ms: better now than in the middle of a page
        if self._log.busy():
            if self._log.step():
                self._put_checkpoint()
        elif self._log.pending and clock.since_ms(self._checkpointed) >= _CHECKPOINT_MS:
            self._log.begin("running")
        if self.stopping:
            if not capture.running and not self._queue.queued:
                self._finish()
        elif self._file.room_pages() < _SPARE_PAGES:  # each turn: loud noise fills eight pages a second
            self.stop(CARD_FULL)
        elif clock.since_ms(self._watched) >= _WATCH_MS:
            self._watched = clock.ticks_ms()
            capture.watch()
        elif clock.since_ms(self._checked) >= _CHECK_MS:
            self._checked = clock.ticks_ms()
            self._file.extend()
            self._check_limits()

    # --- pages and checkpoints -------------------------------------------------------------------------------------

    def _write(self) -> None:
        queue = self._queue
        log = self._log
        while queue.queued:
            if log.busy() and log.pending >= _LATE_LEAVES:
                self._sign()
            self._file.append(queue.front())
            self.pages += 1
            log.add(queue.leaf())
            queue.pop()
            if not log.busy() and log.pending >= LEAVES:
                log.begin("running")

    def _sign(self) -> None:
        """Finish the checkpoint in hand; sound goes on being taken."""
        self._step_through()
        self._put_checkpoint()

    def _step_through(self) -> None:
        while not self._log.step():
            self._meanwhile()
            power.feed()

    def _put_checkpoint(self) -> None:
        log = self._log
        self._journal.append(entries.CHECKPOINT, self.seq, pack("<I", log.n) + log.root)
        self._file.append(log.page())
        self.pages += 1
        self._checkpointed = clock.ticks_ms()

    def _finish(self) -> None:
        log = self._log
        if log.busy():
            self._sign()
        while log.pending > LEAVES:
            log.begin("running")
            self._sign()
        log.begin("end")
        self._step_through()
        # The note is in flash before it is on the card: a cut between the two is mended at the next start.
        self._journal.append(entries.FINAL, self.seq, log.note)
        self._file.append(log.page())
        card.pump = None
        self._file.close()
        self.done = True

    # --- what the recording says of itself -------------------------------------------------------------------------

    def _say_battery(self) -> None:
        self._battery_said = clock.ticks_ms()
        self._queue.event(pages.BATTERY, pack("<H", battery.millivolts()))

    def _say_indicator(self) -> None:
        """Whether the light was on and the motor works: the recording itself answers who asks if it was covert."""
        indicated = light.working() | (motor.working() << 1)
        if indicated != self._indicated:
            self._indicated = indicated
            self._queue.event(pages.INDICATOR, pack("<BB", indicated & 1, indicated >> 1))

    # --- limits ----------------------------------------------------------------------------------------------------

    def minutes_left(self) -> int:
        """Minutes until battery or card end this recording, at its own rate."""
        minutes = clock.since_ms(self._started) // 60_000
        rate = self.pages // minutes + 1 if minutes > 2 else _PAGES_A_MINUTE
        left = (self._file.room_pages() - _SPARE_PAGES) // rate
        by_battery = battery.minutes_left()
        return left if by_battery < 0 else min(left, by_battery)

    def _check_limits(self) -> None:
        self._say_indicator()
        if clock.since_ms(self._battery_said) >= _BATTERY_EVENT_MS:
            self._say_battery()
        millivolts = battery.millivolts()
        if 0 < millivolts < EMPTY_MILLIVOLTS or battery.minutes_left() == 0:
            self.stop(BATTERY)
        elif (
            clock.since_ms(self._started) > _LONGEST_MS
            or self.pages > _MOST_PAGES
            or self._journal.room() < _SPARE_ENTRIES
        ):
            self.stop(ROLLOVER)
        else:
            left = self.minutes_left()
            self.warned = max(self.warned, (left < 15) + (left < 10) + (left < 5))
