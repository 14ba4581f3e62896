"""The case: the room that each part is given, from hardware/device.toml, and what hardware/case.scad is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tools.blueprint.errors import PlanError
from tools.blueprint.plan import Plan

Size = tuple[float, float, float]  # along x, y, z, in millimetres
_WALLS = ("usb", "switch", "card", "far")
PIECES = ("body", "lid", "cap")
PICTURES = ("case-front.png", "case-ends.png", "case-below.png", "case-open.png", "case-exploded.png")
FILES = (*(f"{name}.stl" for name in PIECES), *PICTURES)  # in hardware/case


@dataclass(frozen=True)
class Room:
    """What a part is given: `corner` and `size` with the gap all around, `solid` its size with tolerance, inside."""

    part: str
    corner: Size
    size: Size
    solid: Size
    hangs: bool = False

    @property
    def solid_corner(self) -> Size:
        """The part itself stands in the middle, on the floor of its room (or under the lid)."""
        (x, y, z), (dx, dy, dz) = self.corner, self.size
        sx, sy, sz = self.solid
        return (x + (dx - sx) / 2, y + (dy - sy) / 2, z + (dz - sz if self.hangs else 0))


def inside(plan: Plan) -> Size:
    x, y, z = plan.raw["case"]["inside"]["size_mm"]
    return (float(x), float(y), float(z))


def rooms(plan: Plan) -> dict[str, Room]:
    """The room of every part that has a place. Raises PlanError for places of unknown parts or out of the case."""
    places: dict[str, dict[str, Any]] = plan.raw["case"]["places"]
    found: dict[str, Room] = {}
    for name, place in places.items():
        found[name] = _room(plan, name, place, found)
    for room in found.values():
        for axis, (start, length, limit) in enumerate(zip(room.corner, room.size, inside(plan), strict=True)):
            if start < 0 or start + length > limit + 1e-6:
                over = max(-start, start + length - limit)
                raise PlanError(f"case: {room.part} stands {over:.1f} mm out of the case along {'xyz'[axis]}")
    return found


def _room(plan: Plan, name: str, place: dict[str, Any], found: dict[str, Room]) -> Room:
    part = plan.parts.get(name)
    if part is None or not part.size_mm:
        raise PlanError(f"case.places.{name}: there is no such part, or it has no size")
    gap = float(plan.raw["case"]["gap_mm"])
    length, width, height = _own(plan, name)
    solid = (length + part.tolerance_mm, width + part.tolerance_mm, height + part.tolerance_mm)
    if "on" in place:  # stacked: the lower part's room, and as much higher
        below = found[place["on"]]
        solid = (below.solid[0], below.solid[1], height)  # the lower one's tolerance is the stack's
        x, y, z = below.corner
        return Room(name, (x, y, z + below.size[2]), (below.size[0], below.size[1], height + gap), solid)
    above = float(plan.raw["case"]["cell_gap_mm"]) if name == "cell" else gap
    size = (solid[0] + 2 * gap, solid[1] + 2 * gap, solid[2] + above)
    x, y = (float(value) for value in place["at_mm"][:2])
    if "under" in place:
        return Room(name, (x, y, inside(plan)[2] - float(place["under"]) - size[2]), size, solid, hangs=True)
    return Room(name, (x, y, float(place["at_mm"][2])), size, solid)


def _own(plan: Plan, name: str) -> Size:
    """The part's own size as it lies: along x, y, z."""
    place = plan.raw["case"]["places"][name]
    length, width, height = place.get("size_mm", plan.parts[name].size_mm)
    height = place.get("height_mm", height)
    return (width, length, height) if place.get("turned") else (length, width, height)


def overlaps(plan: Plan) -> list[tuple[str, str]]:
    """Pairs of parts whose rooms share space."""
    all_rooms = list(rooms(plan).values())
    return [
        (one.part, other.part)
        for number, one in enumerate(all_rooms)
        for other in all_rooms[number + 1 :]
        if all(
            a < b + other_size - 1e-6 and b < a + one_size - 1e-6
            for a, one_size, b, other_size in zip(one.corner, one.size, other.corner, other.size, strict=True)
        )
    ]


def metal_near_antenna(plan: Plan) -> list[str]:
    """Parts of metal that come nearer to the Pico's antenna (its last 9 mm) than `antenna_gap_mm`."""
    all_rooms = rooms(plan)
    pico = all_rooms["pico"]
    end = pico.solid_corner[0] + pico.solid[0]
    low, high = (end - 9, pico.solid_corner[1]), (end, pico.solid_corner[1] + pico.solid[1])
    near = []
    for name, room in all_rooms.items():
        if name in ("pico", "shim"):
            continue
        apart = [
            max(low[axis] - room.solid_corner[axis] - room.solid[axis], room.solid_corner[axis] - high[axis], 0)
            for axis in (0, 1)
        ]
        if (apart[0] ** 2 + apart[1] ** 2) ** 0.5 < plan.raw["case"]["antenna_gap_mm"] - 1e-6:
            near.append(name)
    return near


def outside(plan: Plan) -> Size:
    """Length, width, height of the closed case."""
    wall = 2 * float(plan.raw["case"]["wall_mm"])
    x, y, z = inside(plan)
    return (x + wall, y + wall, z + wall)


def case_table(plan: Plan) -> str:
    """For the guide: the case's size and print, and the air around each part."""
    printed = plan.raw["case"]["printed"]
    size = " × ".join(f"{length:.0f}" for length in outside(plan))
    lines = [
        f"Closed it measures **{size} mm**, and the frame of the switch and the lanyard's eye stand out by 3 and 4 mm. "
        f"The pieces take {printed['cm3']:.0f} cm³ of plastic and {printed['hours']:.0f} hours ({printed['source']}).",
        "",
        "| part | its size, mm | may be larger by | room in the case, mm |",
        "|---|---|---|---|",
    ]
    for name, room in rooms(plan).items():
        part = plan.parts[name]
        words = [" × ".join(f"{length:.1f}" for length in lengths) for lengths in (_own(plan, name), room.size)]
        lines.append(f"| {part.name.split(',')[0]} | {words[0]} | {part.tolerance_mm:.1f} | {words[1]} |")
    return "\n".join(lines) + "\n"


def sizes_scad(plan: Plan) -> str:
    """What hardware/case.scad includes: everything in it that depends on a part."""
    case = plan.raw["case"]
    lines = [
        "// Made by tools/hardware.py out of device.toml. Millimetres; x from the USB's end, y from the switch's side.",
        "",
    ]
    for name in ("wall_mm", "least_wall_mm", "gap_mm"):
        lines.append(f"{name[:-3]} = {float(case[name])};")
    lines.append(f"inside = {_vector(inside(plan))};")
    for opening in case["openings"]:
        size = opening.get("size_mm", [opening.get("diameter_mm", 0)])
        lines.append(f"{opening['part']}_opening = {_vector(size)};")
    lines.append("")
    lines.append("// [name, lower corner of its room, size of its room]")
    lines.append("rooms = [")
    for room in rooms(plan).values():
        lines.append(f'    ["{room.part}", {_vector(room.corner)}, {_vector(room.size)}],')
    lines += ["];", "", "// the parts themselves, with their tolerance", "solids = ["]
    for room in rooms(plan).values():
        lines.append(f'    ["{room.part}", {_vector(room.solid_corner)}, {_vector(room.solid)}],')
    lines += ["];", "", "// [wall, from, width] of the lid's tongues", "clips = ["]
    for clip in case["clips"]:
        if clip["wall"] not in _WALLS:
            raise PlanError(f"case.clips: there is no wall {clip['wall']!r}")
        lines.append(f'    ["{clip["wall"]}", {float(clip["from_mm"])}, {float(clip["width_mm"])}],')
    return "\n".join([*lines, "];", ""])


def _vector(values: Any) -> str:
    return "[" + ", ".join(f"{float(value):.4g}" for value in values) + "]"
