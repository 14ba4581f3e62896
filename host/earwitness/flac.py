"""FLAC framing (RFC 9639): frame headers as the recorder writes them, STREAMINFO, and CRC-8. Samples are in `pcm`."""

from __future__ import annotations

from dataclasses import dataclass

from earwitness.errors import FormatError

MARKER = b"fLaC"
STREAMINFO_BYTES = 34
MIN_BLOCK = 16  # RFC 9639 section 8.2: no shorter block, except the last of a stream
BLOCK = 4096  # of frames made here; the streamable subset allows 4608

_SYNC = b"\xff\xf9"  # variable block size: the number in the header counts samples
_MONO_16_BIT = 0x08
_RATE_CODES = {8000: 4, 16000: 5, 22050: 6, 24000: 7, 32000: 8, 44100: 9, 48000: 10, 96000: 11}
_BLOCK_8_BIT, _BLOCK_16_BIT = 6, 7
_BLOCK_SIZES = {1: 192} | {2 + i: 576 << i for i in range(4)} | {8 + i: 256 << i for i in range(8)}


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
    if number < 0x80:
        return bytes([number])
    tail = []
    limit = 0x40
    while number >= limit:
        tail.append(0x80 | number & 0x3F)
        number >>= 6
        limit = limit >> 1 if len(tail) > 1 else 0x20
    first = (0xFF00 >> (len(tail) + 1)) & 0xFF | number
    return bytes([first, *reversed(tail)])


@dataclass(frozen=True, slots=True)
class Frame:
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

    Raises FormatError otherwise. Frame ends are found by the next header, CRC-8 included; what is between is checked
    by decoding.
    """
    found: list[Frame] = []
    at, number, end = 0, first, first + samples
    while number < end:
        coded = coded_number(number)
        size = _block_size(data, at, coded)
        if size is None:
            raise FormatError(f"no FLAC frame for sample {number} where one has to begin")
        following = number + size
        stop = _next(data, at + 7, coded_number(following))
        if (stop < 0) != (following == end) or following > end or size < MIN_BLOCK:
            raise FormatError(f"the FLAC frames do not hold exactly {samples} samples")
        stop = len(data) if stop < 0 else stop
        found.append(Frame(at, stop, number, size))
        at, number = stop, following
    if at != len(data):
        raise FormatError(f"the FLAC frames do not hold exactly {samples} samples")
    return found


def _next(data: bytes, at: int, coded: bytes) -> int:
    """Offset of the next frame header that carries the number `coded`, or -1."""
    while True:
        at = data.find(coded, at + 4) - 4
        if at < 0 or (data.startswith(_SYNC, at) and _block_size(data, at, coded) is not None):
            return at if at > 0 else -1
        at += 1


def _block_size(data: bytes, at: int, coded: bytes) -> int | None:
    """Block size of the mono 16-bit frame whose header stands at `at` and carries `coded`, else None."""
    end = at + 4 + len(coded)
    if data[at : at + 2] != _SYNC or data[at + 4 : end] != coded or len(data) < end + 3:
        return None
    code, rate = data[at + 2] >> 4, data[at + 2] & 15
    if data[at + 3] != _MONO_16_BIT or rate > 11:
        return None
    if code == _BLOCK_8_BIT:
        size, end = data[end] + 1, end + 1
    elif code == _BLOCK_16_BIT:
        size, end = (data[end] << 8 | data[end + 1]) + 1, end + 2
    elif code in _BLOCK_SIZES:
        size = _BLOCK_SIZES[code]
    else:
        return None
    return size if crc8(data[at:end]) == data[end] else None
