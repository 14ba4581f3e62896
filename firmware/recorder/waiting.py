"""A turn of a recorder that does not record: make ready, tell what stands in the way, see when to start. Idle set."""

from micropython import const

from recorder import indicator, readiness, running
from recorder.errors import CardError, NotReady, RecorderError
from recorder.hal import card, clock, power, switch
from recorder.session import RETRY_FULL_MS, SELF_TEST

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.session import Session

_RETRY_MS = const(2000)

_SHAPES = {
    NotReady.BATTERY: indicator.BATTERY_LOW,
    NotReady.UNPAIRED: indicator.UNPAIRED,
    SELF_TEST: indicator.SELF_TEST,
    readiness.MICROPHONE: indicator.SELF_TEST,
    CardError.NONE: indicator.NO_CARD,
    CardError.FULL: indicator.CARD_FULL,
}


def turn(session: "Session") -> bool:
    """One turn; True if the recording that is primed has to start now."""
    on = switch.is_on()
    if session.invited or not _may_rest(session):
        power.fast(True)
    was_on = session.switch_was_on
    turned_on = on and not was_on
    session.switch_was_on = on
    if not on:
        session.invited |= was_on
        session.hold_off = False
        if session.trouble == readiness.MICROPHONE:
            session.trouble = ""
        session.began = running.BY_SWITCH
    if session.volume is not None and not card.present():
        session.forget_primed()
        session.volume = None
        session.trouble = CardError.NONE
    if (
        session.primed is None
        and not session.indicator.busy()  # getting ready takes seconds, in which the motor would not stop
        and clock.since_ms(session.retry_ticks) >= _retry_ms(session)
        and (on or not _is_talking(session))
    ):
        power.fast(True)
        # What serves a computer makes room: getting ready takes the largest pieces of memory that there are.
        session.link.release()
        if session.nearby is not None and session.nearby.link is not None:
            session.nearby.link.release()
        _make_ready(session)
        session.retry_ticks = clock.ticks_ms()
    if on and not session.hold_off and session.primed is not None and session.identity is not None:
        if not switch.stands_on():  # it went off while the recorder got ready
            return False
        if not readiness.battery_empty():
            power.fast(True)
            if session.nearby is not None:
                session.nearby.close()
                session.nearby = None
            return True
        session.trouble = NotReady.BATTERY
    if turned_on and session.trouble:
        session.indicator.buzz(indicator.REFUSED)
    if not session.indicator.busy():
        _near(session)
    _show(session, on)
    if _may_rest(session):
        power.rest()
    return False


def _is_talking(session: "Session") -> bool:
    return session.link.is_busy or (session.nearby is not None and session.nearby.is_busy)


def _may_rest(session: "Session") -> bool:
    """Nobody is served, nor could be by Bluetooth."""
    return not _is_talking(session) and (session.nearby is None or not session.nearby.is_on)


def _near(session: "Session") -> None:
    """Bluetooth, if the owner may want it now."""
    if session.invited and session.identity is not None:
        session.invited = False
        try:
            _invite(session)
        except MemoryError:
            session.link.release()
            session.make_room()
            try:
                _invite(session)
            except MemoryError:  # recording comes first: there is the cable
                session.nearby = None
                power.radio_off()
    session.invited = False
    if session.nearby is not None:
        session.nearby.step()


def _invite(session: "Session") -> None:
    if session.nearby is None:
        from recorder.nearby import Nearby

        session.nearby = Nearby(session.link.host)
    session.nearby.invite()


def _make_ready(session: "Session") -> None:
    """From whatever was before to a primed recording. Sets `trouble` to what stands in the way."""
    if not session.trouble:  # else its shape stays, undisturbed by each new try
        session.indicator.show(indicator.WAIT if switch.is_on() else indicator.OFF)
    try:
        session.primed = readiness.make_primed(session)
        if session.primed is not None:
            session.trouble = ""
    except CardError as error:
        session.volume = None
        session.trouble = error.kind
    except NotReady as error:
        session.trouble = str(error)
    except RecorderError as error:
        readiness.fault(session, error)


def _retry_ms(session: "Session") -> int:
    """A card that is full or of another format stays so until it is exchanged: looking again only wears it."""
    same = session.trouble in (CardError.FULL, CardError.FORMAT) and card.present()
    return RETRY_FULL_MS if same else _RETRY_MS


def _show(session: "Session", on: bool) -> None:
    if _is_talking(session):
        session.indicator.show(indicator.SYNCING)
    elif not on:
        session.indicator.show(indicator.OFF)
    elif session.trouble:
        session.indicator.show(_SHAPES.get(session.trouble, indicator.CARD_FAILED))
    else:
        session.indicator.show(indicator.WAIT)
