"""Everything that is made from the plan: texts, which are compared to the letter, and pictures."""

from __future__ import annotations

from pathlib import Path

from tools.blueprint import (
    blocks,
    board_picture,
    bom,
    case,
    diagram,
    pictures,
    power,
    quickcard,
    render,
    shapes,
    tables,
)
from tools.blueprint.errors import PlanError
from tools.blueprint.pictures import Picture
from tools.blueprint.pins import pin_module
from tools.blueprint.plan import Plan

_FOLDER = "hardware/pictures"
_GUIDE, _POWER = "hardware/README.md", "hardware/POWER.md"
_CASE, _CASE_SIZES = "hardware/case.scad", "hardware/case_sizes.scad"


def _filled(root: Path, name: str, made: dict[str, str]) -> str:
    document = (root / name).read_text(encoding="utf-8")
    for block, text in made.items():
        document = blocks.fill(document, block, text)
    return document


def texts(root: Path, plan: Plan) -> dict[str, str]:
    """Path below root: content. Raises PlanError where a document lost a block."""
    guide = {
        "parts": bom.bom_table(plan),
        "stripboard": tables.board_table(plan),
        "wires": tables.wire_tables(plan),
        "case": case.case_table(plan),
    }
    budget = {
        "hours": power.hours_table(plan),
        "budget": power.budget_table(plan),
        "sources": power.source_table(plan),
        "supplies": power.supply_table(plan),
    }
    return {
        "firmware/recorder/hal/pins.py": pin_module(plan),
        "hardware/bom.csv": bom.bom_csv(plan),
        _CASE_SIZES: case.sizes_scad(plan),
        "hardware/WIRING.md": tables.wiring_document(plan),
        f"{_FOLDER}/stripboard.svg": board_picture.board_picture(plan),
        f"{_FOLDER}/pico.svg": board_picture.pico_picture(plan),
        _GUIDE: _filled(root, _GUIDE, guide),
        _POWER: _filled(root, _POWER, budget),
    }


def _of_svg(source: str) -> tuple[bytes, ...]:
    return (render.png_of_svg(source),)


def _card(source: str) -> tuple[bytes, ...]:
    return render.document_of_typst(source, "pdf"), render.document_of_typst(source, "png", 110)


def all_pictures(root: Path, plan: Plan) -> list[Picture]:
    """Raises PlanError where README and firmware disagree about what the quick card says."""
    shown, times = shapes.read_shapes(root / "firmware")
    readme = (root / "README.md").read_text(encoding="utf-8")
    disagreements = quickcard.disagreements(readme, shown, times)
    if disagreements:
        raise PlanError("\n".join(disagreements))
    made = [
        Picture((f"{_FOLDER}/{name}.svg", f"{_FOLDER}/{name}.png"), diagram.wireviz_input(plan, wires), diagram.draw)
        for name, wires in diagram.sheets(plan).items()
    ]
    made.append(Picture((f"{_FOLDER}/stripboard.png",), board_picture.board_picture(plan), _of_svg))
    made.append(Picture((f"{_FOLDER}/pico.png",), board_picture.pico_picture(plan), _of_svg))
    card = quickcard.card_source(readme, shown)
    made.append(Picture(("hardware/QUICKCARD.pdf", f"{_FOLDER}/quickcard.png"), card, _card))
    made.append(_case_model(root, plan))
    return made


def _case_model(root: Path, plan: Plan) -> Picture:
    """Its solids and pictures. trimesh is imported only where they are made."""
    files = tuple(f"hardware/case/{name}" for name in case.FILES)

    def make_case(_source: str) -> tuple[bytes, ...]:
        from tools.blueprint import case_model

        return case_model.everything(plan, root / "hardware")

    source = (root / _CASE).read_text(encoding="utf-8") + case.sizes_scad(plan)
    return Picture(files, source, make_case)


def stale(root: Path, plan: Plan) -> list[str]:
    """Files that are not what the plan makes."""
    found = []
    for name, text in texts(root, plan).items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            found.append(name)
    return [*found, *pictures.stale(root, all_pictures(root, plan))]


def make(root: Path, plan: Plan) -> list[str]:
    """Write what is stale. Returns the files written."""
    written = []
    for name, text in texts(root, plan).items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            written.append(name)
    return [*written, *pictures.make(root, all_pictures(root, plan))]
