"""`earwitness completion`."""

from __future__ import annotations

from typing import Annotated

import typer

from earwitness.console import console
from earwitness.errors import UsageError

_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh, fish, powershell or pwsh.")],
) -> None:
    """Print a script that completes commands with Tab; put it where your shell looks for such scripts."""
    from typer import completion as typer_completion

    if shell not in _SHELLS:
        raise UsageError(f"There is no script for {shell}.", "There is one for bash, zsh, fish, powershell and pwsh.")
    make = typer_completion.get_completion_script  # type: ignore[attr-defined]  # imported there, not declared
    script = make(prog_name="earwitness", complete_var="_EARWITNESS_COMPLETE", shell=shell)
    console.result(script, {"shell": shell, "script": script})
