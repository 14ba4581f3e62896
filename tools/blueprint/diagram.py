"""The wiring diagram: the plan as WireViz input, and the pictures that WireViz makes of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.blueprint import rp2040
from tools.blueprint.plan import Plan, Wire

_TITLES = {"pico": "Pico W", "board": "Stripboard", "shim": "LiPo SHIM", "cell": "LiPo cell", "led": "LED"}


def pad_of(plan: Plan, pin: str) -> str:
    """A pin of the Pico as the board's print and its number: "GP10 (14)", "GND (38)"."""
    if pin in plan.pins:
        gpio = plan.pins[pin].gpio
        return f"GP{gpio} ({rp2040.PADS[gpio]})"
    return f"{re.sub(r'(?<=GND)[0-9]+', '', pin)} ({rp2040.NAMED_PADS[pin]})"


def _number(plan: Plan, part: str, pin: str) -> int | str:
    """The number beside a pin: the Pico's pad, the strip counted from the top, else its name."""
    if part == "pico":
        return _pad(plan, pin)
    if part == "board":
        return plan.board.rows.index(pin) + 1
    return int(pin) if pin.isdigit() else {"-": "−"}.get(pin, pin)  # WireViz takes a hyphen for a range


def _label(plan: Plan, part: str, pin: str) -> str:
    if part == "pico":
        return f"GP{plan.pins[pin].gpio} {pin}" if pin in plan.pins else re.sub(r"(?<=GND)[0-9]+", "", pin)
    return pin if part == "board" else ""


def _title(plan: Plan, part: str) -> str:
    return _TITLES.get(part, plan.parts[part].id.capitalize())


def _used_pins(plan: Plan, wires: list[Wire]) -> dict[str, list[str]]:
    """Part: its pins with a wire, in the order of the wires."""
    used: dict[str, list[str]] = {}
    for wire in wires:
        for end in (wire.start, wire.end):
            part, _, pin = end.partition(".")
            if pin not in used.setdefault(part, []):
                used[part].append(pin)
    return used


def _pad(plan: Plan, pin: str) -> int:
    return rp2040.PADS[plan.pins[pin].gpio] if pin in plan.pins else rp2040.NAMED_PADS[pin]


def sheets(plan: Plan) -> dict[str, list[int]]:
    """Name of each picture: the numbers of the wires on it. The two parts are legible on A4, the whole on a screen."""
    pico = [number for number, wire in enumerate(plan.wires, 1) if wire.start.startswith("pico.")]
    return {
        "wiring": list(range(1, len(plan.wires) + 1)),
        "wiring-pico": pico,
        "wiring-board": [number for number in range(1, len(plan.wires) + 1) if number not in pico],
    }


def wireviz_input(plan: Plan, numbers: list[int]) -> str:
    """A WireViz document (YAML, as JSON one entry a line) of the wires with these numbers, counted from 1."""
    numbered = [(number, plan.wires[number - 1]) for number in numbers]
    used = _used_pins(plan, [wire for _, wire in numbered])
    if "pico" in used:
        used["pico"].sort(key=lambda pin: _pad(plan, pin))
    if "board" in used:
        used["board"].sort(key=plan.board.rows.index)
    lines = ["connectors:"]
    for part, pins in used.items():
        labels = [_label(plan, part, pin) for pin in pins]
        entry: dict[str, object] = {
            "type": plan.parts[part].name.split(",")[0],
            "pinlabels": labels,
            "pins": [_number(plan, part, pin) for pin in pins],
            "hide_disconnected_pins": False,
            "show_pincount": False,
            "bgcolor_title": "#dddddd",
        }
        if not any(labels):
            del entry["pinlabels"]
        lines.append(f"  {_title(plan, part)}: {json.dumps(entry, ensure_ascii=False)}")
    cables: dict[tuple[str, str], list[tuple[int, Wire]]] = {}
    for number, wire in numbered:
        ends = wire.start.partition(".")[0], wire.end.partition(".")[0]
        cables.setdefault(ends, []).append((number, wire))
    lines.append("cables:")
    links = ["connections:"]
    for (start, end), wires in cables.items():
        name = f"{_title(plan, start)} to {_title(plan, end)}"
        entry = {
            "category": "bundle",
            "colors": [wire.colour for _, wire in wires],
            "wirelabels": [f"{number}" for number, _ in wires],
            "show_name": False,
            "show_wirecount": False,
            "notes": f"{wires[0][1].length_mm} mm",
        }
        lines.append(f"  {name}: {json.dumps(entry, ensure_ascii=False)}")
        link = [
            {_title(plan, start): [_number(plan, start, wire.start.partition(".")[2]) for _, wire in wires]},
            {name: list(range(1, len(wires) + 1))},
            {_title(plan, end): [_number(plan, end, wire.end.partition(".")[2]) for _, wire in wires]},
        ]
        links.append(f"  - {json.dumps(link, ensure_ascii=False)}")
    options = {"fontname": "DejaVu Sans", "bgcolor": "#ffffff", "color_mode": "full"}
    return "\n".join([*lines, *links, f"options: {json.dumps(options)}", ""])


def draw(document: str) -> tuple[bytes, ...]:
    """SVG and PNG of a WireViz document. Raises subprocess.CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "wiring.yml"
        source.write_text(document, encoding="utf-8")
        command = [sys.executable, "-m", "wireviz.wv_cli", "-f", "sp", "-o", folder, "-O", "wiring", str(source)]
        subprocess.run(command, check=True, capture_output=True)
        return (Path(folder) / "wiring.svg").read_bytes(), (Path(folder) / "wiring.png").read_bytes()
