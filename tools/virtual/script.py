"""The script of a virtual recorder: "0:on 3.5:mark 20:mute 25:unmute 30:off", seconds and what a person does then."""

from __future__ import annotations

from dataclasses import dataclass

_SECOND_US = 1_000_000
_LONGEST_US = 366 * 86_400 * _SECOND_US
_SHORT_US = 100_000  # a short press
_DOUBLE_US = 250_000  # second press of a pair, within 400 ms of the first
_NOTICE_US = 2_000_000  # 1.5 to 3 s: notice given
_LONG_US = 3_200_000  # past 3 s: off the record, or on again

# action -> (microseconds after its time, lever, value)
_ACTIONS: dict[str, tuple[tuple[int, str, int], ...]] = {
    "on": ((0, "switch", 1),),
    "off": ((0, "switch", 0),),
    "mark": ((0, "button", 1), (_SHORT_US, "button", 0)),
    "mark2": (
        (0, "button", 1),
        (_SHORT_US, "button", 0),
        (_DOUBLE_US, "button", 1),
        (_DOUBLE_US + _SHORT_US, "button", 0),
    ),
    "notice": ((0, "button", 1), (_NOTICE_US, "button", 0)),
    "mute": ((0, "button", 1), (_LONG_US, "button", 0)),
    "unmute": ((0, "button", 1), (_LONG_US, "button", 0)),
    "press": ((0, "button", 1),),
    "hold": ((0, "button", 1),),
    "release": ((0, "button", 0),),
    "pull": ((0, "card", 0),),
    "insert": ((0, "card", 1),),
    "low-battery": ((0, "battery_mv", 3450), (0, "minutes", 4)),
    "usb": ((0, "usb_power", 1),),
    "unplug": ((0, "usb_power", 0),),
    "dark": ((0, "light_works", 0),),
    "numb": ((0, "motor_works", 0),),
    "deaf": ((0, "mic_trouble", 1),),
    "stuck": ((0, "mic_trouble", 2),),
    "halt": ((0, "mic_trouble", 3),),
    "hear": ((0, "mic_trouble", 0),),
    "cut": ((0, "cut", 1),),
    "power": ((0, "power", 1),),
    "end": ((0, "end", 1),),
    "wait": ((0, "wait", 0),),
}
_WITH_VALUE = {"battery": "battery_mv", "minutes": "minutes", "stall": "stall_ms", "fail": "fail"}

WORDS = tuple(_ACTIONS) + tuple(f"{name}=N" for name in _WITH_VALUE)


class ScriptError(ValueError):
    """A script that cannot be read; the message says which word."""


@dataclass(frozen=True, order=True)
class Step:
    """At `at_us` microseconds the lever `name` goes to `value`."""

    at_us: int
    name: str
    value: int


def parse(text: str) -> list[Step]:
    """Steps in order of time. Raises ScriptError."""
    steps: list[Step] = []
    for word in text.split():
        when, colon, action = word.partition(":")
        try:
            at_us = round(float(when) * _SECOND_US)
        except (ValueError, OverflowError):  # infinite
            at_us = -1
        if not colon or not 0 <= at_us <= _LONGEST_US:
            raise ScriptError(f"{word!r} is not SECONDS:ACTION")
        name, equals, value = action.partition("=")
        if equals and name in _WITH_VALUE and value.isdecimal():
            steps.append(Step(at_us, _WITH_VALUE[name], int(value)))
        elif not equals and name in _ACTIONS:
            steps += [Step(at_us + after, lever, level) for after, lever, level in _ACTIONS[name]]
        else:
            raise ScriptError(f"{action!r} is none of {', '.join(WORDS)}")
    return sorted(steps, key=lambda step: step.at_us)
