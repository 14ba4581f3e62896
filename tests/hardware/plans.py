"""The real plan, to be changed by a test."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.blueprint.plan import plan_of
from tools.blueprint.rules import faults

ROOT = Path(__file__).resolve().parents[2]
RAW: dict[str, Any] = tomllib.loads((ROOT / "hardware/device.toml").read_text(encoding="utf-8"))

Change = Callable[[dict[str, Any]], object]


def faults_after(change: Change) -> list[str]:
    """What breaks the rules once the plan was changed so."""
    raw = copy.deepcopy(RAW)
    change(raw)
    return faults(plan_of(raw))


def rewire(raw: dict[str, Any], start: str, end: str, new_start: str, new_end: str) -> None:
    """Solder one wire to other places."""
    for wires in raw["wires"].values():
        for wire in wires:
            if wire[:2] == [start, end]:
                wire[:2] = [new_start, new_end]
                return
    raise AssertionError(f"no wire from {start} to {end}")


def drop_wire(raw: dict[str, Any], start: str, end: str) -> None:
    for wires in raw["wires"].values():
        for wire in list(wires):
            if wire[:2] == [start, end]:
                wires.remove(wire)
                return
    raise AssertionError(f"no wire from {start} to {end}")
