"""The firmware as it is installed: shorter names, the same behaviour."""

from __future__ import annotations

import pytest

from earwitness.errors import EarwitnessError
from earwitness.install.compact import compact
from earwitness.install.image import sources

_ONE = '''
"""What it is for."""
import micropython
try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as ptr8

_SIZE = 3

@micropython.viper
def _fill(target: "ptr8", count: int) -> int:
    """Fill it."""
    return count

class Thing:
    public: int
    def __init__(self, first: int, named: int = 2) -> None:
        """Make one."""
        self._first = first
        self.named: int = named
    def _twice(self, value: int) -> int:
        def inner() -> int:
            nonlocal value
            value += _SIZE
            return value
        return inner() * 2
    def run(self, start: int) -> int:
        try:
            return self._twice(start) + self._first
        except ValueError as error:
            raise error
'''


def test_names_that_nobody_else_uses_become_letters() -> None:
    text = compact({"one.py": _ONE, "two.py": "from one import Thing\nThing(1, named=5).run(4)\n"})["one.py"]
    for gone in (
        "What it is for",
        "Make one",
        "TYPE_CHECKING",
        "_first",
        "_twice",
        "_SIZE",
        "start",
        "value",
        "-> None",
    ):
        assert gone not in text, gone
    for kept in ("class Thing", "def run", "self.named", "named=2", "ptr8, ", "-> int", "nonlocal"):
        assert kept in text, kept


def test_it_does_the_same() -> None:
    texts = []
    for source in (_ONE, compact({"one.py": _ONE})["one.py"]):
        there: dict[str, object] = {}
        plain = source.replace("import micropython", "").replace("@micropython.viper", "").replace("ptr8", "bytes")
        exec(plain + "\nresult = [Thing(1).run(n) for n in range(5)]", there)
        texts.append(there["result"])
    assert texts[0] == texts[1] == [7, 9, 11, 13, 15]


def test_it_is_the_same_every_time() -> None:
    folder = sources()
    modules = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.py")}
    turned = dict(reversed(modules.items()))
    assert compact(modules) == compact(turned)


def test_a_name_that_is_spelt_in_a_text_stays() -> None:
    assert "_first" in compact({"one.py": _ONE + "\ngetattr(Thing, '_first', 0)\n"})["one.py"]


def test_private_names_of_another_module_are_refused() -> None:
    with pytest.raises(EarwitnessError, match="_first, which is private"):
        compact({"one.py": _ONE, "two.py": "from one import Thing\nprint(Thing(1)._first)\n"})


def test_inherited_private_names_are_refused() -> None:
    with pytest.raises(EarwitnessError, match="inherits private names"):
        compact({"one.py": _ONE, "two.py": "import one\nclass Other(one.Thing):\n    pass\n"})


def test_values_that_change_places_are_written_as_micropython_does_it_without_a_tuple() -> None:
    text = "def f(a, b):\n    a, b = b, (a, 1)\n    a.c, b[0], d = a\n    e = f = a, b\n    return e\n"
    assert compact({"one.py": text})["one.py"].splitlines()[1:4] == [
        "    a, b = b, (a, 1)",
        "    a.c, b[0], d = a",
        "    e = f = (a, b)",
    ]
