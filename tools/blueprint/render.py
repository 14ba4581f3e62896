"""SVG and typst to PNG and PDF."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

_FIT = '#set page(width: auto, height: auto, margin: 4pt)\n#image("picture.svg")\n'


def png_of_svg(svg: str, ppi: float = 160) -> bytes:
    import typst

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "picture.svg").write_text(svg, encoding="utf-8")
        source = Path(folder, "picture.typ")
        source.write_text(_FIT, encoding="utf-8")
        made = typst.compile(str(source), format="png", ppi=ppi)
    return _one_page(made)


def document_of_typst(text: str, kind: Literal["pdf", "png"], ppi: float = 144) -> bytes:
    """kind: "pdf" or "png"."""
    import typst

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "document.typ")
        source.write_text(text, encoding="utf-8")
        made = typst.compile(str(source), format=kind, ppi=ppi)
    return _one_page(made)


def _one_page(made: object) -> bytes:
    """typst gives a list where there are several pages; ours must be one."""
    if not isinstance(made, bytes):
        raise ValueError("the document does not fit on one page")
    return made
