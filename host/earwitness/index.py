"""The index: what `list` needs of every recording, in SQLite, so that ten thousand are listed at once.

It is only a copy. Everything in it comes from the recordings and the files beside them, and it may be deleted at any
time; what only the owner's key can tell (date, length, marks) comes back when the recordings are verified again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3

_VERSION: Final = 3


class Row(NamedTuple):
    """One recording. Fields from `started_us` on are None until it has been opened with the owner's key.

    A tuple, because `list` makes ten thousand of them at once.
    """

    name: str
    size: int
    mtime_ns: int
    recording_id: str
    device_key: str
    seq: int
    label: str | None = None
    started_us: int | None = None
    duration_s: float | None = None
    marks: int | None = None
    verdict: str | None = None
    checked: str | None = None
    dated: str | None = None  # where the date comes from (dating.py)
    boot: str | None = None  # the recorder's start during which it was made, hex
    began_us: int | None = None  # how long after it
    whole: int | None = None  # 1: these bytes are verified to their final note; 0: they are not whole; None: not asked


_COLUMNS: Final = Row._fields


class Index:
    """The index of one library folder."""

    def __init__(self, state: Path, library: Path) -> None:
        digest = hashlib.sha256(str(library).encode()).hexdigest()[:12]
        self._path = state / f"index-{digest}.sqlite"
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        try:
            return self._connect()
        except sqlite3.DatabaseError:  # damaged: it is only a copy
            self._path.unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                db.execute("DROP TABLE IF EXISTS recording")
                db.execute(
                    "CREATE TABLE recording (name TEXT PRIMARY KEY, size INT, mtime_ns INT, recording_id TEXT,"
                    " device_key TEXT, seq INT, label TEXT, started_us INT, duration_s REAL, marks INT, verdict TEXT,"
                    " checked TEXT, dated TEXT, boot TEXT, began_us INT, whole INT)"
                )
                db.execute("CREATE INDEX by_id ON recording (recording_id)")
                db.execute(f"PRAGMA user_version = {_VERSION}")
            db.execute("SELECT name FROM recording LIMIT 1").fetchone()
        except BaseException:
            db.close()
            raise
        with contextlib.suppress(OSError):
            self._path.chmod(0o600)
        return db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self) -> dict[str, Row]:
        """All rows by file name."""
        found = self._db.execute(f"SELECT {', '.join(_COLUMNS)} FROM recording")
        return {values[0]: Row._make(values) for values in found}

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def put(self, rows: Iterable[Row]) -> None:
        """Insert or replace rows. One that does not fit is left out: it must not keep the others from the list."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._transaction():
            for row in rows:
                with _unfit_left_out():
                    self._db.execute(f"INSERT OR REPLACE INTO recording VALUES ({marks})", row)

    def drop(self, names: Iterable[str]) -> None:
        """Forget rows of files that are gone."""
        with self._transaction():
            self._db.executemany("DELETE FROM recording WHERE name = ?", ((name,) for name in names))

    def change(self, name: str, **values: Any) -> None:
        """Set some columns of one row; a value that does not fit is not kept."""
        assert set(values) <= set(_COLUMNS)
        for column, value in values.items():
            with _unfit_left_out():
                self._db.execute(f"UPDATE recording SET {column} = ? WHERE name = ?", (value, name))


@contextlib.contextmanager
def _unfit_left_out() -> Iterator[None]:
    """What comes out of files may be more than SQLite takes: a number beyond 64 bits, a name that is no text."""
    import sqlite3

    with contextlib.suppress(OverflowError, UnicodeEncodeError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
        yield
