"""The state machine: unpaired, idle, wait, primed, recording, muted, fault. It joins what a person does to what is done.

Crash-only: a start after a power cut, a card put back and a first start all take the same way (waiting.py, readiness.py).
What only an idle recorder does is in modules of the idle set: imported code lives in RAM.
"""

import gc
import sys

from micropython import const

from recorder import gestures, indicator, running
from recorder.answers import Answers
from recorder.capture import Capture
from recorder.errors import CardError, NotReady, RecorderError
from recorder.gestures import Gestures
from recorder.hal import clock, entropy, power, switch, usb
from recorder.indicator import Indicator
from recorder.link.service import Link
from recorder.running import Primed, Running
from recorder.seal import drbg, page  # noqa: F401 - their objects live on while it records
from recorder.seal.wipe import wipe
from recorder.store import identity as _identity  # noqa: F401
from recorder.store import journal as entries
from recorder.store import recording as _recording  # noqa: F401
from recorder.store.journal import Journal

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.nearby import Nearby
    from recorder.seal.drbg import Drbg
    from recorder.store.identity import Identity
    from recorder.store.volume import Volume

_RECORDING_TURN_MS = const(32)  # half a FLAC block
_IDLE_TURN_MS = const(40)
_LISTEN_MS = const(20)
RETRY_FULL_MS = const(60_000)
_REMIND_MS = const(60_000)
_NOTICE_MS = const(120_000)  # "notice given" only in the first two minutes

SELF_TEST = "self-test failed"


def drop_idle_set() -> None:
    """Forget what was imported after this module, and give its memory back: the idle set is what only idle code imports."""
    for name in tuple(sys.modules):
        if name not in _resident:
            del sys.modules[name]
            package, _, child = name.rpartition(".")
            if package and hasattr(sys.modules.get(package), child):
                delattr(sys.modules[package], child)
    gc.collect()


class Session:
    """One power-up of the recorder. `run` never returns."""

    def __init__(self) -> None:
        self.indicator = Indicator()
        self.gestures = Gestures()
        self.capture = Capture()
        self.journal = Journal()
        self.identity: "Identity | None" = None
        self.drbg: "Drbg | None" = None
        self.boot_id = entropy.system(16)  # an id, no secret; better ones follow (readiness.py)
        self.volume: "Volume | None" = None
        self.running: "Running | None" = None
        self.anchor: "tuple[int, int, int, int] | None" = None  # UTC, mono, error (µs), source
        self.trouble = ""  # why no recording would start, "" if one would
        self.primed: "Primed | None" = None
        self.hold_off = False  # a recording ended by itself: the switch goes off before the next
        self.switch_was_on = False
        self.began = running.BY_SWITCH
        self.invited = False  # the switch went off, or the button was pressed while idle: nearby.py
        self.nearby: "Nearby | None" = None
        self.retry_ticks = clock.ticks_ms() - RETRY_FULL_MS
        self.link = Link(Answers(self), usb)

    def run(self) -> None:
        """The main loop."""
        from recorder import readiness

        power.radio_off()
        power.fast(True)
        readiness.wake(self)
        drop_idle_set()
        while True:
            power.feed()
            talking = self.step()
            if self.running:
                clock.idle(_RECORDING_TURN_MS)
            else:
                clock.idle(0 if talking else _IDLE_TURN_MS)

    def step(self) -> bool:
        """One turn of the main loop; True while the link has more to say at once."""
        self._take_gestures()
        if self.running is not None:
            self._record(self.running)
        else:
            from recorder import waiting

            primed = self.primed
            if waiting.turn(self) and self.primed is not None:
                self._start(self.primed)
            elif self.primed is not primed:
                drop_idle_set()  # what made it takes the room that syncing needs
        talking = self.link.poll()
        self.indicator.step()
        return talking

    def state_name(self) -> str:
        """One word, for the link and the person."""
        if self.running is not None:
            return "muted" if self.capture.muted else "recording"
        if self.primed is not None:
            return "primed"
        return "fault" if self.trouble == SELF_TEST else "idle" if self.trouble else "wait"

    # --- not recording ---------------------------------------------------------------------------------------------

    def fault(self, error: RecorderError) -> None:
        """Something that trying again will not mend: told, kept, and nothing is recorded until the next start."""
        self.trouble = SELF_TEST
        self.journal.append(entries.FAULT, 0, str(error).encode())

    def paired(self, identity: "Identity") -> None:
        """Somebody owns this recorder now: get ready for them."""
        self.identity = identity
        self.forget_primed()
        self.retry()

    def forget_primed(self) -> None:
        """Throw the primed recording away; another is made when there is time."""
        if self.primed is not None:
            self.primed.forget()
            self.primed = None

    def make_room(self) -> None:
        """Throw away what getting ready has brought into memory."""
        self.forget_primed()
        self.volume = None
        self.retry_ticks = clock.ticks_ms()
        drop_idle_set()

    def retry(self) -> None:
        """Get ready at once: something may stand in the way no longer."""
        self.retry_ticks = clock.ticks_ms() - RETRY_FULL_MS

    # --- recording -------------------------------------------------------------------------------------------------

    def _start(self, primed: "Primed") -> None:
        self.link.release()
        drop_idle_set()  # first: what follows is imported, and needs room
        from recorder import opening

        events = opening.events(self)
        if self.volume is not None:
            self.volume.forget()
        self.volume = self.primed = None
        drop_idle_set()
        power.fast(False)  # before the microphone starts: its clock is made from the processor's
        self.indicator.show(indicator.RECORDING)
        self.indicator.buzz(indicator.START)
        self._warned = 0
        self._reminded = self._started = self._listened = clock.ticks_ms()
        self.running = recording = Running(primed, self.capture, self.journal, self._meanwhile)
        try:
            recording.start(events)
        except RecorderError as error:
            self._fail(recording, error)

    def _meanwhile(self) -> bool:
        """In every wait of the card: sound first, then the person. A mute or the switch counts when it is meant, stall or not."""
        if self.capture.pump():
            return True
        if clock.since_ms(self._listened) >= _LISTEN_MS:
            self._listened = clock.ticks_ms()
            self._take_gestures()
            self._obey_switch()
            self.indicator.step()
        return False

    def _obey_switch(self) -> None:
        if self.running is not None and not switch.is_on():
            self.switch_was_on = False
            self.invited = True
            self.running.stop(running.SWITCH)

    def _record(self, recording: Running) -> None:
        self._obey_switch()
        try:
            recording.step()
        except CardError as error:
            self._fail(recording, error)
            return
        if recording.done:
            self._finished(recording)
            return
        if recording.warned > self._warned:
            self._warned = recording.warned
            self.indicator.buzz(indicator.WARN)
        if self.capture.muted and clock.since_ms(self._reminded) >= _REMIND_MS:
            self._reminded = clock.ticks_ms()
            self.indicator.buzz(indicator.REMIND)
        if recording.stopping:
            self.indicator.show(indicator.WAIT)
        else:
            self.indicator.show(indicator.MUTED if self.capture.muted else indicator.RECORDING)

    def _finished(self, recording: Running) -> None:
        """The final note is on the card. By itself only a rollover goes on into another recording."""
        self.running = None
        power.fast(True)
        if self.drbg is not None:
            self.drbg.reseed(self.capture.noise)
        wipe(self.capture.noise)
        self._reopen(recording)
        self.hold_off = recording.reason in (running.BATTERY, running.CARD_FULL, running.HOST)
        if recording.reason == running.CARD_FULL:
            self.trouble = CardError.FULL
        if recording.reason == running.BATTERY:
            self.trouble = NotReady.BATTERY
        self.indicator.buzz(indicator.STOPPED)
        self.indicator.show(indicator.OFF if not switch.is_on() else indicator.WAIT)
        self.retry()

    def _reopen(self, recording: Running) -> None:
        """The card is everybody's again, as the recording leaves it."""
        from recorder.store.volume import Volume

        try:
            self.volume = Volume(recording.mount.card, recording.mount)
        except CardError as error:
            self.trouble = error.kind

    def _fail(self, recording: Running, error: RecorderError) -> None:
        """Nothing more can be written: say so at once. What is on the card is recovered when it can be read again."""
        recording.abandon()
        self.running = None
        power.fast(True)
        self.trouble = error.kind if isinstance(error, CardError) else SELF_TEST
        self.indicator.buzz(indicator.REFUSED)
        self.journal.append(entries.FAULT, self.journal.newest_seq, self.trouble.encode())
        self.retry_ticks = clock.ticks_ms()

    # --- the button ------------------------------------------------------------------------------------------------

    def _take_gestures(self) -> None:
        gesture = self.gestures.poll()
        while gesture:
            if self.running is None:
                self.invited = True
            elif not self.running.stopping:
                self._gesture(self.running, gesture)
            gesture = self.gestures.poll()

    def _gesture(self, recording: Running, gesture: int) -> None:
        buzz = self.indicator.buzz
        at_us = self.gestures.time_us
        if gesture == gestures.TOUCH:
            buzz(indicator.TICK)
        elif gesture == gestures.MUTE:
            self._toggle_mute()
        elif gesture == gestures.DISPUTED:
            recording.mark(gestures.DISPUTED, at_us)
            buzz(indicator.SECOND_TICK)
        elif gesture == gestures.NOTICE and clock.since_ms(self._started) <= _NOTICE_MS:
            recording.mark(gestures.NOTICE, at_us)
            buzz(indicator.NOTICE)
        else:
            recording.mark(gestures.MARK, at_us)
            if gesture == gestures.NOTICE:
                buzz(indicator.TICK)

    def _toggle_mute(self) -> None:
        if self.capture.muted:
            self.capture.unmute()
            self.indicator.buzz(indicator.UNMUTE)
        else:
            self.capture.mute()
            self._reminded = clock.ticks_ms()
            self.indicator.buzz(indicator.MUTE)


_resident = tuple(sys.modules)  # the record set: this module and all that it needs
