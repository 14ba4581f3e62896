"""The list of parts to buy."""

from __future__ import annotations

import csv
import io

from tools.blueprint.plan import Part, Plan
from tools.blueprint.tables import markdown

HEAD = ("quantity", "parts", "name", "part number", "source", "price band each, GBP", "needed", "alternatives")


def groups(plan: Plan) -> list[list[Part]]:
    """Parts that are bought together."""
    found: dict[str, list[Part]] = {}
    for part in plan.parts.values():
        found.setdefault(part.name, []).append(part)
    return list(found.values())


def total(plan: Plan, optional: bool) -> tuple[float, float]:
    """Least and most pounds for one recorder, with or without the optional parts."""
    low = high = 0.0
    for part in plan.parts.values():
        if optional or not part.optional:
            least, _, most = part.price.partition("-")
            low, high = low + float(least), high + float(most)
    return low, high


def bom_csv(plan: Plan) -> str:
    """bom.csv: a line for everything that is bought together."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for parts in groups(plan):
        first = parts[0]
        ids = " ".join(part.id for part in parts)
        needed = "optional" if first.optional else "yes"
        writer.writerow(
            (len(parts), ids, first.name, first.number, first.seller, first.price, needed, first.alternatives)
        )
    return text.getvalue()


def bom_table(plan: Plan) -> str:
    """The same for the guide, shorter, and what it comes to."""
    rows = []
    for parts in groups(plan):
        first = parts[0]
        price = first.price.replace("-", " to ")
        rows.append((len(parts), first.name, first.number, price, "optional" if first.optional else "", "☐"))
    basic, whole = total(plan, False), total(plan, True)
    sums = (
        f"\nTogether about £{basic[0]:.0f} to £{basic[1]:.0f}, with the optional parts £{whole[0]:.0f} to £{whole[1]:.0f} "
        "(prices of 2026, estimates; small parts come in packs). Sellers and alternatives: [bom.csv](bom.csv).\n"
    )
    return markdown(("how many", "what", "part number", "£ each", "", "here"), rows) + sums
