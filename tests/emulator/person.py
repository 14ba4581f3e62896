"""What a person does to the recorder and sees and feels of it: switch, button, light, motor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rp2040py.gpio_pin import FUNCTION_PWM, GPIOPinState

from .timebase import Timebase


@dataclass(frozen=True)
class Change:
    """The light or the motor from `at` seconds on; a light's value is 0 to 255."""

    at: float
    value: int


class Person:
    """Moves the switch and the button (levels: low is on, low is pressed) and writes down what light and motor do."""

    def __init__(self, mcu: Any, time: Timebase, pins: dict[str, int]) -> None:
        self._time = time
        self._mcu = mcu
        self._pins = pins
        self.lights: list[Change] = []
        self.motor: list[Change] = []
        self._release = time.alarm(lambda: self.button(False))
        self.switch(False)
        self.button(False)
        self._watch_pwm()
        for name, seen in (("LIGHT", self.lights), ("MOTOR", self.motor)):
            pin = mcu.gpio[pins[name]]
            pin.add_listener(lambda value, _, name=name, seen=seen: self._pin_changed(name, value, seen))

    def switch(self, on: bool) -> None:
        self._mcu.gpio[self._pins["SWITCH"]].set_input_value(not on)

    def button(self, down: bool) -> None:
        self._mcu.gpio[self._pins["BUTTON"]].set_input_value(not down)

    def press(self, seconds: float = 0.15) -> None:
        """Press now and let go after `seconds`, while the board runs."""
        self.button(True)
        self._release.after(seconds)

    @property
    def light(self) -> int:
        """Its brightness now, 0 to 255."""
        return self.lights[-1].value if self.lights else 0

    @property
    def pulses(self) -> list[tuple[float, float]]:
        """(when, how long) the motor ran, so far as it is over."""
        found = []
        began: float | None = None
        for change in self.motor:
            if change.value and began is None:
                began = change.at
            elif not change.value and began is not None:
                found.append((began, change.at - began))
                began = None
        return found

    def _note(self, seen: list[Change], value: int) -> None:
        if (seen[-1].value if seen else 0) != value:
            seen.append(Change(self._time.seconds, value))

    def _pin_changed(self, name: str, value: GPIOPinState, seen: list[Change]) -> None:
        if self._mcu.gpio[self._pins[name]].function_select != FUNCTION_PWM:
            self._note(seen, 255 if value == GPIOPinState.HIGH else 0)
        elif name == "LIGHT":
            self._look()

    def _look(self) -> None:
        pin = self._pins["LIGHT"]
        channel = self._mcu.pwm.channels[pin // 2 % 8]
        enabled = channel.csr & 1 and self._mcu.gpio[pin].function_select == FUNCTION_PWM
        compare = channel.cc >> (16 if pin % 2 else 0) & 0xFFFF
        self._note(self.lights, min(255, round(255 * compare / (channel.top + 1))) if enabled else 0)

    def _watch_pwm(self) -> None:
        """The light's brightness is read off the PWM's registers: to emulate each of its edges costs more than all the rest."""
        pin = self._pins["LIGHT"]
        channel = self._mcu.pwm.channels[pin // 2 % 8]
        plain_write = channel.write_register
        for each in self._mcu.pwm.channels:
            each.update_enable = lambda: None

        def write(offset: int, value: int) -> None:
            plain_write(offset, value)
            self._look()

        channel.write_register = write
