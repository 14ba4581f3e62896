"""The step that no new key can do without: a recovery sheet saved and read back, or declined in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwitness import recovery_sheet
from earwitness.atomic import write_private
from earwitness.console import console
from earwitness.errors import UsageError

if TYPE_CHECKING:
    from earwitness.identity import Identity

DECLINE: Final = "I accept that a lost key loses every recording"
_TRIES: Final = 5


def _default_place() -> Path:
    import platformdirs

    from earwitness import places

    home = places.home_override()
    return (home or Path(platformdirs.user_documents_dir())) / "earwitness-recovery-sheet.pdf"


def save_sheet(identity: Identity, path: Path) -> Path:
    """Write the sheet where only its owner may read it."""
    path = sheet_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, recovery_sheet.render(identity))
    console.say(f"The recovery sheet is in {path.absolute()}.")
    console.say("That file is your key, unlocked: print it now, then delete it and empty the bin.")
    return path


def sheet_place(path: Path) -> Path:
    """Where a sheet of this name goes: in a folder under its own name, and always named as the PDF that it is."""
    path = path.expanduser()
    if path.is_dir():
        return path / "earwitness-recovery-sheet.pdf"
    if path.suffix.lower() not in ("", ".pdf"):
        raise UsageError(f"The recovery sheet is a PDF, not {path.name}.", f"For example: {path.with_suffix('.pdf')}")
    return path.with_suffix(".pdf")


def _declined() -> bool:
    answer = console.prompt(f'To go without, type this sentence:\n  "{DECLINE}"\n> ')
    return " ".join(answer.strip('".“” ').lower().split()) == DECLINE.lower()


def settle(identity: Identity, sheet: Path | None, *, saved: bool = False) -> str:
    """Ask until the sheet is saved and its second line typed back (`saved`), or it is declined in words (`declined`).

    saved: the sheet was just saved as `sheet`.
    """
    if sheet is None:
        console.say(
            "Your recordings open only with your key. If this computer is lost, the recovery sheet brings it back."
        )
        default = _default_place()
        answer = console.prompt(f"Save the sheet as [{default}], another name, or 'decline': ")
        if answer.lower() == "decline":
            if _declined():
                return "declined"
            raise UsageError("Not declined, and no sheet was saved.", "Run it again.")
        sheet = Path(answer) if answer else default
    if not saved:
        save_sheet(identity, sheet)
    for _try in range(_TRIES):
        answer = console.prompt("Type words 7 to 12, the second line of the sheet (or 'decline'): ")
        if answer.lower() == "decline":
            if _declined():
                return "declined"
        elif recovery_sheet.typed_back(identity, answer):
            return "saved"
        else:
            console.say("That is not what the second line says. Look again: six words.")
    raise UsageError("The words were not typed back.", "Run it again when the sheet is at hand.")
