"""Rules for the list of parts and the stripboard: one can buy it, it has a size with a source, and it fits its holes."""

from __future__ import annotations

from collections.abc import Iterator

from tools.blueprint import stripboard
from tools.blueprint.plan import Plan


def can_be_bought(plan: Plan) -> Iterator[str]:
    """Every part has a number, a seller, a price band and a use; every figure its source."""
    for part in plan.parts.values():
        low, _, high = part.price.partition("-")
        try:
            sound = 0 < float(low) <= float(high)
        except ValueError:
            sound = False
        if not sound:
            yield f"{part.id}: the price {part.price!r} is no band such as 2-5"
        for word, value in (("number", part.number), ("seller", part.seller), ("use", part.does)):
            if not value:
                yield f"{part.id} has no {word}"
        for draw in part.draws:
            if not draw.source:
                yield f"{part.id}: what it draws from {draw.net} has no source"
    for supply in plan.supplies.values():
        if supply.limit_ma and not supply.source:
            yield f"{supply.net}: its limit has no source"


def has_a_size(plan: Plan) -> Iterator[str]:
    """What goes into the case has three sizes, a tolerance and a source for them."""
    for part in plan.parts.values():
        if part.kind in ("lead", "loose") and not part.size_mm:
            continue
        if len(part.size_mm) != 3 or min(part.size_mm, default=0) <= 0:
            yield f"{part.id} has no length, width and height"
        elif part.tolerance_mm <= 0 or not part.size_source:
            yield f"{part.id}: its size has no tolerance or no source"


def fits_the_board(plan: Plan) -> Iterator[str]:
    """On the stripboard no hole is used twice, no part lies on another, and every leg meets the strip of its net."""
    board = plan.board
    for net in {net for net in board.rows if board.rows.count(net) > 1}:
        yield f"the board has two strips {net}"
    for part in plan.parts.values():
        if part.kind == "lead" and part.id not in board.column:
            yield f"{part.id} has no place on the board"
    for part_id, column in board.column.items():
        legs = plan.parts[part_id].pins.values() if part_id in plan.parts else ()
        if not 1 <= column <= board.columns:
            yield f"{part_id} stands in column {column}, the board has 1 to {board.columns}"
        for net in legs:
            if net not in board.rows:
                yield f"{part_id}: the board has no strip {net}"
    yield from stripboard.clashes(plan)
