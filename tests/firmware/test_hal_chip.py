"""The chip's hardware layer offers what its stubs promise, and what stays in memory while it records is small."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from earwitness.install import image

HAL = Path(__file__).resolve().parent.parent.parent / "firmware" / "recorder" / "hal"
STUBS = sorted(HAL.glob("*.pyi"))

_LARGEST_BYTES = 4000
_RESIDENT = ("mic", "clock", "switch", "button", "light", "motor", "battery", "i2c", "entropy", "usb", "power", "pins")
_TOGETHER_BYTES = 9500


def _functions(tree: ast.Module | ast.ClassDef) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = ", ".join(each.arg for each in node.args.args)
        elif isinstance(node, ast.ClassDef):
            found.update({f"{node.name}.{name}": rest for name, rest in _functions(node).items()})
    return found


def _names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_the_chips_module_offers_what_its_stub_promises(stub: Path) -> None:
    promised, offered = ast.parse(stub.read_text()), ast.parse(stub.with_suffix(".py").read_text())
    functions = _functions(offered)
    for name, parameters in _functions(promised).items():
        assert functions.get(name) == parameters, name
    assert _names(promised) <= _names(offered)


def test_what_stays_while_recording_is_small() -> None:
    sizes = {name: len(image.compiled(HAL / f"{name}.py", name)) for name in _RESIDENT}
    assert max(sizes.values()) < _LARGEST_BYTES, sizes
    assert sum(sizes.values()) < _TOGETHER_BYTES, sizes
