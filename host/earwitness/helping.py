"""The help of every command: plain text that reads as well on a narrow terminal."""

from __future__ import annotations

import functools
import re
import shutil
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

WIDEST: Final = 100
_NARROW: Final = 70  # below this, what an option does stands under its name
_HANGING: Final = 4
_SENTENCE: Final = 200  # letters: no command's first sentence is longer
_TYPE: Final = re.compile(r" <[\w\[\]]+>")  # of an argument: its help says what it is
_RANGE: Final = re.compile(r"\s*\[x>=\d+\]|; x>=\d+")


def _rows(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        row = param.get_help_record(ctx)
        if row is not None:
            name = "Arguments" if param.param_type_name == "argument" else getattr(param, "rich_help_panel", None)
            sections.setdefault(name or "Options", []).append((_TYPE.sub("", row[0]), _RANGE.sub("", row[1]).rstrip()))
    for name in sorted(sections, key=_place):
        with formatter.section(name):
            formatter.write_dl(sections[name])


def _place(section: str) -> int:
    return ("Arguments", "Options").index(section) if section in ("Arguments", "Options") else 2


def _fit(formatter: Any) -> None:
    formatter.width = max(min(shutil.get_terminal_size().columns, WIDEST) - 1, 20)
    if formatter.width < _NARROW:
        formatter.write_dl = functools.partial(formatter.write_dl, col_max=_HANGING)


class HelpfulCommand(TyperCommand):
    """A command with such help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write it."""
        _fit(formatter)
        super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, options, and last those that all commands share."""
        _rows(self, ctx, formatter)


class HelpfulGroup(TyperGroup):
    """The same for the program itself, and for `key`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write it."""
        _fit(formatter)
        super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The commands first: they are what is looked for."""
        rows = [(name, self.commands[name].get_short_help_str(_SENTENCE)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        _rows(self, ctx, formatter)
