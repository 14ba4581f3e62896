"""What the link may ask of the recorder, and nothing else: link/service.py, class Link, names it."""

from recorder import indicator
from recorder.errors import CardError, EntropyFault, LinkError
from recorder.hal import battery, card, clock, rtc
from recorder.link.service import MALFORMED
from recorder.store import journal as entries

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from recorder.link.pairing import Request
    from recorder.seal.drbg import Drbg
    from recorder.session import Session
    from recorder.store.journal import Journal
    from recorder.store.vault import Identity
    from recorder.store.volume import Volume


_FINAL = 1
_OPEN = 2


class Answers:
    """The session, as the link sees it."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    @property
    def identity(self) -> "Identity | None":
        return self._session.identity

    @property
    def boot_id(self) -> bytes:
        return self._session.boot_id

    @property
    def drbg(self) -> "Drbg | None":
        return self._session.drbg

    @property
    def journal(self) -> "Journal":
        return self._session.journal

    @property
    def volume(self) -> "Volume | None":
        return self._session.volume

    def state_name(self) -> str:
        return self._session.state_name()

    def status_fields(self) -> "dict[str, int | str]":
        """Unsigned extras: what a person wants to know of the recorder in hand."""
        session = self._session
        fields = {
            "battery_mv": battery.millivolts(),
            "minutes_left": battery.minutes_left(),
            "worst_write_ms": card.worst_write_ms(),
            "clock_set": 1 if session.anchor is not None or rtc.read() is not None else 0,
            "trouble": session.trouble,
            "name": session.identity.name if session.identity is not None else "",
        }  # type: dict[str, int | str]
        if session.volume is not None and session.running is None:  # the card is the recording's alone
            fields["card_free_pages"] = session.volume.free_pages
            fields["waiting"] = len(session.volume.seqs())
        faults = session.journal.faults()
        if faults:
            fields["last_fault"] = faults[-1][1].decode()
        return fields

    def button_is_held(self) -> bool:
        return self._session.gestures.held()

    def set_clock(self, utc_us: int, error_us: int, source: int) -> None:
        """An anchor for this boot's recordings: `utc_us` is now."""
        self._session.anchor = (utc_us, clock.now_us(), error_us, source)
        rtc.write(utc_us)

    def set_beacon(self, data: bytes) -> None:
        """Keep it for page 1 of every recording from now on: they were not made before it."""
        self._session.journal.append(entries.BEACON, 0, data)

    def add_entropy(self, data: bytes) -> None:
        from recorder import readiness

        session = self._session
        had_none = session.drbg is None
        try:
            readiness.stir(session, data)
        except EntropyFault as error:
            session.fault(error)
            raise
        if had_none:
            session.trouble = ""  # it had no numbers to draw from; now it has

    def pair(self, request: "Request") -> "Identity":
        """Make this recorder's keys and keep them; the link has checked that the button is held and nobody was paired."""
        session = self._session
        if session.drbg is None:
            raise EntropyFault("no random numbers")
        draw = session.drbg.generate
        from recorder.seal import ed25519, x25519
        from recorder.store.vault import Identity, Vault

        vault = Vault()
        vault.load()  # for the epoch: it outlives an identity that was erased
        try:
            for recipient in request.recipients:
                x25519.x25519(draw(32), recipient)  # a weak key would make every recording fail
        except x25519.WeakKeyError:
            raise LinkError(MALFORMED, "PAIR malformed: a recipient's key is weak")
        seed = bytes(draw(32))
        identity = Identity(
            seed=seed,
            public=ed25519.public_key(seed),
            device_secret=bytes(draw(32)),
            link_secret=request.link_secret,
            receipt_key=request.receipt_key,
            recipients=request.recipients,
            epoch=vault.epoch + 1,
            name=request.name,
        )
        vault.save(identity)
        session.paired(identity)
        return identity

    def recordings(self, after: int) -> "Iterator[tuple[int, bytes, int, int, list[int]]]":
        """(seq, id, file pages, state, file pages of marks) of each recording of this recorder's on the card, and of the freed."""
        session = self._session
        volume, journal, identity = session.volume, session.journal, session.identity
        if volume is None or identity is None:
            return
        begin = bytearray(100)
        for seq in volume.seqs():
            if seq <= after:
                continue
            running = session.running
            if running is not None and running.seq == seq:
                yield seq, running.recording_id, running.pages, _OPEN, []
                continue
            try:
                volume.read_page(seq, 0, begin)
            except CardError:
                continue  # no page 0: nothing of a recording
            if begin[:4] == b"EWR1" and begin[68:100] == identity.public:
                yield seq, bytes(begin[12:28]), volume.pages(seq), _FINAL, [mark[0] for mark in journal.marks(seq)]

    def unpair(self) -> None:
        """Erase the identity; the link has checked that the button is held."""
        from recorder import readiness

        readiness.unpair(self._session)

    def identify(self) -> None:
        self._session.indicator.buzz(indicator.WARN)
