"""The state machine: unpaired, idle, wait, primed, recording, muted, fault. It joins what a person does to what is done.

Crash-only: a start after a power cut, a card put back and a first start all take the same way (waiting.py, readiness.py).
What only an idle recorder does is in modules of the idle set: what is imported takes RAM.
"""

import gc
import sys

from micropython import const

from recorder import gestures, indicator, running
from recorder.answers import Answers
from recorder.capture import Capture
from recorder.errors import CardError, RecorderError
from recorder.gestures import Gestures
from recorder.hal import clock, entropy, power, switch, usb
from recorder.indicator import Indicator
from recorder.link.service import Link
from recorder.running import Primed, Running
from recorder.seal import chacha20poly1305, drbg, page  # noqa: F401 - objects that live on; native code is never given back
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
        self._wake()
        drop_idle_set()
        while True:
            power.feed()
            talking = self.step()
            if self.running:
                clock.idle(_RECORDING_TURN_MS)
            else:
                clock.idle(0 if talking else _IDLE_TURN_MS)

    def _wake(self) -> None:  # not in run(), which never ends: what it once held would stay
        from recorder import readiness

        readiness.wake(self)

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
                if self.primed is not None:
                    from recorder import opening  # noqa: F401 - the switch does not wait for it
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
        from recorder import opening

        events = opening.events(self)
        self.volume = self.primed = None
        self.link.release()
        drop_idle_set()
        power.fast(False)  # before the microphone starts: its clock is made from the processor's
        self.indicator.show(indicator.RECORDING)
        self.indicator.buzz(indicator.START)
        self._warned = self._silent = 0
        self._late = False
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
        muted, silent = self.capture.muted, self.capture.silent
        if self.capture.late:
            self._tell_loss(recording)
        if silent != (self._silent == 1):
            self._tell_silence(recording, silent)
        elif (muted or silent) and clock.since_ms(self._reminded) >= _REMIND_MS:
            self._reminded = clock.ticks_ms()
            self.indicator.buzz(indicator.REMIND if muted else indicator.REFUSED)
        if recording.stopping:
            self.indicator.show(indicator.WAIT)
        elif muted:
            self.indicator.show(indicator.MUTED)
        else:
            self.indicator.show(indicator.SELF_TEST if silent else indicator.RECORDING)

    def _tell_silence(self, recording: Running, silent: bool) -> None:
        """The microphone died, or came back: it goes on recording, and whoever holds it knows."""
        if not self._silent:  # once is enough for the journal: a loose contact comes and goes
            self.journal.append(entries.FAULT, recording.seq, b"the microphone is silent or stuck")
        self._silent = 1 if silent else 2
        self._reminded = clock.ticks_ms()
        self.indicator.buzz(indicator.REFUSED if silent else indicator.START)

    def _tell_loss(self, recording: Running) -> None:
        """The card stood still for longer than there is room for sound: told once a minute, and once in the journal."""
        self.capture.late = False
        if not self._late:
            self._late = True
            self.journal.append(entries.FAULT, recording.seq, b"sound was lost: is the card slow?")
        elif clock.since_ms(self._reminded) < _REMIND_MS:
            return
        self._reminded = clock.ticks_ms()
        self.indicator.buzz(indicator.WARN)

    def _finished(self, recording: Running) -> None:
        from recorder import ending

        self.running = None
        ending.finished(self, recording)

    def _fail(self, recording: Running, error: RecorderError) -> None:
        from recorder import ending

        self.running = None
        ending.failed(self, recording, error)

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
