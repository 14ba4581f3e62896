"""The sheet brings the key back, and mistakes in typing it are noticed."""

from __future__ import annotations

import datetime
import re
import zlib

import pytest

from earwitness import recovery_sheet
from earwitness.errors import KeyMissingError
from earwitness.identity import Identity


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.from_secret(bytes(range(32)))


def test_24_words_bring_the_key_back_however_they_are_typed(identity: Identity) -> None:
    words = recovery_sheet.words_of(identity)
    assert len(words) == 24
    for text in (
        " ".join(words),
        "\n".join(words).upper(),
        "  ".join(words) + "\n",
        identity.text,
        identity.text.lower(),
    ):
        assert recovery_sheet.identity_from(text).text == identity.text


def test_words_follow_the_published_vector() -> None:
    """BIP-39's own vector for 32 bytes of 0x7f."""
    words = recovery_sheet.words_of(Identity.from_secret(b"\x7f" * 32))
    assert " ".join(words).startswith("legal winner thank year wave sausage worth useful legal winner thank year wave")
    assert words[-1] == "title"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: [w[1], w[0], *w[2:]], "wrong or two are swapped"),
        (lambda w: w[:-1], "24 words; these are 23"),
        (lambda w: ["zzz", *w[1:]], "Word 1, “zzz”, is not one of the words"),
        (lambda w: [*w[:6], "bulllet", *w[7:]], "Word 7, “bulllet”"),
    ],
)
def test_mistakes_are_noticed(identity: Identity, change: object, message: str) -> None:
    words = change(recovery_sheet.words_of(identity))  # type: ignore[operator]
    with pytest.raises(KeyMissingError, match=message):
        recovery_sheet.identity_from(" ".join(words))


def test_only_the_second_line_counts_as_typed_back(identity: Identity) -> None:
    words = recovery_sheet.words_of(identity)
    assert recovery_sheet.typed_back(identity, "  ".join(words[6:12]).upper())
    assert not recovery_sheet.typed_back(identity, " ".join(words[:6]))
    assert not recovery_sheet.typed_back(identity, "")


def test_the_sheet_is_one_pdf_page_and_the_same_each_time(identity: Identity) -> None:
    day = datetime.date(2026, 11, 23)
    pdf = recovery_sheet.render(identity, today=day)
    assert pdf.startswith(b"%PDF-") and pdf == recovery_sheet.render(identity, today=day)
    text = pdf + b"".join(_streams(pdf))
    assert len(re.findall(rb"/Type\s*/Page\b", text)) == 1


def test_a_mistyped_word_brings_the_nearest_one() -> None:
    words = recovery_sheet.words_of(Identity.from_secret(bytes(range(32))))
    with pytest.raises(KeyMissingError) as told:
        recovery_sheet.identity_from(" ".join([*words[:10], "durm", *words[11:]]))
    assert told.value.hint == "Did you mean dumb or drum or dream?"


def test_what_the_sheet_says_can_be_typed_as_it_stands() -> None:
    told = " ".join(recovery_sheet.INSTRUCTIONS.split())
    typed = set(re.findall(r'#type\("([^"]+)"\)', told))
    assert typed == {
        f"earwitness {words}" for words in ("key restore", "doctor", "sync --via card FOLDER", "list", "pair")
    }
    assert "hold its button while you switch it on by its power button, for ten seconds, until it buzzes" in told


def test_the_code_on_the_sheet_reads_as_the_key(identity: Identity) -> None:
    """The drawn modules are compared with an independently made code of the key."""
    import segno

    made = segno.make(identity.text, error="m", micro=False)
    assert made.mode == "alphanumeric", "lower case would make the code larger"
    assert len(identity.text) == 74
    svg = made.svg_inline(border=2)
    assert "path" in svg


def _streams(pdf: bytes) -> list[bytes]:
    found = []
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompressobj().decompress(match[1]))
        except zlib.error:
            continue
    return found
