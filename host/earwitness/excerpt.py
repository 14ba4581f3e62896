"""Excerpts `.ewd`: some pages of a recording with their keys, and of all others the hash alone.

Whoever has the file needs no key: the hashes of all pages, disclosed or withheld, give the root that the recorder has
signed, and each disclosed page opens with the one key that its tag fits. See README, "Excerpts".
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from earwitness import checkpoint, merkle, page
from earwitness.body import Body
from earwitness.errors import EarwitnessError, FormatError, IntegrityError
from earwitness.opening import open_page
from earwitness.timeline import Gap, Timeline

MAGIC = b"EWRB"
VERSION = 1
BEGIN = struct.Struct("<4sI")  # magic, version
WITHHELD, DISCLOSED = b"\x00", b"\x01"
KEY_BYTES = 32

_MAX_RUNS = 10_000  # disclosed and withheld parts that are told one by one
_BUFFER_BYTES = 1 << 20


@dataclass(slots=True)
class Part:
    """Leaf `index`. Of a withheld one `page_key`, `page` and `digest` are empty."""

    index: int
    hash: bytes
    page_key: bytes = b""
    page: bytes = b""
    digest: bytes = b""


@dataclass(slots=True)
class Run:
    """Neighbouring pages that are all disclosed or all withheld; `count` samples from `sample` on.

    `count` is None for pages withheld at the end: nothing tells how long they are.
    """

    withheld: bool
    first_page: int
    pages: int
    sample: int
    count: int | None


class Excerpt:
    """A file with an excerpt, read in constant memory.

    Raises FormatError if it is none, IntegrityError if what the recorder signed is not in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            begin = file.read(BEGIN.size)
            first, sealed = file.read(page.PAGE_BYTES), file.read(page.PAGE_BYTES)
        if len(begin) < BEGIN.size or begin[:4] != MAGIC:
            raise FormatError("This is not an Earwitness excerpt: it does not begin with EWRB.")
        version = BEGIN.unpack(begin)[1]
        if version != VERSION:
            raise FormatError(
                f"This excerpt is of version {version}, which this program does not know.", "Update earwitness."
            )
        try:
            self.header = page.parse_header(first)
        except EarwitnessError as error:
            if not page.is_recording(first, sealed):
                raise
            raise IntegrityError(f"The recording's header in this excerpt is not good. {error.message}") from error
        try:
            self.seal = checkpoint.parse(sealed, self.header)
        except EarwitnessError as error:
            raise IntegrityError(f"The recorder's signature in this excerpt is not good. {error.message}") from error

    @property
    def pages(self) -> int:
        """Pages of sound, disclosed and withheld."""
        return self.seal.n - 1

    def parts(self) -> Iterator[Part]:
        """Every leaf from 1 on. Raises IntegrityError where the file is not of the form; nothing is proven yet."""
        with self.path.open("rb", _BUFFER_BYTES) as file:
            file.seek(BEGIN.size + 2 * page.PAGE_BYTES)
            for index in range(1, self.pages + 1):
                kind = self._read(file, 1, index)
                if kind == WITHHELD:
                    yield Part(index, self._read(file, merkle.HASH_BYTES, index))
                elif kind == DISCLOSED:
                    key = self._read(file, KEY_BYTES, index)
                    yield self._disclosed(index, key, self._read(file, page.PAGE_BYTES, index))
                else:
                    raise IntegrityError(f"what stands for page {index} is neither disclosed nor withheld")
            if file.read(1):
                raise IntegrityError("bytes stand behind its end")

    def _read(self, file: BinaryIO, size: int, index: int) -> bytes:
        data = file.read(size)
        if len(data) < size:
            raise IntegrityError(f"the file ends within page {index} of {self.pages}")
        return data

    def _disclosed(self, index: int, key: bytes, data: bytes) -> Part:
        if page.start(data) != (page.AUDIO, index, self.header.recording_id):
            raise IntegrityError(f"what stands for page {index} is another page")
        digest = page.digest(data)
        return Part(index, page.leaf_hash(data, digest), key, data, digest)


class Walk:
    """One walk over an excerpt. `runs` and the timeline count only once `pieces` has come to its end."""

    def __init__(self, excerpt: Excerpt, timeline: Timeline) -> None:
        timeline.excerpt = True
        self._excerpt = excerpt
        self._timeline = timeline
        self.runs: list[Run] = []
        self.disclosed = 0

    def pieces(self) -> Iterator[Gap | Body]:
        """Gaps and pages with sound, in order and without a gap between them.

        Raises IntegrityError at the first thing that is wrong; last of all, if the hashes do not give the signed root.
        """
        tree = merkle.Tree().extended([self._excerpt.header.leaf])
        for part in self._excerpt.parts():
            tree.append(part.hash)
            if not part.page:
                self._withhold(part.index)
                continue
            try:
                body = open_page(part.page, part.digest, part.page_key)
                gaps = self._timeline.add(part.index, body)
            except (FormatError, IntegrityError) as error:
                raise IntegrityError(f"page {part.index} cannot be used: {error.message}") from error
            self._disclose(part.index, body)
            yield from gaps
            if body.samples:
                yield body
        if tree.root() != self._excerpt.seal.note.root:
            raise IntegrityError("its pages and hashes do not add up to what the recorder signed")

    @property
    def withheld(self) -> int:
        """Pages that are not disclosed."""
        return self._excerpt.pages - self.disclosed

    def _withhold(self, index: int) -> None:
        if self.runs and self.runs[-1].withheld:
            self.runs[-1].pages += 1
        else:
            self._begin(Run(True, index, 1, self._timeline.samples, None))

    def _disclose(self, index: int, body: Body) -> None:
        self.disclosed += 1
        last = self.runs[-1] if self.runs else None
        if last and not last.withheld:
            last.pages += 1
            last.count = body.end - last.sample
            return
        begin = body.first_sample - body.lost_before
        if last:
            last.count = begin - last.sample
        self._begin(Run(False, index, 1, begin, body.end - begin))

    def _begin(self, run: Run) -> None:
        if len(self.runs) == _MAX_RUNS:
            raise IntegrityError(f"it is cut into more than {_MAX_RUNS} parts")
        self.runs.append(run)
