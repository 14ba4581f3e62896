"""FLAC framing (RFC 9639): frame headers as the recorder writes them, STREAMINFO, and CRC-8. Samples are in `pcm`."""

from __future__ import annotations

from typing import NamedTuple

from earwitness.errors import FormatError

MARKER = b"fLaC"
STREAMINFO_BYTES = 34
MIN_BLOCK = 16  # RFC 9639 section 8.2: no shorter block, except the last of a stream
MAX_BLOCK = 1024  # of a recorder's frames
BLOCK = 4096  # of frames made here; the streamable subset allows 4608

_SYNC = b"\xff\xf9"  # variable block size: the number in the header counts samples
_MONO_16_BIT = 0x08
_RATE_CODES = {8000: 4, 16000: 5, 22050: 6, 24000: 7, 32000: 8, 44100: 9, 48000: 10, 96000: 11}
_BLOCK_16_BIT = 7
_RECORDED = {b"\xff\xf9\x65\x08": 1, b"\xff\xf9\x75\x08": 2}  # how headers begin: bytes of the block size in them


def _crc8_table() -> bytes:
    table = bytearray(256)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1) ^ (0x107 if crc & 0x80 else 0)
        table[byte] = crc
    return bytes(table)


_CRC8 = _crc8_table()


def crc8(data: bytes) -> int:
    """CRC-8 with x^8 + x^2 + x + 1, as over a frame header."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def coded_number(number: int) -> bytes:
    """A sample number below 2^36 in the UTF-8-like code of frame headers, 1 to 7 bytes."""
    if number < 0x110000:
        return chr(number).encode("utf-8", "surrogatepass")  # as far as there is Unicode the codes are the same
    tail = 0x80808080 | number & 0x3F | (number & 0xFC0) << 2 | (number & 0x3F000) << 4 | (number & 0xFC0000) << 6
    if number < 1 << 21:
        return (0xF0 << 24 | tail & 0xFFFFFF | (number & 0x1C0000) << 6).to_bytes(4, "big")
    if number < 1 << 26:
        return ((0xF8 | number >> 24) << 32 | tail).to_bytes(5, "big")
    if number < 1 << 31:
        return ((0xFC | number >> 30) << 40 | (0x80 | number >> 24 & 0x3F) << 32 | tail).to_bytes(6, "big")
    middle = (0x80 | number >> 30 & 0x3F) << 40 | (0x80 | number >> 24 & 0x3F) << 32
    return (0xFE << 48 | middle | tail).to_bytes(7, "big")


class Frame(NamedTuple):
    """Where one frame stands in a page's audio bytes: `data[start:end]`, samples `number` to `number + size`."""

    start: int
    end: int
    number: int
    size: int


def header(number: int, size: int, rate: int) -> bytes:
    """Header of a mono 16-bit frame of `size` samples (1 to 65536), the first of which is `number`."""
    begin = _SYNC + bytes([_BLOCK_16_BIT << 4 | _RATE_CODES.get(rate, 0), _MONO_16_BIT])
    begin += coded_number(number) + (size - 1).to_bytes(2, "big")
    return begin + bytes([crc8(begin)])


def streaminfo(rate: int, samples: int, blocks: tuple[int, int], md5: bytes = bytes(16)) -> bytes:
    """A whole stream's beginning: marker and the one metadata block. `blocks` are the least and largest block size."""
    packed = rate << 44 | (16 - 1) << 36 | samples  # mono: channels - 1 is 0
    info = blocks[0].to_bytes(2, "big") + blocks[1].to_bytes(2, "big") + bytes(6) + packed.to_bytes(8, "big") + md5
    return MARKER + b"\x80" + STREAMINFO_BYTES.to_bytes(3, "big") + info


def frames(data: bytes, first: int, samples: int) -> list[Frame]:
    """The frames of one page, whose headers count from `first` on without a gap and cover exactly `samples`.

    Raises FormatError otherwise. A frame ends where a header with the number that is due next begins; both CRCs, and
    what is between the headers, are checked by decoding.
    """
    found: list[Frame] = []
    at, number, end = 0, first, first + samples
    coded = coded_number(number)
    while number < end:
        size = _block_size(data, at, coded)
        number += size
        if number > end:
            raise FormatError(f"the FLAC frames do not hold exactly {samples} samples")
        coded = coded_number(number)
        stop = data.find(data[at : at + 4] + coded, at + 8)  # mostly the next frame is of the same size
        if stop < 0:
            stop = _search(data, at + 8, coded)
        if (stop < 0) != (number == end):
            raise FormatError(f"the FLAC frames do not hold exactly {samples} samples")
        if stop < 0:
            stop = len(data)
        found.append(Frame(at, stop, number - size, size))
        at = stop
    if at != len(data):
        raise FormatError(f"the FLAC frames do not hold exactly {samples} samples")
    return found


def check_first(data: bytes, first: int, samples: int) -> None:
    """A quick look at a page's first frame: it begins with sample `first` and is no longer than the page.

    Raises FormatError if not, so also for a page without samples: that is no FLAC.
    """
    if _block_size(data, 0, coded_number(first)) > samples:
        raise FormatError(f"the FLAC frames do not hold exactly {samples} samples")


def _search(data: bytes, at: int, coded: bytes) -> int:
    """Offset of the next header of any size that carries the number `coded`, or -1."""
    while True:
        at = data.find(_SYNC, at)
        if at < 0 or (data[at : at + 4] in _RECORDED and data.startswith(coded, at + 4)):
            return at
        at += 1


def _block_size(data: bytes, at: int, coded: bytes) -> int:
    """Block size of the recorder's frame whose header stands at `at` and carries `coded`."""
    end = at + 4 + len(coded)
    wide = _RECORDED.get(data[at : at + 4], 0)
    if not wide or data[at + 4 : end] != coded or len(data) < end + wide:
        raise FormatError("no FLAC frame of a recorder begins where one has to")
    size = int.from_bytes(data[end : end + wide], "big") + 1
    if not MIN_BLOCK <= size <= MAX_BLOCK:
        raise FormatError(f"a FLAC frame holds {size} samples, and a recorder's {MIN_BLOCK} to {MAX_BLOCK}")
    return size
