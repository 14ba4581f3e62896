"""The quick card: the README's words for gestures and light, beside the shapes that the firmware really shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.blueprint.errors import PlanError
from tools.blueprint.shapes import Shape, buzz_words, light_words

Row = tuple[str, ...]

# What the README says that the light means, from its first words, and the firmware's name for it
_LIGHT = {
    "recording": "RECORDING",
    "off the record": "MUTED",
    "wait": "WAIT",
    "no card": "NO_CARD",
    "card full": "CARD_FULL",
    "the card failed": "CARD_FAILED",
    "battery low": "BATTERY_LOW",
    "not paired": "UNPAIRED",
    "the self-test failed": "SELF_TEST",
    "talking to the computer": "SYNCING",
}
# What a gesture means, from its first words, and the buzzes that follow it
_BUZZ: dict[str, tuple[str, ...]] = {
    "record": ("START",),
    "stop": ("STOPPED",),
    "mark this moment": ("TICK",),
    "mark: this was disputed": ("TICK", "SECOND_TICK"),
    "mark: notice given": ("NOTICE",),
    "off the record": ("MUTE",),
}
_SENTENCE = re.compile(r"say aloud: \*\*\"(.+?)\"\*\*")


def _table(readme: str, head: str) -> list[Row]:
    """The rows of the README's table with this head."""
    lines = readme.splitlines()
    try:
        start = next(number for number, line in enumerate(lines) if line.startswith(f"| {head}"))
    except StopIteration:
        raise PlanError(f"README.md has no table that begins with {head!r}") from None
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return rows


def gesture_rows(readme: str) -> list[Row]:
    return _table(readme, "you do")


def light_rows(readme: str) -> list[Row]:
    return _table(readme, "the light")


def sentence(readme: str) -> str:
    found = _SENTENCE.search(readme)
    if found is None:
        raise PlanError("README.md does not say what to say aloud")
    return found.group(1)


def light_name(means: str) -> str | None:
    return next((name for words, name in _LIGHT.items() if means.startswith(words)), None)


def buzz_names(means: str) -> tuple[str, ...]:
    return next((names for words, names in _BUZZ.items() if means.startswith(words)), ())


def _light_faults(readme: str, shapes: dict[str, Shape | None]) -> Iterator[str]:
    told = set()
    for words, means in light_rows(readme):
        name = light_name(means)
        if name is None:
            yield f"README: no shape of the firmware is known for the light that means {means!r}"
            continue
        told.add(name)
        if light_words(shapes[name]) != words:
            yield f"{name}: README says {words!r}, the firmware shows {light_words(shapes[name])!r}"
    for name in _LIGHT.values():
        if name not in told:
            yield f"{name}: the firmware shows it, README does not say so"


def _gesture_faults(readme: str, shapes: dict[str, Shape | None], times: dict[str, int]) -> Iterator[str]:
    told = set()
    for does, means, feels in gesture_rows(readme):
        names = buzz_names(means)
        if not names:
            yield f"README: no buzz of the firmware is known for {does!r}, which means {means!r}"
            continue
        told.add(names)
        told_words = re.sub("^(a|one) ", "", feels.partition(";")[0])
        felt = ", then ".join(buzz_words(shapes[name] or ()) for name in names).replace("then two ticks", "then two")
        if told_words != felt:
            yield f"{names[-1]}: README says {told_words!r} for {does!r}, the firmware buzzes {felt!r}"
        held = re.match(r"hold (\d+) seconds", does)
        if held:
            least = times["_HOLD_US" if names == ("MUTE",) else "_NOTICE_US"]
            most = times["_HOLD_US"] if names != ("MUTE",) else least + 1
            if not least <= int(held.group(1)) * 1_000_000 < most:
                yield f"README says {does!r}, the firmware takes {least / 1e6:g} to {most / 1e6:g} seconds for that"
    for names in _BUZZ.values():
        if names not in told:
            yield f"{names[-1]}: README does not say what one does for it"


def disagreements(readme: str, shapes: dict[str, Shape | None], times: dict[str, int]) -> list[str]:
    """Where README.md and the firmware say different things; empty where the card can be made."""
    found = [*_light_faults(readme, shapes), *_gesture_faults(readme, shapes, times)]
    for name, sign in (("REFUSED", "buzzes three times, short"), ("WARN", "warns with two long buzzes")):
        words = buzz_words(shapes[name] or ())
        if sign not in readme or words not in sign:
            found.append(f"{name}: README must say {words!r} where it says {sign!r}")
    return found


_WIDTH_PT, _SPAN_MS = 160.0, 4000.0


def _bar(shape: Shape | None, span_ms: float, width: float, colour: str, repeat: bool) -> str:
    """typst: the shape along a line of time, from left to right."""
    marks = []
    at = 0.0
    parts = shape if shape is not None else (int(span_ms),)
    while at < span_ms and parts:
        for index, part in enumerate(parts):
            end = min(at + part, span_ms)
            if index % 2 == 0 and end > at:
                x, length = at / span_ms * width, max((end - at) / span_ms * width, 0.8)
                marks.append(f"#place(dx: {x:.1f}pt, rect(width: {length:.1f}pt, height: 9pt, fill: {colour}))")
            at = end
        if not repeat:
            break
    return f"#box(width: {width:g}pt, height: 9pt, fill: luma(225))[{''.join(marks)}]"


def _words(text: str) -> str:
    """Markdown of the README as typst text: code and bold stay, the rest is escaped."""
    text = re.sub(r"([#$@<>_~\\\[\]])", r"\\\1", text)
    return text.replace("**", "*")


def card_source(readme: str, shapes: dict[str, Shape | None]) -> str:
    """The card as a typst document of one A4 page."""
    lights = ""
    for words, means in light_rows(readme):
        bar = _bar(shapes[light_name(means) or ""], _SPAN_MS, _WIDTH_PT, 'rgb("#d04000")', True)
        lights += f"[{bar}], [{_words(words)}], [*{_words(means)}*],\n"
    gestures = ""
    for does, means, feels in gesture_rows(readme):
        bars = " #h(3pt) ".join(_bar(shapes[name], 1200, 45, "black", False) for name in buzz_names(means))
        gestures += f"[*{_words(does)}*], [{_words(means)}], [{bars}], [{_words(feels)}],\n"
    values = {
        "LIGHTS": lights,
        "GESTURES": gestures,
        "SENTENCE": _words(sentence(readme)),
        "REFUSED": _bar(shapes["REFUSED"], 1500, 60, "black", False),
        "WARN": _bar(shapes["WARN"], 1500, 60, "black", False),
    }
    text = _CARD
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


_CARD = """#set document(title: "Earwitness: quick card", date: none)
#set page(paper: "a4", margin: (x: 16mm, y: 13mm))
#set text(font: ("DejaVu Sans", "Libertinus Serif"), size: 9.6pt, lang: "en")
#set par(leading: 0.5em)
#show heading: it => block(above: 11pt, below: 6pt, text(size: 13pt, it.body))
#show raw: set text(size: 10pt)
#set table(stroke: (x, y) => (bottom: 0.4pt + luma(170)), inset: (x: 4pt, y: 4.3pt), align: left + horizon)

#grid(columns: (1fr, auto), align: (left + bottom, right + bottom),
  text(size: 21pt, weight: "bold")[Earwitness], text(size: 10pt)[quick card: keep it with the recorder])

#block(fill: luma(238), inset: 9pt, radius: 3pt, width: 100%)[
  *Say aloud, before you begin:* #h(1fr) \\
  #text(size: 14pt, weight: "bold")["@SENTENCE@"] \\
  Then hold the button for two seconds: the recording itself then says that you gave notice.
]

= What you do
#table(columns: (1.45fr, 1.5fr, auto, 1.45fr),
  [], [it means], [the buzz], [you feel],
@GESTURES@)

= What the light says #h(4pt) #text(size: 8.5pt, weight: "regular")[(four seconds, from left to right)]
#table(columns: (auto, 1fr, 1.5fr),
@LIGHTS@)

#grid(columns: (1fr, 1fr), gutter: 8mm,
  [= It buzzes without being asked
  @REFUSED@ *three, short:* it does *not* record, or hears nothing. Look at the light. \\
  #v(1pt)
  @WARN@ *two, long:* 15, 10 or 5 minutes of battery or card are left.
  It then stops by itself, cleanly, and nothing is lost. Or the card was too slow and some sound was lost: take another.

  = Before you leave home
  - Slide on: steady light? Slide off. Done.
  - Charge it overnight: it takes three hours.
  - Leave the card in.

  = Know the limits
  Never in a court hearing: it can be contempt. Do not publish. Ask a solicitor *before* you rely on a recording.],
  [= At home
  + Plug it into your computer with its cable.
  + In a terminal: `earwitness sync`
  + `earwitness list`, `earwitness play 1`
  + `earwitness verify 1` says whether it is whole.
  + Leave it plugged in until it is charged.

  = If it got wet or hot, or the case bulges
  Unplug it, put it outside on stone, do not charge it. The recordings are on the card: it can be read without the recorder.],
)
"""
