"""Pages: what every page begins and ends with, the header, and the outside of an audio page (FORMAT.md)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from earwitness.errors import FormatError
from earwitness.note import refuse_weak_key

PAGE_BYTES = 4096
BODY_OFFSET = 32
TAG_OFFSET = 4048
DEVICE_TAG_OFFSET = 4080
MAGIC = b"EWR1"
SUITE = 1
HEADER, AUDIO, CHECKPOINT = 1, 2, 3

MAX_SEQ = (1 << 32) - 1
MAX_LEAVES = 1 << 20  # 4 GiB, the most that a FAT32 file holds: no index or count beyond it is believed

_ENVELOPE_OFFSET = 102
_START = struct.Struct("<4sBBHI16s")  # magic, type, suite, zero, page size or i or n, recording id
_HEADER = struct.Struct("<Q32s32sH")  # seq, prev, device public key, envelope length
_ZERO32 = bytes(32)
_STANZA = b"-> X25519 "
_SHARE_CHARS = 43  # 32 bytes in unpadded base64
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_LAST = b"AEIMQUYcgkosw048"  # of 43 characters the last has two bits that mean nothing and have to be 0


class Start(NamedTuple):
    """The 28 bytes that all pages have in common. `number` is the page size, the leaf index or n, by `kind`."""

    kind: int
    number: int
    recording_id: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """Page 0 of a recording. `prev` is H of the final note of the recording before, zero for the first."""

    page: bytes
    recording_id: bytes
    seq: int
    prev: bytes
    device: bytes
    envelope: bytes

    @property
    def leaf(self) -> bytes:
        """Leaf hash 0."""
        return leaf_hash(self.page, digest(self.page))


def digest(page: bytes) -> bytes:
    """d = H(page[0:4048]): what tag, device tag and leaf are made from."""
    return sha256(memoryview(page)[:TAG_OFFSET]).digest()


def leaf_hash(page: bytes, d: bytes) -> bytes:
    """H(0x00 || d || tag || device tag): every byte of the page counts."""
    return sha256(b"\x00" + d + page[TAG_OFFSET:]).digest()


def start(page: bytes) -> Start | None:
    """What a page says it is; None for anything that is no page of version 1."""
    if len(page) != PAGE_BYTES or page[:4] != MAGIC:
        return None
    _, kind, suite, zero, number, recording_id = _START.unpack_from(page)
    if suite != SUITE or zero or kind not in (HEADER, AUDIO, CHECKPOINT):
        return None
    if (kind == AUDIO and page[28:32] != b"\0\0\0\0") or (kind == HEADER and number != PAGE_BYTES):
        return None
    return Start(kind, number, recording_id)


def parse_header(page: bytes) -> Header:
    """Page 0; the envelope's outside is checked, which needs no key.

    Raises FormatError with the reason, IntegrityError for a device key that anybody can sign with.
    """
    if len(page) != PAGE_BYTES or page[:4] != MAGIC:
        raise FormatError("This is not an Earwitness recording: its first page does not begin with EWR1.")
    if page[5] != SUITE:
        raise FormatError(
            f"This recording is sealed with suite {page[5]}, which this program does not know.", "Update earwitness."
        )
    begin = start(page)
    if begin is None or begin.kind != HEADER or begin.number != PAGE_BYTES:
        raise FormatError("The first page is no recording header.")
    seq, prev, device, length = _HEADER.unpack_from(page, 28)
    end = _ENVELOPE_OFFSET + length
    if end > TAG_OFFSET or any(page[end:DEVICE_TAG_OFFSET]):
        raise FormatError("The header holds bytes where the format has zeros.")
    envelope = page[_ENVELOPE_OFFSET:end]
    check_envelope(envelope)
    if seq > MAX_SEQ:
        raise FormatError("The header's sequence number is higher than any recorder counts.")
    if seq == 0 or (seq == 1) != (prev == _ZERO32):
        raise FormatError("The header's sequence number and its link to the recording before contradict each other.")
    refuse_weak_key(device)
    return Header(bytes(page), begin.recording_id, seq, prev, device, envelope)


def is_recording(first: bytes, second: bytes) -> bool:
    """Whether these two pages begin a recording of version 1 and suite 1, though one of them be spoilt."""
    return (first[:4] == MAGIC and first[5:6] == bytes([SUITE])) or second[:6] == MAGIC + bytes([CHECKPOINT, SUITE])


def check_envelope(envelope: bytes) -> int:
    """Number of recipients of a binary age v1 file with one X25519 stanza each and 32 bytes inside; needs no key."""
    recipients, remainder = divmod(len(envelope) - 134, 98)
    if remainder or not 1 <= recipients <= 3:
        raise FormatError("The key envelope has the wrong length: it is made for 1 to 3 recipients.")
    lines = envelope.split(b"\n", 2 * recipients + 2)
    shares = [line.removeprefix(_STANZA) for line in lines[1 : 2 * recipients + 1 : 2]]
    bodies = lines[2 : 2 * recipients + 2 : 2]
    mac = lines[2 * recipients + 1].removeprefix(b"--- ") if len(lines) == 2 * recipients + 3 else b""
    if (
        lines[0] != b"age-encryption.org/v1"
        or not all(line.startswith(_STANZA) for line in lines[1 : 2 * recipients + 1 : 2])
        or not all(_is_base64(text) for text in [*shares, *bodies, mac])
    ):
        raise FormatError("The key envelope is not an age file with X25519 recipients only.")
    return recipients


def _is_base64(text: bytes) -> bool:
    """32 bytes, written the one way: age opens no envelope with another."""
    return len(text) == _SHARE_CHARS and _BASE64.issuperset(text) and text[-1] in _LAST
