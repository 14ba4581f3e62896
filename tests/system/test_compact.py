"""What is installed is not the text that the other tests run (install/compact.py, names.py): it records, mutes, marks and verifies as well."""

from __future__ import annotations

import ast
from pathlib import Path

from earwitness.install.compact import compact
from earwitness.install.image import sources
from earwitness.install.names import Names, identifiers
from tests.system.kit import READY_S, make_pairing, speech

_VIRTUAL = Path(__file__).resolve().parents[2] / "tools" / "virtual"
_MAIN = """
import sys
for name in tuple(sys.modules):
    if name.split(".")[0] in ("recorder", "virtual_hal", "hal"):
        del sys.modules[name]
sys.path.insert(0, {folder!r})
import virtual_hal
from recorder import session
assert session.__file__.startswith({folder!r})
session.Session().run()
"""


def _installed(folder: Path) -> Names:
    """The firmware in `folder` with the names that the chip has; around the virtual hardware, which keeps its own."""
    hardware = "\n".join(path.read_text() for path in sorted(_VIRTUAL.glob("**/*.py")) if "ble" not in path.parts)
    modules = {path.relative_to(sources()).as_posix(): path.read_text() for path in sources().rglob("*.py")}
    program = {path: text for path, text in compact(modules).items() if not path.startswith("recorder/hal/")}
    asked_for = {
        node.module.replace(".", "/") + ".py"
        for node in ast.walk(ast.parse(hardware))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("recorder.")
    }
    names = Names(program, stay={"recorder/__init__.py", *asked_for}, leave=identifiers(hardware))
    for path, text in program.items():
        place = names.path(path)
        if place:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(names.source(path, text))
    return names


def test_the_installed_firmware_records(tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    names = _installed(folder)
    assert names.path("recorder/session.py") != "recorder/session.py" and (folder / "recorder/__init__.py").exists()
    main = tmp_path / "main.py"
    main.write_text(names.source("main.py", _MAIN.format(folder=str(folder))))
    paired = make_pairing(tmp_path / "paired")
    at = READY_S
    story = f"{at}:on {at + 1}:mark {at + 2}:mute {at + 7}:unmute {at + 12}:off"
    with paired.recorder(tmp_path, speech(14), settings={"main": str(main)}) as recorder:
        recorder.run(story, settle=3)
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0
    assert len(item.verdict.marks) == 1
    assert [gap.reason for gap in item.verdict.gaps] == ["muted"]
