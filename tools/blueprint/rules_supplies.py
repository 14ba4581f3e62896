"""Rules for the power: every part has it, at volts that it bears, and no supply gives more than it can."""

from __future__ import annotations

from collections.abc import Iterator

from tools.blueprint.plan import GROUND, Plan


def power_complete(plan: Plan) -> Iterator[str]:
    """Every module has ground and a supply, and every supply has the pin that feeds it."""
    for part in plan.parts.values():
        if part.kind != "module":
            continue
        nets = set(part.pins.values())
        if GROUND not in nets:
            yield f"{part.id} has no ground"
        if not nets & (set(plan.supplies) - {GROUND}):
            yield f"{part.id} has no supply"
    for net, supply in plan.supplies.items():
        if plan.net_of(supply.source_pin) not in (None, net):
            yield f"{net} comes from {supply.source_pin}, which is on {plan.net_of(supply.source_pin)}"


def volts_that_it_bears(plan: Plan) -> Iterator[str]:
    """No part is on a supply that is too high or too low for it."""
    for part in plan.parts.values():
        if not part.stands_volts:
            continue
        least, most = part.stands_volts
        for pin, net in part.pins.items():
            supply = plan.supplies.get(net)
            if supply is None or net == GROUND or supply.source_pin == f"{part.id}.{pin}":
                continue
            if not least <= supply.volts <= most:
                yield f"{part.id}.{pin} is on {net} ({supply.volts} V), but bears {least} to {most} V"


def drawn(plan: Plan, net: str) -> float:
    """The most milliamperes that are drawn from a supply, with what the supplies that it feeds draw."""
    own = sum(draw.ma for part in plan.parts.values() for draw in part.draws if draw.net == net)
    fed = sum(drawn(plan, to) * supply.fed_by[net] for to, supply in plan.supplies.items() if net in supply.fed_by)
    return own + fed


def enough_current(plan: Plan) -> Iterator[str]:
    """The sum of what is drawn from a supply, everything at once, stays below its limit; and every module says what it draws."""
    for net, supply in plan.supplies.items():
        total = drawn(plan, net)
        if supply.limit_ma and total > supply.limit_ma:
            yield f"{net}: {total:.0f} mA are drawn, {supply.limit_ma:.0f} mA may be"
    for part in plan.parts.values():
        if part.kind == "module" and not part.draws:
            yield f"{part.id} does not say what it draws"
        for draw in part.draws:
            if draw.net not in plan.supplies:
                yield f"{part.id} draws from {draw.net}, which is no supply"
