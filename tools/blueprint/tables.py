"""The plan's tables as Markdown: pins, nets, wires, stripboard, sizes."""

from __future__ import annotations

from collections.abc import Iterable

from tools.blueprint import rp2040
from tools.blueprint.plan import Plan
from tools.blueprint.stripboard import placed, wire_holes
from tools.blueprint.svg import COLOUR_NAMES

_GROUPS = {
    "power": "Power: from the Pico to the stripboard",
    "board": "Signals: from the Pico to the stripboard",
    "microphone": "Microphone",
    "card": "Card",
    "controls": "Switch, button, light, motor",
    "clock": "Clock module, and the bus (optional; the bus also where only the gauge is fitted)",
    "gauge": "Fuel gauge (optional)",
}


def markdown(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def short_name(plan: Plan, part: str) -> str:
    return {"pico": "Pico", "shim": "SHIM", "led": "LED"}.get(part, part)


def end_words(plan: Plan, end: str, hole: tuple[int, int] | None = None) -> str:
    """Where a wire goes, as one finds it on the table: "Pico pad 14 (GP10)", "strip 5 GND, hole 1", "card CLK"."""
    part, _, pin = end.partition(".")
    if part == "pico":
        if pin in plan.pins:
            gpio = plan.pins[pin].gpio
            return f"Pico pad {rp2040.PADS[gpio]} (GP{gpio})"
        pad = rp2040.NAMED_PADS[pin]
        return f"Pico pad {pad} ({'GND' if pin.startswith('GND') else pin})"
    if part == "board":
        return f"strip {plan.board.rows.index(pin) + 1} {pin}" + (f", hole {hole[0]}" if hole else "")
    return f"{short_name(plan, part)} `{pin}`"


def pin_table(plan: Plan) -> str:
    rows = []
    for pin in sorted(plan.pins.values(), key=lambda pin: rp2040.PADS[pin.gpio]):
        block = {"SPI": f"SPI{plan.blocks['CARD_SPI']} {pin.signal}", "I2C": f"I2C{plan.blocks['I2C']} {pin.signal}"}
        others = ", ".join(plan.members()[pin.name][1:])
        rows.append(
            (rp2040.PADS[pin.gpio], f"GP{pin.gpio}", pin.name, block.get(pin.block, pin.block), others, pin.means)
        )
    return markdown(("pad", "pin", "name", "block", "connected to", "what it is"), rows)


def net_list(plan: Plan) -> str:
    rows = []
    for net, members in plan.members().items():
        supply = plan.supplies.get(net)
        about = f"{supply.volts:g} V from {supply.source_pin}" if supply and net != "GND" else ""
        rows.append((net, ", ".join(members), about))
    return markdown(("net", "pins", "supply"), rows)


def open_pins(plan: Plan) -> str:
    rows = [(part.id, pin, why) for part in plan.parts.values() for pin, why in part.open.items()]
    return markdown(("part", "pin", "why nothing is connected"), rows)


def wire_tables(plan: Plan) -> str:
    """The soldering table, wire by wire, with a box to tick."""
    holes = wire_holes(plan)
    text = ""
    for group in dict.fromkeys(wire.group for wire in plan.wires):
        rows = []
        for number, wire in enumerate(plan.wires, 1):
            if wire.group == group:
                start = end_words(plan, wire.start, holes.get((number, wire.start)))
                end = end_words(plan, wire.end, holes.get((number, wire.end)))
                rows.append((number, start, end, COLOUR_NAMES[wire.colour], wire.length_mm, "☐"))
        text += (
            f"**{_GROUPS.get(group, group)}**\n\n" + markdown(("wire", "from", "to", "colour", "mm", ""), rows) + "\n"
        )
    return text.rstrip("\n") + "\n"


def board_table(plan: Plan) -> str:
    rows = []
    for item in sorted(placed(plan), key=lambda item: (item.column, item.legs[0][1])):
        part = plan.parts[item.part]
        legs = ", ".join(f"{pin} in strip {row}" if not pin.isdigit() else f"strip {row}" for pin, row in item.legs)
        rows.append((item.part, part.name.split(",")[0], item.column, legs, part.does, "☐"))
    return markdown(("part", "what", "column", "legs", "what for", ""), rows)


def size_table(plan: Plan) -> str:
    rows = []
    for part in plan.parts.values():
        if part.size_mm:
            size = " × ".join(f"{size:g}" for size in part.size_mm)
            rows.append((part.id, size, f"± {part.tolerance_mm:g}", part.size_source))
    return markdown(("part", "length × width × height, mm", "tolerance", "source"), rows)


def wiring_document(plan: Plan) -> str:
    """hardware/WIRING.md."""
    return (
        "# Pins, nets and sizes\n\n"
        "Made by `python3 tools/hardware.py` from [device.toml](device.toml): change that one.\n\n"
        f"## Pins of the Pico W\n{pin_table(plan)}\n"
        f"## Nets\nEvery line is one electrical connection.\n\n{net_list(plan)}\n"
        f"## Pins that stay unconnected\n{open_pins(plan)}\n"
        f"## Sizes\nOf what goes into the case.\n\n{size_table(plan)}"
    )
