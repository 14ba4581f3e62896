"""Making an excerpt: which pages may be disclosed, and the file with their keys and nothing more."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from earwitness import checkpoint, keys, merkle, page
from earwitness.atomic import replacing
from earwitness.chapters import clock
from earwitness.checkpoint import Checkpoint
from earwitness.container import Container
from earwitness.errors import EarwitnessError, IntegrityError, UsageError
from earwitness.excerpt import BEGIN, DISCLOSED, MAGIC, VERSION, WITHHELD
from earwitness.excerpt_verdict import ExcerptVerdict, verify_excerpt
from earwitness.keys import Opener, Ratchet
from earwitness.opening import open_page
from earwitness.structure import Structure
from earwitness.verify import verify

_UNKNOWN = bytes(merkle.HASH_BYTES)

Span = tuple[int, int | None]  # first sample, sample after the last or None for the end


@dataclass(frozen=True)
class Wanted:
    """What its owner discloses: everything, or what is in `keep`; in either case without what is in `hide`."""

    keep: tuple[Span, ...] = ()
    hide: tuple[Span, ...] = ()

    def allows(self, first: int, end: int) -> bool:
        """Whether a page with samples `first` to `end` may be disclosed: only if every sample in it may.

        Blanking rounds outward: what was disclosed in error cannot be taken back.
        """
        if any(low < max(end, first + 1) and (high is None or first < high) for low, high in self.hide):
            return False
        joined = self._joined()
        return not joined or any(low <= first and (high is None or end <= high) for low, high in joined)

    def check(self, samples: int) -> None:
        """Raises UsageError for spans that are empty or outside the recording."""
        for low, high in (*self.keep, *self.hide):
            if low >= samples:
                raise UsageError(f"{clock(low)} is behind the end.", f"The recording is {clock(samples)} long.")
            if high is not None and high <= low:
                raise UsageError(f"There is nothing between {clock(low)} and {clock(high)}.")

    def _joined(self) -> list[Span]:
        joined: list[Span] = []
        for low, high in sorted(self.keep, key=lambda span: span[0]):
            last = joined[-1] if joined else None
            if last and (last[1] is None or low <= last[1]):
                ends = None if last[1] is None or high is None else max(last[1], high)
                joined[-1] = (last[0], ends)
            else:
                joined.append((low, high))
        return joined


def disclose(
    source: str | os.PathLike[str],
    identity: Opener,
    target: Path,
    wanted: Wanted,
    *,
    pinned: bytes | None = None,
    overwrite: bool = False,
) -> ExcerptVerdict:
    """Write an excerpt of the recording `source` under `target`; returns what its receiver will be told of it.

    Damaged pages and those that the recorder does not vouch for are not disclosed. Raises IntegrityError if the
    recording does not verify, KeyMissingError if `identity` does not open it, UsageError if no page is left.
    """
    verdict = verify(source, identity, pinned=pinned)
    if verdict.intact.state == "not intact" or verdict.by.ok is False:
        raise IntegrityError((verdict.by if verdict.by.ok is False else verdict.intact).reason)
    wanted.check(verdict.samples)
    container = Container(source)
    seal, sealed, listed = _seal(container, damaged=bool(verdict.damaged))
    with replacing(target, overwrite=overwrite) as file:
        file.write(BEGIN.pack(MAGIC, VERSION) + container.header.page + sealed)
        _write_leaves(file, container, identity, wanted, seal, listed)
    made = verify_excerpt(target, pinned=pinned)
    if not made.intact.ok:
        target.unlink()
        raise IntegrityError(f"The excerpt does not verify and was removed. {made.intact.reason}")
    return made


def _seal(container: Container, *, damaged: bool) -> tuple[Checkpoint, bytes, bytearray]:
    """(the last good checkpoint, its page, all leaf hashes that checkpoints list if pages are `damaged`)."""
    best: tuple[Checkpoint, bytes] | None = None
    listed = bytearray()
    for data in container.pages():
        begin = page.start(data)
        if begin is None or (begin.kind, begin.recording_id) != (page.CHECKPOINT, container.header.recording_id):
            continue
        try:
            found = checkpoint.parse(data, container.header)
        except EarwitnessError:
            continue
        if best is None or found.n >= best[0].n:
            best = found, data
        if damaged:
            listed.extend(bytes(max(found.n * merkle.HASH_BYTES - len(listed), 0)))
            listed[found.p * merkle.HASH_BYTES : found.n * merkle.HASH_BYTES] = b"".join(found.leaves)
    if best is None:
        raise IntegrityError("No checkpoint of the recorder vouches for anything in this recording.")
    return *best, listed


def _write_leaves(
    file: IO[bytes], container: Container, identity: Opener, wanted: Wanted, seal: Checkpoint, listed: bytearray
) -> None:
    ratchet = Ratchet(keys.recording_key(container.header, identity), container.header)
    tree = merkle.Tree().extended([container.header.leaf])
    disclosed = 0

    def absent(indexes: Iterable[int]) -> None:
        for index in indexes:
            known = bytes(listed[index * merkle.HASH_BYTES : (index + 1) * merkle.HASH_BYTES])
            if known in (b"", _UNKNOWN):
                raise IntegrityError(f"Page {index} is damaged, and so is what proves the others without it.")
            tree.append(known)
            file.write(WITHHELD + known)

    for leaf in Structure(container).leaves():
        if not leaf.proven or leaf.index >= seal.n:
            break
        absent(range(tree.size, leaf.index))
        key = ratchet.page_key(leaf.index)
        body = open_page(leaf.page, leaf.digest, key)
        known = page.leaf_hash(leaf.page, leaf.digest)
        tree.append(known)
        if wanted.allows(body.first_sample, body.end):
            disclosed += 1
            file.write(DISCLOSED + key + leaf.page)
        else:
            file.write(WITHHELD + known)
    absent(range(tree.size, seal.n))
    if tree.root() != seal.note.root:
        raise IntegrityError("The file has changed while it was read.")
    if not disclosed:
        raise UsageError(
            "Nothing would be disclosed: no whole page lies within those times.",
            "A page is about half a second, at most 0.9 s, and is disclosed only whole. Widen the times by a second.",
        )
