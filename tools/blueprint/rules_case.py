"""Rules of the case that need no solids: room for every part, and air around the antenna."""

from __future__ import annotations

from collections.abc import Iterator

from tools.blueprint import case
from tools.blueprint.errors import PlanError
from tools.blueprint.plan import Plan


def room_for_every_part(plan: Plan) -> Iterator[str]:
    """Every part with a place is inside the case, and in nobody else's room."""
    try:
        case.rooms(plan)
    except PlanError as error:
        yield str(error)
        return
    for one, other in case.overlaps(plan):
        yield f"{one} and {other} stand in each other's room"


def air_at_the_antenna(plan: Plan) -> Iterator[str]:
    try:
        case.rooms(plan)
    except PlanError:
        return  # the rule above names it
    for name in case.metal_near_antenna(plan):
        yield f"{name} comes nearer to the antenna than {plan.raw['case']['antenna_gap_mm']} mm"
