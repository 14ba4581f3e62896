"""The power budget is the sum of its figures, and follows them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.hardware.plans import RAW, ROOT
from tools.blueprint import bom, power
from tools.blueprint.plan import Plan, plan_of
from tools.blueprint.shapes import constants


def _column(plan: Plan, state: str, mhz: int) -> power.Column:
    return next(column for column in power.columns(plan) if (column.state, column.mhz) == (state, mhz))


def _plan(**changes: Any) -> Plan:
    raw = copy.deepcopy(RAW)
    raw["power"].update(changes)
    return plan_of(raw)


def test_the_bare_board_lies_on_the_line_through_what_was_measured() -> None:
    low, high = sorted(RAW["power"]["measured"], key=lambda point: float(point["mhz"]))
    column = _column(_plan(), "recording", 125)
    assert high["mhz"] == 125
    assert column.rows["Pico W, waiting"] == pytest.approx(high["ma"] * high["volts"] / RAW["power"]["cell_volts"])
    middle = _plan(states=[{"name": "recording", "clocks_mhz": [(18 + 125) / 2], "busy_mhz": 0}])
    between = power.columns(middle)[0].rows["Pico W, waiting"] * RAW["power"]["cell_volts"] / 5.0
    assert between == pytest.approx((low["ma"] + high["ma"]) / 2)


def test_hours_are_the_usable_capacity_through_the_sum() -> None:
    plan = _plan()
    column = _column(plan, "recording", 64)
    assert power.hours(plan, column, 500) == pytest.approx(500 * RAW["power"]["usable"] / sum(column.rows.values()))
    assert 10 < power.hours(plan, column, 500) < 30  # what can be at all
    assert power.hours(plan, column, 1000) == pytest.approx(2 * power.hours(plan, column, 500))


def test_a_lower_clock_and_a_thriftier_card_last_longer() -> None:
    plan = _plan()
    assert power.hours(plan, _column(plan, "recording", 64), 500) > power.hours(
        plan, _column(plan, "recording", 125), 500
    )
    raw = copy.deepcopy(RAW)
    next(draw for draw in raw["power"]["draws"] if draw["part"] == "card")["ma"]["recording"] = 1.0
    thrifty = plan_of(raw)
    saved = _column(plan, "recording", 64).total_ma - _column(thrifty, "recording", 64).total_ma
    assert saved == pytest.approx(2.0 * 3.3 / (3.7 * RAW["power"]["regulator"]))


def test_the_radio_takes_nothing_but_by_bluetooth() -> None:
    for column in power.columns(_plan()):
        assert (column.rows["radio"] > 0) == (column.state == "syncing by Bluetooth")


def test_the_light_and_the_clocks_are_the_firmware_s() -> None:
    shown = constants((ROOT / "firmware/recorder/indicator.py").read_text(encoding="utf-8"))
    lit = next(draw for draw in RAW["power"]["draws"] if draw["part"] == "led")["ma"]["recording"]
    assert lit == pytest.approx((3.3 - 1.9) / RAW["parts"]["R5"]["ohms"] * 1000 * shown["_BRIGHTNESS"] / 255, abs=0.01)
    speeds = constants((ROOT / "firmware/recorder/hal/power.py").read_text(encoding="utf-8"))
    page = (ROOT / "hardware/POWER.md").read_text(encoding="utf-8")
    assert (
        f"Recording runs at {speeds['_RECORDING_HZ'] // 10**6} MHz, waiting at {speeds['_RESTING_HZ'] // 10**6} MHz,"
        f" everything else at {speeds['_FULL_HZ'] // 10**6} MHz" in page
    )
    columns = {(column.state, column.mhz) for column in power.columns(_plan())}
    assert {("recording", 64), ("recording", 125), ("idle", speeds["_RESTING_HZ"] // 10**6)} <= columns


def test_every_figure_has_a_source_and_every_part_exists() -> None:
    for figure in RAW["power"]["draws"] + RAW["power"]["measured"]:
        assert figure["source"]
    for draw in RAW["power"]["draws"]:
        assert draw["part"] in RAW["parts"] and draw["net"] in RAW["supplies"]
        assert set(draw["ma"]) <= {state["name"] for state in RAW["power"]["states"]}


def test_the_page_shows_the_hours_that_come_out() -> None:
    plan = plan_of(RAW)
    page = (ROOT / "hardware/POWER.md").read_text(encoding="utf-8")
    for column in power.columns(plan):
        if not column.by_cable:
            cells = (f"{power.hours(plan, column, mah):.0f} h" for mah in (400, 500, 1000))
            assert f"| {column.state} | {column.mhz} MHz | {column.total_ma:.0f} mA | " + " | ".join(cells) in page


def test_every_part_is_bought_once() -> None:
    plan = plan_of(RAW)
    lines = bom.bom_csv(plan).splitlines()
    assert lines[0].split(",")[0] == "quantity"
    assert sum(len(parts) for parts in bom.groups(plan)) == len(plan.parts)
    assert sum(int(line.split(",")[0]) for line in lines[1:]) == len(plan.parts)
    assert any(line.startswith("4,R1 R2 R3 R4,") for line in lines)


def test_the_cell_limits_follow_the_smallest_cell_of_the_page() -> None:
    """Everything at once must not be more than 1 C of any cell that the page promises hours for."""
    from tools.blueprint.rules_supplies import drawn

    assert drawn(plan_of(RAW), "CELL") <= min(RAW["power"]["cells_mah"])
