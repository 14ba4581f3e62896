"""`earwitness key`: make, show, back up and restore the owner's key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from earwitness.commands import _recovery
from earwitness.console import command, console
from earwitness.errors import EarwitnessError, UsageError
from earwitness.helping import HelpfulCommand, HelpfulGroup
from earwitness.keystore import Kept, KeyInfo, Keystore
from earwitness.plain import counted

if TYPE_CHECKING:
    from earwitness.identity import Identity

app = typer.Typer(
    help="The key that opens your recordings.", no_args_is_help=True, cls=HelpfulGroup, rich_markup_mode=None
)

_Keep = Annotated[
    str | None, typer.Option(metavar="PLACE", help="Where to keep it: keyring, passphrase or file. Default: the best.")
]
_Plain = Annotated[
    bool,
    typer.Option("--no-passphrase", help="Keep it in a plain file: whoever uses this account can open everything."),
]


def _place(store: Keystore, keep: str | None, plain: bool) -> Kept:
    if plain and keep not in (None, "file"):
        raise UsageError("--no-passphrase and --keep contradict each other.")
    if keep not in (None, "keyring", "passphrase", "file"):
        raise UsageError(f"A key cannot be kept in “{keep}”.", "Choose keyring, passphrase or file.")
    return "file" if plain else cast(Kept, keep) if keep else store.best_place()


def _store(store: Keystore, identity: Identity, keep: str | None, plain: bool, recovery: str) -> KeyInfo:
    kept = _place(store, keep, plain)
    passphrase = console.new_passphrase() if kept == "passphrase" else ""
    info = store.save(identity, kept, passphrase=passphrase, recovery=recovery)
    console.say(
        {
            "keyring": "The key is in this computer's keyring.",
            "passphrase": "The key is in a file locked with your passphrase.",
            "file": "The key is in a plain file: whoever can use this account can open your recordings.",
        }[kept]
    )
    return info


def make(sheet: Path | None, keep: str | None, plain: bool) -> Identity:
    """A key with its recovery settled; takes up an interrupted run again."""
    store = Keystore()
    info = store.info()
    if sheet is not None:
        place = _recovery.sheet_place(sheet)  # a wrong name stops before anything is made
        if info is None and place.exists():  # what an interrupted run left is replaced, nothing else is
            raise UsageError(f"{place.name} already exists.", "Choose another name for the recovery sheet.")
    if info is None:
        from earwitness.identity import Identity

        identity = Identity.generate()
        _store(store, identity, keep, plain, "unfinished")
    else:
        identity = store.load(console.passphrase)
        if info.recovery != "unfinished":
            return identity
        console.say("There is a key already, without a finished recovery sheet. Taking that up.")
    try:
        store.set_recovery(_recovery.settle(identity, sheet))
    except EarwitnessError as error:
        raise type(error)(
            error.message, f"The key is kept, its recovery sheet is not settled yet. {error.hint}"
        ) from None
    return identity


def _tell(store: Keystore) -> None:
    info = store.require_info()
    console.result(info.recipient, {"public_key": info.recipient, "kept": info.kept, "recovery": info.recovery})


@app.command("init", cls=HelpfulCommand)
@command
def init(
    sheet: Annotated[Path | None, typer.Option(metavar="PDF", help="Where to save the recovery sheet.")] = None,
    keep: _Keep = None,
    plain: _Plain = False,
) -> None:
    """Make a key and its recovery sheet. `pair` does this for you."""
    store = Keystore()
    info = store.info()
    if info is not None and info.recovery != "unfinished":
        raise UsageError("There is a key on this computer already.", "'earwitness key show-public' shows which.")
    make(sheet, keep, plain)
    _tell(store)


@app.command("show-public", cls=HelpfulCommand)
@command
def show_public() -> None:
    """Print the public key. It is not secret: others can name you as a second recipient with it."""
    _tell(Keystore())


@app.command("backup", cls=HelpfulCommand)
@command
def backup(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PDF", help="Where to save the recovery sheet.")],
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace a file that exists.")] = False,
) -> None:
    """Save the recovery sheet again."""
    store = Keystore()
    place = _recovery.sheet_place(output)  # before the passphrase is asked for
    if not force and place.exists():
        raise UsageError(f"{place.name} already exists.", "Choose another name, or add --force to replace it.")
    identity = store.load(console.passphrase)
    path = _recovery.save_sheet(identity, output)
    if store.require_info().recovery != "saved":
        store.set_recovery(_recovery.settle(identity, path, saved=True))
    console.result(str(path), {"sheet": str(path), "public_key": identity.recipient})


@app.command("restore", cls=HelpfulCommand)
@command
def restore(
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the key from an age key file.")
    ] = None,
    keep: _Keep = None,
    plain: _Plain = False,
) -> None:
    """Bring the key back from the recovery sheet: type its 24 words, or its one line."""
    from earwitness import recovery_sheet
    from earwitness.identity import Identity

    if file is not None:
        text = file.read_text("utf-8")
    else:
        if sys.stdin.isatty():
            console.say(
                "What you type is not shown: it is the key itself. Paste or type one line of the sheet at a time."
            )
        text = console.prompt_unseen("The 24 words with spaces between, or the line AGE-SECRET-KEY-1…: ")
        while 0 < len(text.split()) < 24 and "AGE-SECRET-KEY" not in text.upper():
            recovery_sheet.check_words(text)
            text += " " + console.prompt_unseen(f"{counted(len(text.split()), 'word')} so far; go on: ")
    identity = recovery_sheet.identity_from(text) if file is None else Identity.from_text(text)
    store = Keystore()
    _store(store, identity, keep, plain, "restored")
    _tell(store)
