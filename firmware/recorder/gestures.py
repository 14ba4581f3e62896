"""Gestures: what a person means with the one button. Decided at release, except the long hold."""

from micropython import const

from recorder.hal import button, clock

MARK = const(1)  # something mattered (also the kind in the MARK event)
DISPUTED = const(2)  # two presses: this was disputed
NOTICE = const(3)  # held 1.5 to 3 s: people were told
MUTE = const(4)  # held 3 s: off the record, or on again
TOUCH = const(5)  # a press was taken; the motor ticks while it may still become two

_DOUBLE_US = const(400_000)  # a second press within this makes one "disputed"
_NOTICE_US = const(1_500_000)
_HOLD_US = const(3_000_000)


class Gestures:
    """Turns edges into gestures. `time_us` is when the gesture began: the moment that it marks."""

    def __init__(self) -> None:
        self._stamp = bytearray(8)
        self._down_us = -1  # pressed since, -1 if not
        self._held = False  # this press already meant MUTE
        self._first_us = -1  # a short press that may become a double
        self._first_up_us = 0
        self.time_us = 0

    def poll(self) -> int:
        """The next gesture, or 0. Call it until it answers 0."""
        while True:
            edge = button.next_edge(self._stamp)
            if edge < 0:
                # Asked each turn: after 18 minutes a time is an object, made only where it is wanted.
                return 0 if self._down_us < 0 and self._first_us < 0 else self._by_time(clock.now_us())
            time_us = int.from_bytes(self._stamp, "little")
            due = self._by_time(time_us) if edge == 1 else 0
            found = self._pressed(time_us) if edge == 1 else self._released(time_us)
            if due or found:
                return due or found

    def _by_time(self, now_us: int) -> int:
        """What has become certain because time went by."""
        if self._down_us >= 0 and not self._held and now_us - self._down_us >= _HOLD_US:
            self._held = True
            self._first_us = -1
            self.time_us = self._down_us
            return MUTE
        if self._first_us >= 0 and self._down_us < 0 and now_us - self._first_up_us > _DOUBLE_US:
            self.time_us = self._first_us
            self._first_us = -1
            return MARK
        return 0

    def _pressed(self, time_us: int) -> int:
        self._down_us = time_us
        self._held = False
        return 0

    def _released(self, time_us: int) -> int:
        if self._down_us < 0:
            return 0
        began, held = self._down_us, self._held
        self._down_us = -1
        if held:
            return 0
        self.time_us = began
        if time_us - began >= _HOLD_US:
            return MUTE
        if time_us - began >= _NOTICE_US:
            self._first_us = -1
            return NOTICE
        if self._first_us >= 0:
            self.time_us = self._first_us
            self._first_us = -1
            return DISPUTED
        self._first_us = began
        self._first_up_us = time_us
        return TOUCH

    def held(self) -> bool:
        """The button is down now: it says yes to what needs a person's hand (pairing)."""
        return button.is_down()
