"""`earwitness status`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earwitness.commands._device import PortOption, WhichOption
from earwitness.console import console
from earwitness.errors import UsageError
from earwitness.plain import counted, one_line

if TYPE_CHECKING:
    from earwitness.link.messages import Fault

_PAGE_S: Final = 0.25  # about: what a page of 4096 bytes holds of speech, 60 MB an hour


_NOT_TOLD: Final = ("", "-1")


def _battery(millivolts: str) -> str:
    return "" if int(millivolts) <= 0 else f"Battery {int(millivolts) / 1000:.2f} V"


def _minutes(minutes: str) -> str:
    hours, rest = divmod(int(minutes), 60)
    return f"Battery left for about {f'{hours} h {rest} min' if hours else counted(rest, 'minute')}"


def _room(pages: str) -> str:
    minutes = int(int(pages) * _PAGE_S / 60)
    room = counted(minutes // 60, "hour") if minutes >= 120 else counted(minutes, "minute")
    return f"Room on the card for about {room} of sound"


_WORDS: Final[Mapping[str, Callable[[str], str]]] = {
    "state": lambda state: f"State: {state}",
    "trouble": lambda why: f"Why it would not record: {why}",
    "battery_mv": _battery,
    "minutes_left": _minutes,
    "card_free_pages": _room,
    "on_card": lambda count: f"On its card: {counted(int(count), 'recording')}",
    "waiting": lambda count: f"Not synced yet: {int(count) or 'none'}",
    "clock_set": lambda is_set: f"Clock set: {'yes' if is_set == '1' else 'no'}",
    "worst_write_ms": lambda ms: f"The card's slowest write: {ms} ms",
    "faults": lambda count: f"Things that went wrong: {int(count) or 'none'}",
    "last_fault": lambda fault: f"The last of them: {fault}",
    "version": lambda version: f"Firmware {version}",
    "name": lambda _name: "",  # stands above
}


def in_words(told: Mapping[str, str]) -> list[str]:
    """What a recorder tells of itself, a line each; what it does not know is left out."""
    lines = []
    for name, value in told.items():
        if value in _NOT_TOLD:
            continue
        try:
            text = _WORDS[name](value)
        except (KeyError, ValueError):  # of a newer recorder
            text = f"{name.replace('_', ' ').capitalize()}: {value}"
        lines += [one_line(text)] * bool(text)
    return lines


def _fault(fault: Fault) -> str:
    return one_line(f"earlier: {fault.text}" + (f" (recording {fault.seq})" if fault.seq else ""))


def status(
    via: Annotated[str, typer.Option(metavar="usb|ble", help="How: the cable, or Bluetooth.")] = "usb",
    which: WhichOption = None,
    port: PortOption = None,
) -> None:
    """Ask the recorder how it is: it signs its newest recording's number, so that a rollback shows."""
    from earwitness.devices import DeviceStore
    from earwitness.link.connect import connect

    store = DeviceStore()
    if via not in ("usb", "ble") or (via == "ble" and port):
        raise UsageError("There is no such way to ask.", "--via is usb or ble, and --port goes with the cable.")
    if via == "ble":
        from earwitness.link.near import connect_near

        console.say("Looking for a recorder in range.")
        recorder, record = connect_near(store, which=which)
    else:
        recorder, record = connect(store, port, which=which)
    with recorder:
        said = recorder.status()
        recording = said.told.get("state") in ("recording", "muted")
        faults = [] if recording else recorder.faults()
    store.remember(record, said)
    told = dict(said.told)
    lines = [f"{record.name} ({record.short_key})", f"  Newest finished recording: {said.newest or 'none'}"]
    if said.open_seq:
        lines.append(f"  Unfinished recording: {said.open_seq}")
    lines += [f"  {line}" for line in in_words(told)]
    lines += [f"    {_fault(fault)}" for fault in faults[:-1]]
    data = {
        "name": record.name,
        "device": record.short_key,
        "epoch": said.epoch,
        "newest": said.newest,
        "open": said.open_seq,
        "told": told,
        "faults": [{"seq": fault.seq, "text": fault.text} for fault in faults],
    }
    console.result("\n".join(lines), data)
