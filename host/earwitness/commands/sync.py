"""`earwitness sync`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer

from earwitness.chapters import seconds_clock
from earwitness.commands._device import PortOption, WhichOption
from earwitness.commands._shared import owner_if_at_hand
from earwitness.console import console
from earwitness.errors import DeviceBusyError, EarwitnessError, KeyMissingError, NoDeviceError, UsageError
from earwitness.library import Library
from earwitness.plain import counted
from earwitness.progress import Progress

if TYPE_CHECKING:
    from earwitness import sync as link
    from earwitness.devices import DeviceRecord
    from earwitness.item import Progress as At
    from earwitness.link.ble import Near
    from earwitness.link.client import Recorder
    from earwitness.marked_minutes import Minute

_WORDS = {
    "new": "new, verified",
    "unopened": "new; sealed for another key, not opened",
    "damaged": "new, with damage: 'earwitness show' says what",
    "failed": "not copied",
    "skipped": "left on the recorder",
}
_HOW: Final = {"usb": "USB", "ble": "Bluetooth"}
_LOOK_S: Final = 1.0
_AGAIN_S: Final = 300.0  # a recorder that stays plugged in is asked again so often
_ASK_S: Final = 10.0  # one of those in range, while the others wait
_WAIT_S: Final = 5.0  # and sooner while it records or starts


def sync(
    via: Annotated[
        str, typer.Option(metavar="usb|ble|card", help="How: the cable, Bluetooth, or the card itself.")
    ] = "usb",
    card: Annotated[
        Path | None, typer.Argument(metavar="[CARD]", help="With --via card: its folder, or an image of it.")
    ] = None,
    free: Annotated[
        bool, typer.Option("--free", help="Then delete on the recorder what is here, each verified once more.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Read once more what came damaged from the recorder before.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="With --via ble: after the marked minutes the whole recordings, which takes long."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and sync every recorder that is plugged in or near. Ctrl-C ends it.")
    ] = False,
    which: WhichOption = None,
    port: PortOption = None,
) -> None:
    """Bring new recordings here: copied, verified, made durable, and only then shown. Running it again resumes.

    Bluetooth is slow: over it come the marked minutes, 45 s before and 15 s after each mark ('earwitness minutes')."""
    if via not in ("usb", "ble", "card"):
        raise UsageError(f"There is no way to sync called {via}.", "Choose usb, ble or card.")
    if (via == "card") != (card is not None):
        raise UsageError(
            "A card's folder goes with --via card.", "For example: earwitness sync --via card /media/EARWITNESS"
        )
    if via == "card" and (free or watch or which or port):
        raise UsageError(
            "A card is only read: --free, --watch, --recorder and --port are for a recorder.", "Leave them out."
        )
    if via == "ble" and port:
        raise UsageError("--port is for the cable.", "Leave out one of --port and --via ble.")
    if via != "ble" and everything:
        raise UsageError("Only over Bluetooth not all is copied.", "Leave out --all, or add --via ble.")
    library = Library()
    wants = _Wants(free, again, everything)
    if watch and via == "ble":
        from earwitness.commands._near import watch_near

        watch_near(lambda place: _tell(library, _from_recorder(library, wants, "ble", which, None, True, place)))
        return
    if watch:
        _watch(library, wants, which, port)
        return
    report = _from_card(library, card) if card is not None else _from_recorder(library, wants, via, which, port)
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


class _Wants:
    """What is to be done besides."""

    def __init__(self, free: bool, again: bool, everything: bool) -> None:
        self.free = free
        self.again = again
        self.everything = everything  # over Bluetooth too


def _from_card(library: Library, card: Path) -> link.SyncReport:
    from earwitness.devices import DeviceStore
    from earwitness.import_card import import_card

    with _Bars() as bars:
        return import_card(card, library, DeviceStore(), identity=owner_if_at_hand(), progress=bars)


def _from_recorder(
    library: Library,
    wants: _Wants,
    via: str,
    which: str | None,
    port: str | None,
    tell_name: bool = False,
    place: Near | None = None,
) -> link.SyncReport:
    from earwitness import sync as link
    from earwitness.devices import DeviceStore

    store = DeviceStore()
    recorder, record = _find(via, which, port, place)
    with recorder, _Bars() as bars:  # found first: a passphrase that is typed for nothing annoys
        if tell_name:
            console.say(f"{record.name} is {'plugged in' if via == 'usb' else 'near'}.")
        return link.sync(
            recorder,
            record,
            library,
            store,
            identity=owner_if_at_hand(),
            progress=bars,
            how=_HOW[via],
            free_synced=wants.free,
            again=wants.again,
            marked_first=via == "ble",
            whole=via != "ble" or wants.everything,
        )


def _find(via: str, which: str | None, port: str | None, place: Near | None) -> tuple[Recorder, DeviceRecord]:
    from earwitness.devices import DeviceStore

    if via == "ble":
        from earwitness.link.near import connect_near

        if place is None:
            console.say("Looking for a recorder in range.")
            return connect_near(DeviceStore(), which=which)
        return connect_near(DeviceStore(), which=which, places=[place], ask_s=_ASK_S)
    from earwitness.link.connect import connect

    return connect(DeviceStore(), port, which=which)


def _watch(library: Library, wants: _Wants, which: str | None, port: str | None) -> None:
    """Sync whatever is plugged in, as it comes. What goes wrong with one is said, and the others go on."""
    from earwitness.pairing import ports

    console.say("Waiting for a recorder. Ctrl-C ends this.")
    due: dict[str, float] = {}
    greeted: set[str] = set()
    said: dict[str, str] = {}
    while True:
        there = {found.name for found in ports(port) if not found.name.startswith("/") or Path(found.name).exists()}
        for name in [name for name in due if name not in there]:
            del due[name]
            greeted.discard(name)
            said.pop(name, None)
        for name in sorted(there):
            if time.monotonic() < due.get(name, 0):
                continue
            due[name] = time.monotonic() + _AGAIN_S
            try:
                report = _from_recorder(library, wants, "usb", which, name, name not in greeted)
                if (
                    name not in greeted
                    or any(item.outcome not in ("present", "gone") for item in report.items)
                    or report.freed
                ):
                    _tell(library, report)
                greeted.add(name)
                said.pop(name, None)
            except (DeviceBusyError, NoDeviceError) as error:
                due[name] = time.monotonic() + _WAIT_S
                if port is None or not isinstance(error, NoDeviceError):  # a named port may have nothing at it for long
                    _say_once(said, name, error)
            except KeyMissingError as error:
                _say_once(said, name, error)
            except EarwitnessError as error:
                console.error(error)
        time.sleep(_LOOK_S)


def _say_once(said: dict[str, str], name: str, error: EarwitnessError) -> None:
    if said.get(name) != error.message:
        console.error(error)
    said[name] = error.message


class _Bars:
    """One bar for each recording that is read."""

    def __init__(self) -> None:
        self._now: tuple[str, int] | None = None
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, at: At) -> None:
        if at.phase == "checking":
            return
        if (at.phase, at.seq) != self._now:
            self.close()
            self._now = at.phase, at.seq
            words = {"reading": f"recording {at.seq}", "marked": "marked minutes"}.get(at.phase, at.phase)
            self._bar = Progress(words, at.total, count_bytes=at.phase in ("reading", "marked"))
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
    from earwitness.link.messages import MOST_MARKS

    lines, data = [], []
    for item in report.items:
        verdict = item.verdict
        if item.path is not None and verdict is not None:
            verdict = dating.joined(Custody(item.path.with_suffix(".custody.jsonl")), verdict)
        if item.outcome not in ("present", "gone"):
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
    for freed in report.freed:
        lines.append(
            f"{freed.seq}  kept on the recorder: {freed.reason}"
            if freed.reason
            else f"{freed.seq}  freed on the recorder"
        )
    lines += [_in_words(minute) for minute in report.minutes]
    marks = [minute.seq for minute in report.minutes]
    lines += [
        f"{seq}  marks after its first {MOST_MARKS} come with the whole recording"
        for seq in sorted(set(marks))
        if marks.count(seq) >= MOST_MARKS
    ]
    present = sum(item.outcome == "present" for item in report.items)
    if not lines and not report.whole:
        console.say("Nothing new is marked. Whole recordings come over the cable, or with --all.")
    elif not lines:
        console.say(f"Nothing new: {counted(present, 'recording')} {'are' if present != 1 else 'is'} here already.")
    if report.unlisted:
        console.say(
            f"{counted(report.unlisted, 'recording')} more on its card {'are' if report.unlisted != 1 else 'is'} of an earlier"
            " pairing, and not for the cable. With the card in a reader: 'earwitness sync --via card FOLDER'."
        )
    freed_data = [{"seq": freed.seq, "id": freed.recording_id, "reason": freed.reason} for freed in report.freed]
    console.result(
        "\n".join(lines),
        {
            "recordings": data,
            "clock_set": report.clock is not None,
            "freed": freed_data,
            "minutes": [minute._asdict() for minute in report.minutes],
        },
    )


def _in_words(minute: Minute) -> str:
    """One marked minute that came, or why not."""
    if minute.reason:
        return f"{minute.seq}  marked minutes not copied ({minute.reason})"
    if minute.at_s < 0:
        return f"{minute.seq}  mark {minute.number}: about a minute is here, not opened"
    return (
        f"{minute.seq}  mark {minute.number} at {seconds_clock(minute.at_s)}: {minute.seconds:.0f} s around it are here"
    )
