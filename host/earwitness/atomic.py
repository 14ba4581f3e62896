"""A file appears under its name whole, or not at all.

Plain sound must not be left behind by a crash: where the system can (Linux), the file has no name until it is complete,
so that a kill leaves nothing. Elsewhere it has a hidden name that says what it is, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from earwitness.errors import UsageError

_LEFTOVER_SUFFIX: Final = ".earwitness-part"
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITTEN: Final = (*NO_ROOM, errno.EFBIG, errno.EROFS)  # only writing fails in these ways
_in_work: Final[set[Path]] = set()  # hidden names of this process


def remove_leftovers(folder: Path) -> int:
    """Remove what killed runs left in `folder`; files of a process that still runs stay. Returns how many went."""
    removed = 0
    for path in folder.glob(f".*{_LEFTOVER_SUFFIX}"):
        if path in _in_work:
            continue
        owner = path.name.removesuffix(_LEFTOVER_SUFFIX).rsplit(".", 2)[-2]
        if owner.isdigit() and int(owner) != os.getpid() and _alive(int(owner)):
            continue
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
    return removed


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return False  # Windows refuses to delete an open file, which protects the other run
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _hidden(path: Path) -> Path:
    hidden = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}{_LEFTOVER_SUFFIX}")
    _in_work.add(hidden)
    return hidden


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_unnamed(folder: Path, mode: int) -> int | None:
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, flag | os.O_RDWR, mode)
    except OSError:
        return None


def _give_name(handle: int, path: Path) -> None:
    """Link an unnamed file under `path`."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Only with a folder's handle does Python use linkat(2) and follow the link that /proc holds (open(2), O_TMPFILE).
        os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


@contextlib.contextmanager
def as_told(path: Path) -> Iterator[None]:
    """What the system refuses to a file with a hidden name, or with none, it refuses to `path`: that was asked for."""
    try:
        yield
    except OSError as error:
        nameless = error.filename is None and error.errno in NOT_WRITTEN
        if nameless or str(error.filename).endswith(_LEFTOVER_SUFFIX):
            error.filename, error.filename2 = str(path), None
        raise


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o666, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Yield a binary file, readable and seekable; on a clean exit it is on the disk under `path`, else nothing is."""
    with as_told(path), _in_place(path.absolute(), mode, overwrite) as file:
        yield file


@contextlib.contextmanager
def _in_place(path: Path, mode: int, overwrite: bool) -> Iterator[IO[bytes]]:
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Make it first, or choose another place with -o.")
    if not overwrite and path.exists():
        raise UsageError(f"{path.name} already exists.", "Choose another name, or add --force to replace it.")
    remove_leftovers(folder)
    named: Path | None = None
    handle = _open_unnamed(folder, mode)
    if handle is None:
        named = _hidden(path)
        handle = os.open(named, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    file = os.fdopen(handle, "w+b")
    try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        if named is None:
            named = _hidden(path)
            _give_name(file.fileno(), named)
        file.close()
        named.replace(path)
        sync_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):  # what is still to be written does not fit either
            file.close()
        if named is not None:
            named.unlink(missing_ok=True)
        raise
    finally:
        _in_work.discard(named or path)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read."""
    with replacing(path, mode=0o600) as file:
        file.write(data)
