"""Setting a report as PDF/A-3 with its attachments, in fonts that come along, so that every machine sets the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earwitness.report import Subject, attachments, facts

if TYPE_CHECKING:
    from typst import PDFStandard

_TEMPLATE: Final = Path(__file__).with_name("report.typ")
_STANDARDS: Final[list[PDFStandard]] = ["a-3a", "ua-1"]
# Which of the two a letter comes to hangs on the fonts of the machine: some have a picture of what PDF/A allows no text to hold.
_LETTER_REFUSED: Final = ("could not be displayed", "disallowed codepoint")
_ALWAYS_SHOWN: Final = 0x17F  # Latin letters, of which the fonts lack none


def render(subject: Subject) -> bytes:
    """The PDF."""
    data = facts(subject)
    held = [
        {"name": name, "bytes": list(content), "type": media, "relationship": relation, "description": what}
        for name, content, media, relation, what in attachments(subject)
    ]
    when = datetime(subject.day.year, subject.day.month, subject.day.day, tzinfo=UTC)

    def made(words: Any, own_fonts: bool) -> bytes:
        return _compile(_TEMPLATE.read_bytes(), words, held, own_fonts, int(when.timestamp()))

    import typst

    try:
        return made(data, True)
    except typst.TypstError as error:
        if not any(words in error.message for words in _LETTER_REFUSED):
            raise
    try:
        return made(data, False)  # another script: what this computer has for it
    except typst.TypstError as error:
        if not any(words in error.message for words in _LETTER_REFUSED):
            raise
    missing = {letter for letter in _letters(data) if not _shown(letter)}
    shown = _replaced(data, lambda letter: f"⟨U+{ord(letter):04X}⟩" if letter in missing else letter)
    return made({**shown, "by_number": True}, False)


def _compile(template: bytes, words: Any, held: Any, own_fonts: bool, when: int) -> bytes:
    import typst

    made = typst.compile(
        template,
        format="pdf",
        pdf_standards=_STANDARDS,
        ignore_system_fonts=own_fonts,
        sys_inputs={"data": json.dumps(words), "attachments": json.dumps(held)},
        timestamp=when,
    )
    assert isinstance(made, bytes)
    return made


def _letters(data: Any) -> set[str]:
    if isinstance(data, str):
        return {letter for letter in data if ord(letter) > _ALWAYS_SHOWN or not letter.isprintable()}
    if isinstance(data, dict):
        data = data.values()
    return set().union(*map(_letters, data)) if isinstance(data, (list, tuple, type({}.values()))) else set()


def _replaced(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return "".join(map(change, data))
    if isinstance(data, dict):
        return {name: _replaced(value, change) for name, value in data.items()}
    return [_replaced(value, change) for value in data] if isinstance(data, (list, tuple)) else data


def _shown(letter: str) -> bool:
    """Whether any font at hand has this letter."""
    import typst

    page = b'#set document(title: "x")\n#set text(font: "Libertinus Serif")\n#sys.inputs.letter'
    try:
        typst.compile(page, format="pdf", pdf_standards=["a-3u"], sys_inputs={"letter": letter})
    except typst.TypstError:
        return False
    return True
