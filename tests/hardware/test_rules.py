"""Each rule of the plan, broken on purpose: the fault is named by that rule, and the plan as it is breaks none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hardware.plans import RAW, Change, drop_wire, faults_after, rewire
from tools.blueprint.plan import plan_of
from tools.blueprint.rules import RULES, faults


def _set(*path_and_value: Any) -> Change:
    *path, value = path_and_value

    def change(raw: dict[str, Any]) -> None:
        place = raw
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def _remove(*path: str) -> Change:
    def change(raw: dict[str, Any]) -> None:
        place = raw
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def _without_part(part: str) -> Change:
    def change(raw: dict[str, Any]) -> None:
        del raw["parts"][part]
        raw["board"]["column"].pop(part, None)

    return change


def _twice(raw: dict[str, Any]) -> None:
    raw["wires"]["card"].append(["card.CS", "pico.CARD_SELECT", "BK", 10])


BROKEN: list[tuple[str, Change, str]] = [
    ("legal_pins", _set("pins", "CARD_MISO", "gpio", 1), "CARD_MISO: GPIO 1 carries SPI0 CSn, not SPI0 RX"),
    ("legal_pins", _set("pins", "I2C_DATA", "gpio", 6), "I2C_DATA: GPIO 6 carries I2C1 SDA, not I2C0 SDA"),
    ("legal_pins", _set("blocks", "CARD_SPI", 1), "CARD_CLOCK: GPIO 18 carries SPI0 SCK, not SPI1 SCK"),
    ("legal_pins", _set("pins", "BATTERY", "gpio", 9), "BATTERY: GPIO 9 has no analogue input"),
    ("legal_pins", _set("pins", "LIGHT", "gpio", 31), "LIGHT: GPIO 31 is on no pad of the Pico W"),
    ("word_select_next_to_clock", _set("pins", "MIC_WORD_SELECT", "gpio", 9), "it must be GPIO 11"),
    ("no_radio_pin", _set("pins", "USB_POWER", "gpio", 24), "USB_POWER: GPIO 24 belongs to the radio"),
    ("no_radio_pin", _set("pins", "BATTERY", "gpio", 29), "BATTERY: GPIO 29 belongs to the radio"),
    ("nothing_twice", _set("pins", "LIGHT", "gpio", 21), "GPIO 21 is both LIGHT and MOTOR"),
    ("nothing_twice", _set("parts", "clock", "address", 0x36), "gauge and clock both answer at 0x36"),
    ("nothing_twice", _twice, "the wire from card.CS to pico.CARD_SELECT is there twice"),
    ("every_part_in_a_net", _set("parts", "motor", "pins", {}), "motor is in no net"),
    ("every_part_in_a_net", _without_part("gauge"), "ends at gauge.VIN, which no part has"),
    ("every_part_in_a_net", lambda raw: raw["parts"].pop("R5"), "R5 stands on the board, but is no part"),
    (
        "no_wire_between_nets",
        lambda raw: rewire(raw, "pico.LIGHT", "board.LIGHT", "pico.LIGHT", "board.MOTOR"),
        "pico.LIGHT to board.MOTOR, joins LIGHT and MOTOR",
    ),
    (
        "every_net_holds_together",
        lambda raw: drop_wire(raw, "pico.GND13", "led.K"),
        "GND: nothing connects led.K to shim.GND",
    ),
    ("every_net_holds_together", _set("parts", "led", "pins", "A", "ELSEWHERE"), "ELSEWHERE has only led.A in it"),
    ("pulls_where_needed", _without_part("R9"), "I2C_CLOCK: I2C needs a resistor"),
    ("pulls_where_needed", _set("pins", "SWITCH", "pull", "none"), "SWITCH: nothing pulls it"),
    ("pulls_where_needed", _remove("parts", "card", "pulls", "CS"), "CARD_SELECT: floats while the chip starts"),
    ("pulls_where_needed", _remove("parts", "microphone", "pulls"), "MIC_DATA: nothing pulls it"),
    ("dividers_fit_the_pin", _without_part("R2"), "USB_POWER gets 5.0 V from VBUS: more than 3.3 V"),
    ("dividers_fit_the_pin", _set("parts", "R2", "ohms", 10_000), "USB_POWER gets 0.5 V from VBUS: less than"),
    ("dividers_fit_the_pin", _set("pins", "USB_POWER", "pull", "down"), "pull-down would spoil the divider"),
    ("pins_drive_no_load", _set("parts", "led", "pins", "A", "LIGHT"), "led.A is on LIGHT without a resistor"),
    ("pins_drive_no_load", _set("parts", "motor", "pins", "BLUE", "MOTOR"), "motor.BLUE is on MOTOR without"),
    ("pins_drive_no_load", _set("parts", "Q1", "pins", "B", "MOTOR"), "Q1.B is on MOTOR without a resistor"),
    ("pins_drive_no_load", _without_part("D1"), "motor: no diode"),
    ("pins_drive_no_load", _set("parts", "D1", "pins", {"A": "VSYS", "K": "MOTOR_LOW"}), "motor: no diode"),
    ("power_complete", _remove("parts", "card", "pins", "GND"), "card has no ground"),
    ("power_complete", _remove("parts", "microphone", "pins", "3V"), "microphone has no supply"),
    ("power_complete", _set("supplies", "3V3", "from", "pico.VSYS"), "3V3 comes from pico.VSYS, which is on VSYS"),
    (
        "volts_that_it_bears",
        _set("parts", "card", "pins", "3V", "VSYS"),
        "card.3V is on VSYS (5.0 V), but bears 2.7 to",
    ),
    ("volts_that_it_bears", _set("parts", "microphone", "pins", "3V", "VBUS"), "microphone.3V is on VBUS (5.0 V)"),
    ("enough_current", _set("parts", "card", "draws", "3V3", "ma", 310), "3V3: 319 mA are drawn, 300 mA may be"),
    ("enough_current", _set("parts", "shim", "draws", "VBUS", "ma", 1000), "VBUS: 1276 mA are drawn, 500 mA may be"),
    ("enough_current", _set("parts", "motor", "draws", "VSYS", "ma", 400), "CELL: 576 mA are drawn, 500 mA may be"),
    ("enough_current", _remove("parts", "card", "draws"), "card does not say what it draws"),
    ("can_be_bought", _set("parts", "led", "price", "cheap"), "led: the price 'cheap' is no band"),
    ("can_be_bought", _set("parts", "led", "seller", ""), "led has no seller"),
    ("can_be_bought", _set("parts", "card", "draws", "3V3", "source", ""), "what it draws from 3V3 has no source"),
    ("has_a_size", _remove("parts", "card", "size_mm"), "card has no length, width and height"),
    ("has_a_size", _set("parts", "cell", "tolerance_mm", 0), "cell: its size has no tolerance"),
    ("fits_the_board", _set("board", "column", "R9", 6), "R7 and R9 lie on each other in column 6"),
    ("fits_the_board", _set("board", "column", "R9", 16), "R9 stands in column 16, the board has 1 to 15"),
    ("fits_the_board", _remove("board", "column", "C1"), "C1 has no place on the board"),
    ("fits_the_board", _set("board", "columns", 13), "has no free hole for wire"),
    ("fits_the_board", lambda raw: raw["board"]["rows"].remove("BASE"), "Q1: the board has no strip BASE"),
    (
        "fits_the_board",
        lambda raw: _swap_rows(raw, "BASE", "VBUS"),
        "Q1: its three legs are not in neighbouring strips",
    ),
    (
        "fits_the_board",
        lambda raw: _swap_rows(raw, "USB_POWER", "I2C_CLOCK"),
        "R1: its legs are 1 strips apart, it needs 3",
    ),
    (
        "room_for_every_part",
        _set("case", "places", "clock", "at_mm", [44, 30, 0]),
        "cell and clock stand in each other's room",
    ),
    (
        "room_for_every_part",
        _set("case", "places", "card", "at_mm", [78, 39.6, 0]),
        "card stands 2.1 mm out of the case",
    ),
    (
        "air_at_the_antenna",
        _set("case", "places", "cell", "at_mm", [42, 25, 0]),
        "cell comes nearer to the antenna than 5.0 mm",
    ),
]


def _swap_rows(raw: dict[str, Any], one: str, other: str) -> None:
    rows = raw["board"]["rows"]
    first, second = rows.index(one), rows.index(other)
    rows[first], rows[second] = other, one


def test_the_plan_breaks_no_rule() -> None:
    assert faults(plan_of(RAW)) == []


@pytest.mark.parametrize(("rule", "change", "words"), BROKEN, ids=[f"{rule}-{words[:40]}" for rule, _, words in BROKEN])
def test_what_breaks_a_rule_is_named_by_it(rule: str, change: Change, words: str) -> None:
    found = faults_after(change)
    assert any(fault.startswith(f"{rule}: ") and words in fault for fault in found), found


def test_every_rule_is_broken_by_some_test() -> None:
    assert {rule.__name__ for rule in RULES} == {rule for rule, _, _ in BROKEN}
