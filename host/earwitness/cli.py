"""The program `earwitness`: its commands, and what becomes of errors.

One file per command in `commands/`; what takes time to import is imported when a command needs it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from earwitness import __version__
from earwitness.commands import (
    completion,
    devices,
    disclose,
    doctor,
    export,
    format,
    install,
    key,
    label,
    listing,
    minutes,
    note,
    pair,
    play,
    report,
    settings,
    show,
    stamp,
    status,
    stop,
    sync,
    unpair,
    verify,
)
from earwitness.console import command, console
from earwitness.errors import EarwitnessError, UsageError
from earwitness.helping import HelpfulCommand, HelpfulGroup

_EXIT_CODES = (
    "Exit codes: 0 ok · 1 other · 2 usage · 3 some items failed · 4 not complete or not continuous · 10 no recorder · "
    "11 busy · 12 not paired or key missing · 13 not what was sealed · 14 unknown version · 130 interrupted"
)

app = typer.Typer(
    name="earwitness",
    help="Sync, verify, play and export the recordings of an Earwitness pocket recorder.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    cls=HelpfulGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"earwitness {__version__}")
        raise typer.Exit


@app.callback()
@command
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


for _name, _function in (
    ("devices", devices.devices),
    ("pair", pair.pair),
    ("unpair", unpair.unpair),
    ("status", status.status),
    ("settings", settings.settings),
    ("stop", stop.stop),
    ("format", format.format_),
    ("sync", sync.sync),
    ("minutes", minutes.minutes),
    ("list", listing.list_),
    ("show", show.show),
    ("verify", verify.verify),
    ("play", play.play),
    ("export", export.export),
    ("disclose", disclose.disclose),
    ("label", label.label),
    ("note", note.note),
    ("stamp", stamp.stamp),
    ("report", report.report),
    ("install", install.install),
    ("doctor", doctor.doctor),
    ("completion", completion.completion),
):
    app.command(_name, cls=HelpfulCommand)(command(_function))
app.add_typer(key.app, name="key")


_VALUE_WORDS: Final = (
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"it is at least \1."),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"it is at most \1."),
    (re.compile(r"Input should be a valid integer.*"), "it is a whole number."),
    (re.compile(r"Input should be a valid number.*"), "it is a number."),
)


def _in_words(message: str) -> str:
    """What the parser says of a wrong value, as a person would."""
    for pattern, words in _VALUE_WORDS:
        message = pattern.sub(words, message)
    return message.replace("Invalid value for", "Wrong value for", 1)


def _fault(error: BaseException) -> int:
    """A fault of ours: one sentence, the details where they can be found."""
    import traceback

    from earwitness import places

    text = "".join(traceback.format_exception(error))
    where = ""
    with contextlib.suppress(OSError):
        path = places.state_dir() / "last-fault.txt"
        path.write_text(f"earwitness {__version__}, Python {sys.version}, {sys.platform}\n{text}", "utf-8")
        path.chmod(0o600)
        where = f"The details are in {path}; -v prints them. Please report it."
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    console.error(EarwitnessError(f"A fault in the program: {type(error).__name__}{place}.", where))
    if console.verbose:
        print(text, file=sys.stderr)
    return 1


def _system(error: OSError) -> EarwitnessError:
    """What the system refused, in words, with the file's name where it is known."""
    from earwitness.atomic import NO_ROOM

    name = str(error.filename or "")
    if error.errno in NO_ROOM:
        return EarwitnessError(
            f"There is no room left on the disk{f' for {name}' if name else ''}.",
            "Make room there, or choose another place; then run it again.",
        )
    if error.errno == errno.EFBIG:
        return EarwitnessError(
            f"{name or 'The file'} becomes larger than a file may be there.",
            "Choose another disk (FAT32 holds files up to 4 GB), or take it in parts.",
        )
    if error.errno == errno.EROFS:
        return EarwitnessError(
            f"{name or 'The file'} cannot be written: the disk there is read-only.",
            "Make it writable, or choose another place.",
        )
    hints = {
        PermissionError: "This account may not do that there; 'earwitness doctor' says more.",
        FileNotFoundError: "Check the name.",
    }
    hint = next((text for kind, text in hints.items() if isinstance(error, kind)), "")
    return EarwitnessError(f"{error.strerror or error}{f': {name}' if name else ''}", hint)


class _Stop:
    """What Ctrl-C does. Libraries that call Python turn it into errors of their own: `asked` tells what it was."""

    asked = False

    def __call__(self, _number: int, _frame: Any) -> None:
        self.asked = True
        raise KeyboardInterrupt


def _give_up_output() -> None:
    """Where stdout takes nothing any more, what is still to be written to it would be a second error at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(error: Exception) -> int:
    """Say what was wrong; returns the exit code."""
    if isinstance(error, EarwitnessError):
        console.error(error)
        return error.exit_code
    if isinstance(error, OSError):
        _give_up_output()
    if isinstance(error, BrokenPipeError):
        return 1
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # what typer raises for wrong words
        console.error(UsageError(_in_words(error.format_message()), "Add --help to see how it is used."))
        return 2
    if isinstance(error, OSError) and error.errno is not None and not console.verbose:
        console.error(_system(error))
        return 1
    return _fault(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    console.reset()
    stop = _Stop()
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, stop)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    console.json = "--json" in arguments  # known early, so that wrong words too are told as JSON
    if not arguments:
        arguments = ["--help"]
    try:
        code = app(args=arguments, standalone_mode=False, prog_name="earwitness")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        code = 130 if stop.asked else _failed(error)
    if code == 130:
        console.say("Stopped. Nothing is left half-written.")
    return code if isinstance(code, int) else 0
