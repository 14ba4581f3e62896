"""The few shapes that the drawings need, as SVG text. Numbers are rounded, so that the same plan gives the same bytes."""

from __future__ import annotations

from html import escape

# IEC 60757 codes, as WireViz draws them
COLOURS = {
    "BK": "#000000",
    "BN": "#895956",
    "RD": "#e00000",
    "OG": "#ff8000",
    "YE": "#e0c800",
    "GN": "#00a000",
    "BU": "#0066ff",
    "VT": "#8000ff",
    "GY": "#999999",
    "WH": "#ffffff",
    "PK": "#ff66b0",
}
COLOUR_NAMES = {
    "BK": "black",
    "BN": "brown",
    "RD": "red",
    "OG": "orange",
    "YE": "yellow",
    "GN": "green",
    "BU": "blue",
    "VT": "violet",
    "GY": "grey",
    "WH": "white",
    "PK": "pink",
}
_DARK = {"BK", "BN", "RD", "GN", "BU", "VT"}


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def shape(name: str, **attributes: str | float) -> str:
    """One element; an underscore in a name stands for a hyphen."""
    text = " ".join(
        f'{key.replace("_", "-")}="{number(value) if isinstance(value, (int, float)) else escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name} {text}/>"


def text(x: float, y: float, words: str, size: float, anchor: str = "middle", fill: str = "#000", **more: str) -> str:
    extra = "".join(f' {key.replace("_", "-")}="{escape(value)}"' for key, value in more.items())
    return (
        f'<text x="{number(x)}" y="{number(y + size * 0.35)}" font-size="{number(size)}" text-anchor="{anchor}" fill="{fill}"{extra}>'
        f"{escape(words)}</text>"
    )


def wire_tag(x: float, y: float, wire: int, colour: str, radius: float) -> list[str]:
    """A wire's number on its colour."""
    ink = "#fff" if colour in _DARK else "#000"
    return [
        shape("circle", cx=x, cy=y, r=radius, fill=COLOURS[colour], stroke="#000", stroke_width=radius / 8),
        text(x, y, str(wire), radius * 1.15, fill=ink, font_weight="bold"),
    ]


def document(width: float, height: float, shapes: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}" font-family="DejaVu Sans, Verdana, sans-serif">\n'
        + "\n".join([shape("rect", x=0, y=0, width=width, height=height, fill="#fff"), *shapes])
        + "\n</svg>\n"
    )
