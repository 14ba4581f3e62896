"""What follows a recording, stopped in order or ended by a fault: the card is everybody's again. Idle set."""

from recorder import indicator, running
from recorder.errors import CardError, NotReady, RecorderError
from recorder.hal import clock, power, switch
from recorder.readiness import MICROPHONE
from recorder.seal.wipe import wipe
from recorder.store import journal as entries

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.running import Running
    from recorder.session import Session


def finished(session: "Session", recording: "Running") -> None:
    """The final note is on the card. By itself only a rollover goes on into another recording."""
    power.fast(True)
    if session.drbg is not None:
        session.drbg.reseed(session.capture.noise)
    wipe(session.capture.noise)
    _reopen(session, recording)
    session.hold_off = recording.reason in (running.BATTERY, running.CARD_FULL, running.HOST)
    if recording.reason == running.CARD_FULL:
        session.trouble = CardError.FULL
    if recording.reason == running.BATTERY:
        session.trouble = NotReady.BATTERY
    session.indicator.buzz(indicator.STOPPED)
    session.indicator.show(indicator.OFF if not switch.is_on() else indicator.WAIT)
    session.retry()


def _reopen(session: "Session", recording: "Running") -> None:
    """The card is everybody's again, as the recording leaves it."""
    from recorder.store.volume import Volume

    try:
        session.volume = Volume(recording.mount.card, recording.mount)
    except CardError as error:
        session.trouble = error.kind


def failed(session: "Session", recording: "Running", error: RecorderError) -> None:
    """Nothing more can be written: say so at once. What is on the card is recovered when it can be read again."""
    recording.abandon()
    power.fast(True)
    session.trouble = error.kind if isinstance(error, CardError) else MICROPHONE
    session.indicator.buzz(indicator.REFUSED)
    session.journal.append(entries.FAULT, session.journal.newest_seq, str(error).encode())
    session.retry_ticks = clock.ticks_ms()
