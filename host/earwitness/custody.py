"""The custody log of a recording: who had it, and what was done with it, one JSON object a line.

Every line carries the SHA-256 of the bytes of the line before, so that a line taken out or changed in the middle shows.
It is this computer's own account: whoever can write the file can write a new one from the start, and it proves nothing
about the time before the recording came here. Readers say so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from earwitness.plain import one_line, shortened

_START: Final = "0" * 64


@dataclass(frozen=True)
class Step:
    """One line. `details` holds only what the act itself needs to be understood later."""

    number: int
    utc: str
    act: str
    details: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The step in plain words."""
        told = {name: one_line(str(value)) for name, value in self.details.items()}
        words = _WORDS.get(self.act)
        try:
            text = words(told) if words else ""
        except (KeyError, ValueError):
            text = ""
        if not text:
            extra = ", ".join(f"{name}: {value}" for name, value in told.items())
            text = one_line(self.act) + (f" ({extra})" if extra else "")
        return f"{one_line(self.utc)[:16].replace('T', ' ')} UTC: {shortened(text)}"


def _exported(told: Mapping[str, str]) -> str:
    copy = "an exact copy" if told["copy"] == "exact" else "a copy for listening"
    part = {"whole": "the whole recording"}.get(told["part"], told["part"])
    if "file" not in told:
        return f"{copy} given to another program, {part}"
    return f"{copy} made, {part}: {told['file']} (SHA-256 {told['sha256']})"


def _compared(told: Mapping[str, str]) -> str:
    error_s, since_s = int(told["error_us"]) / 1e6, int(told["since_boot_us"]) / 1e6
    when = told["utc"][:19].replace("T", " ")
    return f"the recorder, {since_s:.0f} s after it was switched on, asked for its time: {when} UTC, give or take {error_s:.3g} s"


_FROM: Final = {"USB": "recorder", "Bluetooth": "recorder over Bluetooth"}
_WORDS: Final[Mapping[str, Callable[[Mapping[str, str]], str]]] = {
    "synced": lambda told: (
        f"copied here from the {_FROM.get(told['how'], told['how'])}, {int(told['bytes']) / 1e6:.1f} MB"
    ),
    "receipt": lambda told: f"the recorder {told['recorder']} was given a signed receipt for it",
    "freed": lambda _told: "deleted on the recorder, after this copy had been verified once more",
    "verified": lambda told: f"checked {'with' if told['key'] == 'yes' else 'without'} the key: {told['result']}",
    "played": lambda told: f"played, {told['part']}",
    "exported": _exported,
    "disclosed": lambda told: (
        f"an excerpt made of {told['part']}, {told['pages']} pages: {told['file']} (SHA-256 {told['sha256']})"
    ),
    "stamped": lambda told: f"stamped by {told['by']} at {told['time']}: {told['file']}",
    "clock compared": _compared,
}


@dataclass(frozen=True)
class History:
    """All steps, and what is wrong with the log, in plain words, if anything is."""

    steps: tuple[Step, ...]
    faults: tuple[str, ...]


@contextmanager
def _locked(handle: int) -> Iterator[None]:
    if os.name == "nt":
        import msvcrt

        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
        try:
            yield
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)
        yield  # closing the file unlocks it


def _chain(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


class Custody:
    """The log in one file; the file begins with its first step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, act: str, **details: Any) -> Step:
        """Append a step, and have it on the disk on return. A line torn by a crash stays and is named as torn."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(handle, "r+b", buffering=0) as file, _locked(handle):
            file.seek(0)
            old = file.readall()
            torn = bool(old) and not old.endswith(b"\n")
            lines = old.split(b"\n") if torn else old.split(b"\n")[:-1]
            step = Step(len(lines) + 1, datetime.now(UTC).isoformat(timespec="seconds"), act, details)
            record = {
                "n": step.number,
                "utc": step.utc,
                "act": act,
                "details": details,
                "prev": _chain(lines[-1]) if lines else _START,
            }
            text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
            file.write((b"\n" if torn else b"") + text.encode() + b"\n")
            os.fsync(handle)
        return step

    def read(self) -> History:
        """Read and check the whole log; a missing one is an empty history."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return History((), ())
        steps: list[Step] = []
        faults: list[str] = []
        before = _START
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        for number, line in enumerate(lines, 1):
            try:
                found = json.loads(line)
                step = Step(int(found["n"]), str(found["utc"]), str(found["act"]), dict(found["details"]))
                linked = found["prev"] == before and step.number == number
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                faults.append(f"Line {number} was not written to its end or cannot be read.")
            else:
                steps.append(step)
                if not linked:
                    faults.append(
                        f"Line {number} does not follow from the line before: something was changed or removed."
                    )
            before = _chain(line)
        return History(tuple(steps), tuple(faults))
