"""Drawings of the stripboard, seen from the parts' side, and of the Pico's pads, with the wires by number and colour."""

from __future__ import annotations

from tools.blueprint import rp2040
from tools.blueprint.plan import Part, Plan
from tools.blueprint.stripboard import Placed, placed, wire_holes
from tools.blueprint.svg import document, shape, text, wire_tag

_GRID = 30.0  # a hole to the next
_LEFT, _TOP = 190.0, 60.0


def _x(column: float) -> float:
    return _LEFT + column * _GRID


def _y(row: float) -> float:
    return _TOP + row * _GRID


def _lead(item: Placed) -> str:
    top, bottom = item.rows
    x = _x(item.column)
    return shape("line", x1=x, y1=_y(top), x2=x, y2=_y(bottom), stroke="#555", stroke_width=3)


def _value(part: Part) -> str:
    words = part.name.split(",")[0].split()
    return " ".join(words[1:])


def _lying(plan: Plan, item: Placed) -> list[str]:
    """A resistor, the diode or the ceramic capacitor: a body between its legs, and what it is along it."""
    part = plan.parts[item.part]
    x, middle = _x(item.column), (_y(item.rows[0]) + _y(item.rows[1])) / 2
    length = 74.0
    fill = "#3a3a3a" if item.part.startswith("D") else "#e6c98a"
    ink = "#fff" if item.part.startswith("D") else "#000"
    shapes = [
        _lead(item),
        shape("rect", x=x - 10, y=middle - length / 2, width=20, height=length, rx=7, fill=fill, stroke="#000"),
    ]
    if item.part.startswith("D"):
        ring = middle + (length / 2 - 12) * (1 if item.legs[-1][0] == "K" else -1)
        shapes.append(shape("rect", x=x - 10, y=ring - 3, width=20, height=6, fill="#fff"))
    label, y = f"{item.part} {_value(part)}", middle
    if item.part.startswith("D"):
        label, y = item.part, middle - 7 * (1 if item.legs[-1][0] == "K" else -1)
    size = 12 if len(label) < 9 else 10.5
    shapes.append(text(x, y, label, size, fill=ink, transform=f"rotate(-90 {x:.0f} {y:.0f})", font_weight="bold"))
    return shapes


def _disc(plan: Plan, item: Placed) -> list[str]:
    """A small ceramic capacitor."""
    x, middle = _x(item.column), (_y(item.rows[0]) + _y(item.rows[1])) / 2
    return [
        _lead(item),
        shape("ellipse", cx=x, cy=middle, rx=11, ry=27, fill="#f0a040", stroke="#000"),
        text(x, middle, f"{item.part} 0.1µ", 11, transform=f"rotate(-90 {x:.0f} {middle:.0f})", font_weight="bold"),
    ]


def _can(plan: Plan, item: Placed) -> list[str]:
    """An electrolytic capacitor, standing, with its plus."""
    x, middle = _x(item.column), (_y(item.rows[0]) + _y(item.rows[1])) / 2
    plus = next(row for pin, row in item.legs if pin == "+")
    side = 1 if _y(plus) > middle else -1
    return [
        _lead(item),
        shape("circle", cx=x, cy=middle, r=29, fill="#9fc6e8", fill_opacity=0.92, stroke="#000"),
        text(x - 15, middle, item.part, 12, font_weight="bold"),
        text(x + 14, middle + side * 11, "+", 22, font_weight="bold", fill="#c00"),
    ]


def _transistor(plan: Plan, item: Placed) -> list[str]:
    """TO-92 from above: round at the left, flat at the right; its legs' names inside."""
    x, middle = _x(item.column), _y(item.legs[1][1])
    left, right, half = x - 24, x + 13, 36
    path = f"M {right} {middle - half} L {right} {middle + half} A 38 38 0 0 1 {left} {middle} A 38 38 0 0 1 {right} {middle - half} Z"
    shapes = [shape("path", d=path, fill="#3a3a3a", fill_opacity=0.92, stroke="#000")]
    for pin, row in item.legs:
        shapes.append(text(x + 2, _y(row), pin, 13, fill="#fff", font_weight="bold"))
    shapes.append(text(x - 14, middle, item.part, 11, fill="#fff", transform=f"rotate(-90 {x - 14:.0f} {middle:.0f})"))
    return shapes


def board_picture(plan: Plan) -> str:
    """SVG: strips with the nets' names, parts, and a numbered disc in every hole that takes a wire."""
    rows, columns = plan.board.rows, plan.board.columns
    width, height = _x(columns + 1) + 270, _y(len(rows) + 1) + 50
    shapes = [text(width / 2, 24, "Stripboard from above: the strips are on the other side, no strip is cut", 16)]
    for column in range(1, columns + 1):
        shapes.append(text(_x(column), _y(0), str(column), 12, fill="#666"))
    for row, net in enumerate(rows, 1):
        shapes.append(
            shape("rect", x=_x(0.55), y=_y(row) - 11, width=(columns - 0.1) * _GRID, height=22, fill="#e9d3ae")
        )
        shapes.append(text(_x(0.4), _y(row), f"{net}  {row}", 14, anchor="end"))
        shapes += [shape("circle", cx=_x(c), cy=_y(row), r=3.2, fill="#6b4e2a") for c in range(1, columns + 1)]
    for item in placed(plan):
        kind = item.part[0]
        if kind == "Q":
            shapes += _transistor(plan, item)
        elif kind == "C":
            shapes += (_can if "+" in plan.parts[item.part].pins else _disc)(plan, item)
        else:
            shapes += _lying(plan, item)
        if kind != "Q":
            shapes += [
                shape("circle", cx=_x(item.column), cy=_y(row), r=5, fill="#ccc", stroke="#000") for _, row in item.legs
            ]
    to: dict[int, list[str]] = {}
    for (number, end), (column, row) in wire_holes(plan).items():
        wire = plan.wires[number - 1]
        shapes += wire_tag(_x(column), _y(row), number, wire.colour, 12)
        other = wire.start if end == wire.end else wire.end
        if not other.startswith("pico."):
            to.setdefault(row, []).append(f"{number} {other.partition('.')[0]}")
    for row, names in to.items():
        shapes.append(text(_x(columns + 0.7), _y(row), " · ".join(reversed(names)), 12, anchor="start"))
    shapes.append(text(_x(0.4), _y(len(rows) + 1), "from the Pico:", 13, anchor="end", fill="#666"))
    shapes.append(text(_x(1), _y(len(rows) + 1), "↑ this edge", 13, anchor="start", fill="#666"))
    shapes.append(text(_x(columns), _y(len(rows) + 1), "this edge ↑ to the other parts", 13, anchor="end", fill="#666"))
    return document(width, height, shapes)


def pico_picture(plan: Plan) -> str:
    """SVG: the Pico W from above, USB at the top, its 40 pads with their names and the wires' numbers."""
    step, left, right, top = 30.0, 330.0, 570.0, 100.0
    names = {pad: name for name, pad in rp2040.NAMED_PADS.items()}
    gpio_of = {pad: gpio for gpio, pad in rp2040.PADS.items()}
    net_of = {pin.gpio: pin.name for pin in plan.pins.values()}
    wires: dict[int, list[tuple[int, str]]] = {}
    for number, wire in enumerate(plan.wires, 1):
        for end in (wire.start, wire.end):
            part, _, pin = end.partition(".")
            if part == "pico":
                pad = rp2040.PADS[plan.pins[pin].gpio] if pin in plan.pins else rp2040.NAMED_PADS[pin]
                wires.setdefault(pad, []).append((number, wire.colour))
    shapes = [
        text(450, 22, "Pico W from above, USB socket at the top: pad, name, net, wire", 16),
        shape(
            "rect",
            x=left - 24,
            y=top - 26,
            width=right - left + 48,
            height=20 * step + 22,
            rx=10,
            fill="#d5ead5",
            stroke="#4a7a4a",
        ),
        shape("rect", x=412, y=top - 44, width=76, height=46, fill="#ccc", stroke="#555"),
        text(450, top - 22, "USB", 14),
        shape("rect", x=400, y=top + 110, width=100, height=100, fill="#eee", stroke="#777"),
        text(450, top + 160, "RP2040", 14),
        shape("rect", x=385, y=top + 330, width=130, height=110, fill="#e4e4e4", stroke="#777"),
        text(450, top + 385, "radio", 14),
        text(450, top + 560, "antenna", 14, fill="#4a7a4a"),
    ]
    for pad in range(1, 41):
        at_left = pad <= 20
        y = top + step * ((pad - 1) if at_left else (40 - pad))
        x, side, anchor = (left, -1, "end") if at_left else (right, 1, "start")
        name = names.get(pad, f"GP{gpio_of[pad]}" if pad in gpio_of else "").replace(f"GND{pad}", "GND")
        net = net_of.get(gpio_of.get(pad, -1), "")
        used = pad in wires
        shapes.append(shape("circle", cx=x, cy=y, r=9, fill="#e8c24a" if used else "#fff", stroke="#8a6a10"))
        shapes.append(text(x - side * 16, y, str(pad), 12, anchor="start" if at_left else "end", fill="#333"))
        label = f"{name}  {net}".strip()
        shapes.append(
            text(
                x + side * 52,
                y,
                label,
                13,
                anchor=anchor,
                fill="#000" if used else "#999",
                font_weight="bold" if used else "normal",
            )
        )
        for index, (number, colour) in enumerate(wires.get(pad, [])):
            shapes += wire_tag(x + side * (30 + 24 * index), y, number, colour, 11)
    return document(900, top + 20 * step + 20, shapes)
