"""The names that the installation takes for the chip's are those of MicroPython's image."""

from __future__ import annotations

from pathlib import Path

import pytest

from earwitness.install.names import chip_names
from tools import chip_names as image_names

pytestmark = pytest.mark.long


def test_the_list_of_names_is_that_of_the_image(uf2: Path) -> None:
    assert set(image_names.names(image_names.flash(uf2.read_bytes()))) - {""} == chip_names()
