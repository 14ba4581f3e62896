"""Pages of sound behind the last checkpoint, which nobody vouches for: which of them stand where none of them can have been
recorded (FORMAT.md, "How to verify", 4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """A page that waits: its place in the file, the leaf that it says it is, its leaf hash."""

    file_page: int
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """What waits, told apart.

    spoilt: file pages whose number an accident changed: each has a number that was left out to stand for. disorder: pages
    are out of line that no accident puts there. highest: the highest index in line, size - 1 without any. left_out: how many
    indexes up to it nothing stands for.
    """

    spoilt: list[int]
    disorder: bool
    highest: int
    left_out: int


def tell(rows: Sequence[Row], size: int, most: int) -> Tail:
    """`rows` in the order of the file. Behind `size` leaves that are proven indexes up to `most` - 1 are believed, and from
    there on as long as none is left out."""
    line = _line(rows, size, most)
    numbers, hashes = {rows[at].number for at in line}, {rows[at].hash for at in line}
    highest = max(numbers, default=size - 1)
    astray = [row for at, row in enumerate(rows) if at not in line]
    last = rows[max(line)].file_page if line else -1
    left_out = highest + 1 - size - len(numbers)
    free = left_out + sum(row.file_page > last for row in astray)
    # below size it may be a copy of a page that is proven, whose hash is not kept
    moved = any(row.hash in hashes or (row.number <= highest and row.number not in numbers) for row in astray)
    if moved or len(astray) > free:
        return Tail([], True, highest, left_out)
    return Tail([row.file_page for row in astray], False, highest, max(left_out - len(astray), 0))


def _line(rows: Sequence[Row], size: int, most: int) -> set[int]:
    """Positions of the longest run of rising indexes."""
    ends: list[int] = []  # of the runs found so far, by their length, each with the lowest index there is
    before: list[int] = []
    believed = -1  # position of the last one
    for at, row in enumerate(rows):
        before.append(-1)
        follows = believed == at - 1 >= 0 and row.number == rows[at - 1].number + 1
        if row.number < size or (row.number >= most and not follows):
            continue
        believed = at
        length = bisect_left(ends, row.number, key=lambda end: rows[end].number)
        before[at] = ends[length - 1] if length else -1
        ends[length : length + 1] = [at]
    line: set[int] = set()
    at = ends[-1] if ends else -1
    while at >= 0:
        line.add(at)
        at = before[at]
    return line
