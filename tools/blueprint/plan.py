"""hardware/device.toml, read: parts and their pins, nets, wires and joints. What is written wrongly is a PlanError."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.blueprint.errors import PlanError

Ends = tuple[str, str]  # two part pins, each "part.pin"

GROUND = "GND"
KINDS = ("module", "cell", "control", "load", "lead", "board", "loose")


@dataclass(frozen=True)
class Pin:
    """A GPIO of the RP2040 in use. Its name is its net's."""

    name: str
    gpio: int
    block: str  # PIO, SPI, I2C, PWM, ADC or GPIO
    way: str  # out, in or both
    signal: str = ""  # its role in the block
    pull: str = ""  # the chip's own resistor: up, down or none
    boot_pull: str = ""  # a pull that it needs while the firmware does not drive it yet
    means: str = ""


@dataclass(frozen=True)
class Draw:
    """The most that a part takes from a net."""

    net: str
    ma: float
    source: str


@dataclass(frozen=True)
class Part:
    id: str
    name: str
    number: str
    kind: str
    seller: str
    price: str  # band in pounds, "from-to"
    does: str
    alternatives: str = ""
    optional: bool = False
    ohms: float = 0
    address: int = 0  # on I2C, 0 for none
    stands_volts: tuple[float, ...] = ()  # least and most on its supply pins
    kicks: str = ""  # a coil's pin that jumps up when it is switched off
    like: str = ""  # the part that it is bought with
    pins: dict[str, str] = field(default_factory=dict)  # pin: net
    open: dict[str, str] = field(default_factory=dict)  # pin: why it stays unconnected
    pulls: dict[str, str] = field(default_factory=dict)  # pin: "up 47 kΩ"
    draws: tuple[Draw, ...] = ()
    size_mm: tuple[float, ...] = ()
    tolerance_mm: float = 0
    size_source: str = ""
    holes_mm: tuple[tuple[float, ...], ...] = ()
    features_mm: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wire:
    group: str
    start: str
    end: str
    colour: str
    length_mm: int


@dataclass(frozen=True)
class Supply:
    """A power net: the pin that feeds it and the most that may be drawn from it, 0 for no limit."""

    net: str
    source_pin: str
    volts: float
    limit_ma: float = 0
    source: str = ""
    fed_by: dict[str, float] = field(default_factory=dict)  # net: milliamperes there for one here


@dataclass(frozen=True)
class Board:
    """The stripboard: nets from top to bottom, and the column (from 1) in which each part stands."""

    rows: tuple[str, ...]
    columns: int
    column: dict[str, int]


@dataclass(frozen=True)
class Plan:
    raw: dict[str, Any]
    blocks: dict[str, int]
    pins: dict[str, Pin]
    parts: dict[str, Part]
    supplies: dict[str, Supply]
    board: Board
    joints: tuple[tuple[str, tuple[Ends, ...]], ...]
    wires: tuple[Wire, ...]

    def net_of(self, end: str) -> str | None:
        """The net that "part.pin" is on, None where there is no such pin or it stays open. A strip's pins are its nets."""
        part_id, _, pin = end.partition(".")
        if part_id == "board":
            return pin if pin in self.board.rows else None
        if part_id == "pico" and pin in self.pins:
            return pin
        part = self.parts.get(part_id)
        return part.pins.get(pin) if part else None

    def members(self) -> dict[str, list[str]]:
        """Every net with its part pins, the Pico's GPIO first."""
        nets: dict[str, list[str]] = {name: [f"pico.{name}"] for name in self.pins}
        for part in self.parts.values():
            for pin, net in part.pins.items():
                nets.setdefault(net, []).append(f"{part.id}.{pin}")
        return nets

    def strips(self) -> list[tuple[str, str]]:
        """(part pin, strip) for every leg on the stripboard."""
        found = []
        for part_id in self.board.column:
            part = self.parts.get(part_id)
            for pin, net in (part.pins if part else {}).items():
                found.append((f"{part_id}.{pin}", f"board.{net}"))
        return found


def _part(part_id: str, table: dict[str, Any], parts: dict[str, Any]) -> Part:
    twin = table.get("like")
    if twin is not None:
        if twin not in parts:
            raise PlanError(f"parts.{part_id} is like {twin}, which is not there")
        table = {**parts[twin], **table}
    values = dict(table)
    values["draws"] = tuple(
        Draw(net, float(draw["ma"]), draw["source"]) for net, draw in values.pop("draws", {}).items()
    )
    values["size_mm"] = tuple(float(size) for size in values.pop("size_mm", ()))
    values["stands_volts"] = tuple(float(volts) for volts in values.pop("stands_volts", ()))
    values["holes_mm"] = tuple(tuple(hole) for hole in values.pop("holes_mm", ()))
    part = Part(id=part_id, **values)
    if part.kind not in KINDS:
        raise PlanError(f"parts.{part_id}: kind {part.kind!r} is none of {', '.join(KINDS)}")
    return part


def _wires(groups: dict[str, list[list[Any]]]) -> tuple[Wire, ...]:
    found = []
    for group, rows in groups.items():
        for row in rows:
            start, end, colour, length = row
            found.append(Wire(group, str(start), str(end), str(colour), int(length)))
    return tuple(found)


def plan_of(raw: dict[str, Any]) -> Plan:
    """The plan in a parsed device.toml. Raises PlanError."""
    try:
        board = raw["board"]
        return Plan(
            raw=raw,
            blocks=dict(raw["blocks"]),
            pins={name: Pin(name=name, **pin) for name, pin in raw["pins"].items()},
            parts={part_id: _part(part_id, table, raw["parts"]) for part_id, table in raw["parts"].items()},
            supplies={
                net: Supply(
                    net,
                    s["from"],
                    float(s["volts"]),
                    float(s.get("limit_ma", 0)),
                    s.get("source", ""),
                    dict(s.get("fed_by", {})),
                )
                for net, s in raw["supplies"].items()
            },
            board=Board(tuple(board["rows"]), int(board["columns"]), dict(board["column"])),
            joints=tuple(
                (joint["how"], tuple((str(a), str(b)) for a, b in joint["pairs"])) for joint in raw.get("joints", [])
            ),
            wires=_wires(raw["wires"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(f"device.toml: {type(error).__name__}: {error}") from error


def read_plan(path: Path) -> Plan:
    """Raises PlanError, also where the file is not TOML or not there."""
    try:
        return plan_of(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: {error}") from error
