"""What the firmware's names are called on the chip: by names that it has anyway, and nothing behaves otherwise."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earwitness.errors import EarwitnessError
from earwitness.install import image
from earwitness.install.compact import compact
from earwitness.install.names import Names, chip_names, fields

_PROGRAM = {
    "band/__init__.py": "",
    "band/errors.py": "class OutOfTune(ValueError):\n    pass\nclass FarOut(OutOfTune):\n    pass\n",
    "band/drum.py": """
from . import errors
from band.errors import FarOut as Far
loudness = 3
class Drum:
    beats = 0
    def __init__(self, skin, *, tension=1):
        self.skin = skin
        self.tension = tension
    def strike(self, times):
        global loudness
        loudness += times
        for beat in range(times):
            self.beats += beat
            yield self.beats
    @property
    def sound(self):
        return self.skin * self.tension
    def fail(self):
        raise Far("split")
def spelt(thing):
    return getattr(thing, "tension")
""",
    "band/stage.py": """
from band import drum
import band.drum as percussion
def concert():
    one = drum.Drum("boom", tension=2)
    struck = list(one.strike(4))
    try:
        one.fail()
    except percussion.errors.OutOfTune as error:
        said = type(error).__name__ + str(error)
    return [one.sound, struck, said, drum.spelt(one), percussion.loudness, len(struck), sorted(struck)[-1]]
""",
}


def _written(folder: Path, names: Names) -> None:
    for path, text in _PROGRAM.items():
        place = names.path(path)
        if place:
            (folder / place).write_text(names.source(path, text))


def test_the_program_does_the_same_under_the_names_of_the_chip(mpy: Callable[..., list[Any]], tmp_path: Path) -> None:
    names = Names(_PROGRAM)
    _written(tmp_path, names)
    beside = names.source("beside", "from band.stage import concert\nconcert_said = concert()\nemit(concert_said)")
    (said,) = mpy(f"sys.path.insert(0, {str(tmp_path)!r})\n{beside}")
    assert said == ["boomboom", [0, 1, 3, 6], "FarOutsplit", 2, 7, 4, 6]


def test_no_name_is_left_that_would_cost_memory() -> None:
    names = Names(_PROGRAM)
    texts = [names.source(path, text) for path, text in _PROGRAM.items()]
    left = {getattr(node, field) for text in texts for node, field in fields(ast.parse(text))} - chip_names()
    assert left == {"OutOfTune", "FarOut", "tension"}, (
        "names of errors are told to people; the other is spelt in a text"
    )
    places = [names.path(path) for path in _PROGRAM]
    assert places[0] is None, "a package with nothing in it"
    assert all(place and place[:-3] in chip_names() for place in places[1:])


def test_a_name_is_given_once_and_never_one_that_is_in_use() -> None:
    sources = {
        path.relative_to(image.sources()).as_posix(): path.read_text()
        for path in sorted(image.sources().rglob("recorder/**/*.py"))
    }
    program = compact(sources)
    used = {getattr(node, field) for text in program.values() for node, field in fields(ast.parse(text))}
    names = Names(program)
    given = dict(zip(sorted(used), (names.source("beside", name).strip() for name in sorted(used)), strict=True))
    changed = {name: new for name, new in given.items() if name != new}
    assert len(changed) > 500 and len(set(given.values())) == len(given)
    assert not set(changed.values()) & used
    assert set(changed.values()) <= chip_names() and not set(changed) & chip_names()


def test_names_that_others_use_and_modules_that_others_import_stay() -> None:
    names = Names(_PROGRAM, stay=["band/__init__.py", "band/stage.py"], leave=["strike"])
    assert names.path("band/__init__.py") == "band/__init__.py" and names.path("band/stage.py") == "band/stage.py"
    assert "def strike(" in names.source("band/drum.py", _PROGRAM["band/drum.py"])
    assert "concert" not in names.source("band/stage.py", _PROGRAM["band/stage.py"])


def test_what_runs_beside_the_program_keeps_clear_of_its_names() -> None:
    names = Names(_PROGRAM)
    drum = names.source("beside", "loudness").strip()
    assert names.source("beside", f"{drum} = 1\nprint({drum})") == f"{drum}_ = 1\nprint({drum}_)\n"
    with pytest.raises(EarwitnessError, match=f"beside uses {drum}: "):
        names.source("beside", f"print({drum})")


def test_a_part_of_a_package_that_is_imported_by_its_path_is_refused() -> None:
    with pytest.raises(EarwitnessError, match=r"imports band\.drum as a part of its package"):
        Names(_PROGRAM).source("beside", "import band.drum\nband.drum.loudness")
