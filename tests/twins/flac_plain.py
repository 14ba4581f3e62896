"""Plain twin of recorder/audio/flac.py: the same decisions, the same bytes, written to be read. CPython and MicroPython."""

MAX_ORDER = 4
MIN_PARTITION = 32
MAX_RICE = 14


class Bits:
    """Bits, most significant first, gathered into bytes."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.value = 0
        self.count = 0

    def put(self, value: int, count: int) -> None:
        self.value = (self.value << count) | (value & ((1 << count) - 1))
        self.count += count
        while self.count >= 8:
            self.count -= 8
            self.bytes.append(self.value >> self.count)
            self.value &= (1 << self.count) - 1

    def align(self) -> None:
        if self.count:
            self.put(0, 8 - self.count)


def crc(data: bytes, width: int, polynomial: int) -> int:
    """CRC from 0, most significant bit first."""
    value = 0
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value <<= 1
            if value >> width:
                value ^= (1 << width) | polynomial
    return value


def coded_number(number: int) -> bytes:
    """A number below 2^36 as UTF-8 codes characters, carried on to seven bytes."""
    if number < 0x80:
        return bytes([number])
    length = 2
    while number >> (5 * length + 1):
        length += 1
    tail = [0x80 | (number >> (6 * i)) & 0x3F for i in reversed(range(length - 1))]
    return bytes([(0xFF00 >> length) & 0xFF | number >> (6 * (length - 1))]) + bytes(tail)


def fold(value: int) -> int:
    """0, -1, 1, -2 ... to 0, 1, 2, 3 ..."""
    return 2 * value if value >= 0 else -2 * value - 1


def residuals(samples: list[int], order: int) -> list[int]:
    for _ in range(order):
        samples = [samples[i] - samples[i - 1] for i in range(1, len(samples))]
    return samples


def best_order(samples: list[int]) -> int:
    """The last order before every fourth residual stops getting smaller in sum."""
    least = None
    for order in range(MAX_ORDER + 1):
        total = sum(fold(value) for value in residuals(samples, order)[4 - order :: 4])
        if least is not None and total >= least:
            return order - 1
        least = total
    return MAX_ORDER


def rice_parameter(total: int, count: int) -> int:
    k = 0
    while (count << (k + 1)) < total and k < MAX_RICE:
        k += 1
    return k


def partitions(folded: list[int], order: int, count: int, number: int) -> list[list[int]]:
    """`number` lists of residuals; the first one is shorter by the order."""
    size = count // number
    return [folded[max(0, i * size - order) : (i + 1) * size - order] for i in range(number)]


def estimate(part: list[int]) -> int:
    """Bits of a partition, guessed from its sum."""
    total = sum(part)
    k = rice_parameter(total, len(part))
    return 4 + len(part) * (k + 1) + (total >> k) - (len(part) // 2 if k else 0)


def encode(samples: list[int], position: int) -> bytes:
    """One FLAC frame of these int16 samples; `position` is the number of the first."""
    count = len(samples)
    head = Bits()
    head.put(0xFFF9, 16)
    head.put(7 if count > 256 else 6, 4)
    head.put(5, 4)
    head.put(0x08, 8)
    for byte in coded_number(position):
        head.put(byte, 8)
    head.put(count - 1, 16 if count > 256 else 8)
    head.put(crc(bytes(head.bytes), 8, 0x07), 8)

    order = best_order(samples)
    folded = [fold(value) for value in residuals(samples, order)]
    if order < 2 and not any(folded):
        body = Bits()
        body.put(0, 8)
        body.put(samples[0], 16)
    else:
        finest = 1
        while count // finest >= 2 * MIN_PARTITION and not (count // finest) & 1:
            finest *= 2
        least = None
        number = 1
        while number <= finest:
            bits = sum(estimate(part) for part in partitions(folded, order, count, number))
            if least is None or bits < least:
                least = bits
                parts = partitions(folded, order, count, number)
            number *= 2
        body = Bits()
        body.put(0x10 | order << 1, 8)
        for sample in samples[:order]:
            body.put(sample, 16)
        body.put({1: 0, 2: 1, 4: 2, 8: 3, 16: 4, 32: 5}[len(parts)], 6)
        for part in parts:
            k = rice_parameter(sum(part), len(part))
            body.put(k, 4)
            for value in part:
                body.put(1, (value >> k) + 1)
                body.put(value, k)
        if 8 * len(body.bytes) + body.count > 8 + 16 * count:
            body = Bits()
            body.put(0x02, 8)
            for sample in samples:
                body.put(sample, 16)
        body.align()
    frame = bytes(head.bytes) + bytes(body.bytes)
    check = crc(frame, 16, 0x8005)
    return frame + bytes([check >> 8, check & 0xFF])
