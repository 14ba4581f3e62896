"""The state machine: unpaired, idle, wait, primed, recording, muted, fault. It joins what a person does to what is done.

Crash-only: a start after a power cut, a card put back and a first start all take the same way, `_make_ready`.
"""

import gc
import sys

from micropython import const

from recorder import gestures, indicator, running
from recorder.answers import Answers
from recorder.capture import Capture
from recorder.errors import CardError, NotReady, RecorderError
from recorder.gestures import Gestures
from recorder.hal import battery, card, clock, entropy, power, rtc, switch
from recorder.indicator import Indicator
from recorder.link.service import Link
from recorder.running import Meta, Running
from recorder.seal.wipe import wipe
from recorder.store import journal as entries
from recorder.store.journal import Journal

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.primer import Primed
    from recorder.seal.drbg import Drbg
    from recorder.store.vault import Identity
    from recorder.store.volume import Volume

_RECORDING_TURN_MS = const(32)  # half a FLAC block
_IDLE_TURN_MS = const(40)
_LISTEN_MS = const(20)
_RETRY_MS = const(2000)
_RETRY_FULL_MS = const(60_000)
_REMIND_MS = const(60_000)
_NOTICE_MS = const(120_000)  # "notice given" only in the first two minutes
_CLOCK_CHIP = const(2)  # CLOCK source

SELF_TEST = "self-test failed"

_SHAPES = {
    NotReady.BATTERY: indicator.BATTERY_LOW,
    NotReady.UNPAIRED: indicator.UNPAIRED,
    SELF_TEST: indicator.SELF_TEST,
    CardError.NONE: indicator.NO_CARD,
    CardError.FULL: indicator.CARD_FULL,
}

# Modules that only an idle recorder needs: dropped before recording, because imported code lives in RAM.
IDLE_SET = (
    "recorder.primer",
    "recorder.randomness",
    "recorder.readiness",
    "recorder.seal.age",
    "recorder.seal.chacha20poly1305",
    "recorder.seal.checkpoint_fields",
    "recorder.seal.header",
    "recorder.seal.x25519",
    "recorder.store.recovery",
    "recorder.store.seeds",
    "recorder.store.vault",
)


def drop_idle_set() -> None:
    """Forget the modules of the idle set and give their memory back."""
    for name in IDLE_SET:
        if sys.modules.pop(name, None) is not None:
            package, _, child = name.rpartition(".")
            if hasattr(sys.modules[package], child):
                delattr(sys.modules[package], child)
    gc.collect()


def battery_empty() -> bool:
    """Too little for a recording; a gauge that cannot tell says 0."""
    return 0 < battery.millivolts() < running.EMPTY_MILLIVOLTS


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
        self._primed: "Primed | None" = None
        self._hold_off = False  # a recording ended by itself: the switch goes off before the next
        self._switch_was_on = False
        self.began = running.BY_SWITCH
        self._retry_ticks = clock.ticks_ms() - _RETRY_FULL_MS
        self._link = Link(Answers(self))

    def run(self) -> None:
        """The main loop."""
        from recorder import readiness

        power.radio_off()
        readiness.wake(self)
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
            self._wait()
        talking = self._link.poll()
        self.indicator.step()
        return talking

    def state_name(self) -> str:
        """One word, for the link and the person."""
        if self.running is not None:
            return "muted" if self.capture.muted else "recording"
        if self._primed is not None:
            return "primed"
        return "fault" if self.trouble == SELF_TEST else "idle" if self.trouble else "wait"

    # --- getting ready (readiness.py does it) ----------------------------------------------------------------------

    def _make_ready(self) -> None:
        """From whatever was before to a primed recording. Sets `trouble` to what stands in the way."""
        from recorder import readiness

        if not self.trouble:  # else its shape stays, undisturbed by each new try
            self.indicator.show(indicator.WAIT if switch.is_on() else indicator.OFF)
        try:
            self._primed = readiness.prime(self)
            if self._primed is not None:
                self.trouble = ""
        except CardError as error:
            self.volume = None
            self.trouble = error.kind
        except NotReady as error:
            self.trouble = str(error)
        except RecorderError as error:
            self.fault(error)

    def fault(self, error: RecorderError) -> None:
        """Something that trying again will not mend: told, kept, and nothing is recorded until the next start."""
        self.trouble = SELF_TEST
        self.journal.append(entries.FAULT, 0, str(error).encode())

    def paired(self, identity: "Identity") -> None:
        """Somebody owns this recorder now: get ready for them."""
        self.identity = identity
        self.forget_primed()
        self._retry_now()

    def forget_primed(self) -> None:
        """Throw the primed recording away; another is made when there is time."""
        if self._primed is not None:
            self._primed.forget()
            self._primed = None

    # --- not recording ---------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        on = switch.is_on()
        turned_on = on and not self._switch_was_on
        self._switch_was_on = on
        if not on:
            self._hold_off = False
            self.began = running.BY_SWITCH
        if self.volume is not None and not card.present():
            self.forget_primed()
            self.volume = None
            self.trouble = CardError.NONE
        if self._primed is None and clock.since_ms(self._retry_ticks) >= self._retry_ms():
            self._make_ready()
            self._retry_ticks = clock.ticks_ms()
        if on and not self._hold_off and self._primed is not None and self.identity is not None:
            if battery_empty():
                self.trouble = NotReady.BATTERY
            else:
                self._start(self._primed, self.identity)
                return
        if turned_on and self.trouble:
            self.indicator.buzz(indicator.REFUSED)
        self._show_waiting(on)

    def _retry_now(self) -> None:
        self._retry_ticks = clock.ticks_ms() - _RETRY_FULL_MS

    def _retry_ms(self) -> int:
        """A card that is full or of another format stays so until it is exchanged: looking again only wears it."""
        same = self.trouble in (CardError.FULL, CardError.FORMAT) and card.present()
        return _RETRY_FULL_MS if same else _RETRY_MS

    def _show_waiting(self, on: bool) -> None:
        if self._link.is_busy:
            self.indicator.show(indicator.SYNCING)
        elif not on:
            self.indicator.show(indicator.OFF)
        elif self.trouble:
            self.indicator.show(_SHAPES.get(self.trouble, indicator.CARD_FAILED))
        else:
            self.indicator.show(indicator.WAIT)

    # --- recording -------------------------------------------------------------------------------------------------

    def _start(self, primed: "Primed", identity: "Identity") -> None:
        self._primed = None
        self._link.release()
        drop_idle_set()
        meta = Meta(self.boot_id, identity.name, self.began)
        if self.anchor is not None:
            meta.anchors.append(self.anchor)
        meta.beacon = self.journal.beacon()
        chip = rtc.read()
        if chip is not None:
            meta.anchors.append((chip[0], clock.now_us(), chip[1], _CLOCK_CHIP))
        self.indicator.show(indicator.RECORDING)
        self.indicator.buzz(indicator.START)
        self._warned = 0
        self._reminded = self._started = self._listened = clock.ticks_ms()
        self.running = recording = Running(primed, self.capture, self.journal, self._meanwhile)
        try:
            recording.start(meta)
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
            self._switch_was_on = False
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
        if self.drbg is not None:
            self.drbg.reseed(self.capture.noise)
        wipe(self.capture.noise)
        self._hold_off = recording.reason in (running.BATTERY, running.CARD_FULL, running.HOST)
        if recording.reason == running.CARD_FULL:
            self.trouble = CardError.FULL
        if recording.reason == running.BATTERY:
            self.trouble = NotReady.BATTERY
        self.indicator.buzz(indicator.STOPPED)
        self.indicator.show(indicator.OFF if not switch.is_on() else indicator.WAIT)
        self._retry_now()

    def _fail(self, recording: Running, error: RecorderError) -> None:
        """Nothing more can be written: say so at once. What is on the card is recovered when it can be read again."""
        recording.abandon()
        self.running = None
        self.volume = None
        self.trouble = error.kind if isinstance(error, CardError) else SELF_TEST
        self.indicator.show(_SHAPES.get(self.trouble, indicator.CARD_FAILED))
        self.indicator.buzz(indicator.REFUSED)
        self.journal.append(entries.FAULT, self.journal.newest_seq, self.trouble.encode())
        self._retry_ticks = clock.ticks_ms()

    # --- the button ------------------------------------------------------------------------------------------------

    def _take_gestures(self) -> None:
        gesture = self.gestures.poll()
        while gesture:
            if self.running is not None and not self.running.stopping:
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
