"""Five faults that somebody with a soldering iron makes: each is found, and its sentence names the two places."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hardware.plans import Change, drop_wire, faults_after, rewire


def _card_lines_crossed(raw: dict[str, Any]) -> None:
    rewire(raw, "pico.CARD_MISO", "card.SO", "pico.CARD_MISO", "card.SI")
    rewire(raw, "pico.CARD_MOSI", "card.SI", "pico.CARD_MOSI", "card.SO")


def _cell_reversed(raw: dict[str, Any]) -> None:
    for joint in raw["joints"]:
        if ["cell.+", "shim.BAT+"] in joint["pairs"]:
            joint["pairs"] = [["cell.+", "shim.BAT-"], ["cell.-", "shim.BAT+"]]


FAULTS: dict[str, tuple[Change, list[str]]] = {
    "the microphone's word select and data are exchanged": (
        lambda raw: rewire(raw, "pico.MIC_DATA", "microphone.DOUT", "pico.MIC_DATA", "microphone.LRCL"),
        ["pico.MIC_DATA to microphone.LRCL, joins MIC_DATA and MIC_WORD_SELECT", "nothing connects microphone.DOUT"],
    ),
    "the card's two data lines are crossed": (
        _card_lines_crossed,
        ["card.SI, joins CARD_MISO and CARD_MOSI", "card.SO, joins CARD_MOSI and CARD_MISO"],
    ),
    "the microphone's ground was forgotten": (
        lambda raw: drop_wire(raw, "board.GND", "microphone.GND"),
        ["GND: nothing connects microphone.GND to shim.GND"],
    ),
    "the cable's 5 V go to the pin without the divider": (
        lambda raw: rewire(raw, "pico.USB_POWER", "board.USB_POWER", "pico.USB_POWER", "board.VBUS"),
        ["pico.USB_POWER to board.VBUS, joins USB_POWER and VBUS"],
    ),
    "the cell is the wrong way round": (
        _cell_reversed,
        ["the joint of cell.+ and shim.BAT- joins CELL and CELL_MINUS"],
    ),
    "the motor hangs on 3V3, with the microphone": (
        lambda raw: rewire(raw, "board.VSYS", "motor.RED", "board.3V3", "motor.RED"),
        ["board.3V3 to motor.RED, joins 3V3 and VSYS", "VSYS: nothing connects motor.RED"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wiring_fault_is_named(fault: str) -> None:
    change, words = FAULTS[fault]
    found = "\n".join(faults_after(change))
    for word in words:
        assert word in found
