"""Two copies of one recording: which is the better one. Nothing that the recorder signed for is given up for less."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earwitness.container import Container
from earwitness.page import leaf_hash
from earwitness.structure import Structure

_MARK_BYTES: Final = (
    8  # of a leaf's hash; against chance: who could make two signed leaves alike has the recorder's key
)
_NOTHING: Final = bytes(_MARK_BYTES)
_CHUNK_BYTES: Final = 1 << 20


class Choice(enum.Enum):
    """What is to be done with another copy of a recording that is here."""

    REPLACE = "replace"  # it has all that the one here has
    DROP = "drop"  # the one here has all that it has
    KEEP_BOTH = "keep both"  # each proves something that the other does not


@dataclass(frozen=True)
class Proof:
    """What the recorder's signatures prove of one file; needs no key."""

    intact: bool  # neither damage nor anything that should not be
    final: bytes  # the final note, empty without one
    marks: bytes  # for each leaf from 0 on eight bytes of its hash, zeros where it is not proven

    @property
    def count(self) -> int:
        """Leaves that are proven."""
        marks = range(0, len(self.marks), _MARK_BYTES)
        return sum(self.marks[at : at + _MARK_BYTES] != _NOTHING for at in marks)

    def covers(self, other: Proof) -> bool:
        """Whether this file proves all that the other one proves: the same leaves, and the same end if there is one."""
        if other.final not in (b"", self.final):
            return False
        mine, theirs = self.marks, other.marks
        if mine.startswith(theirs):
            return True
        spans = (slice(at, at + _MARK_BYTES) for at in range(0, len(theirs), _MARK_BYTES))
        return all(theirs[span] in (_NOTHING, mine[span]) for span in spans)


def prove(path: Path) -> Proof:
    """Read the file at `path` whole. Raises FormatError or IntegrityError if nothing in it can be placed."""
    structure = Structure(Container(path))
    marks = bytearray()
    for leaf in structure.leaves():
        if leaf.proven:
            at = leaf.index * _MARK_BYTES
            marks.extend(bytes(max(at + _MARK_BYTES - len(marks), 0)))
            marks[at : at + _MARK_BYTES] = leaf_hash(leaf.page, leaf.digest)[:_MARK_BYTES]
    survey = structure.survey
    found = survey.findings
    intact = not (found.failure_count or found.damage_count)
    return Proof(intact, survey.final.text if survey.final else b"", bytes(marks))


def choose(new: Path, old: Path) -> Choice:
    """What to do with `new`, another copy of the recording in `old`. Raises as `prove` does."""
    extends = _begins(new, old)
    if extends and new.stat().st_size == old.stat().st_size:
        return Choice.REPLACE
    fresh, here = prove(new), prove(old)
    more, less = fresh.covers(here), here.covers(fresh)
    if not more:
        return Choice.DROP if less else Choice.KEEP_BOTH
    if not less:
        return Choice.REPLACE if fresh.intact or not here.intact else Choice.KEEP_BOTH
    # Equal before the recorder's key.
    if fresh.intact != here.intact:
        return Choice.REPLACE if fresh.intact else Choice.DROP
    if extends:
        return Choice.REPLACE
    # Nobody vouches for what stands behind the last checkpoint of an unfinished one: it may be genuine in either.
    settled = here.final or not here.intact or _begins(old, new)
    return Choice.DROP if settled else Choice.KEEP_BOTH


def _begins(longer: Path, shorter: Path) -> bool:
    """Whether `longer` begins with all bytes of `shorter`."""
    if longer.stat().st_size < shorter.stat().st_size:
        return False
    with longer.open("rb") as one, shorter.open("rb") as other:
        while chunk := other.read(_CHUNK_BYTES):
            if one.read(len(chunk)) != chunk:
                return False
    return True
