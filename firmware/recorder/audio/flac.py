"""Lossless coder: 16 to 1024 microphone samples in, one complete FLAC frame out, nothing allocated.

Fixed predictors of order 0 to 4 and partitioned Rice codes (RFC 9639); CONSTANT where every sample is the same, VERBATIM
where nothing shrinks. Viper keeps a function's first three names, parameters first, in registers: they are the busiest
ones of its inner loop. The plain twin that the tests compare byte for byte is tests/twins/flac_plain.py.

No predictor with coefficients of its own: on speech it would save 3 to 5 % for half as much time and code again, by estimate.
"""
# ruff: noqa: F821 - ptr8, ptr16 and ptr32 are words of the viper language, not names
# mypy: disable-error-code="name-defined, no-untyped-def, arg-type, no-any-return"

import micropython
from micropython import const

MIN_SAMPLES = const(16)  # RFC 9639 section 8.2: only the last block of a stream may be shorter
MAX_SAMPLES = const(1024)

_RING_MASK = const(16383)
_RING_BYTES = const(32768)
_MAX_RICE = const(14)  # 4-bit Rice parameters; 15 is the escape code

# Scratch, made once: samples, then residuals, a word each; sums of residuals as a binary tree (node 1 is the whole frame,
# the children of t are 2t and 2t + 1, at most 32 leaves of at least 32 samples); the Rice parameter of each node; and
# what one step leaves for the next. So there is one coder, and it is not entered twice.
_work = bytearray(4096)
_sums = bytearray(256)
_rice = bytearray(64)
_state = bytearray(40)
_free = 0  # passed for parameters that are working space

_COUNT = const(0)  # samples in the frame
_ORDER = const(1)  # of the predictor
_SPLIT = const(2)  # into how many partitions, a power of two
_SIZE = const(3)  # samples in a partition
_WIDE = const(4)  # bytes of the coded sample number
_AT = const(5)  # where in `out` the next byte goes
_NEED = const(6)  # bytes of the whole frame
_SUBFRAME = const(7)  # header byte of the subframe
_PLAIN = const(8)  # samples that stand as they are: first, warm-up or all
_BITS = const(9)  # of the coded residuals, 0 if there are none

# CRC-16, x^16 + x^15 + x^2 + 1 (RFC 9639 section 9.3), of the 16 half bytes; little-endian; a bytearray is aligned.
_crc16 = bytearray(
    b"\x00\x00\x05\x80\x0f\x80\x0a\x00\x1b\x80\x1e\x00\x14\x00\x11\x80\x33\x80\x36\x00\x3c\x00\x39\x80\x28\x00\x2d\x80\x27\x80\x22\x00"
)


@micropython.viper
def _load(at: int, left: int, work: ptr32, ring: ptr16):
    """Copies `left` samples out of the ring to the front of the work space, sign extended."""
    while left:
        work[0] = (ring[at & _RING_MASK] ^ 0x8000) - 0x8000
        work = ptr32(int(work) + 4)
        at += 1
        left -= 1


@micropython.viper
def _predict(work: ptr32, left: int, total: int, state: ptr32, folded: ptr32):
    """Turns samples into residuals, in place, by differencing again and again for as long as that makes them smaller.

    Every fourth residual is enough to tell. The first `order` words are spent.
    """
    count = state[_COUNT]
    base = int(work)
    order = 0
    least = (1 << 30) - 1
    while order < 5:
        total = 0
        work = ptr32(base + 16)
        left = (count - 1) >> 2
        while left:
            folded[0] = (work[0] << 1) ^ (0 - ((work[0] >> 31) & 1))
            total += folded[0]
            work = ptr32(int(work) + 16)
            left -= 1
        if total >= least:
            break
        least = total
        # Backwards, so that the words a difference needs are still there.
        left = count - 1 - order
        work = ptr32(base + ((count - 2) << 2))
        while left:
            work[1] = work[1] - work[0]
            work = ptr32(int(work) - 4)
            left -= 1
        order += 1
    # One step too far: take the last differencing back.
    order -= 1
    work = ptr32(base + (order << 2))
    left = count - 1 - order
    while left:
        work[1] = work[1] + work[0]
        work = ptr32(int(work) + 4)
        left -= 1
    state[_ORDER] = order


@micropython.viper
def _fold(work: ptr32, left: int, total: int, state: ptr32, sums: ptr32):
    """Folds residuals to unsigned (0, -1, 1, -2 ... to 0, 1, 2, 3 ...) in place and fills the tree of sums."""
    size = state[_COUNT]
    node = 1
    while size >= 64 and not size & 1:
        size >>= 1
        node += node
    state[_SPLIT] = node
    end = node + node
    left = size - state[_ORDER]
    work = ptr32(int(work) + (state[_ORDER] << 2))
    while node < end:
        total = 0
        while left:
            work[0] = (work[0] << 1) ^ (0 - ((work[0] >> 31) & 1))
            total += work[0]
            work = ptr32(int(work) + 4)
            left -= 1
        sums[node] = total
        node += 1
        left = size
    node = state[_SPLIT] - 1
    while node:
        sums[node] = sums[node + node] + sums[node + node + 1]
        node -= 1


@micropython.viper
def _split(total: int, bound: int, k: int, state: ptr32, sums: ptr32, rice: ptr8):
    """Chooses how many partitions promise fewest bits, and every node's Rice parameter.

    The parameter is the logarithm of the mean. What a partition takes is estimated from its sum alone: quotients lose half
    a unit each on average.
    """
    fewest = 1 << 29
    end = state[_SPLIT] << 1
    size = state[_COUNT]
    node = 1
    while node < end:
        bits = 0
        first = node
        samples = size - state[_ORDER]
        while node < first + first:
            total = sums[node]
            bound = samples + samples
            k = 0
            while bound < total and k < _MAX_RICE:
                bound += bound
                k += 1
            rice[node] = k
            bits += 4 + samples + samples * k + (total >> k)
            if k:
                bits -= samples >> 1
            samples = size
            node += 1
        if bits < fewest:
            fewest = bits
            state[_SPLIT] = first
            state[_SIZE] = size
        size >>= 1


@micropython.viper
def _measure(work: ptr32, left: int, bits: int, state: ptr32, rice: ptr8):
    """Exactly how many bits the partitions take, so that nothing is written that does not fit."""
    bits = 6
    node = state[_SPLIT]
    end = node + node
    left = state[_SIZE] - state[_ORDER]
    work = ptr32(int(work) + (state[_ORDER] << 2))
    while node < end:
        k = int(rice[node])
        bits += 4 + left * (k + 1)
        while left:
            bits += work[0] >> k
            work = ptr32(int(work) + 4)
            left -= 1
        node += 1
        left = state[_SIZE]
    state[_BITS] = bits


@micropython.viper
def _write_head(out: ptr8, left: int, byte: int, work: ptr32, state: ptr32, position: ptr32):
    """Frame header with its CRC-8 (x^8 + x^2 + x + 1), the subframe's header, and the samples that stand as they are."""
    first = int(out) + state[_AT]
    out = ptr8(first)
    out[0] = 0xFF
    out[1] = 0xF9  # sync, variable block size: the number counts samples
    out[3] = 0x08  # mono, 16 bits
    # The number is coded as UTF-8 codes characters, in up to seven bytes; here the last one first.
    low = position[0]
    high = position[1]
    left = state[_WIDE] - 1
    byte = 0xFF00 >> state[_WIDE] if left else 0
    while left:
        ptr8(int(out) + left)[4] = 0x80 | (low & 0x3F)
        low = ((low >> 6) & 0x3FFFFFF) | (high << 26)
        high = 0
        left -= 1
    out[4] = byte | low
    out[2] = 0x65  # block size in 8 bits, 16 kHz
    byte = state[_COUNT] - 1
    left = state[_WIDE] + 4
    if byte >> 8:
        out[2] = 0x75  # block size in 16 bits
        out[left] = byte >> 8
        left += 1
    out[left] = byte
    left += 1
    crc = 0
    while left:
        crc ^= int(out[0])
        byte = 8
        while byte:
            crc <<= 1
            if crc & 0x100:
                crc ^= 0x107
            byte -= 1
        out = ptr8(int(out) + 1)
        left -= 1
    out[0] = crc
    out[1] = state[_SUBFRAME]
    left = state[_PLAIN]
    while left:
        out[2] = work[0] >> 8
        out[3] = work[0]
        out = ptr8(int(out) + 2)
        work = ptr32(int(work) + 4)
        left -= 1
    state[_AT] = state[_AT] + int(out) + 2 - first


@micropython.viper
def _write_residuals(fill: int, waiting: int, bits: int, out: ptr8, work: ptr32, state: ptr32, rice: ptr8):
    """Writes the partitions.

    Between steps the low `fill` bits (at most 15) of `waiting` are still to be written; what stands above them is spent
    and ignored. A step adds at most 16, so that 31 bits are never exceeded, also where words have 32.
    """
    work = ptr32(int(work) + (state[_ORDER] << 2))
    start = int(out)
    out = ptr8(start + state[_AT])
    # Two zero bits say "4-bit parameters", then comes the partition order.
    fill = 6
    waiting = 0
    node = state[_SPLIT]
    while node >> (waiting + 1):
        waiting += 1
    end = node + node
    left = state[_SIZE] - state[_ORDER]
    while node < end:
        k = int(rice[node])
        one = 1 << k
        mask = one - 1
        waiting = (waiting << 4) | k
        fill += 4
        k_stop = k + 1
        if fill & 16:
            fill &= 15
            out[0] = waiting >> (fill + 8)
            out[1] = waiting >> fill
            out = ptr8(int(out) + 2)
        while left:
            bits = (work[0] >> k) + k_stop
            if bits >> 4:
                # A long row of zeros: write all of it but what fits in 15 bits together with the rest.
                while bits >> 5:
                    waiting <<= 16
                    out[0] = waiting >> (fill + 8)
                    out[1] = waiting >> fill
                    out = ptr8(int(out) + 2)
                    bits -= 16
                bits -= 15
                waiting <<= bits
                fill += bits
                bits = 15
                if fill & 16:
                    fill &= 15
                    out[0] = waiting >> (fill + 8)
                    out[1] = waiting >> fill
                    out = ptr8(int(out) + 2)
            waiting = (waiting << bits) | (work[0] & mask) | one
            fill += bits
            if fill & 16:
                fill &= 15
                out[0] = waiting >> (fill + 8)
                out[1] = waiting >> fill
                out = ptr8(int(out) + 2)
            work = ptr32(int(work) + 4)
            left -= 1
        node += 1
        left = state[_SIZE]
    waiting <<= 16 - fill
    out[0] = waiting >> 8
    out[1] = waiting  # spare bytes are overwritten by the CRC
    state[_AT] = int(out) + ((fill + 7) >> 3) - start


@micropython.viper
def _write_crc16(crc: int, out: ptr8, left: int, state: ptr32, table: ptr16):
    """Appends the CRC-16 of the frame: half a byte a step."""
    left = state[_NEED] - 2
    out = ptr8(int(out) + state[_AT] - left)
    while left:
        crc = (crc << 4) ^ table[((crc >> 12) ^ (out[0] >> 4)) & 15]
        crc = (crc << 4) ^ table[((crc >> 12) ^ out[0]) & 15]
        out = ptr8(int(out) + 1)
        left -= 1
    out[0] = crc >> 8
    out[1] = crc


@micropython.viper
def encode(ring: object, start: int, count: int, position: object, out: object, offset: int, limit: int) -> int:
    """One FLAC frame of `count` samples, 16 to 1024, into `out` from `offset` on: its bytes, or 0 if they exceed `limit`.

    ring: 32,768 bytes, 16,384 samples of int16 little-endian; the first one coded is number `start & 16383` of it, with
    0 <= start < 2^30. position: array('I') of two, low word first, the sample number for the header, below 2^36. The frame
    is mono, 16 bits, 16 kHz, variable block size. Nothing is written outside out[offset:offset + limit], nor outside `out`.
    ValueError: `count`, `offset` or the ring's size is out of range. `needed()` tells afterwards how long the frame is.
    """
    if count < MIN_SAMPLES or count > MAX_SAMPLES or offset < 0 or int(len(ring)) != _RING_BYTES:
        raise ValueError
    work = _work
    state = _state
    sums = _sums
    rice = _rice
    free = _free
    field = ptr32(state)
    field[_COUNT] = count
    field[_AT] = offset
    _load(start, count, work, ring)
    _predict(work, free, free, state, sums)
    _fold(work, free, free, state, sums)
    plain = field[_ORDER]
    field[_SUBFRAME] = 0x10 | (plain << 1)
    if plain < 2 and not ptr32(sums)[1]:
        field[_SUBFRAME] = 0x00  # constant
        plain = 1
        field[_BITS] = 0
    else:
        _split(free, free, free, state, sums, rice)
        _measure(work, free, free, state, rice)
        if field[_BITS] > (count - plain) << 4:
            field[_SUBFRAME] = 0x02  # verbatim
            plain = count
            field[_BITS] = 0
    field[_PLAIN] = plain

    number = ptr32(position)
    wide = 1
    bits = 7
    while wide < 7 and (number[1] or number[0] >> bits):
        wide += 1
        bits = 5 * wide + 1
    field[_WIDE] = wide
    # Sync and codes 4, block size 1 or 2, CRC-8 and the subframe's header 2, CRC-16 2.
    need = 9 + wide + ((count + 767) >> 10) + 2 * plain + ((field[_BITS] + 7) >> 3)
    field[_NEED] = need
    if need > limit or need > int(len(out)) - offset:
        return 0
    _load(start, plain, work, ring)
    _write_head(out, free, free, work, state, position)
    if field[_BITS]:
        _write_residuals(free, free, free, out, work, state, rice)
    _write_crc16(free, out, free, state, _crc16)
    return need


def constant() -> bool:
    """The last frame coded holds one value and no other: no microphone is as quiet as that."""
    return not _state[4 * _SUBFRAME]


def needed() -> int:
    """Bytes of the last frame asked for, whether it fitted or not: tells how many samples fit in what is left."""
    return _state[4 * _NEED] | _state[4 * _NEED + 1] << 8
