"""What is installed is not the text that the other tests run (install/compact.py): it records, mutes, marks and verifies as well."""

from __future__ import annotations

from pathlib import Path

from earwitness.install.compact import compact
from earwitness.install.image import sources
from tests.system.kit import READY_S, make_pairing, speech

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


def test_the_installed_firmware_records(tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    modules = {path.relative_to(sources()).as_posix(): path.read_text() for path in sources().rglob("*.py")}
    for name, text in compact(modules).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    main = tmp_path / "main.py"
    main.write_text(_MAIN.format(folder=str(folder)))
    paired = make_pairing(tmp_path / "paired")
    at = READY_S
    story = f"{at}:on {at + 1}:mark {at + 2}:mute {at + 7}:unmute {at + 12}:off"
    with paired.recorder(tmp_path, speech(14), settings={"main": str(main)}) as recorder:
        recorder.run(story, settle=3)
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0
    assert len(item.verdict.marks) == 1
    assert [gap.reason for gap in item.verdict.gaps] == ["muted"]
