"""One booted board for many tests: each goes on from there in a process of its own, with a copy of the card.

To boot, pair and prime takes minutes. A forked process has all of that as it was, and what it does there touches no other.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .board import Board
from .sd_card import Image

Told = TypeVar("Told")


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file, its holes as holes."""
    with source.open("rb") as old, target.open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        at = 0
        while at < size:
            try:
                start = os.lseek(old.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            old.seek(start)
            new.seek(start)
            new.write(old.read(at - start))
        new.truncate(size)


def branch(board: Board, folder: Path, work: Callable[[Board, Path], Told]) -> Told:
    """`work(board, card image)` in a process of its own; returns what it returned, or fails as it failed.

    `folder` gets the copy of the card. What `work` returns must be of plain values.
    """
    card = folder / "card.img"
    copy_sparse(Path(board.card.store.path), card)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        answer: tuple[bool, Any]
        try:
            board.card.store = Image(card)
            answer = (True, work(board, card))
        except BaseException:
            answer = (False, traceback.format_exc())
        try:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    assert data, "the process of this test died"
    done, told = pickle.loads(data)
    if not done:
        raise AssertionError(told)
    return told  # type: ignore[no-any-return]
