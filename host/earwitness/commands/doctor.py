"""`earwitness doctor`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from earwitness import __version__, places
from earwitness.console import console
from earwitness.errors import EarwitnessError
from earwitness.plain import counted, one_line


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `ok`, `care` or `bad`, and what to do."""

    state: str
    what: str
    advice: str = ""


def doctor(
    device: Annotated[bool, typer.Option("--device", help="Ask the plugged-in recorder as well.")] = False,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Where it is plugged in, if not found.")] = None,
) -> None:
    """Look whether everything on this computer is as it should be, and say what to do where it is not."""
    checks: list[Callable[[], Iterator[Finding]]] = [_program, _places, _key, _library, _ports, _player]
    found: list[Finding] = []
    for look in checks:
        try:
            found += look()
        except EarwitnessError as error:
            found.append(Finding("bad", error.message, error.hint))
        except OSError as error:
            found.append(Finding("bad", f"{error.strerror}: {error.filename}", "Look at the folder's permissions."))
    if device:
        try:
            found += _recorder(port)
        except EarwitnessError as error:
            found.append(Finding("bad", error.message, error.hint))
    styles = {"ok": "good", "care": "unsure", "bad": "bad"}
    lines = []
    for finding in found:
        lines.append(f"{console.paint(finding.state.ljust(5), styles[finding.state])} {finding.what}")
        lines += [f"      {finding.advice}"] * bool(finding.advice)
    console.result("\n".join(lines), [finding.__dict__ for finding in found])
    if any(finding.state == "bad" for finding in found):
        raise typer.Exit(1)


def _program() -> Iterator[Finding]:
    yield Finding("ok", f"earwitness {__version__}, Python {sys.version.split()[0]} on {sys.platform}")


def _places() -> Iterator[Finding]:
    for name, path in (
        ("recordings", places.library_dir()),
        ("key and settings", places.config_dir()),
        ("state", places.state_dir()),
    ):
        if not os.access(path, os.W_OK):
            yield Finding("bad", f"{name}: {path} cannot be written", "Look at the folder's permissions.")
        elif os.name == "posix" and name != "recordings" and path.stat().st_mode & 0o077:
            yield Finding("care", f"{name}: others may read {path}", f"chmod 700 {path}")
        else:
            yield Finding("ok", f"{name}: {path}")
    free = shutil.disk_usage(places.library_dir()).free
    state = "ok" if free > 2 << 30 else "care"
    yield Finding(state, f"room for about {free // 60_000_000} hours of sound")


def _key() -> Iterator[Finding]:
    from earwitness.keystore import Keystore, system_keyring

    info = Keystore().info()
    backend = system_keyring()
    name = type(backend).__name__ if backend else ""
    yield Finding("ok", f"keyring: {name}" if name else "keyring: none here; keys are locked with a passphrase instead")
    if info is None:
        yield Finding(
            "care", "there is no key yet", "'earwitness pair' makes one, 'earwitness key restore' restores one."
        )
        return
    if info.kept == "keyring":
        Keystore().load(console.passphrase)
    advice = "Whoever can use this account can open your recordings." if info.kept == "file" else ""
    yield Finding("care" if advice else "ok", f"key: {info.recipient}, kept in: {info.kept}", advice)
    if info.recovery in ("declined", "unfinished"):
        yield Finding(
            "care",
            f"recovery sheet: {info.recovery}",
            "Lose the key, lose everything: earwitness key backup -o sheet.pdf",
        )
    else:
        yield Finding("ok", f"recovery sheet: {info.recovery}")


def _library() -> Iterator[Finding]:
    from earwitness.library import Library

    library = Library()
    entries = library.entries()
    yield Finding("ok", f"library: {counted(len(entries), 'recording')}")
    known = {entry.path.name for entry in entries}
    strays = [path.name for path in library.root.glob("*.ewr") if path.name not in known]
    if strays:
        yield Finding("bad", f"not recordings, or damaged at the start: {', '.join(strays[:5])}", "Sync them again.")
    parts = list(library.root.glob(".*.part"))
    if parts:
        yield Finding(
            "care",
            "1 unfinished copy" if len(parts) == 1 else f"{len(parts)} unfinished copies",
            "'earwitness sync' takes them up again.",
        )
    broken = [entry for entry in entries if entry.custody.read().faults]
    for entry in broken[:5]:
        yield Finding(
            "bad", f"the custody log of recording {entry.seq} was changed or cut", f"earwitness show {entry.seq}"
        )


def _ports() -> Iterator[Finding]:
    from earwitness.pairing import ports

    for port in ports():
        path = Path(port.name)
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            hint = "sudo usermod -a -G dialout $USER, then log in again." if sys.platform == "linux" else ""
            yield Finding("bad", f"you may not open {port.name}", hint)
        else:
            yield Finding("ok", f"plugged in: {port.name} {port.description}".rstrip())


def _player() -> Iterator[Finding]:
    from earwitness.commands.play import _player as find

    try:
        yield Finding("ok", f"player: {find()[0][0]}")
    except EarwitnessError as error:
        yield Finding("care", error.message, error.hint)


_WIRING: Final = {
    "card": "Push the card in until it clicks; then the card's clock, data and select wires; then another card.",
    "microphone": "Check the microphone's data, clock and word-select wires, its 3V3, and that its L/R pin is at ground.",
    "clock": "Optional. Check the clock chip's SDA and SCL wires and its coin cell; sync sets the clock as well.",
    "battery": "Charge it; then check the divider's two resistors and the battery's plug.",
    "button": "Let go of it. If nobody presses it, its wires touch, or it is wired to ground for good.",
    "switch": "Slide it off. If it is off, its wires touch, or it is wired to ground for good.",
    "light": "Check which way round the LED is, and its resistor.",
    "motor": "Check the motor's transistor, and the diode beside it.",
    "radio": "Do not record secrets with it: its radio does not switch off. Install the firmware again.",
    "entropy": "Its random source is broken: no recording can be sealed with this board. Exchange the board.",
    "memory": "Start it again; if this stays, install the firmware again.",
}


def _recorder(port: str | None) -> Iterator[Finding]:
    from earwitness.commands.status import in_words
    from earwitness.devices import DeviceStore
    from earwitness.link.connect import connect

    store = DeviceStore()
    recorder, record = connect(store, port)
    with recorder:
        said = recorder.status()
        tested = [] if said.told.get("state") in ("recording", "muted") else recorder.selftest()
    store.remember(record, said)
    yield Finding("ok", f"{record.name} ({record.short_key}) proved itself; newest recording {said.newest or 'none'}")
    for name, value in said.told.items():
        state = {"trouble": "bad", "last_fault": "care"}.get(name, "ok")
        for line in in_words({name: value}):
            yield Finding(state, line)
    if not tested:
        yield Finding("care", "its parts were not tested: it is recording", "Slide it off, then run the same again.")
    for part in tested:
        advice = "" if part.verdict == "ok" else _WIRING.get(part.name, "")
        yield Finding(part.verdict, one_line(f"its {part.name}: {part.figures}"), advice)
