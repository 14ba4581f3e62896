"""The case holds every part, prints, and closes: by its numbers, and by the solids that are printed."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trimesh

from tests.hardware.plans import RAW, ROOT, Change, faults_after
from tools.blueprint import case, case_model
from tools.blueprint.errors import PlanError
from tools.blueprint.plan import Plan, plan_of

FOLDER = ROOT / "hardware/case"


@pytest.fixture(scope="module")
def pieces() -> dict[str, case_model.Piece]:
    return case_model.load(FOLDER)


def _plan(change: Change = lambda raw: None) -> Plan:
    raw = copy.deepcopy(RAW)
    change(raw)
    return plan_of(raw)


def _place(name: str, *at: float) -> Change:
    def change(raw: dict[str, Any]) -> None:
        raw["case"]["places"][name]["at_mm"] = list(at)

    return change


def test_every_part_has_room_of_its_own() -> None:
    assert case.overlaps(_plan()) == []


def test_a_part_in_anothers_room_is_named() -> None:
    assert any(
        "cell and clock stand in each other's room" in fault for fault in faults_after(_place("clock", 44, 30, 0))
    )


def test_a_part_that_sticks_out_is_named() -> None:
    with pytest.raises(PlanError, match=r"card stands 2\.1 mm out of the case along x"):
        case.rooms(_plan(_place("card", 78.0, 39.6, 0)))


def test_a_thicker_cell_no_longer_fits_and_is_named() -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["parts"]["cell"]["size_mm"] = [36.0, 29.0, 13.0]

    with pytest.raises(PlanError, match=r"cell stands .* along z"):
        case.rooms(_plan(change))


def test_no_metal_lies_at_the_antenna() -> None:
    assert case.metal_near_antenna(_plan()) == []
    assert any("cell comes nearer to the antenna" in fault for fault in faults_after(_place("cell", 42.0, 25.0, 0)))


def test_the_pieces_print_and_close(pieces: dict[str, case_model.Piece]) -> None:
    """Watertight, each in one piece, walls of at least 1.2 mm, no part in a wall, no piece in another."""
    assert list(case_model.faults(_plan(), pieces)) == []


def test_a_part_that_was_moved_after_printing_is_found_in_the_wall(pieces: dict[str, case_model.Piece]) -> None:
    found = list(case_model.faults(_plan(_place("motor", 84.0, 0.0, 0)), pieces))
    assert any(fault.startswith("motor and the body need the same") for fault in found), found


def test_a_piece_with_a_hole_in_its_skin_is_found(pieces: dict[str, case_model.Piece]) -> None:
    torn = trimesh.Trimesh(pieces["cap"].mesh.vertices, pieces["cap"].mesh.faces[:-1])
    found = list(case_model.faults(_plan(), {**pieces, "cap": case_model.Piece("cap", torn, (0, 0, 0), 0)}))
    assert "the cap is not watertight" in found


def test_a_wall_that_is_too_thin_is_found() -> None:
    plate = trimesh.creation.box((20, 20, 0.9))
    assert set(case_model.thin_walls(plate, 1.2)) == {0.9}
    assert case_model.thin_walls(plate, 0.8) == []


def test_openings_are_where_the_parts_are(pieces: dict[str, case_model.Piece]) -> None:
    """From outside straight to the socket, the card's slot, the sound hole, the lever: nothing in the way."""
    plan = _plan()
    rooms = case.rooms(plan)
    placed = case_model.in_place(plan, pieces)
    length, _, height = case.inside(plan)

    def free(start: tuple[float, float, float], size: tuple[float, float, float]) -> bool:
        probe = trimesh.creation.box(size)
        probe.apply_translation(start)
        return all(
            trimesh.boolean.intersection([piece, probe], engine="manifold").is_empty for piece in placed.values()
        )

    def middle(name: str) -> tuple[float, float, float]:
        room = rooms[name]
        x, y, z = (a + b / 2 for a, b in zip(room.solid_corner, room.solid, strict=True))
        return (x, y, z)

    _, y, _ = middle("pico")
    top = rooms["pico"].solid_corner[2] + rooms["pico"].solid[2]
    assert free((-2, y, top - 1.5), (6, 7.5, 2.6))  # a micro-USB plug's metal
    _, y, _ = middle("card")
    top = rooms["card"].solid_corner[2] + rooms["card"].solid[2]
    assert free((length + 1, y, top - 1.1), (4, 11.2, 1.0))  # a microSD card
    x, y, _ = middle("microphone")
    assert free((x, y, height), (1.2, 1.2, 6))
    x, _, z = middle("switch")
    assert free((x, -2, z), (4, 6, 2))


def test_made_again_it_is_the_same_case(tmp_path: Path, pieces: dict[str, case_model.Piece]) -> None:
    """The committed pieces are those of case.scad: by size and volume, for OpenSCADs differ in the last digit."""
    if shutil.which("openscad") is None:
        pytest.skip("no openscad here: the case cannot be made again")
    (tmp_path / "lid.stl").write_bytes(case_model.make_piece(ROOT / "hardware", "lid"))
    again = trimesh.load_mesh(tmp_path / "lid.stl")
    assert again.volume / 1000 == pytest.approx(pieces["lid"].volume_cm3, rel=1e-3)
    assert tuple(again.extents) == pytest.approx(pieces["lid"].size, abs=0.06)


@pytest.mark.parametrize("name", case.PIECES)
def test_a_slicer_takes_it(tmp_path: Path, name: str) -> None:
    slicer = shutil.which("prusa-slicer") or shutil.which("slic3r")
    if slicer is None:
        pytest.skip("no slicer here: install prusa-slicer to have the pieces sliced")
    done = subprocess.run(
        [slicer, "--export-gcode", "-o", tmp_path / "out.gcode", FOLDER / f"{name}.stl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out.gcode").stat().st_size > 10_000
