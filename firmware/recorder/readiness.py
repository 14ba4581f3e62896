"""What stands between a power-up and a recording that can start at once. Idle set.

A first start, a start after a power cut and a card that was put back all take the same way: `make_primed`. What each step needs is
imported in it and dropped soon: together it would not fit.
"""

from micropython import const

from recorder import indicator, running
from recorder.errors import CardError, EntropyFault, IdentityFault, NotReady, RecorderError
from recorder.hal import battery, button, card, clock, power, switch
from recorder.session import SELF_TEST, drop_idle_set
from recorder.store import journal as entries

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from recorder.running import Primed
    from recorder.session import Session
    from recorder.store.identity import Identity
    from recorder.store.volume import Volume

MICROPHONE = "microphone silent"  # until the switch goes off: whoever slides it on again wants it tried again

_RESET_MS = const(10_000)
_RESET_TURN_MS = const(40)


def battery_empty() -> bool:
    """Too little for a recording; a gauge that cannot tell says 0."""
    return 0 < battery.millivolts() < running.EMPTY_MILLIVOLTS


def wake(session: "Session") -> None:
    """What a power-up does once: identity, random numbers, what the last run left behind."""
    from recorder.store import journal_reading
    from recorder.store.vault import Vault

    power.radio_off()
    power.fast(True)
    session.indicator.dim(journal_reading.light(session.journal) or session.indicator.brightness)
    session.began = running.BY_POWER if switch.is_on() else running.BY_SWITCH
    code = power.last_fault()
    if code:
        session.journal.append(entries.FAULT, 0, b"reset after fault %d" % code)
    try:
        session.identity = Vault().load()
        stir(session, b"")
        if session.drbg is not None:
            session.boot_id = bytes(session.drbg.generate(16))
    except (IdentityFault, EntropyFault) as error:
        fault(session, error)
    _reset_by_hand(session)


def fault(session: "Session", error: RecorderError) -> None:
    """Something that trying again will not mend: told, kept, and nothing is recorded until the next start."""
    session.trouble = SELF_TEST
    session.journal.append(entries.FAULT, 0, str(error).encode())


def unpair(session: "Session") -> None:
    """Erase who owns this recorder. What it recorded stays, for the key that it was sealed for; numbers go on."""
    from recorder.store.vault import Vault

    vault = Vault()
    try:
        vault.load()  # for the epoch
    except IdentityFault:
        pass  # damaged: the more reason to erase it
    vault.erase()
    session.identity = None
    session.trouble = ""
    session.forget_primed()


def _reset_by_hand(session: "Session") -> None:
    """The button held for ten seconds from the power-up on, the switch off: unpair, for who lost the computer.

    Not after a restart: whoever is asked to hold the button for something else may hold it still.
    Whoever can do this holds the recorder, and could overwrite its flash as well; nothing recorded can be heard by it.
    """
    if not power.came_on():
        return
    began = clock.ticks_ms()
    while button.is_down() and not switch.is_on():
        if clock.since_ms(began) >= _RESET_MS:
            _finish(session)
            unpair(session)
            session.journal.append(entries.FAULT, 0, b"unpaired by hand")
            session.indicator.buzz(indicator.MUTE)
            return
        power.feed()
        session.indicator.show(indicator.WAIT)
        session.indicator.step()
        clock.idle(_RESET_TURN_MS)


def _finish(session: "Session") -> None:
    """What a power cut left unfinished: once it has no owner, this recorder cannot tell its pages, and would sign that it is lost."""
    if session.identity is not None and session.journal.open is not None:
        try:
            _mount(session, session.identity)
        except CardError:
            pass  # without the card it is lost
        session.volume = None


def stir(session: "Session", data: "bytes | bytearray") -> None:
    """Make the generator anew over the seed in flash, fresh reads and `data`, and replace the seed. Raises EntropyFault."""
    from recorder import randomness
    from recorder.store.seeds import Seeds

    seeds = Seeds()
    seed = seeds.current()
    if session.identity is not None and not seed and not data:
        raise EntropyFault("the seed is gone: the next sync brings a new one")
    drbg = randomness.gather(seed, data)
    if session.drbg is not None:
        drbg.reseed(session.drbg.generate(32))
    if session.identity is not None or data:
        seeds.put(drbg.generate(32))
    session.drbg = drbg


def make_primed(session: "Session") -> "Primed | None":
    """From whatever was before to a primed recording; None after a fault. Raises CardError, NotReady."""
    identity, drbg = session.identity, session.drbg
    if session.trouble in (SELF_TEST, MICROPHONE) or drbg is None:
        return None
    if identity is None:
        raise NotReady(NotReady.UNPAIRED)
    if battery_empty():
        raise NotReady(NotReady.BATTERY)
    drop_idle_set()
    between = card.pump = keep_alive(session)
    try:
        volume = session.volume
        if volume is None:
            volume = _mount(session, identity)
            drop_idle_set()
        from recorder.store.journal_tidying import tidy

        while tidy(session.journal):
            between()
        from recorder.primer import prime

        return prime(identity, session.journal, volume, drbg, between)
    finally:
        card.pump = None


def keep_alive(session: "Session") -> "Callable[[], bool]":
    """What long work calls now and then, so that light and motor keep their rhythm and the watchdog is fed."""

    def between() -> bool:
        power.feed()
        session.indicator.step()
        return False

    return between


def _mount(session: "Session", identity: "Identity") -> "Volume":
    """The card, and on it what a power cut left unfinished."""
    from recorder.store.recovery import recover
    from recorder.store.volume import Volume

    volume = Volume(card.open_card())
    recover(session.journal, volume, identity, session.indicator.step)
    session.volume = volume
    return volume
