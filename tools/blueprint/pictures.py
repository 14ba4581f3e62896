"""Pictures and printed pages. They are not the same to the bit on every machine, so a list keeps what each was made from.

A line of hardware/pictures/made-from.txt: file, SHA-256 of its source, SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LIST = "hardware/pictures/made-from.txt"


@dataclass(frozen=True)
class Picture:
    """Files that one source makes."""

    files: tuple[str, ...]
    source: str
    make: Callable[[str], tuple[bytes, ...]]  # the source: each file's bytes


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_list(root: Path) -> dict[str, tuple[str, str]]:
    try:
        lines = (root / LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {name: (source, made) for name, source, made in (line.split() for line in lines if line.count(" ") == 2)}


def stale(root: Path, pictures: list[Picture]) -> Iterator[str]:
    """Files that are missing, were changed by hand or were made from another source; and files that nothing makes."""
    known = _read_list(root)
    for picture in pictures:
        for name in picture.files:
            path = root / name
            if known.get(name) != (_hash(picture.source.encode()), _hash(path.read_bytes()) if path.exists() else ""):
                yield name
    wanted = {name for picture in pictures for name in picture.files}
    yield from (name for name in known if name not in wanted)


def make(root: Path, pictures: list[Picture]) -> list[str]:
    """Make what is stale, and the list. Returns the files made."""
    old = set(stale(root, pictures))
    done = []
    for picture in pictures:
        if old & set(picture.files):
            for name, content in zip(picture.files, picture.make(picture.source), strict=True):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)
                done.append(name)
    lines = [
        f"{name} {_hash(picture.source.encode())} {_hash((root / name).read_bytes())}"
        for picture in pictures
        for name in picture.files
    ]
    (root / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return done
