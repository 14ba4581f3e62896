"""The library: a folder of sealed recordings and, beside each, what belongs to it.

    3f9a12bc77d0e114-000007.ewr             the recording as it left the recorder, still encrypted
    3f9a12bc77d0e114-000007.custody.jsonl   what happened to it here (custody.py)
    3f9a12bc77d0e114-000007.notes.jsonl     the owner's own titles and notes, append-only
    other copies/                           of a recording whose copies each prove what the other does not (intake.py)

A name is made of the recorder's key and the recording's number: both stand in the clear in page 0, so that a name needs
no key, never changes, and tells a stranger nothing new. Dates are inside the encryption and are shown by `list`.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from earwitness import dating, moment, places
from earwitness.custody import Custody
from earwitness.errors import EarwitnessError, FormatError, UsageError
from earwitness.index import Index, Row

if TYPE_CHECKING:
    from earwitness.verdict import Verdict

_ID_LETTERS: Final = 4


@dataclass(frozen=True)
class Note:
    """A title (`kind` label) or a note. `mark` counts from 1, `at_s` is seconds; both None: the whole recording."""

    kind: str
    text: str
    mark: int | None
    at_s: float | None
    utc: str


class Entry(NamedTuple):
    """One recording of the library."""

    root: Path
    row: Row

    @property
    def path(self) -> Path:
        """Its file."""
        return self.root / self.row.name

    @property
    def recording_id(self) -> str:
        """32 hex digits."""
        return self.row.recording_id

    @property
    def seq(self) -> int:
        """Its number on its recorder, from 1."""
        return self.row.seq

    @property
    def device(self) -> str:
        """The recorder's short name, 16 hex digits, as in its notes."""
        return self.row.name[:16]

    @property
    def started(self) -> datetime | None:
        """When it began, if it has been opened and that is known; `origin` says from whom."""
        started_us = self.row.started_us
        return moment.at(started_us) if started_us is not None and moment.believable(started_us) else None

    @property
    def undated(self) -> str:
        """Why it has no date, in words; empty if it has one."""
        if self.started:
            return ""
        if self.row.duration_s is None:
            return "date not read"
        out_of_range = self.row.dated == dating.OUT_OF_RANGE or self.row.started_us is not None
        return "the clock in it is out of range" if out_of_range else "date not known"

    @property
    def origin(self) -> str:
        """Where its date comes from, in words; empty without a date."""
        return dating.ORIGINS.get(self.row.dated or "", "") if self.started else ""

    @property
    def custody(self) -> Custody:
        """Its custody log."""
        return Custody(self.path.with_suffix(".custody.jsonl"))


def read_header(path: Path) -> tuple[str, str, int, str]:
    """(recording id, device key, seq, short device name) from the header, unverified: enough to place a file."""
    from earwitness.container import Container

    header = Container(path).header
    short = hashlib.sha256(header.device).hexdigest()[:16]
    return header.recording_id.hex(), header.device.hex(), header.seq, short


class Library:
    """A folder of recordings; opening one that does not exist makes it."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or places.library_dir()).absolute()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._index = Index(places.state_dir(), self.root)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def entries(self) -> list[Entry]:
        """All recordings, oldest first. Reads only what changed on the disk since the last time."""
        rows = self._index.rows()
        fresh: list[Row] = []
        seen: set[str] = set()
        with os.scandir(self.root) as found:
            for item in found:
                if not item.name.endswith(".ewr") or item.name.startswith("."):
                    continue
                try:
                    stat = item.stat()
                except OSError:
                    continue  # it went, or it is a link to nowhere
                seen.add(item.name)
                old = rows.get(item.name)
                if old is None or (old.size, old.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
                    row = self._read(Path(item.path), stat)
                    if row is not None:
                        fresh.append(row)
                        rows[item.name] = row
        if fresh:
            self._index.put(fresh)
        gone = rows.keys() - seen
        if gone:
            self._index.drop(gone)
        entries = [Entry(self.root, row) for name, row in rows.items() if name not in gone]
        entries.sort(
            key=lambda entry: (entry.row.started_us or entry.row.mtime_ns // 1000, entry.row.seq, entry.row.name)
        )
        return entries

    def _read(self, path: Path, stat: os.stat_result) -> Row | None:
        try:
            recording_id, device, seq, _short = read_header(path)
        except (EarwitnessError, OSError):
            return None  # a stray file; `doctor` names it
        label = next(
            (note.text for note in reversed(self._notes(path)) if note.kind == "label" and not note.mark), None
        )
        return Row(path.name, stat.st_size, stat.st_mtime_ns, recording_id, device, seq, label or None)

    def place_for(self, path: Path) -> Path:
        """Where the recording in `path` belongs in this library. The same recording always has the same place."""
        recording_id, _device, seq, short = read_header(path)
        # Two recordings with one number: a copied or rolled-back recorder. All are kept; `verify` names it.
        names = [f"{short}-{seq:06d}{more}.ewr" for more in ("", f"-{recording_id[:8]}", f"-{recording_id}")]
        places = [self.root / name for name in names]
        return next((place for place in places if place == path or _holds(place) in ("", recording_id)), places[-1])

    def has(self, recording_id: str) -> Entry | None:
        """The entry of this recording (32 hex digits), if it is here."""
        return next((entry for entry in self.entries() if entry.recording_id == recording_id), None)

    def entry(self, path: Path) -> Entry:
        """The entry of a file of this library."""
        row = self._index.rows().get(path.name)
        stat = path.stat()
        if row is None or (row.size, row.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            row = self._read(path, stat)
            if row is None:
                raise FormatError(f"{path.name} is not an Earwitness recording.")
            self._index.put([row])
        return Entry(self.root, row)

    def add(self, source: Path, *, how: str) -> Entry:
        """Take in a complete file; see intake.py, and for what became of it where there is another copy."""
        from earwitness.intake import take

        return take(self, source, how=how).entry

    def is_whole(self, entry: Entry) -> bool:
        """Whether these very bytes were verified and are intact to their final note; if nobody has looked yet, verify."""
        if entry.row.whole is None:
            from earwitness.verify import verify

            try:
                entry = self.remember(entry, whole=_whole(verify(entry.path)))
            except EarwitnessError:
                entry = self.remember(entry, whole=0)
        return bool(entry.row.whole)

    def came(self, entry: Entry, how: str, *, again: bool = False) -> None:
        """See to it that the custody log begins with the recording's coming, which a kill may have cut off."""
        if again or not entry.custody.path.exists():
            entry.custody.add("synced", how=how, bytes=entry.row.size)

    def find(self, text: str) -> Entry:
        """The recording a person means: its number, `recorder/number`, the start of its id, a file name, or `last`."""
        entries = self.entries()
        outside = Path(text)
        if (
            outside.suffix == ".ewr"
            and outside.is_file()
            and not any(entry.path.name == outside.name for entry in entries)
        ):
            raise UsageError(
                f"{outside.name} is not in the library.",
                f"'earwitness verify' takes it as it is. For the rest copy it into {self.root}.",
            )
        if not entries:
            raise UsageError("The library is empty.", "Plug the recorder in and run 'earwitness sync'.")
        if text == "last":
            return entries[-1]
        found = [entry for entry in entries if self._matches(entry, text.strip().lower())]
        if not found:
            raise UsageError(f"There is no recording {text} in the library.", "'earwitness list' shows what there is.")
        if len(found) > 1:
            names = ", ".join(f"{entry.device[:8]}/{entry.seq} ({entry.recording_id[:8]})" for entry in found[:5])
            raise UsageError(f"{text} could be {len(found)} recordings: {names}.", "Give the longer name.")
        return found[0]

    def _matches(self, entry: Entry, text: str) -> bool:
        if text.isdigit() and len(text) < 8:
            return entry.seq == int(text)
        device, slash, number = text.rpartition("/")
        if slash:
            return number.isdigit() and entry.seq == int(number) and device != "" and entry.device.startswith(device)
        return text == entry.path.name or (len(text) >= _ID_LETTERS and entry.recording_id.startswith(text))

    # -- what the owner's key and the owner add ------------------------------------------------------------------

    def remember(self, entry: Entry, **values: Any) -> Entry:
        """Keep what opening a recording told (columns of `Row`) for the list."""
        self._index.change(entry.path.name, **values)
        return Entry(self.root, entry.row._replace(**values))

    def learn(self, entry: Entry, verdict: Verdict) -> Entry:
        """Keep for the list what a check told; what it could not tell (no key at hand) stays as it was."""
        values: dict[str, Any] = {
            "verdict": f"{verdict.intact.state}, {verdict.complete.state}",
            "checked": datetime.now(UTC).isoformat(timespec="seconds"),
            "whole": _whole(verdict),
        }
        if verdict.opened:
            synced = dating.of(entry.custody, verdict)
            values |= {
                "started_us": verdict.started_us if synced is None else synced.utc_us,
                "dated": dating.origin(verdict, synced),
                "boot": verdict.meta.boot_id.hex() if verdict.meta else None,
                "began_us": verdict.began_us,
                "duration_s": verdict.duration_s,
                "marks": len(verdict.marks),
            }
        return self.remember(entry, **values)

    def compared(self, entry: Entry, found: dating.Comparison) -> Entry:
        """Keep what sync found out about the recorder's time, for a recording whose own date is not known."""
        row = entry.row
        opened = row.duration_s is not None
        if row.started_us is not None or (opened and row.boot != found.boot):
            return entry  # it has a date, or was made before the recorder was last switched on
        history = entry.custody.read()
        if history.faults or not found.sane:
            return entry  # it would not count
        known = dating.comparisons(history)
        if any(one.boot == found.boot for one in known) or (known and not opened):
            return entry
        dating.keep(entry.custody, found)
        if not opened or row.began_us is None:
            return entry
        start = moment.best(dating.starts(found.boot, row.began_us, [found]))
        return self.remember(entry, started_us=start.utc_us, dated=dating.BY_SYNC) if start else entry

    def annotate(
        self, entry: Entry, kind: str, text: str, *, mark: int | None = None, at_s: float | None = None
    ) -> Note:
        """Add a title or a note. Earlier ones stay in the file; the newest title counts."""
        note = Note(kind, text, mark, at_s, datetime.now(UTC).isoformat(timespec="seconds"))
        line = json.dumps(note.__dict__, ensure_ascii=False) + "\n"
        path = entry.path.with_suffix(".notes.jsonl")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        if kind == "label" and mark is None:
            self._index.change(entry.path.name, label=text or None)
        return note

    def notes(self, entry: Entry) -> list[Note]:
        """All titles and notes, oldest first."""
        return self._notes(entry.path)

    def mark_labels(self, entry: Entry) -> dict[int, str]:
        """The newest title of each mark that has one."""
        titles = {note.mark: note.text for note in self.notes(entry) if note.kind == "label" and note.mark is not None}
        return {mark: text for mark, text in titles.items() if text}

    def _notes(self, path: Path) -> list[Note]:
        try:
            lines = path.with_suffix(".notes.jsonl").read_text("utf-8", "replace").splitlines()
        except OSError:
            return []
        notes = []
        for line in lines:
            try:
                note = Note(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                continue  # a line torn by a crash
            if isinstance(note.kind, str) and isinstance(note.text, str) and isinstance(note.mark, int | None):
                notes.append(note)
        return notes


def _holds(place: Path) -> str:
    """Id of the recording in `place`; empty if there is no file, `?` if nobody can tell."""
    try:
        return read_header(place)[0]
    except FileNotFoundError:
        return ""
    except (EarwitnessError, OSError):
        return "?"


def _whole(verdict: Verdict) -> int:
    return int(verdict.intact.ok is True and verdict.final_note != b"")
