"""Everything made from device.toml is as it makes it; whatever is changed by hand, or not made again, is found and named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hardware.plans import RAW, ROOT

_NEEDED = (
    "README.md",
    "hardware",
    "firmware/recorder/hal/pins.py",
    "firmware/recorder/indicator.py",
    "firmware/recorder/gestures.py",
)


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/hardware.py"), "--root", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the tool reads and writes, elsewhere."""
    for name in _NEEDED:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return tmp_path


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_file_is_as_the_plan_makes_it() -> None:
    result = _run(ROOT, "--check")
    assert result.returncode == 0, result.stderr


def test_a_changed_pin_fails_until_everything_is_made_again(copy: Path) -> None:
    _replace(copy / "hardware/device.toml", "LIGHT = { gpio = 13,", "LIGHT = { gpio = 7,")
    failed = _run(copy, "--check")
    assert failed.returncode == 1
    for name in (
        "firmware/recorder/hal/pins.py",
        "hardware/WIRING.md",
        "hardware/README.md",
        "hardware/pictures/wiring.svg",
        "hardware/pictures/wiring-pico.png",
        "hardware/pictures/pico.png",
    ):
        assert f"{name} is not what hardware/device.toml makes" in failed.stderr
    assert "QUICKCARD" not in failed.stderr  # nothing of it is on the card
    made = _run(copy)
    assert made.returncode == 0, made.stderr
    assert _run(copy, "--check").returncode == 0
    assert "LIGHT = const(7)" in (copy / "firmware/recorder/hal/pins.py").read_text(encoding="utf-8")
    assert "GP7 LIGHT" in (copy / "hardware/pictures/wiring-pico.svg").read_text(encoding="utf-8")


def test_a_plan_that_breaks_a_rule_is_not_made(copy: Path) -> None:
    _replace(copy / "hardware/device.toml", "LIGHT = { gpio = 13,", "LIGHT = { gpio = 23,")
    before = (copy / "firmware/recorder/hal/pins.py").read_bytes()
    result = _run(copy)
    assert result.returncode == 1
    assert "no_radio_pin: LIGHT: GPIO 23 belongs to the radio" in result.stderr
    assert (copy / "firmware/recorder/hal/pins.py").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("firmware/recorder/hal/pins.py", "MOTOR = const(21)", "MOTOR = const(20)"),
        ("hardware/bom.csv", "SC0918", "SC0917"),
        ("hardware/WIRING.md", "| 19 | GP14 |", "| 20 | GP14 |"),
        ("hardware/README.md", "| 1 | Pico pad 39 (VSYS)", "| 1 | Pico pad 40 (VSYS)"),
        ("hardware/POWER.md", "| recording | 64 MHz |", "| recording | 48 MHz |"),
        ("hardware/pictures/stripboard.svg", "LED_ANODE", "LED_KATHODE"),
        ("hardware/pictures/wiring.svg", "CARD_MISO", "CARD_MOSI"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_named(copy: Path, name: str, old: str, new: str) -> None:
    _replace(copy / name, old, new)
    result = _run(copy, "--check")
    assert result.returncode == 1
    assert f"{name} is not what" in result.stderr


def test_a_changed_or_missing_picture_is_named(copy: Path) -> None:
    (copy / "hardware/QUICKCARD.pdf").unlink()
    picture = copy / "hardware/pictures/pico.png"
    picture.write_bytes(picture.read_bytes()[:-1])
    result = _run(copy, "--check")
    assert result.returncode == 1
    assert "QUICKCARD.pdf is not" in result.stderr and "pico.png is not" in result.stderr


def test_a_document_that_lost_a_table_is_named(copy: Path) -> None:
    _replace(copy / "hardware/README.md", "<!-- end of wires -->", "")
    result = _run(copy, "--check")
    assert result.returncode == 1
    assert "not one block 'wires'" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("[pins\n", "device.toml"), ("[pins]\n", "KeyError"), (None, "device.toml")],
    ids=["no TOML", "parts missing", "no file"],
)
def test_an_unreadable_plan_ends_in_a_sentence(copy: Path, text: str | None, words: str) -> None:
    path = copy / "hardware/device.toml"
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    result = _run(copy, "--check")
    assert result.returncode == 1
    assert words in result.stderr and "Traceback" not in result.stderr


def test_the_firmware_s_pins_are_the_plan_s(tmp_path: Path) -> None:
    """Under MicroPython itself, which knows const()."""
    names = list(RAW["pins"]) + list(RAW["blocks"])
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'firmware/recorder/hal')!r}); import pins; print([getattr(pins, n) for n in {names!r}])"
    result = subprocess.run(["micropython", "-c", script], capture_output=True, text=True, check=True)
    wanted = [pin["gpio"] for pin in RAW["pins"].values()] + list(RAW["blocks"].values())
    assert result.stdout.strip() == str(wanted)


def test_the_guide_names_only_wires_strips_and_files_that_are_there() -> None:
    guide = (ROOT / "hardware/README.md").read_text(encoding="utf-8")
    count = sum(len(wires) for wires in RAW["wires"].values())
    for number in re.findall(r"\*\*Wire (\d+)\*\*", guide):
        assert int(number) <= count
    for target in re.findall(r"\]\(([^)#:]+)", guide):
        assert (ROOT / "hardware" / target).exists(), target
