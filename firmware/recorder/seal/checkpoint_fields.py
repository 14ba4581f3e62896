"""Reads checkpoint pages back: for recovery, which trusts nothing on a card. Idle set. Layout: seal/checkpoint.py."""

from struct import unpack_from

from micropython import const

from recorder.errors import FormatError

_PAGE_BYTES = const(4096)
_HEAD = "<4sBBHI16sIH"
_HEAD_BYTES = const(34)
_MAGIC = b"EWR1"
_CHECKPOINT = const(3)
_SUITE = const(1)
_MOST_LEAVES = const(64)
_NOTE_BYTES = const(1024)  # more than any note of a recording can have
_ENVELOPE_LENGTH = const(100)  # FORMAT.md "Page 0"
_ENVELOPE = const(102)
_ENVELOPE_BYTES = const(428)  # 134 + 98 n for at most 3 recipients
_TAG_OFFSET = const(4080)
_TAG_BYTES = const(16)


class Fields:
    """What a checkpoint page says, every length checked, no hash and no signature."""

    def __init__(self, page: "bytes | bytearray") -> None:
        """Raises FormatError."""
        if len(page) != _PAGE_BYTES:
            raise FormatError("not a page")
        magic, kind, suite, zero, self.n, self.recording_id, self.p, length = unpack_from(_HEAD, page, 0)
        if magic != _MAGIC or kind != _CHECKPOINT or suite != _SUITE or zero:
            raise FormatError("not a checkpoint")
        first = self.p == 0
        listed = self.n - self.p
        if not 0 <= listed <= _MOST_LEAVES or length > _NOTE_BYTES or (first and self.n != 1):
            raise FormatError("checkpoint out of bounds")
        ones = 0
        rest = self.p
        while rest:
            ones += rest & 1
            rest >>= 1
        at = _HEAD_BYTES + length
        end = at + 32 * (listed + ones)
        if end > _PAGE_BYTES:
            raise FormatError("checkpoint out of bounds")
        self.note = bytes(page[_HEAD_BYTES:at])
        self.leaves = [bytes(page[start : start + 32]) for start in range(at, at + 32 * listed, 32)]
        self.range = [bytes(page[start : start + 32]) for start in range(at + 32 * listed, end, 32)]
        self.header_page = None  # type: bytearray | None  # page 0 as checkpoint 0 holds it
        if first:
            size = _ENVELOPE + unpack_from("<H", page, end + _ENVELOPE_LENGTH)[0]
            if size > _ENVELOPE + _ENVELOPE_BYTES:
                raise FormatError("envelope out of bounds")
            header = bytearray(_PAGE_BYTES)
            header[:size] = page[end : end + size]
            end += size
            header[_TAG_OFFSET:] = page[end : end + _TAG_BYTES]
            end += _TAG_BYTES
            self.header_page = header
        if any(page[end:]):
            raise FormatError("checkpoint not zero to its end")


def parse(page: "bytes | bytearray") -> Fields:
    """What stands in a checkpoint page. Raises FormatError; reads nothing outside the page whatever it says."""
    return Fields(page)
