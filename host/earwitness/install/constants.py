"""Puts the firmware's public constants where they are used: a name that other modules look up costs the chip RAM in each.

A constant is a line `NAME = const(expression of integers)` at the top of a module. Those of the hardware layer stay names,
but for the pins: what stands in for that layer has others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Final

_PUBLIC: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_HARDWARE: Final = "recorder/hal/"
_PINS: Final = "recorder/hal/pins.py"


def inline(trees: Mapping[str, ast.AST]) -> None:
    """Change the modules in place, path to tree."""
    found = {path: _constants(path, tree) for path, tree in trees.items()}
    for path, tree in trees.items():
        _Inline(path, found).visit(tree)
        _hide(tree, found[path])


def _constants(path: str, tree: ast.AST) -> dict[str, int]:
    constants: dict[str, int] = {}
    if path.startswith(_HARDWARE) and path != _PINS:
        return constants
    for line in getattr(tree, "body", ()):
        if not isinstance(line, ast.Assign) or not isinstance(line.targets[0], ast.Name):
            continue
        name, made = line.targets[0].id, line.value
        if _PUBLIC.fullmatch(name) and isinstance(made, ast.Call) and ast.unparse(made.func) == "const":
            value = eval(ast.unparse(made.args[0]), {"__builtins__": {}}, dict(constants))  # our own source
            if type(value) is int:
                constants[name] = value
    return constants


class _Inline(ast.NodeTransformer):
    """Replaces constants of other modules by their values, and no longer imports them."""

    def __init__(self, path: str, found: Mapping[str, Mapping[str, int]]) -> None:
        self._folder = path.split("/")[:-1]
        self._found = found
        self._values: dict[str, int] = {}  # local name of an imported constant
        self._modules: dict[str, Mapping[str, int]] = {}  # local name of an imported module

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            found = self._found.get(alias.name.replace(".", "/") + ".py")
            if found is not None and (alias.asname or "." not in alias.name):
                self._modules[alias.asname or alias.name] = found
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        folder = self._folder[: len(self._folder) - node.level + 1] if node.level else []
        source = "/".join([*folder, *(node.module.split(".") if node.module else [])])
        kept = []
        for alias in node.names:
            value = self._found.get(source + ".py", {}).get(alias.name)
            if value is not None:
                self._values[alias.asname or alias.name] = value
                continue
            module = self._found.get(f"{source}/{alias.name}.py")
            if module is not None:
                self._modules[alias.asname or alias.name] = module
            kept.append(alias)
        node.names = kept
        return node if kept else ast.Pass()

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self._values.get(node.id)
        return node if value is None or not isinstance(node.ctx, ast.Load) else ast.Constant(value)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and isinstance(node.ctx, ast.Load):
            value = self._modules.get(node.value.id, {}).get(node.attr)
            if value is not None:
                return ast.Constant(value)
        return self.generic_visit(node)


def _hide(tree: ast.AST, constants: Mapping[str, int]) -> None:
    """Make the module's own constants private: the compiler then keeps no name for them."""
    taken = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in constants and "_" + node.id not in taken:
            node.id = "_" + node.id
