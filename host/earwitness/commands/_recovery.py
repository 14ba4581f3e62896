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
    path = path.expanduser()
    if path.is_dir():
        path = path / "earwitness-recovery-sheet.pdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, recovery_sheet.render(identity))
    console.say(f"The recovery sheet is in {path.absolute()}. Print it now; delete the file afterwards.")
    return path


def _declined() -> bool:
    answer = console.prompt(f'To go without, type this sentence:\n  "{DECLINE}"\n> ')
    return " ".join(answer.strip('".“” ').lower().split()) == DECLINE.lower()


def settle(identity: Identity, sheet: Path | None) -> str:
    """Ask until the sheet is saved and its second line typed back (`saved`), or it is declined in words (`declined`)."""
    if sheet is None:
        console.say(
            "Your recordings open only with your key. If this computer is lost, the recovery sheet brings it back."
        )
        default = _default_place()
        answer = console.prompt(f"Save the sheet as [{default}], another name, or 'decline': ")
        if answer.lower() == "decline":
            if _declined():
                return "declined"
            raise UsageError("Not declined, and no sheet was saved.", "Run it again; the key itself is kept.")
        sheet = Path(answer) if answer else default
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
    raise UsageError(
        "The words were not typed back.", "Run it again when the sheet is at hand; the key itself is kept."
    )
