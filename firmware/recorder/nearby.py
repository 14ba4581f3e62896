"""Bluetooth while syncing is wanted: one minute after the switch goes off or the button is pressed. Idle set.

The radio is off otherwise, and always while recording. LINK.md, "Bluetooth LE".
"""

from micropython import const

from recorder.hal import ble, clock
from recorder.link.service import Link

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_INVITED_MS = const(60_000)
_STRANGER_MS = const(5000)  # LINK.md "Limits": who has not proved himself by then is thrown out
_TURNS = const(16)  # pieces of work in one step: a window is not to be held up by the main loop
_TURNS_MS = const(100)  # nor the main loop by a computer that asks and does not take
_QUIET_MS = const(30_000)  # a computer may keep a connection whose program is gone: end it, so that another can begin


class Nearby:
    """`step()` is called from the main loop while idle; `close()` before a recording starts."""

    def __init__(self, host: "Any") -> None:
        self._host = host  # the link's
        self.link: "Link | None" = None  # while a computer is connected
        self._invited = clock.ticks_ms()
        self._is_inviting = False
        self._known = 0  # when the computer was a known one last

    def invite(self) -> None:
        """Be found for a minute from now."""
        self._invited = clock.ticks_ms()
        self._is_inviting = True

    @property
    def is_on(self) -> bool:
        """The radio is on."""
        return self._is_inviting or self.link is not None

    @property
    def is_busy(self) -> bool:
        """A computer that has proved itself was heard within the last seconds."""
        return self.link is not None and self.link.is_busy

    def step(self) -> bool:
        """One piece of work; True if there was any."""
        if ble.accept():
            if self.link is not None:
                self.link.close()  # of a connection whose end nobody saw
            self.link = Link(self._host, ble, cable=False)
            self._known = clock.ticks_ms()
        link = self.link
        if link is None:
            return self._show()
        if not ble.is_connected():
            if link.is_open:
                self.invite()  # a known computer lost us, or comes again for more
            link.close()
            self.link = None
            return True
        worked = False
        began = clock.ticks_ms()
        for _ in range(_TURNS):
            if not link.poll():
                break
            worked = True
            if clock.since_ms(began) >= _TURNS_MS:
                break
        if link.is_open:
            self._known = clock.ticks_ms()
        if clock.since_ms(self._known) >= _STRANGER_MS or ble.quiet_ms() >= _QUIET_MS:
            link.close()
            ble.hang_up()
        return worked

    def _show(self) -> bool:
        """Be found while invited, no longer."""
        if self._is_inviting and clock.since_ms(self._invited) >= _INVITED_MS:
            self._is_inviting = False
            ble.off()
        elif self._is_inviting:
            try:
                ble.advertise(True)
            except OSError:  # the radio's fault is not the recorder's
                self._is_inviting = False
                ble.off()
        return False

    def close(self) -> None:
        """Radio off."""
        if self.link is not None:
            self.link.close()
            self.link = None
        self._is_inviting = False
        ble.off()
