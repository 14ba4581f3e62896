"""The case's solids: made by OpenSCAD out of hardware/case.scad, looked at by trimesh, drawn for the guide."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import trimesh

from tools.blueprint.case import PICTURES, PIECES, Size, outside, rooms
from tools.blueprint.errors import PlanError
from tools.blueprint.plan import Plan
from tools.blueprint.solid_picture import picture

_GREY: Final = (150, 160, 175)
_LIGHT_GREY: Final = (185, 192, 203)
_ORANGE: Final = (235, 110, 50)
_COLOURS: Final = {
    "shim": (90, 90, 90),
    "pico": (60, 150, 95),
    "board": (205, 150, 90),
    "cell": (190, 190, 200),
    "card": (80, 130, 190),
    "gauge": (150, 110, 200),
    "clock": (40, 140, 140),
    "switch": (60, 80, 80),
    "motor": (215, 170, 50),
    "button": (40, 40, 40),
    "led": (220, 40, 40),
    "microphone": (210, 110, 190),
}
_TOUCH_MM3: Final = 0.01  # rounding of the meshes, not a clash
_ROUND: Final = ("led", "motor")  # upright cylinders, all others are blocks
_RAISED: Final = (("parts", 24.0), ("cap", 56.0), ("lid", 66.0))  # of the exploded view


@dataclass(frozen=True)
class Piece:
    """A printed piece as it lies on the printer: millimetres, cubic centimetres."""

    name: str
    mesh: Any
    size: Size
    volume_cm3: float


def make_piece(folder: Path, name: str) -> bytes:
    """An STL file. Raises PlanError where OpenSCAD is missing or refuses."""
    if shutil.which("openscad") is None:
        raise PlanError("the case is made by OpenSCAD, which is not installed (Debian package openscad)")
    with tempfile.TemporaryDirectory() as place:
        target = Path(place, f"{name}.stl")
        command = ["openscad", "-q", "-D", f'what="{name}"', "--export-format", "binstl", "-o", str(target)]
        done = subprocess.run([*command, str(folder / "case.scad")], capture_output=True, text=True, check=False)
        if done.returncode or not target.exists():
            raise PlanError(f"OpenSCAD does not make the {name}: {done.stderr.strip()[-300:]}")
        return target.read_bytes()


def load(folder: Path) -> dict[str, Piece]:
    """The pieces from their STL files in `folder`."""
    found = {}
    for name in PIECES:
        mesh = trimesh.load_mesh(folder / f"{name}.stl")
        size = tuple(round(float(length), 1) for length in mesh.extents)
        found[name] = Piece(name, mesh, (size[0], size[1], size[2]), float(mesh.volume) / 1000)
    return found


def faults(plan: Plan, pieces: dict[str, Piece]) -> Iterator[str]:
    """What would not print or not close, in words."""
    for piece in pieces.values():
        if not piece.mesh.is_watertight:
            yield f"the {piece.name} is not watertight"
        if piece.mesh.body_count != 1:
            yield f"the {piece.name} is in {piece.mesh.body_count} pieces"
        for thin in thin_walls(piece.mesh, float(plan.raw["case"]["least_wall_mm"])):
            yield f"the {piece.name} has a wall of only {thin} mm"
    if not all(piece.mesh.is_watertight for piece in pieces.values()):
        return  # what has no inside cannot be laid over anything
    placed = in_place(plan, pieces)
    for part, solid in part_solids(plan).items():
        for name in PIECES:
            if name == "cap" and part == "button":
                continue  # it stands on it
            shared = _shared_mm3(placed[name], solid)
            if shared > _TOUCH_MM3:
                yield f"{part} and the {name} need the same {shared:.1f} mm³"
    for one, other in (("body", "lid"), ("body", "cap"), ("lid", "cap")):
        shared = _shared_mm3(placed[one], placed[other])
        if shared > _TOUCH_MM3:
            yield f"{one} and {other} need the same {shared:.1f} mm³"


def _shared_mm3(one: Any, other: Any) -> float:
    shared = trimesh.boolean.intersection([one, other], engine="manifold")
    with np.errstate(invalid="ignore"):  # of solids that only touch
        return 0.0 if shared.is_empty else float(shared.volume)


def thin_walls(mesh: Any, least_mm: float, face_mm2: float = 12.0) -> list[float]:
    """How thick the mesh is below the middle of each larger face, where that is less than `least_mm`.

    Smaller faces are the clips' ridges, chamfers and roundings, which run out to an edge by nature.
    """
    wide = mesh.area_faces > face_mm2
    starts = mesh.triangles_center[wide] - mesh.face_normals[wide] * 1e-3
    found = []
    first, second = mesh.triangles[:, 1] - mesh.triangles[:, 0], mesh.triangles[:, 2] - mesh.triangles[:, 0]
    for start, normal in zip(starts, mesh.face_normals[wide], strict=True):
        way = -normal
        across = np.cross(way, second)
        area = np.einsum("ij,ij->i", first, across)
        with np.errstate(divide="ignore", invalid="ignore"):  # faces along the way
            offset = start - mesh.triangles[:, 0]
            u = np.einsum("ij,ij->i", offset, across) / area
            turned = np.cross(offset, first)
            v = turned @ way / area
            distance = np.einsum("ij,ij->i", turned, second) / area
            hit = distance[(np.abs(area) > 1e-9) & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-4)]
        if hit.size and hit.min() < least_mm - 2e-3:  # 1e-3 are the start's
            found.append(round(float(hit.min()), 2))
    return found


def in_place(plan: Plan, pieces: dict[str, Piece]) -> dict[str, Any]:
    """The pieces as they stand when the case is closed: the coordinates of `rooms`."""
    wall = float(plan.raw["case"]["wall_mm"])
    _, width, height = outside(plan)
    body, lid, cap = (pieces[name].mesh.copy() for name in PIECES)
    body.apply_translation([-wall] * 3)
    lid.apply_transform(np.diag([1.0, -1.0, -1.0, 1.0]))  # turned over, about x
    lid.apply_translation([-wall, width - wall, height - wall])
    button = rooms(plan)["button"]
    corner, size = button.solid_corner, button.solid
    cap.apply_translation([corner[0] + size[0] / 2, corner[1] + size[1] / 2, corner[2] + size[2]])
    return {"body": body, "lid": lid, "cap": cap}


def part_solids(plan: Plan) -> dict[str, Any]:
    """Every part at its place, as large as its tolerance allows."""
    solids = {}
    for name, room in rooms(plan).items():
        round_one = name in _ROUND
        box = (
            trimesh.creation.cylinder(room.solid[0] / 2, room.solid[2])
            if round_one
            else trimesh.creation.box(room.solid)
        )
        box.apply_translation(np.array(room.solid_corner) + np.array(room.solid) / 2)
        solids[name] = box
    return solids


def everything(plan: Plan, folder: Path) -> tuple[bytes, ...]:
    """The pieces as STL files, then the pictures, in the order of `case.FILES`. Raises PlanError, also for what would not fit."""
    stl = [make_piece(folder, name) for name in PIECES]
    with tempfile.TemporaryDirectory() as place:
        for name, content in zip(PIECES, stl, strict=True):
            Path(place, f"{name}.stl").write_bytes(content)
        pieces = load(Path(place))
    found = list(faults(plan, pieces))
    if found:
        raise PlanError("the case: " + "; ".join(found))
    drawn = dict(pictures(plan, pieces))
    return (*stl, *(drawn[name] for name in PICTURES))


def pictures(plan: Plan, pieces: dict[str, Piece]) -> Iterator[tuple[str, bytes]]:
    """(file name, PNG): three sides closed, open, exploded."""
    placed = in_place(plan, pieces)
    closed = [(placed["body"], _GREY), (placed["lid"], _LIGHT_GREY), (placed["cap"], _ORANGE)]
    parts = [(solid, _COLOURS[name]) for name, solid in part_solids(plan).items()]
    yield "case-front.png", picture(closed, turn=-28, tilt=38)
    yield "case-ends.png", picture(closed, turn=150, tilt=28)
    yield "case-below.png", picture(closed, turn=-28, tilt=-35)
    yield "case-open.png", picture([(placed["body"], _GREY), *parts], turn=-25, tilt=52)
    raised = dict(_RAISED)
    apart = [(placed["body"], _GREY)]
    for solids, lift in ((parts, raised["parts"]), (closed[2:], raised["cap"]), (closed[1:2], raised["lid"])):
        for solid, colour in solids:
            moved = solid.copy()
            moved.apply_translation([0, 0, lift])
            apart.append((moved, colour))
    yield "case-exploded.png", picture(apart, turn=-28, tilt=24)
