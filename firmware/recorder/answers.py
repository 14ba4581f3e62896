"""What the link may ask of the recorder, and nothing else: link/service.py, class Link, names it."""

from recorder import indicator
from recorder.errors import LinkError
from recorder.hal import battery, card, clock, rtc

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
        if session.volume is not None:
            fields["card_free_pages"] = session.volume.free_pages
            fields["waiting"] = len(session.volume.seqs())
        faults = session.journal.faults()
        if faults:
            fields["last_fault"] = faults[-1]
        return fields

    def button_is_held(self) -> bool:
        return self._session.gestures.held()

    def set_clock(self, utc_us: int, error_us: int, source: int) -> None:
        """An anchor for this boot's recordings: `utc_us` is now."""
        self._session.anchor = (utc_us, clock.now_us(), error_us, source)
        rtc.write(utc_us)

    def add_entropy(self, data: bytes) -> None:
        self._session.stir(data)

    def identify(self) -> None:
        self._session.indicator.buzz(indicator.WARN)
