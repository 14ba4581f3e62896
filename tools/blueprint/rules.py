"""All rules of the plan, by name. A rule yields a sentence for everything that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tools.blueprint import rules_case, rules_nets, rules_parts, rules_pins, rules_supplies
from tools.blueprint.plan import Plan

Rule = Callable[[Plan], Iterator[str]]

RULES: tuple[Rule, ...] = (
    rules_pins.legal_pins,
    rules_pins.word_select_next_to_clock,
    rules_pins.no_radio_pin,
    rules_pins.nothing_twice,
    rules_nets.every_part_in_a_net,
    rules_nets.no_wire_between_nets,
    rules_nets.every_net_holds_together,
    rules_nets.pulls_where_needed,
    rules_nets.dividers_fit_the_pin,
    rules_nets.pins_drive_no_load,
    rules_supplies.power_complete,
    rules_supplies.volts_that_it_bears,
    rules_supplies.enough_current,
    rules_parts.can_be_bought,
    rules_parts.has_a_size,
    rules_parts.fits_the_board,
    rules_case.room_for_every_part,
    rules_case.air_at_the_antenna,
)


def faults(plan: Plan) -> list[str]:
    """What breaks the rules, each with the rule's name in front; empty where the plan can be built."""
    return [f"{rule.__name__}: {fault}" for rule in RULES for fault in rule(plan)]
