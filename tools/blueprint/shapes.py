"""What the firmware shows and how long a press is, read from its source: the constants of indicator.py and gestures.py."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from tools.blueprint.errors import PlanError

Shape = tuple[int, ...]  # milliseconds on, off, on ...; empty is dark
STEADY = None

LIGHTS = (
    "RECORDING",
    "MUTED",
    "WAIT",
    "NO_CARD",
    "CARD_FULL",
    "CARD_FAILED",
    "BATTERY_LOW",
    "UNPAIRED",
    "SELF_TEST",
    "SYNCING",
)
BUZZES = ("START", "STOPPED", "TICK", "SECOND_TICK", "NOTICE", "MUTE", "REFUSED", "WARN")


def constants(source: str) -> dict[str, Any]:
    """Module-level names that are worked out from numbers, tuples, None and const(...) alone."""
    found: dict[str, Any] = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            code = compile(ast.Expression(statement.value), "firmware", "eval")
            try:
                found[statement.targets[0].id] = eval(code, {"__builtins__": {}, "const": int}, dict(found))
            except (NameError, TypeError, AttributeError):
                continue  # made of something else: none of ours
    return found


def read_shapes(firmware: Path) -> tuple[dict[str, Shape | None], dict[str, int]]:
    """(light and motor shapes by name, times of gestures.py in microseconds). Raises PlanError where one is missing."""
    shown = constants((firmware / "recorder/indicator.py").read_text(encoding="utf-8"))
    times = constants((firmware / "recorder/gestures.py").read_text(encoding="utf-8"))
    missing = [name for name in LIGHTS + BUZZES if name not in shown]
    missing += [name for name in ("_DOUBLE_US", "_NOTICE_US", "_HOLD_US") if name not in times]
    if missing:
        raise PlanError(f"the firmware has no {', '.join(missing)}: the quick card would be wrong")
    shapes = {name: shown[name] for name in LIGHTS + BUZZES}
    return shapes, {name: int(value) for name, value in times.items() if name.endswith("_US")}


def light_words(shape: Shape | None) -> str:
    """A light shape in the words of the README."""
    if shape is None:
        return "steady"
    ons, offs, whole = shape[0::2], shape[1::2], sum(shape)
    if len(ons) == 1:
        if ons[0] == offs[0]:
            return "a fast flicker" if ons[0] <= 100 else "slow, even blinking"
        return f"a short flash every {_count(whole // 1000)} seconds"
    if len(ons) == 2 and ons[0] >= 3 * ons[1]:
        return "one long, one short"
    if whole == 1000:
        return f"{_count(len(ons))} quick flashes every second"
    return f"{_count(len(ons))} flashes, pause"


def buzz_words(shape: Shape) -> str:
    """A motor shape in the README's words, without article."""
    ons = shape[0::2]
    if len(ons) == 1:
        return (
            "tick"
            if ons[0] < 100
            else "short pulse"
            if ons[0] < 300
            else "longer pulse"
            if ons[0] < 800
            else "long buzz"
        )
    if max(ons) < 100:
        return "two ticks" if len(ons) == 2 else f"{_count(len(ons))} times, short"
    return f"{_count(len(ons))} long buzzes" if min(ons) >= 400 else f"{_count(len(ons))} pulses"


def _count(number: int) -> str:
    return ("none", "one", "two", "three", "four", "five", "six")[number]
