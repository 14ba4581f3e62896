"""What the link may ask of the recorder at any time, also while it records; what only an idle one does is in errands.py."""

from micropython import const

from recorder.hal import battery, card
from recorder.store import journal as entries

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.errands import Errands
    from recorder.seal.drbg import Drbg
    from recorder.session import Session
    from recorder.store.identity import Identity
    from recorder.store.journal import Journal

_BY_HOST = const(4)  # STOP reason, FORMAT.md


class Answers:
    """The session, as the link sees it."""

    def __init__(self, session: "Session") -> None:
        self.session = session

    @property
    def identity(self) -> "Identity | None":
        return self.session.identity

    @property
    def boot_id(self) -> bytes:
        return self.session.boot_id

    @property
    def drbg(self) -> "Drbg | None":
        return self.session.drbg

    @property
    def journal(self) -> "Journal":
        return self.session.journal

    def errands(self) -> "Errands":
        """What else may be asked, of an idle recorder."""
        from recorder.errands import Errands

        return Errands(self)

    def make_room(self) -> None:
        """A computer asks for more than there is memory for beside a primed recording: another is primed when it is done."""
        if self.session.running is None:
            self.session.make_room()

    def is_recording(self) -> bool:
        return self.session.running is not None

    def told(self) -> str:
        """What a person wants to know of the recorder in hand, unsigned: one `name value` a line."""
        session = self.session
        text = "state %s\nbattery_mv %d\nminutes_left %d\nworst_write_ms %d\n" % (
            session.state_name(),
            battery.millivolts(),
            battery.minutes_left(),
            card.worst_write_ms(),
        )
        return text if session.running is not None else text + self.errands().told()

    def button_is_held(self) -> bool:
        return self.session.gestures.held()

    def stop(self) -> None:
        """End the recording in progress, if there is one; the next begins when the switch was off."""
        if self.session.running is not None:
            self.session.running.stop(_BY_HOST)

    def set_light(self, brightness: int) -> None:
        """How bright the light is from now on."""
        indicator = self.session.indicator
        if brightness != indicator.brightness:
            indicator.dim(brightness)
            self.session.journal.append(entries.LIGHT, 0, bytes((brightness,)))

    def settings(self) -> bytes:
        """Every setting: u8 kind, u8 length, value."""
        identity = self.session.identity
        if identity is None:
            return b""
        name = identity.name.encode()
        keys = b"".join(identity.recipients)
        return bytes((1, 1, self.session.indicator.brightness, 2, len(name))) + name + bytes((3, len(keys))) + keys
