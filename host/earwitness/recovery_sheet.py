"""The recovery sheet: the owner's key on paper, as a QR code and as 24 words, with instructions for whoever finds it.

The words are BIP-39 (32 bytes and a checksum): a wrong or swapped word is noticed. The QR code holds the line
`AGE-SECRET-KEY-1…`, so that any age program can use it without Earwitness. Nothing is written here but the PDF that the
person asked for: the page is set in memory.
"""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from earwitness.errors import KeyMissingError

if TYPE_CHECKING:
    from earwitness.identity import Identity

TYPED_BACK: Final = range(6, 12)  # words 7 to 12: the second line of the sheet
_WORDS_A_LINE: Final = 6

INSTRUCTIONS: Final = r"""
#let type(body) = mono(body, size: 9.3pt)
+ Install Earwitness on a computer (see its README), then type #type("earwitness key restore"). When asked, type the 24 words with
  spaces between them, or the one line.
+ *From a backup:* #type("earwitness doctor") names the folder for recordings. Copy your `.ewr` files, and the files beside
  them, into it.
+ *From the card:* put it in a card reader and type #type("earwitness sync --via card FOLDER"), where FOLDER is where the card appears: `E:\`
  on Windows, `/Volumes/NAME` on macOS, `/media/NAME` on Linux. #type("earwitness list") then shows what came.
+ *To go on with the recorder:* it answers only the computer that it was paired with. Without that one, unpair it: its switch off, hold
  its button while you switch it on by its power button, for ten seconds, until it buzzes. Then #type("earwitness pair").
  What it recorded before comes from its card.
"""

_PAGE: Final = r"""
#let data = sys.inputs
#let words = data.words.split(" ")
#set document(title: "Earwitness recovery sheet", author: "Earwitness", date: none)
#set page(paper: "a4", margin: (x: 20mm, top: 14mm, bottom: 12mm))
#set text(font: "Libertinus Serif", size: 11pt, lang: "en", region: "gb")
#set par(leading: 0.62em)
#let mono(body, size: 10pt) = text(font: "DejaVu Sans Mono", size: size, body)
#let rule = line(length: 100%, stroke: 0.6pt + luma(120))

#text(size: 24pt, weight: "bold")[Recovery sheet]
#h(1fr)
#text(size: 12pt)[Earwitness · made on #data.date]
#v(-4pt)
#rule
#block(fill: luma(235), inset: 9pt, radius: 2pt, width: 100%)[
  *This sheet is the key to your recordings.* With it, your recordings can be opened on any computer.
  Without it, if your computer is lost or breaks, *nobody can open them again*: not us, not the police, not a court.
  Whoever holds this sheet and the recordings can listen to all of them.
]

#grid(columns: (52mm, 1fr), column-gutter: 9mm,
  [#image(bytes(data.qr), format: "svg", width: 52mm, alt: "QR code of the secret key")
   #align(center, text(size: 8.5pt)[The secret key as a QR code])],
  [= Keep it safe
   #set enum(spacing: 0.75em)
   + Print this page. Check that the square code is sharp and every word can be read.
   + Put it where you keep your passport. Not with the recorder, not in its case.
   + A second copy with someone you trust, or your solicitor, is wise.
   + Delete the file you printed it from, and empty the bin. Do not photograph it or send it by e-mail.
   + If somebody else has seen it, they can open what they get hold of: pair the recorder again with a new key.
  ],
)

= The key in 24 words
#table(columns: (14mm,) + (1fr,) * 6, stroke: none, inset: (x: 2pt, y: 6.2pt),
  align: (right + horizon,) + (left + horizon,) * 6,
  fill: (x, y) => if calc.even(y) { luma(243) },
  ..range(4).map(row => (
    text(size: 8.5pt, fill: luma(70))[#(row * 6 + 1) – #(row * 6 + 6)#h(4pt)],
    ..words.slice(row * 6, row * 6 + 6).map(word => mono(word, size: 11.5pt)),
  )).flatten()
)

= The same key in one line
#block(stroke: 0.6pt + luma(120), inset: 7pt, width: 100%, align(center, mono(data.secret, size: 9.3pt)))

= How to get your recordings back
#set enum(spacing: 0.7em)
@INSTRUCTIONS@
Without Earwitness: the line is an ordinary age identity (age-encryption.org), and the recordings' format is
described in `firmware/FORMAT.md` of the project, so that any programmer can open them.

#v(1fr)
#rule
#set text(size: 9pt)
*Public key* (not secret; says which key this is): #mono(data.recipient, size: 8pt) \
Words: BIP-39, English list, no passphrase. They stand for the key itself, not for a seed from which keys are made.
"""


def words_of(identity: Identity) -> list[str]:
    """The key as 24 words."""
    from mnemonic import Mnemonic

    return Mnemonic("english").to_mnemonic(identity.secret).split()


def identity_from(text: str) -> Identity:
    """The key from what a person types: 24 words in any case and spacing, or the line `AGE-SECRET-KEY-1…`."""
    from mnemonic import Mnemonic

    from earwitness.identity import Identity

    if "AGE-SECRET-KEY-1" in text.upper():
        return Identity.from_text(text)
    check_words(text)
    book = Mnemonic("english")
    words = text.lower().split()
    if len(words) != 24:
        raise KeyMissingError(
            f"The sheet has 24 words; these are {len(words)}.", "Type all four lines, in their order."
        )
    if not book.check(" ".join(words)):
        raise KeyMissingError("A word is wrong or two are swapped.", "Compare each line with the sheet.")
    return Identity.from_secret(bytes(book.to_entropy(" ".join(words))))


def check_words(text: str) -> None:
    """Raises KeyMissingError for the first word that is none of a recovery sheet, with those that it may be."""
    from mnemonic import Mnemonic

    book = Mnemonic("english")
    for number, word in enumerate(text.lower().split(), 1):
        if word not in book.wordlist:
            close = get_close_matches(word, book.wordlist)
            raise KeyMissingError(
                f"Word {number}, “{word}”, is not one of the words of a recovery sheet.",
                f"Did you mean {' or '.join(close)}?"
                if close
                else "Look again: every word on it is an ordinary English word.",
            )


def typed_back(identity: Identity, answer: str) -> bool:
    """Whether `answer` is the sheet's second line, words 7 to 12 (spacing and case do not matter)."""
    words = words_of(identity)
    return answer.lower().split() == [words[index] for index in TYPED_BACK]


def render(identity: Identity, *, today: date | None = None, as_png: bool = False) -> bytes:
    """The sheet as a PDF of one A4 page (or as a PNG picture of it)."""
    import segno
    import typst

    drawn = io.BytesIO()
    # level M: a fold or a stain still reads; upper case keeps the code in its compact alphanumeric mode
    segno.make(identity.text, error="m", micro=False).save(drawn, kind="svg", border=2, xmldecl=False)
    day = today or datetime.now(UTC).date()
    made = typst.compile(
        _PAGE.replace("@INSTRUCTIONS@", INSTRUCTIONS).encode(),
        format="png" if as_png else "pdf",
        ppi=110,
        sys_inputs={
            "words": " ".join(words_of(identity)),
            "secret": identity.text,
            "recipient": identity.recipient,
            "qr": drawn.getvalue().decode(),
            "date": f"{day.day} {day:%B %Y}",
        },
    )
    assert isinstance(made, bytes)
    return made
