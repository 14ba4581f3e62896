"""Writes the firmware's modules as the recorder needs them: the same code, shorter names, nothing that only readers want.

What is imported takes the chip's RAM, all of it but the bytecode, and every name once. So names that nobody outside their module may use
(`_private`) and names of parameters that nobody passes by keyword become letters, used again in every module; a constant is
put where it is used (install/constants.py); docstrings, annotations and what stands under TYPE_CHECKING go. Nothing else
changes: no value, no order, no other public name.

The outcome depends on the sources alone, so that who builds the same version gets the same bytes.
"""

from __future__ import annotations

import ast
import itertools
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from earwitness.errors import EarwitnessError
from earwitness.install.constants import inline
from earwitness.install.names import fields, rename, written

_PRIVATE: Final = re.compile(r"_[A-Za-z]\w*")
_VIPER_TYPES: Final = frozenset(("ptr", "ptr8", "ptr16", "ptr32", "int", "uint", "bool", "object"))
_WORDS: Final = frozenset(("as", "if", "in", "is", "or"))


def compact(sources: Mapping[str, str]) -> dict[str, str]:
    """All modules of one program, path to source; the same paths with compacted source. Raises EarwitnessError."""
    trees = {path: _Strip().visit(_parsed(path, source)) for path, source in sources.items()}
    inline(trees)
    keywords: set[object] = {
        node.arg for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.keyword)
    }
    texts: set[object] = {
        node.value for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)
    }
    for tree in trees.values():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                _shorten_parameters(function, keywords, _names(tree))
    _check_private(trees)
    for tree in trees.values():
        _shorten_private(tree, texts)
    return {path: written(tree) for path, tree in trees.items()}


def _parsed(path: str, source: str) -> ast.AST:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise EarwitnessError(f"{path} does not compile for the recorder.", str(error)) from None


class _Strip(ast.NodeTransformer):
    """Takes out what says nothing to the machine."""

    def visit_Try(self, node: ast.Try) -> ast.AST | None:
        first = node.body[0]
        if isinstance(first, ast.ImportFrom) and first.module == "typing":
            return None
        return self._filled(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self._filled(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return None if node.value is None else ast.Assign([node.target], self.visit(node.value))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        viper = any("viper" in ast.unparse(decorator) for decorator in node.decorator_list)
        arguments = node.args
        for argument in (*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if argument is not None:
                argument.annotation = _viper_type(argument.annotation) if viper else None
        node.returns = _viper_type(node.returns) if viper else None
        return self._filled(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._filled(node)

    def _filled(self, node: ast.Try | ast.If | ast.FunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node


def _viper_type(annotation: ast.expr | None) -> ast.expr | None:
    """Viper knows its types by bare words; a type that readers see in quotes is the same one."""
    word = annotation.value if isinstance(annotation, ast.Constant) else getattr(annotation, "id", None)
    return ast.Name(word) if isinstance(word, str) and word in _VIPER_TYPES else None


def _names(tree: ast.AST) -> set[str]:
    return {getattr(node, field) for node, field in fields(tree)}


def _letters() -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "".join(letters)


def _shorten_parameters(function: ast.FunctionDef, keywords: set[object], taken: set[str]) -> None:
    """Give parameters letters, but for those that somebody passes by keyword. `taken`: names that letters must not be."""
    inner = [
        node for node in ast.walk(function) if isinstance(node, ast.FunctionDef | ast.Lambda) and node is not function
    ]
    again = {argument.arg for node in inner for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    arguments = [argument for argument in (*function.args.args, function.args.vararg) if argument is not None]
    letters = (letter for letter in _letters() if letter not in taken and letter not in _WORDS)
    names = {
        argument.arg: next(letters)
        for argument in arguments
        if argument.arg != "self" and len(argument.arg) > 1
        if argument.arg not in again and argument.arg not in keywords
    }
    for argument in arguments:
        argument.arg = names.get(argument.arg, argument.arg)
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                node.id = names.get(node.id, node.id)
            elif isinstance(node, ast.Nonlocal):
                node.names = [names.get(name, name) for name in node.names]


def _shorten_private(tree: ast.AST, texts: set[object]) -> None:
    """Give the module's private names letters, the most used ones first. A name that some text spells stays."""
    counts = Counter(getattr(node, field) for node, field in fields(tree))
    taken = set(counts)
    letters = ("_" + letter for letter in _letters() if "_" + letter not in taken)
    private = [name for name in counts if _PRIVATE.fullmatch(name) and name not in texts]
    private.sort(key=lambda name: (-counts[name], name))
    rename(tree, {name: next(letters) for name in private})


def _check_private(trees: Mapping[str, ast.AST]) -> None:
    """Each module's private names get letters of their own: nobody else may use them, and no class may inherit them."""
    owners = {
        node.name: path for path, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    for path, tree in trees.items():
        made = set()
        for node, field in fields(tree):
            store = isinstance(getattr(node, "ctx", None), ast.Store)
            if store or field == "asname" or isinstance(node, ast.FunctionDef | ast.ClassDef | ast.arg):
                made.add(getattr(node, field))
        for name in _names(tree) - made:
            if _PRIVATE.fullmatch(name):
                raise EarwitnessError(f"The firmware's {path} uses {name}, which is private to another module.")
        for node in ast.walk(tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                owner = owners.get(ast.unparse(base).rpartition(".")[2], path)
                if owner != path and any(_PRIVATE.fullmatch(name) for name in _names(trees[owner])):
                    raise EarwitnessError(f"A class in the firmware's {path} inherits private names from {owner}.")
