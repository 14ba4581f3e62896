"""Gives the firmware's names the spelling of names that the chip has anyway.

MicroPython keeps every name of every module that it ever imported in RAM, for good: text, hash and place in a table, and the
path of each module's file with them. Names that its own code uses are in flash already. So each name of ours becomes one of
those that the firmware does not use, another one for each; modules lie side by side, under such names too. Nothing else
changes. A chip that lacks one of them loses memory by it and nothing more.

chip_names.txt holds the names of MicroPython's image for the Pico W (tools/chip_names.py).
"""

from __future__ import annotations

import ast
import builtins
import keyword
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from earwitness.errors import EarwitnessError

# What MicroPython itself looks for in objects of ours: streams, file systems, block devices, iterators, what holds items.
# fmt: off
_ASKED_FOR: Final = frozenset((
    "append", "chdir", "close", "flush", "getcwd", "ilistdir", "ioctl", "items", "keys",
    "line", "mkdir", "mount", "next", "open", "read", "readblocks", "readinto", "readline",
    "remove", "rename", "rmdir", "seek", "send", "stat", "statvfs", "tell", "throw",
    "umount", "update", "value", "values", "write", "writeblocks",
))
# What programs beside ours use at the prompt, to try and to measure.
_AT_THE_PROMPT: Final = frozenset((
    "hex", "ibuf", "listdir", "localtime", "mem16", "mem8", "mem_info", "mode", "print_exception",
    "qstr_info", "random", "sd", "stack_use", "ticks_cpu", "ticks_us", "ws",
))
# fmt: on
# What the compiler knows as words of its own inside functions.
_COMPILERS: Final = frozenset(
    ["asm_thumb", "const", "int", "native", "object", "ptr", "ptr8", "ptr16", "ptr32", "uint", "viper"]
)


@cache
def chip_names() -> frozenset[str]:
    """Every name that the chip has in flash."""
    return frozenset(Path(__file__).with_name("chip_names.txt").read_text(encoding="ascii").split())


def fields(tree: ast.AST) -> Iterable[tuple[ast.AST, str]]:
    """Every place where a name stands: node and field."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(getattr(node, field, None), str):
                yield node, field


def rename(tree: ast.AST, names: Mapping[str, str]) -> None:
    """Change names in place, wherever they stand."""
    for node, field in fields(tree):
        setattr(node, field, names.get(getattr(node, field), getattr(node, field)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [names.get(name, name) for name in node.names]


def identifiers(source: str) -> set[str]:
    """All names in a source, and all its texts that could be one."""
    tree = ast.parse(source)
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {getattr(node, field) for node, field in fields(tree)} | {text for text in texts if text.isidentifier()}


class Names:
    """What each name and each module of a program is called on the chip.

    `sources`: path to text of all modules. `stay`: paths of those that are imported by their path. `leave`: names that
    somebody else uses.
    """

    def __init__(self, sources: Mapping[str, str], stay: Iterable[str] = (), leave: Iterable[str] = ()) -> None:
        known = chip_names()
        counts = Counter(name for text in sources.values() for name in identifiers(text))
        left = set(leave) | _COMPILERS | _spelt(sources.values()) | _exceptions(sources.values())
        left |= {part for path in stay for part in path[: -len(".py")].split("/")}
        unused = known - set(counts) - left - _ASKED_FOR - _AT_THE_PROMPT - set(dir(builtins)) - set(keyword.kwlist)
        free = sorted((name for name in unused if name.isidentifier() and name[0] != "_"), key=lambda n: (len(n), n))
        capitals = iter([name for name in free if name.isupper()])  # no module of MicroPython's is called so
        moved = sorted(set(sources) - set(stay))
        empty = {path for path in moved if path.endswith("__init__.py") and not ast.parse(sources[path]).body}
        self._modules = dict(zip((path for path in moved if path not in empty), capitals, strict=False))
        self._packages = empty
        taken = set(self._modules.values())
        ours = sorted((name for name in counts if name not in known | left), key=lambda name: (-counts[name], name))
        ours = [name for name in ours if name.isidentifier() and not name.startswith("__")]
        self._names = dict(zip(ours, (name for name in free if name not in taken), strict=False))

    def path(self, path: str) -> str | None:
        """Where a module lies on the chip; None for a package with nothing in it: there are none there."""
        if path in self._packages:
            return None
        return self._modules[path] + ".py" if path in self._modules else path

    def source(self, path: str, source: str) -> str:
        """A module's text, as it is on the chip; also one that is run beside the program there. Raises EarwitnessError."""
        tree = _Imports(path, self._modules).visit(ast.parse(source))
        taken = {getattr(node, field) for node, field in fields(tree)} & set(self._names.values())
        own = taken & {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        if taken - own:
            raise EarwitnessError(f"{path} uses {', '.join(sorted(taken - own))}: names of the program, on the chip.")
        rename(tree, {**self._names, **{name: name + "_" for name in own}})
        return written(tree)


def written(tree: ast.AST) -> str:
    """A module's text. The tree is of no use afterwards."""
    return ast.unparse(_Bare().visit(ast.fix_missing_locations(tree))) + "\n"


class _Bare(ast.NodeTransformer):
    """Writes `a, b = c, d` so: with the brackets that ast.unparse gives the right side MicroPython makes a tuple first."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target, value = node.targets[0], node.value
        if len(node.targets) > 1 or not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)):
            return node
        if len(value.elts) < 2:
            return node
        texts = (", ".join(ast.unparse(part) for part in side.elts) for side in (target, value))
        return ast.Expr(ast.Name(" = ".join(texts)))


def _spelt(sources: Iterable[str]) -> set[str]:
    """Names that a text of the program spells: they may be looked up by it."""
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _exceptions(sources: Iterable[str]) -> set[str]:
    """Classes of errors: their names are told to people."""
    classes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    found = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    for _ in classes:
        found |= {node.name for node in classes if any(ast.unparse(b).rpartition(".")[2] in found for b in node.bases)}
    return found


class _Imports(ast.NodeTransformer):
    """Imports modules from where they lie on the chip."""

    def __init__(self, path: str, modules: Mapping[str, str]) -> None:
        self._path = path
        self._folder = path.split("/")[:-1]
        self._modules = modules

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            moved = self._modules.get(alias.name.replace(".", "/") + ".py")
            if moved is None:
                continue
            if alias.asname is None and "." in alias.name:
                raise EarwitnessError(f"{self._path} imports {alias.name} as a part of its package.")
            alias.name, alias.asname = moved, alias.asname or alias.name
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.AST]:
        folder = self._folder[: len(self._folder) - node.level + 1] if node.level else []
        source = "/".join([*folder, *(node.module.split(".") if node.module else [])])
        if source + ".py" in self._modules:
            return ast.ImportFrom(self._modules[source + ".py"], node.names, 0)
        whole = {alias.name: self._modules.get(f"{source}/{alias.name}.py") for alias in node.names}
        made: list[ast.AST] = [
            ast.Import([ast.alias(moved, alias.asname or alias.name)])
            for alias in node.names
            if (moved := whole[alias.name]) is not None
        ]
        rest = [alias for alias in node.names if whole[alias.name] is None]
        if rest:
            made.append(ast.ImportFrom(source.replace("/", "."), rest, 0))
        return made
