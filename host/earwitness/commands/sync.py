"""`earwitness sync`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earwitness.commands._shared import owner_if_at_hand
from earwitness.console import console
from earwitness.errors import EarwitnessError, UsageError
from earwitness.library import Library
from earwitness.plain import counted
from earwitness.progress import Progress

if TYPE_CHECKING:
    from earwitness import sync as link

_WORDS = {
    "new": "new, verified",
    "unopened": "new; sealed for another key, not opened",
    "damaged": "new, with damage: 'earwitness show' says what",
    "failed": "not copied",
    "skipped": "left on the recorder",
}


def sync(
    via: Annotated[str, typer.Option(metavar="usb|card", help="How: the cable, or the card itself.")] = "usb",
    card: Annotated[
        Path | None, typer.Argument(metavar="[CARD]", help="With --via card: its folder, or an image of it.")
    ] = None,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Where it is plugged in, if not found.")] = None,
) -> None:
    """Bring new recordings here: copied, verified, made durable, and only then shown. Running it again resumes."""
    if via not in ("usb", "card"):
        raise UsageError(f"There is no way to sync called {via}.", "Choose usb or card.")
    if (via == "card") != (card is not None):
        raise UsageError(
            "A card's folder goes with --via card.", "For example: earwitness sync --via card /media/EARWITNESS"
        )
    library = Library()
    report = _run(library, card, port)
    if card is not None and not report.items:
        raise EarwitnessError(
            f"There are no recordings of an Earwitness recorder in {card}.",
            "They are called EW000001.EWR and so on, and lie in the card's top folder.",
        )
    _tell(library, report)
    if any(item.outcome == "damaged" for item in report.items):
        raise typer.Exit(3 if len(report.items) > 1 else 13)
    if not report.ok:
        raise typer.Exit(3)


def _run(library: Library, card: Path | None, port: str | None) -> link.SyncReport:
    from earwitness.devices import DeviceStore

    store = DeviceStore()
    bars = _Bars()
    try:
        if card is not None:
            from earwitness.import_card import import_card

            return import_card(card, library, store, identity=owner_if_at_hand(), progress=bars)
        from earwitness import sync as link
        from earwitness.link.connect import connect

        recorder, record = connect(store, port)
        with recorder:  # found first: a passphrase that is typed for nothing annoys
            return link.sync(recorder, record, library, store, identity=owner_if_at_hand(), progress=bars)
    finally:
        bars.close()


class _Bars:
    """One bar for each recording that is read."""

    def __init__(self) -> None:
        self._seq: int | None = None
        self._bar: Progress | None = None

    def __call__(self, at: link.Progress) -> None:
        if at.phase != "reading":
            return
        if at.seq != self._seq:
            self.close()
            self._seq = at.seq
            self._bar = Progress(f"recording {at.seq}", at.total)
            self._bar.__enter__()
        if self._bar is not None:
            self._bar(at.done)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def _tell(library: Library, report: link.SyncReport) -> None:
    from earwitness import dating
    from earwitness.custody import Custody

    lines, data = [], []
    for item in report.items:
        verdict = item.verdict
        if item.path is not None and verdict is not None:
            verdict = dating.joined(Custody(item.path.with_suffix(".custody.jsonl")), verdict)
        if item.outcome != "present":
            reason = f" ({item.reason})" if item.reason else ""
            words = _WORDS.get(item.outcome, item.outcome)
            if item.outcome == "damaged" and item.path is None:
                words = "damaged where it was read"
            lines.append(f"{item.seq}  {words}{reason}")
        data.append(
            {
                "seq": item.seq,
                "id": item.recording_id,
                "outcome": item.outcome,
                "reason": item.reason,
                "path": str(item.path) if item.path else None,
                "bytes": item.bytes,
                "verdict": verdict.to_json() if verdict else None,
            }
        )
    present = sum(item.outcome == "present" for item in report.items)
    if not lines:
        console.say(f"Nothing new: {counted(present, 'recording')} {'are' if present != 1 else 'is'} here already.")
    console.result("\n".join(lines), {"recordings": data, "clock_set": report.clock is not None})
