"""The power budget, computed from the plan: currents out of the cell, and hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tools.blueprint.plan import Plan
from tools.blueprint.tables import markdown

_CABLE = "syncing by cable"
_CABLE_VOLTS = 5.0


@dataclass(frozen=True)
class Column:
    """One state at one clock. Currents are out of the cell at its middle voltage, by cable out of 5 V."""

    state: str
    mhz: int
    rows: dict[str, float]

    @property
    def total_ma(self) -> float:
        return sum(self.rows.values())

    @property
    def by_cable(self) -> bool:
        return self.state == _CABLE


def _line(measured: list[dict[str, Any]], mhz: float) -> float:
    """Milliamperes of the bare board at a clock: the straight line through two measured points."""
    (x1, y1), (x2, y2) = ((float(point["mhz"]), float(point["ma"])) for point in measured)
    return y1 + (mhz - x1) * (y2 - y1) / (x2 - x1)


def columns(plan: Plan) -> list[Column]:
    power = plan.raw["power"]
    measured = power["measured"]
    volts = float(measured[0]["volts"])
    found = []
    for state in power["states"]:
        name = state["name"]
        source = _CABLE_VOLTS if name == _CABLE else float(power["cell_volts"])
        for mhz in state["clocks_mhz"]:
            rows = {
                "Pico W, waiting": _line(measured, mhz) * volts / source,
                "its processor, working": power["busy_ma_per_mhz"] * state["busy_mhz"] * volts / source,
            }
            for draw in power["draws"]:
                ma = float(draw["ma"].get(name, 0))
                factor = 3.3 / (source * power["regulator"]) if draw["net"] == "3V3" else 1.0
                label = _label(draw["part"])
                rows[label] = rows.get(label, 0) + ma * factor
            found.append(Column(name, mhz, rows))
    return found


def _label(part: str) -> str:
    return {
        "pico": "radio",
        "shim": "SHIM's white light",
        "R3": "battery divider",
        "clock": "clock (optional)",
        "gauge": "gauge (optional)",
        "led": "LED",
    }.get(part, part)


def hours(plan: Plan, column: Column, mah: float) -> float:
    return mah * float(plan.raw["power"]["usable"]) / column.total_ma


def budget_table(plan: Plan) -> str:
    found = columns(plan)
    head = ("mA", *(f"{column.state}, {column.mhz} MHz" for column in found))
    rows: list[tuple[str, ...]] = []
    for label in found[0].rows:
        rows.append((label, *(f"{column.rows[label]:.2f}" for column in found)))
    rows.append(("**together**", *(f"**{column.total_ma:.0f}**" for column in found)))
    return markdown(head, rows)


def hours_table(plan: Plan) -> str:
    cells = plan.raw["power"]["cells_mah"]
    rows = []
    for column in columns(plan):
        if not column.by_cable:
            values = (f"{hours(plan, column, mah):.0f} h" for mah in cells)
            rows.append((column.state, f"{column.mhz} MHz", f"{column.total_ma:.0f} mA", *values))
    return markdown(("state", "clock", "from the cell", *(f"{mah} mAh" for mah in cells)), rows)


def source_table(plan: Plan) -> str:
    power = plan.raw["power"]
    rows: list[tuple[str, str, str]] = []
    for point in power["measured"]:
        rows.append((f"Pico at {point['mhz']} MHz", f"{point['ma']:g} mA at {point['volts']:g} V", point["source"]))
    rows.append(("work", f"{power['busy_ma_per_mhz']:g} mA per MHz at 5 V", "**estimate**"))
    rows.append(("converter", f"{power['regulator'] * 100:.0f} %", "**estimate**, from the RT6150 data sheet's curves"))
    rows.append(
        ("of the cell's capacity", f"{power['usable'] * 100:.0f} %", "**estimate**: a reserve is kept, and cells age")
    )
    for draw in power["draws"]:
        figures = ", ".join(f"{state} {ma:g} mA" for state, ma in draw["ma"].items())
        mark = "**estimate**: " if draw.get("estimate") else ""
        rows.append((_label(draw["part"]), f"{figures}, from {draw['net']}", mark + draw["source"]))
    return markdown(("what", "figure", "source"), rows)


def supply_table(plan: Plan) -> str:
    """Everything at its most, at once, against what each supply gives."""
    from tools.blueprint.rules_supplies import drawn

    rows = [
        (net, f"{drawn(plan, net):.0f} mA", f"{supply.limit_ma:.0f} mA", supply.source)
        for net, supply in plan.supplies.items()
        if supply.limit_ma
    ]
    return markdown(("supply", "drawn at most", "limit", "source of the limit"), rows)
