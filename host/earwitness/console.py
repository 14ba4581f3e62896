"""How the commands talk: results on stdout, everything else on stderr, each thing once, in text or as JSON.

With `--json`, stdout holds exactly one JSON document, and progress goes to stderr as JSON lines.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, ParamSpec, TextIO, TypeVar

import typer

from earwitness.errors import EarwitnessError, KeyMissingError, UsageError
from earwitness.plain import printable

MIN_PASSPHRASE: Final = 10
_P = ParamSpec("_P")
_R = TypeVar("_R")
_COLOURS: Final = {"good": "32", "bad": "31", "unsure": "33", "dim": "2", "bold": "1"}
_PAINTED: Final = re.compile(rf"(\x1b\[(?:0|{'|'.join(_COLOURS.values())})m)")


def _clean(text: str) -> str:
    """Only our own colours reach the terminal: what a title, a name or a file says may not move its cursor."""
    return "".join(part if number % 2 else printable(part) for number, part in enumerate(_PAINTED.split(text)))


class Console:
    """The state of one run."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As at the start of the program."""
        self.json = False
        self.quiet = False
        self.verbose = False
        self.passphrase_fd: int | None = None
        self._passphrase: str | None = None

    def paint(self, text: str, style: str, stream: TextIO | None = None) -> str:
        """Coloured for a terminal that wants colours, else as it is."""
        out = stream or sys.stdout
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not out.isatty()
        return text if plain or self.json else f"\x1b[{_COLOURS[style]}m{printable(text)}\x1b[0m"

    def result(self, text: str, data: Any) -> None:
        """What the command was run for: `text` for people, `data` for programs."""
        if self.json:
            text = json.dumps(data, ensure_ascii=False, indent=2, default=str)
        if text:
            print(_clean(text), file=sys.stdout, flush=True)

    def say(self, text: str) -> None:
        """Talk, unless `-q`."""
        if not self.quiet:
            print(f"earwitness: {_clean(text)}", file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """Talk that only `-v` wants."""
        if self.verbose:
            self.say(text)

    def prompt(self, text: str) -> str:
        """Ask for a line; the question goes to stderr, the answer comes from stdin."""
        print(_clean(text), end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            raise EarwitnessError("An answer was needed and there was none.", "Run it again in a terminal.")
        return line.strip()

    def prompt_unseen(self, text: str) -> str:
        """The same for what nobody else should read: on a terminal it is not shown."""
        if not sys.stdin.isatty():
            return self.prompt(text)
        import getpass

        return getpass.getpass(text, stream=sys.stderr).strip()

    def passphrase(self, text: str = "Passphrase: ") -> str:
        """A passphrase from the terminal without showing it, or from the file descriptor that was named."""
        if self._passphrase is not None:
            return self._passphrase
        if self.passphrase_fd is not None:
            try:
                with os.fdopen(self.passphrase_fd, "r", encoding="utf-8") as file:
                    self._passphrase = file.readline().rstrip("\r\n")
            except OSError:
                raise UsageError(f"There is no open file descriptor {self.passphrase_fd}.") from None
            return self._passphrase
        if not sys.stdin.isatty():
            raise KeyMissingError(
                "The key is locked with a passphrase and there is no terminal to ask on.",
                "Run it in a terminal, or give the passphrase on a file descriptor with --passphrase-fd.",
            )
        import getpass

        self._passphrase = getpass.getpass(text, stream=sys.stderr)
        return self._passphrase

    def new_passphrase(self) -> str:
        """A new passphrase, typed twice on a terminal."""
        if self.passphrase_fd is not None:
            return self.passphrase()
        if not sys.stdin.isatty():
            raise EarwitnessError(
                "A new key is locked with a passphrase, and there is no terminal to ask for one.",
                "Run it in a terminal, or give one with --passphrase-fd; --no-passphrase keeps the key in a plain file.",
            )
        first = self.passphrase(
            f"Choose a passphrase of at least {MIN_PASSPHRASE} characters, four or five words do well "
            "(it locks the key on this computer): "
        )
        self._passphrase = None
        if len(first) < MIN_PASSPHRASE:
            raise UsageError(f"The passphrase needs at least {MIN_PASSPHRASE} characters.", "Run it again.")
        if self.passphrase("The same once more: ") != first:
            raise UsageError("The two were not the same.", "Run it again.")
        return first

    def error(self, error: EarwitnessError) -> None:
        """An error in words, and what to do."""
        if self.json:
            data = {"error": {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}}
            print(json.dumps(data, ensure_ascii=False, indent=2), flush=True)
        print(f"earwitness: {_clean(self.paint(error.message, 'bad', sys.stderr))}", file=sys.stderr)
        if error.hint:
            print(f"            {_clean(error.hint)}", file=sys.stderr)
        sys.stderr.flush()


console: Final = Console()

_PANEL: Final = "Everywhere"
_COMMON: Final = {
    "json": Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=_PANEL)],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.", rich_help_panel=_PANEL)],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=_PANEL)],
    "passphrase_fd": Annotated[
        int | None,
        typer.Option(metavar="N", help="Read the passphrase from this file descriptor.", rich_help_panel=_PANEL),
    ],
}


def command(function: Callable[_P, _R]) -> Callable[..., _R]:
    """Give a command the options that every command has."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> _R:
        console.json |= bool(kwargs.pop("json", False))
        console.quiet |= bool(kwargs.pop("quiet", False))
        console.verbose |= bool(kwargs.pop("verbose", False))
        fd = kwargs.pop("passphrase_fd", None)
        console.passphrase_fd = console.passphrase_fd if fd is None else fd
        return function(*args, **kwargs)

    signature = inspect.signature(function, eval_str=True)
    extra = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None if name == "passphrase_fd" else False, annotation=kind
        )
        for name, kind in _COMMON.items()
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *extra])  # type: ignore[attr-defined]
    run.__annotations__ = {
        **{name: parameter.annotation for name, parameter in signature.parameters.items()},
        **_COMMON,
    }
    return run
