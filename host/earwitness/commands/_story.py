"""A verdict in plain English: six answers, each with its reason, never one tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earwitness.chapters import clock, gap_title, mark_title, seconds_text
from earwitness.console import console
from earwitness.verdict import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earwitness.verdict import Verdict


def answers(verdict: Verdict, *, details: bool) -> list[str]:
    """The six answers as lines."""
    lines = [f"{'How long is it?':35}{length(verdict)}"]
    for name, question in QUESTIONS:
        answer = getattr(verdict, name)
        style = "good" if answer.ok else "bad" if answer.ok is False else "unsure"
        lines.append(f"{question:35}{console.paint(answer.state, style)}")
        lines.append(f"    {answer.reason}")
        if details:
            lines += [f"    - {detail}" for detail in answer.details]
    return lines


def length(verdict: Verdict) -> str:
    """Its length in words, as far as it was opened."""
    if not verdict.opened:
        return "not opened"
    without = at = 0
    for gap in verdict.unheard:  # off the record, or lost, while the microphone was dead: counted once
        end = gap.sample + gap.count
        without += max(end - max(gap.sample, at), 0)
        at = max(at, end)
    silent = f", {seconds_text(without)} of it without sound" if without else ""
    return f"{clock(verdict.samples)}{silent}"


def marks(verdict: Verdict, labels: Mapping[int, str]) -> list[str]:
    """Marks and silent spans, in order of time."""
    found = [(mark.sample, mark_title(number, mark.kind, labels)) for number, mark in enumerate(verdict.marks, 1)]
    found += [(gap.sample, gap_title(gap.reason, gap.count)) for gap in verdict.unheard]
    return [f"  {clock(sample):>11}  {title}" for sample, title in sorted(found)]
