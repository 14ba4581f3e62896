"""Checkpoint pages: a signed note and the hashes that lead to its root. FORMAT.md, "Checkpoint page".

| offset | size | field |
|---|---|---|
| 0 | 8 | magic `EWR1`, type 3, suite 1, zero |
| 8 | 4 | n, leaves covered |
| 12 | 16 | recording id |
| 28 | 4 | p, leaves covered by the checkpoint before |
| 32 | 2 | note length |
| 34 | … | note; leaf hashes p to n - 1; compact range of the first p leaves, largest subtree first |
| … | … | checkpoint 0 only: page 0 from its first byte to the end of its envelope, then page 0's device tag, 16 bytes |
| … | | zero to 4096 |
"""

from struct import pack_into, unpack_from

from micropython import const

from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

_PAGE_BYTES = const(4096)
_HEAD = "<4sBBHI16sIH"
_HEAD_BYTES = const(34)
_MAGIC = b"EWR1"
_CHECKPOINT = const(3)
_SUITE = const(1)
_ENVELOPE_LENGTH = const(100)  # FORMAT.md "Page 0"
_ENVELOPE = const(102)
_TAG_OFFSET = const(4080)
_TAG_BYTES = const(16)


def page(
    recording_id: bytes,
    n: int,
    p: int,
    note: bytes,
    leaves: "Sequence[bytes | memoryview]",
    range_: "Sequence[bytes]",
    header_page: "bytes | bytearray | None" = None,
    out: "bytearray | None" = None,
) -> bytearray:
    """The page, 4096 bytes, in `out` if given. `leaves` are hashes p to n - 1, one by one or together, `range_` that of the
    first p; `header_page` for checkpoint 0 only."""
    if out is None:
        out = bytearray(_PAGE_BYTES)
    pack_into(_HEAD, out, 0, _MAGIC, _CHECKPOINT, _SUITE, 0, n, recording_id, p, len(note))
    at = _HEAD_BYTES
    out[at : at + len(note)] = note
    at += len(note)
    for hashes in (leaves, range_):
        for node in hashes:
            out[at : at + len(node)] = node
            at += len(node)
    if header_page is not None:
        end = _ENVELOPE + unpack_from("<H", header_page, _ENVELOPE_LENGTH)[0]
        out[at : at + end] = memoryview(header_page)[:end]
        at += end
        out[at : at + _TAG_BYTES] = memoryview(header_page)[_TAG_OFFSET:]
        at += _TAG_BYTES
    wipe(memoryview(out)[at:])
    return out
