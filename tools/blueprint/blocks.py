"""Tables inside documents that are written by hand: between two comments stands what is made, and only that is replaced."""

from __future__ import annotations

import re

from tools.blueprint.errors import PlanError


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: made by tools/hardware.py -->\n", f"<!-- end of {name} -->"


def fill(document: str, name: str, made: str) -> str:
    """The document with this block's text in place. Raises PlanError where the block is not there exactly once."""
    start, end = _marks(name)
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(document)) != 1:
        raise PlanError(f"the document has not one block {name!r} between its comments")
    return pattern.sub(lambda _: start + made + end, document)
