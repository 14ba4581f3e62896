"""The structure of a file, which needs no key: what the recorder's signatures prove of it, and what is wrong.

Leaves wait until a checkpoint lists their hashes; what it does not list, or lists otherwise, is damaged. So one bad page
condemns one page. Memory is bounded by the leaves that may wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from earwitness import checkpoint, merkle, note, page, tail
from earwitness.checkpoint import MAX_LATE, MAX_LISTED, MAX_UNPROVEN, Checkpoint
from earwitness.container import Container
from earwitness.errors import EarwitnessError
from earwitness.findings import Findings, Survey
from earwitness.reckoning import FOREIGN, SPOILT_CHECKPOINT, Reckoning
from earwitness.tail import Row

_MAX_WAITING = 1024  # leaves held while checkpoint after checkpoint is damaged; 4 MiB


@dataclass(slots=True)
class Leaf:
    """A page of sound in its place. Unproven ones are not vouched for by the recorder."""

    index: int
    file_page: int
    page: bytes
    digest: bytes
    proven: bool


@dataclass(slots=True)
class _Waiting:
    file_page: int
    page: bytes
    digest: bytes
    hash: bytes


class Structure:
    """One walk over a container."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._header = container.header
        self._tree = merkle.Tree()
        self._good = self._tree  # as of the last good checkpoint
        self._since_good: list[bytes] = []  # leaves that damaged ones have proven since
        self._waiting: dict[int, list[_Waiting]] = {}
        self._held = 0
        self._given_up = False
        self._emitted = 0  # index of the last leaf handed out
        self._last_ours = 0  # newest file page that is plainly of this recording
        self.survey = Survey(Findings())
        self._reckoning = Reckoning(self.survey)

    def leaves(self) -> Iterator[Leaf]:
        """Every leaf from 1 on, indexes rising, the proven ones as soon as they are."""
        survey, ours = self.survey, self._header.recording_id
        if self._container.header_fault:
            survey.damaged += 1
            survey.findings.damage(self._container.header_fault)
        for file_page, data in enumerate(self._container.pages()):
            if file_page == 0:
                self._wait(0, 0, self._header.page)
                continue
            begin = page.start(data)
            mine = begin is not None and begin.recording_id == ours
            if survey.final:
                if mine:
                    survey.findings.failure("a page of this recording stands behind its final note", file_page)
                else:
                    survey.unused_pages += 1
            elif begin is None or not mine:
                self._reckoning.stranger(file_page, "" if begin is None else FOREIGN)
            elif begin.kind == page.AUDIO and 1 <= begin.number <= page.MAX_LEAVES:
                self._last_ours = file_page
                self._wait(begin.number, file_page, data)
                if self._held > _MAX_WAITING:
                    yield from self._give_up()
            elif begin.kind == page.CHECKPOINT:
                yield from self._checkpoint(file_page, data)
            elif begin.kind == page.HEADER:
                survey.findings.failure("a second header of this recording stands among its pages", file_page)
            else:
                self._reckoning.stranger(file_page)
        yield from self._close()

    def _wait(self, index: int, file_page: int, data: bytes) -> None:
        digest = page.digest(data)
        leaf = _Waiting(file_page, data, digest, page.leaf_hash(data, digest))
        self._waiting.setdefault(index, []).append(leaf)
        self._held += 1

    def _checkpoint(self, file_page: int, data: bytes) -> Iterator[Leaf]:
        try:
            found = checkpoint.parse(data, self._header)
        except EarwitnessError:
            yield from self._damaged_checkpoint(file_page, data)
            return
        survey = self.survey
        size = self._tree.size
        if found.n < size or found.p < self._good.size:
            survey.findings.failure("a checkpoint goes back behind the one before", file_page)
            return
        self._last_ours = file_page
        if found.n == 1 and not found.p and file_page != 1:
            survey.findings.failure("checkpoint 0 does not stand right behind the header", file_page)
        between = self._between(found)
        if between is None:
            survey.findings.failure("two checkpoints, both signed by the recorder, contradict each other", file_page)
            return
        leaves = [*between, *found.leaves[max(size - found.p, 0) :]]
        yield from self._prove(leaves, found.note, file_page, gap=found.p > size)
        survey.checkpoints += 1
        survey.begins_sealed |= file_page == 1 and found.n == 1
        self._tree = self._good = found.tree
        self._since_good.clear()
        survey.proven_to = found.n
        if found.note.final:
            survey.final, survey.final_whole = found.note, True

    def _between(self, found: Checkpoint) -> list[bytes] | None:
        """Hashes of the leaves that only a damaged checkpoint lists: empty strings where nothing proves them any more.

        None if it contradicts what is proven already. A recorder that recovers builds on no damaged checkpoint, and lists its leaves again.
        """
        size = self._tree.size
        if found.p <= size:
            again = found.p - self._good.size
            fits = self._good.extended(self._since_good[:again]).range() == list(found.range)
            return [] if fits and list(found.leaves[: size - found.p]) == self._since_good[again:] else None
        hashes = [self._waiting[i][0].hash if i in self._waiting else b"" for i in range(size, found.p)]
        if all(hashes) and self._tree.extended(hashes).range() == list(found.range):
            return hashes
        return [b""] * (found.p - size)

    def _damaged_checkpoint(self, file_page: int, data: bytes) -> Iterator[Leaf]:
        """A sector of a checkpoint is spoilt; where its signed note is whole, the leaves themselves can fit it."""
        self._reckoning.stranger(file_page, SPOILT_CHECKPOINT)
        signed = checkpoint.stray_note(data, self._header)
        if signed is None:
            return
        tree = None
        if self._tree.size <= signed.n <= self._tree.size + _MAX_WAITING:
            hashes = [self._waiting[i][0].hash for i in range(self._tree.size, signed.n) if i in self._waiting]
            tree = self._tree.extended(hashes)
        if tree is None or (tree.size, tree.root()) != (signed.n, signed.root):
            self.survey.findings.damage(f"the recorder signed other pages on page {file_page} than stand before it")
            return
        self._last_ours = file_page
        yield from self._prove(hashes, signed, file_page)
        self._tree = tree
        self._since_good += hashes
        if len(self._since_good) > _MAX_WAITING:
            self._good, self._since_good = tree, []
        self.survey.proven_to = signed.n
        if signed.final:
            self.survey.final = signed

    def _prove(self, hashes: list[bytes], signed: note.Note, file_page: int, *, gap: bool = False) -> Iterator[Leaf]:
        """Match waiting leaves with the hashes from the tree's size on; have named what is spoilt, missing or too much.

        gap: there was a checkpoint between.
        """
        survey = self.survey
        matched: list[tuple[int, _Waiting]] = []
        extra: list[_Waiting] = []
        missing = doubtful = 0
        for index, wanted in enumerate(hashes, self._tree.size):
            here = self._waiting.pop(index, [])
            if here and not wanted:
                doubtful += len(here)
                continue
            good = next((leaf for leaf in here if leaf.hash == wanted), None)
            extra += [leaf for leaf in here if leaf is not good]
            if good:
                matched.append((index, good))
            else:
                missing += 1
        last = max((leaf.file_page for _, leaf in matched), default=0)
        extra += self._strays(signed.n, 0 if signed.final else MAX_LATE, last)
        self._held = sum(map(len, self._waiting.values()))
        if any(a.file_page > b.file_page for (_, a), (_, b) in pairwise(matched)):
            survey.findings.failure("pages of this recording stand out of order", file_page)
        if doubtful:
            survey.findings.damage(
                f"{doubtful} pages before page {file_page} of the file cannot be proven one by one any more,"
                " because the checkpoint that lists them is damaged or missing"
            )
        spoilt = [leaf.file_page for leaf in extra]
        room = 0 if signed.final else max(MAX_LATE - self._held, 0)
        self._reckoning.settle(signed, file_page, last, missing=missing, spoilt=spoilt, room=room, gap=gap)
        survey.proven += len(matched)
        for index, leaf in matched:
            if index > self._emitted:
                self._emitted = index
                yield Leaf(index, leaf.file_page, leaf.page, leaf.digest, True)

    def _strays(self, n: int, late: int, last: int) -> list[_Waiting]:
        """Take out what may not wait across a checkpoint over n leaves: stale, too far on, or out of place."""
        strays: list[_Waiting] = []
        for index in list(self._waiting):
            here = self._waiting[index]
            keep = [leaf for leaf in here if n <= index < n + late and leaf.file_page > last]
            strays += [leaf for leaf in here if leaf not in keep]
            if keep:
                self._waiting[index] = keep
            else:
                del self._waiting[index]
        return strays

    def _give_up(self) -> Iterator[Leaf]:
        self._given_up = True
        self.survey.findings.failure(
            f"more than {MAX_UNPROVEN} pages stand without a checkpoint of the recorder", self._last_ours
        )
        yield from self._unproven()

    def _unproven(self) -> Iterator[Leaf]:
        for index in sorted(self._waiting):
            leaf = self._waiting[index][0]
            if index > self._emitted:
                self._emitted = index
                self.survey.unproven += 1
                yield Leaf(index, leaf.file_page, leaf.page, leaf.digest, False)
        self._waiting.clear()
        self._held = 0

    def _close(self) -> Iterator[Leaf]:
        survey, findings = self.survey, self.survey.findings
        if not survey.proven_to:
            findings.failure("no checkpoint of the recorder vouches for anything in this file", 0)
        self._waiting.pop(0, None)
        left_out, over = self._tail() if survey.proven_to and not self._given_up else (0, 0)
        yield from self._unproven()
        self._reckoning.close(self._last_ours, left_out, over)
        if self._container.odd_bytes:
            survey.litter(f"{self._container.odd_bytes} bytes at the end are short of a page")

    def _tail(self) -> tuple[int, int]:
        """Put what waits behind the last checkpoint in line; how many numbers are left out in it, and too many for its length."""
        self._forget(self._reckoning.misnumbered(self._out_of_line()))
        rows = sorted(Row(leaf.file_page, index, leaf.hash) for index, here in self._waiting.items() for leaf in here)
        size = self._tree.size
        found = tail.tell(rows, size, size + MAX_UNPROVEN + self._reckoning.strange * MAX_LISTED)
        if found.disorder:
            words = "pages behind the last checkpoint stand twice or out of order"
            self.survey.findings.failure(words, self._last_ours)
        self._reckoning.damaged(found.spoilt)
        self._forget(found.spoilt)
        return found.left_out, found.highest + 1 - size - MAX_UNPROVEN

    def _forget(self, file_pages: Sequence[int]) -> None:
        left = {i: [leaf for leaf in here if leaf.file_page not in file_pages] for i, here in self._waiting.items()}
        self._waiting = {index: here for index, here in left.items() if here}

    def _out_of_line(self) -> list[int]:
        """File pages of those that wait although one with the same or a lower number stands behind them."""
        lowest, found = page.MAX_LEAVES + 1, []
        rows = ((leaf.file_page, index) for index, here in self._waiting.items() for leaf in here)
        for file_page, index in sorted(rows, reverse=True):
            if index >= lowest:
                found.append(file_page)
            lowest = min(lowest, index)
        return found
