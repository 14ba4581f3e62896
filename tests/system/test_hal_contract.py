"""The virtual hardware offers what the stubs promise, and nothing but the hardware layer touches the hardware."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FIRMWARE = ROOT / "firmware"
STUBS = sorted((FIRMWARE / "recorder" / "hal").glob("*.pyi"))
VIRTUAL = ROOT / "tools" / "virtual" / "hal"

_HARDWARE = {"machine", "rp2", "bluetooth", "network", "time", "utime", "aioble", "lwip"}


def _functions(tree: ast.Module | ast.ClassDef) -> dict[str, str]:
    """Name -> parameters with their defaults; a method's by its class."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            names = [argument.arg for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
            defaults = [ast.unparse(default) for default in arguments.defaults]
            found[node.name] = ", ".join(names) + " | " + ", ".join(defaults)
        elif isinstance(node, ast.ClassDef):
            found.update({f"{node.name}.{name}": rest for name, rest in _functions(node).items()})
    return found


def _values(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_there_are_stubs() -> None:
    assert len(STUBS) >= 13


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_virtual_module_offers_what_its_stub_promises(stub: Path) -> None:
    promised = ast.parse(stub.read_text())
    offered = ast.parse((VIRTUAL / f"{stub.stem}.py").read_text())
    functions = _functions(offered)
    for name, parameters in _functions(promised).items():
        assert functions.get(name) == parameters, f"{stub.stem}.{name}"
    assert _values(promised) <= _values(offered)


def test_virtual_hardware_is_whole() -> None:
    assert {path.stem for path in VIRTUAL.glob("*.py")} - {"__init__"} == {path.stem for path in STUBS}


# bundle.py is what finds the hardware layer in flash, unfinished.py is there for when it is not.
_INSIDE = {FIRMWARE / "bundle.py", FIRMWARE / "unfinished.py", *(FIRMWARE / "recorder" / "hal").glob("*.py")}
_OUTSIDE = sorted(set(FIRMWARE.rglob("*.py")) - _INSIDE)


@pytest.mark.parametrize("path", _OUTSIDE, ids=lambda path: str(path.relative_to(FIRMWARE)))
def test_only_the_hardware_layer_imports_the_hardware(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [(node.module or "").split(".")[0]]
        assert not _HARDWARE & set(names), f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute) and node.attr == "urandom":
            raise AssertionError(f"line {node.lineno}: entropy is recorder.hal.entropy's")
