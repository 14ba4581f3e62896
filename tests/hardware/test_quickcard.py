"""The quick card says what README and firmware say, and these two agree: a word or a shape that is changed in one alone is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.hardware.plans import ROOT
from tools.blueprint import quickcard, shapes
from tools.blueprint.errors import PlanError

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHAPES, TIMES = shapes.read_shapes(ROOT / "firmware")


def test_readme_and_firmware_agree() -> None:
    assert quickcard.disagreements(README, SHAPES, TIMES) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("| three flashes, pause | card full |", "| four flashes, pause | card full |", "CARD_FULL: README says 'four"),
        ("| steady | recording", "| a fast flicker | recording", "RECORDING: README says 'a fast flicker'"),
        ("| five flashes, pause | battery low |\n", "", "BATTERY_LOW: the firmware shows it, README does not say so"),
        ("| two flashes, pause | no card |", "| two flashes, pause | out of paper |", "means 'out of paper'"),
        (
            "| slide it off | stop, finish, seal | two pulses |",
            "| slide it off | stop, finish, seal | a tick |",
            "STOPPED",
        ),
        ("| hold 2 seconds, within", "| hold 1 seconds, within", "README says 'hold 1 seconds"),
        ("| hold 3 seconds | off", "| hold 4 seconds | off", "README says 'hold 4 seconds"),
        ("it also buzzes three times, short", "it also buzzes twice", "REFUSED"),
    ],
)
def test_a_word_changed_in_the_readme_alone_is_named(old: str, new: str, words: str) -> None:
    assert old in README
    assert any(words in fault for fault in quickcard.disagreements(README.replace(old, new), SHAPES, TIMES))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("RECORDING", (500, 500)),
        ("MUTED", (80, 2920)),
        ("WAIT", None),
        ("NO_CARD", (150, 250, 150, 250, 150, 1450)),
        ("UNPAIRED", (300, 300, 300, 300)),
        ("SELF_TEST", (500, 500)),
        ("SYNCING", (80, 120, 80, 120, 80, 520)),
        ("START", (60,)),
        ("STOPPED", (150,)),
        ("SECOND_TICK", (60,)),
        ("NOTICE", (150,)),
        ("MUTE", (400,)),
        ("REFUSED", (80, 80, 80)),
        ("WARN", (500,)),
    ],
)
def test_a_shape_changed_in_the_firmware_alone_is_named(name: str, shape: tuple[int, ...] | None) -> None:
    found = quickcard.disagreements(README, {**SHAPES, name: shape}, TIMES)
    assert any(fault.startswith(f"{name}: ") for fault in found), found


@pytest.mark.parametrize(
    ("name", "value"), [("_NOTICE_US", 2_500_000), ("_HOLD_US", 5_000_000), ("_HOLD_US", 1_900_000)]
)
def test_a_time_changed_in_the_firmware_alone_is_named(name: str, value: int) -> None:
    assert quickcard.disagreements(README, SHAPES, {**TIMES, name: value})


def test_a_shape_that_the_firmware_lost_is_named(tmp_path: Path) -> None:
    (tmp_path / "recorder").mkdir()
    for name in ("indicator.py", "gestures.py"):
        source = (ROOT / "firmware/recorder" / name).read_text(encoding="utf-8")
        (tmp_path / "recorder" / name).write_text(source.replace("CARD_FULL =", "FULL_CARD ="), encoding="utf-8")
    with pytest.raises(PlanError, match="CARD_FULL"):
        shapes.read_shapes(tmp_path)


def test_the_printed_card_is_one_page_and_says_everything() -> None:
    pages = PdfReader(ROOT / "hardware/QUICKCARD.pdf").pages
    assert len(pages) == 1
    assert (round(float(pages[0].mediabox.width)), round(float(pages[0].mediabox.height))) == (595, 842)
    text = " ".join(pages[0].extract_text().replace("’", "'").split())
    assert quickcard.sentence(README) in text
    for row in quickcard.gesture_rows(README) + quickcard.light_rows(README):
        for cell in row:
            words = cell.replace("`", "").replace("**", "")
            assert "".join(words.split()) in "".join(text.split()), cell
