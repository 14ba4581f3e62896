"""The index: what `list` needs of every recording, in SQLite, so that ten thousand are listed at once.

It is only a copy. Everything in it comes from the recordings and the files beside them, and it may be deleted at any
time; what only the owner's key can tell (date, length, marks) comes back when the recordings are verified again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from earwitness.console import console
from earwitness.errors import EarwitnessError

if TYPE_CHECKING:
    import sqlite3

_VERSION: Final = 3
_T = TypeVar("_T")


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
            return self._connect(self._path)
        except sqlite3.DatabaseError as error:
            return self._instead(error)

    def _instead(self, error: sqlite3.DatabaseError, kept: Iterable[Row] = ()) -> sqlite3.Connection:
        """What to go on with: a new file for a damaged one, and memory where none can be written. It is only a copy."""
        import sqlite3

        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte says what, the others say where
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise EarwitnessError(
                f"The library's index is in use by another program: {self._path}.", "Wait until that one is done."
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            with contextlib.suppress(OSError, sqlite3.DatabaseError):
                self._path.unlink(missing_ok=True)
                return self._connect(self._path)
        elif code not in (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_PERM,
        ):
            raise error
        console.say(f"The library's index cannot be written: {self._path}. What is learned now is not kept in it.")
        db = self._connect(Path(":memory:"))
        _put(db, kept)
        return db

    def _do(self, work: Callable[[], _T]) -> _T:
        """Read or write; once more with what stands in for the file, if that can be read or written no longer."""
        import sqlite3

        try:
            return work()
        except sqlite3.DatabaseError as error:
            kept: list[Row] = []
            with contextlib.suppress(sqlite3.DatabaseError):
                kept = self._read()
            self._db.close()
            self._db = self._instead(error, kept)
            return work()

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        import sqlite3

        db = sqlite3.connect(path, timeout=10, isolation_level=None)
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
            path.chmod(0o600)
        return db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self) -> dict[str, Row]:
        """All rows by file name."""
        return {row.name: row for row in self._do(self._read)}

    def _read(self) -> list[Row]:
        return [Row._make(values) for values in self._db.execute(f"SELECT {', '.join(_COLUMNS)} FROM recording")]

    def put(self, rows: Iterable[Row]) -> None:
        """Insert or replace rows. One that does not fit is left out: it must not keep the others from the list."""
        rows = list(rows)
        self._do(lambda: _put(self._db, rows))

    def drop(self, names: Iterable[str]) -> None:
        """Forget rows of files that are gone."""
        gone = [(name,) for name in names]

        def forget() -> None:
            with _transaction(self._db):
                self._db.executemany("DELETE FROM recording WHERE name = ?", gone)

        self._do(forget)

    def change(self, name: str, **values: Any) -> None:
        """Set some columns of one row; a value that does not fit is not kept."""
        assert set(values) <= set(_COLUMNS)

        def set_() -> None:
            for column, value in values.items():
                with _unfit_left_out():
                    self._db.execute(f"UPDATE recording SET {column} = ? WHERE name = ?", (value, name))

        self._do(set_)


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise


def _put(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    marks = ", ".join("?" * len(_COLUMNS))
    with _transaction(db):
        for row in rows:
            with _unfit_left_out():
                db.execute(f"INSERT OR REPLACE INTO recording VALUES ({marks})", row)


@contextlib.contextmanager
def _unfit_left_out() -> Iterator[None]:
    """What comes out of files may be more than SQLite takes: a number beyond 64 bits, a name that is no text."""
    import sqlite3

    with contextlib.suppress(OverflowError, UnicodeEncodeError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
        yield
