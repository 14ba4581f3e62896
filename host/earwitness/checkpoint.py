"""Checkpoint pages: a signed note, the leaf hashes since the checkpoint before, and the compact range below them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from earwitness import merkle, note
from earwitness.errors import EarwitnessError, FormatError, IntegrityError
from earwitness.page import (
    CHECKPOINT,
    DEVICE_TAG_OFFSET,
    MAGIC,
    MAX_LEAVES,
    PAGE_BYTES,
    SUITE,
    Header,
    parse_header,
    start,
)

MAX_LISTED = 64  # leaves that one checkpoint lists
MAX_LATE = 32  # leaves that may stand before a checkpoint beyond those that it covers: signing takes its time
MAX_UNPROVEN = MAX_LISTED + MAX_LATE  # leaves behind the last one

_FIXED = struct.Struct("<4sBBHI16sIH")  # magic, type, suite, zero, n, recording id, p, note length
_HEADER_FIXED_BYTES = 102


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint that is good in itself: every byte rebuilt, range and list fold to the signed root."""

    note: note.Note
    p: int
    leaves: tuple[bytes, ...]
    range: tuple[bytes, ...]
    tree: merkle.Tree  # of all n leaves

    @property
    def n(self) -> int:
        """Leaves covered."""
        return self.note.n


def page(
    recording_id: bytes,
    n: int,
    p: int,
    *,
    signed_note: bytes,
    leaves: Sequence[bytes],
    range_: Sequence[bytes],
    header_page: bytes | None = None,
) -> bytes:
    """The one page (4096 bytes) that these values make. `header_page` is for checkpoint 0 only."""
    parts = [_FIXED.pack(MAGIC, CHECKPOINT, SUITE, 0, n, recording_id, p, len(signed_note)), signed_note]
    parts += [*leaves, *range_]
    if header_page is not None:
        parts += [header_page[: _header_bytes(header_page)], header_page[DEVICE_TAG_OFFSET:]]
    made = b"".join(parts)
    if len(made) > PAGE_BYTES:
        raise FormatError("A checkpoint holds more than fits its page.")
    return made + bytes(PAGE_BYTES - len(made))


def parse(data: bytes, header: Header) -> Checkpoint:
    """A checkpoint page of `header`'s recording, fully checked against itself and the header.

    Raises FormatError or IntegrityError with the reason. Whether it fits the leaves around it is for `structure`.
    """
    n, p, signed_note, at = _outside(data)
    parsed = note.parse(signed_note, header.device)
    if (parsed.recording_id, parsed.seq, parsed.prev) != (header.recording_id, header.seq, header.prev):
        raise IntegrityError("The note of a checkpoint names another recording than the header.")
    if parsed.n != n or not 0 <= p <= n <= MAX_LEAVES or n - p > MAX_LISTED or parsed.state == note.LOST:
        raise FormatError("The counts of a checkpoint contradict each other.")
    if p == 0 and n != 1:
        raise FormatError("Only checkpoint 0 stands on nothing, and it covers the header alone.")
    if p == 0 and parsed.final:
        raise FormatError("Checkpoint 0 says that the recording is over.")
    if n == p and not parsed.final:
        raise FormatError("A running checkpoint lists no page.")
    leaves, at = _hashes(data, at, n - p)
    range_, at = _hashes(data, at, p.bit_count())
    tree = merkle.Tree(p, range_).extended(leaves)
    if tree.root() != parsed.root:
        raise IntegrityError("The hashes in a checkpoint do not add up to what is signed.")
    copied = header.page if p == 0 else None
    whole = page(header.recording_id, n, p, signed_note=signed_note, leaves=leaves, range_=range_, header_page=copied)
    if whole != data:
        raise IntegrityError("A checkpoint has bytes that nothing accounts for.")
    return Checkpoint(parsed, p, leaves, range_, tree)


def header_copy(data: bytes) -> Header:
    """The header as checkpoint 0 carries it, checked against the leaf hash that this checkpoint has signed.

    Raises FormatError or IntegrityError: then there is no copy to rely on.
    """
    n, p, _, at = _outside(data)
    if (n, p) != (1, 0):
        raise FormatError("The second page is not checkpoint 0.")
    at += merkle.HASH_BYTES
    if at + _HEADER_FIXED_BYTES > PAGE_BYTES:
        raise FormatError("Checkpoint 0 has no room for its copy of the header.")
    end = at + _header_bytes(data[at : at + _HEADER_FIXED_BYTES])
    tag_end = end + PAGE_BYTES - DEVICE_TAG_OFFSET
    if tag_end > PAGE_BYTES:
        raise FormatError("The copy of the header in checkpoint 0 runs past its page.")
    copy = data[at:end]
    header = parse_header(copy + bytes(DEVICE_TAG_OFFSET - len(copy)) + data[end:tag_end])
    if parse(data, header).leaves[0] != header.leaf:
        raise IntegrityError("The copy of the header in checkpoint 0 is not what was signed.")
    return header


def stray_note(data: bytes, header: Header) -> note.Note | None:
    """The note of a checkpoint page that is damaged elsewhere, if the signature still holds."""
    try:
        parsed = note.parse(_outside(data)[2], header.device)
    except EarwitnessError:
        return None
    ours = (parsed.recording_id, parsed.seq, parsed.prev) == (header.recording_id, header.seq, header.prev)
    return parsed if ours and 1 <= parsed.n <= MAX_LEAVES and parsed.state != note.LOST else None


def _outside(data: bytes) -> tuple[int, int, bytes, int]:
    """(n, p, signed note, offset behind the note)."""
    begin = start(data)
    if begin is None or begin.kind != CHECKPOINT:
        raise FormatError("A page is no checkpoint.")
    *_, p, length = _FIXED.unpack_from(data)
    at = _FIXED.size + length
    if at > PAGE_BYTES:
        raise FormatError("The note of a checkpoint runs past its page.")
    return begin.number, p, data[_FIXED.size : at], at


def _header_bytes(begin: bytes) -> int:
    """Bytes of a header up to the end of its envelope."""
    return _HEADER_FIXED_BYTES + int.from_bytes(begin[100:102], "little")


def _hashes(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    end = at + count * merkle.HASH_BYTES
    if end > PAGE_BYTES:
        raise FormatError("The hashes of a checkpoint run past its page.")
    return tuple(data[i : i + merkle.HASH_BYTES] for i in range(at, end, merkle.HASH_BYTES)), end
