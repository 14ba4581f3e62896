"""What the commands that speak to a recorder share: how it is named, and waiting for a hand on its button."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Final

import typer

from earwitness.console import console

PortOption = Annotated[str | None, typer.Option("--port", metavar="PORT", help="Where it is plugged in, if not found.")]
WhichOption = Annotated[
    str | None,
    typer.Option(
        "--recorder", metavar="NAME", help="Which one, if there are several: its name or the start of its key."
    ),
]

_PATIENCE_S: Final = 60.0
_AGAIN_S: Final = 0.3


def button_waiter(words: str = "Hold the recorder's button down.") -> Callable[[], bool]:
    """Says once what is wanted, then whether to ask the recorder again."""
    until = time.monotonic() + _PATIENCE_S
    asked = False

    def wait() -> bool:
        nonlocal asked
        if not asked:
            console.say(words)
            asked = True
        time.sleep(_AGAIN_S)
        return time.monotonic() < until

    return wait
