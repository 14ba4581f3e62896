"""Where everything sits on the stripboard: legs, bodies, and the holes that are left for the wires. Columns and rows count from 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot

from tools.blueprint.plan import Plan

Hole = tuple[int, int]  # column, row

_LEAST_SPAN = {"R": 3, "D": 3, "C": 1, "Q": 1}  # strips between the legs: a lying 1/4 W resistor needs 7.6 mm
_WIDE_MM = 5.0  # across an electrolytic capacitor, the widest part
_WIRE_MM = 0.8  # half a wire with its insulation, and air
PITCH_MM = 2.54


@dataclass(frozen=True)
class Placed:
    part: str
    column: int
    legs: tuple[tuple[str, int], ...]  # (pin, row), from top to bottom

    @property
    def rows(self) -> tuple[int, int]:
        return self.legs[0][1], self.legs[-1][1]


def placed(plan: Plan) -> list[Placed]:
    """Every part on the board whose nets all have strips."""
    row = {net: number for number, net in enumerate(plan.board.rows, 1)}
    found = []
    for part_id, column in plan.board.column.items():
        part = plan.parts.get(part_id)
        if part and part.pins and all(net in row for net in part.pins.values()):
            legs = sorted(((pin, row[net]) for pin, net in part.pins.items()), key=lambda leg: leg[1])
            found.append(Placed(part_id, column, tuple(legs)))
    return found


def clashes(plan: Plan) -> Iterator[str]:
    """What cannot be put in as planned."""
    items = placed(plan)
    for item in items:
        top, bottom = item.rows
        least = _LEAST_SPAN.get(item.part[0], 1)
        if bottom - top < least:
            yield f"{item.part}: its legs are {bottom - top} strips apart, it needs {least}"
        if len(item.legs) == 3 and bottom - top != 2:
            yield f"{item.part}: its three legs are not in neighbouring strips"
    for index, one in enumerate(items):
        for other in items[index + 1 :]:
            (a, b), (c, d) = one.rows, other.rows
            if one.column == other.column and a <= d and c <= b:
                yield f"{one.part} and {other.part} lie on each other in column {one.column}"
    try:
        wire_holes(plan)
    except OverflowError as error:
        yield str(error)


def _taken(plan: Plan) -> set[Hole]:
    """Holes with a leg in them or under a body."""
    taken: set[Hole] = set()
    for item in placed(plan):
        top, bottom = item.rows
        taken |= {(item.column, row) for row in range(top, bottom + 1)}
        if item.part.startswith("C"):  # standing wide, and a wire with its insulation needs room beside it
            middle = (top + bottom) / 2
            for column in (item.column - 1, item.column + 1):
                for row in range(1, len(plan.board.rows) + 1):
                    if PITCH_MM * hypot(1, row - middle) < _WIDE_MM / 2 + _WIRE_MM:
                        taken.add((column, row))
    return taken


def wire_holes(plan: Plan) -> dict[tuple[int, str], Hole]:
    """(number of the wire, its end "board.NET") and the hole for it: from the Pico at the left edge, to the rest at the right.

    Raises OverflowError where a strip has too few free holes.
    """
    taken = _taken(plan)
    columns = range(1, plan.board.columns + 1)
    holes: dict[tuple[int, str], Hole] = {}
    for number, wire in enumerate(plan.wires, 1):
        for end, other in ((wire.start, wire.end), (wire.end, wire.start)):
            part, _, net = end.partition(".")
            if part != "board" or net not in plan.board.rows:
                continue
            row = plan.board.rows.index(net) + 1
            order = columns if other.startswith("pico.") else reversed(columns)
            free = next(((column, row) for column in order if (column, row) not in taken), None)
            if free is None:
                raise OverflowError(f"strip {net} has no free hole for wire {number}")
            taken.add(free)
            holes[number, end] = free
    return holes
