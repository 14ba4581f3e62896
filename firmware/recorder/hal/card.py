"""SD card over SPI. SD Physical Layer Simplified Specification, chapter 7. Opening a card: card_open.py.

Nothing is believed: commands and data carry their CRC both ways, every block's data response is read, and the card's status
after every write. What fails is done again, the same data to the same blocks, then slower; then it is an error. Every wait
ends, feeds the watchdog and pumps. A block allocates nothing.

A card that does not answer, or that answers as after power-up, was pulled or exchanged, whatever the switch in the socket
says: that may chatter in a pocket. Nothing goes to it, or to the one in its place, until `open_card`.
"""

# ruff: noqa: F821 - ptr8, ptr16 and ptr32 are words of the viper language, not names
# mypy: disable-error-code="name-defined, no-untyped-def, arg-type"

from array import array
from time import ticks_diff, ticks_ms

import micropython
from micropython import const

from recorder.errors import CardError
from recorder.hal import power

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable
_BLOCK_BYTES = const(512)
_BUSY_MS = const(10_000)  # the specification's 250 ms are not what cards do
_READ_MS = const(3_000)
_ASK_MS = const(1_000)
_TRIES = const(4)
_SLOWEST_HZ = const(3_000_000)
_ANSWER_BYTES = const(9)  # NCR: at most 8 bytes pass before an answer

_TOKEN_AT = const(3)
_DATA_AT = const(4)
_CRC_AT = const(516)

_STOP = const(12)
_STATUS = const(13)
_READ = const(17)  # the command for many blocks is the next one
_WRITE = const(24)
_DATA = const(0xFE)
_MANY_DATA = const(0xFC)
_STOP_TOKEN = b"\xfd\xff"  # busy is said from the second byte on
_ACCEPTED = const(5)  # data response, 7.3.3.1
_ABSENT = const(0x81)  # R1: no answer, or a card fresh from power-up

_ENODEV = const(19)
_EIO = const(5)
_EINVAL = const(22)

pump: "Callable[[], bool] | None" = None

# card_open sets these.
spi: "Any" = None  # machine.SPI
select: "Any" = None  # machine.Pin, low = chosen
detect: "Any" = None  # machine.Pin; sockets differ in its level, and some have no switch
hz = 0
blocks = 0
shift = 0  # 9 where addresses are bytes (SDSC)

_card: "Card | None" = None  # the one that may be used
_level = 0  # of detect when the card answered
_asked: "Any" = 0  # ms, when the card was last asked whether it is there
_busy = False
_unsettled = False  # the last transfer did not come to its end
_worst_ms = 0
_one = bytearray(1)
_frame = bytearray(6)
_packet = bytearray(_DATA_AT + _BLOCK_BYTES + 2)  # rest (NWR), token, data on a word, CRC
_packet[0] = _packet[1] = _packet[2] = 0xFF
_incoming = memoryview(_packet)[_DATA_AT:]
_table = array("H", bytes(512))  # CRC-16, 0x1021
for _byte in range(256):
    _value = _byte << 8
    for _ in range(8):
        _value = (_value << 1) ^ (0x1021 if _value & 0x8000 else 0)
    _table[_byte] = _value & 0xFFFF


@micropython.viper
def _copy(into: ptr8, at: int, source: ptr8, offset: int):
    """into[at : at + 512] = source[offset : offset + 512], by words where the addresses allow (the chip faults otherwise)."""
    at += int(into)
    offset += int(source)
    end = at + 512
    if (at | offset) & 3:
        while at < end:
            ptr8(at)[0] = ptr8(offset)[0]
            at += 1
            offset += 1
    else:
        while at < end:
            ptr32(at)[0] = ptr32(offset)[0]
            at += 4
            offset += 4


@micropython.viper
def _checksum(crc: int, four: int, table: ptr16, data: ptr32) -> int:
    """CRC-16 of 512 bytes that begin on a word. The first three arguments are what viper keeps in registers."""
    end = int(data) + 512
    while int(data) < end:
        four = data[0]
        crc = (crc << 8) ^ table[((crc >> 8) ^ four) & 255]
        four >>= 8
        crc = (crc << 8) ^ table[((crc >> 8) ^ four) & 255]
        four >>= 8
        crc = (crc << 8) ^ table[((crc >> 8) ^ four) & 255]
        four >>= 8
        crc = (crc << 8) ^ table[((crc >> 8) ^ four) & 255]
        data = ptr32(int(data) + 4)
    return crc & 0xFFFF


@micropython.viper
def _build(frame: ptr8, index: int, argument: int, by: int):
    """A command of 6 bytes with its CRC-7; its argument is shifted left here, where it needs no big integer."""
    argument <<= by
    frame[0] = 0x40 | index
    frame[1] = argument >> 24
    frame[2] = argument >> 16
    frame[3] = argument >> 8
    frame[4] = argument
    crc = 0
    at = 0
    while at < 40:
        crc <<= 1
        if ((frame[at >> 3] << (at & 7)) ^ crc) & 0x80:
            crc ^= 0x09
        at += 1
    frame[5] = (crc << 1) | 1


def command(index: int, argument: int = 0, by: int = 0) -> int:
    """Send a command to the chosen card; the first byte of its answer (R1), 0xFF if there is none."""
    _build(_frame, index, argument, by)
    spi.write(_frame)
    if index == _STOP:
        spi.readinto(_one, 0xFF)  # what was being sent still fills this byte
    for _ in range(_ANSWER_BYTES):
        spi.readinto(_one, 0xFF)
        if not _one[0] & 0x80:
            break
    return _one[0]


def wait(idle: bool, limit_ms: int) -> int:
    """Read until the line rests (0xFF: not busy), or until it does not (a token); the last byte. Raises CardError(SLOW)."""
    started = ticks_ms()
    while True:
        spi.readinto(_one, 0xFF)
        if (_one[0] == 0xFF) == idle:
            return _one[0]
        if ticks_diff(ticks_ms(), started) > limit_ms:
            raise CardError(CardError.SLOW)
        power.feed()
        if pump is not None:
            pump()


def release() -> None:
    """Choose no card; the byte after it makes the card let go of the line."""
    select(1)
    spi.readinto(_one, 0xFF)


def _check(answer: int) -> None:
    if answer:
        raise CardError(CardError.GONE if answer & _ABSENT else CardError.FAILED)


def _status() -> int:
    """The card's status, R2 in one number: 0 is well."""
    answer = command(_STATUS)
    spi.readinto(_one, 0xFF)
    return answer or _one[0] << 8


def settle() -> None:
    """Bring the card to where it takes commands, from wherever a failure left it."""
    select(0)
    wait(True, _BUSY_MS)
    command(_STOP)  # also for a write that was refused, 7.3.3.1; elsewhere it is merely illegal
    wait(True, _BUSY_MS)
    _check(_status() & _ABSENT)  # other bits are of what has failed, and go by being read


def _pack(buf: "bytearray | bytes | memoryview", at: int) -> None:
    _copy(_packet, _DATA_AT, buf, at)
    crc = _checksum(0, 0, _table, _incoming)
    _packet[_CRC_AT] = crc >> 8
    _packet[_CRC_AT + 1] = crc & 255


def _write(block: int, buf: "bytearray | bytes | memoryview") -> None:
    size = len(buf)
    many = size > _BLOCK_BYTES
    select(0)
    wait(True, _BUSY_MS)
    _check(command(_WRITE + many, block, shift))
    _packet[_TOKEN_AT] = _MANY_DATA if many else _DATA
    at = 0
    _pack(buf, 0)
    while True:
        spi.write(_packet)
        for _ in range(_ANSWER_BYTES):
            spi.readinto(_one, 0xFF)
            if _one[0] != 0xFF:
                break
        if _one[0] & 0x1F != _ACCEPTED:
            raise CardError(CardError.FAILED)
        at += _BLOCK_BYTES
        if at == size:
            break
        _pack(buf, at)  # while the card is busy
        wait(True, _BUSY_MS)
    wait(True, _BUSY_MS)
    if many:
        spi.write(_STOP_TOKEN)
        wait(True, _BUSY_MS)
    _check(_status())


def read(block: int, buf: "bytearray | memoryview") -> None:
    """Fill `buf`, whole blocks. Raises CardError, and leaves the card chosen."""
    size = len(buf)
    many = size > _BLOCK_BYTES
    select(0)
    wait(True, _BUSY_MS)
    _check(command(_READ + many, block, shift))
    at = 0
    while at < size:
        if wait(False, _READ_MS) != _DATA:
            raise CardError(CardError.FAILED)
        spi.readinto(_incoming, 0xFF)
        if _checksum(0, 0, _table, _incoming) != _packet[_CRC_AT] << 8 | _packet[_CRC_AT + 1]:
            raise CardError(CardError.FAILED)
        _copy(buf, at, _packet, _DATA_AT)
        at += _BLOCK_BYTES
    if many:
        command(_STOP)  # its answer may complain about what lies behind the card's last block
        wait(True, _BUSY_MS)


class Card:
    """A card in the slot. Its last error stays until somebody clears it."""

    def __init__(self) -> None:
        self.last_error: "str | None" = None

    def _do(self, step: "Callable[..., None]", block: int, buf: "bytearray | bytes | memoryview") -> None:
        global _card, _busy, _unsettled, hz
        if _busy:
            raise RuntimeError("the card is used from inside its own pump")
        if self is not _card:
            self.last_error = CardError.GONE
            raise OSError(_ENODEV)
        if len(buf) & (_BLOCK_BYTES - 1) or not 0 <= block <= blocks - len(buf) // _BLOCK_BYTES:
            raise OSError(_EINVAL)
        _busy = True
        tries = 0
        try:
            while True:
                try:
                    if _unsettled:
                        settle()
                    _unsettled = True
                    step(block, buf)
                    _unsettled = False
                    return
                except CardError as error:
                    select(1)
                    tries += 1
                    kind = error.kind
                    if kind == CardError.SLOW or tries == _TRIES:
                        self.last_error = kind
                        if kind == CardError.GONE:
                            _card = None
                            raise OSError(_ENODEV)
                        raise OSError(_EIO)
                    if tries > 1 and hz > _SLOWEST_HZ:
                        hz //= 2
                        spi.init(baudrate=hz)
        finally:
            release()
            _busy = False

    def readblocks(self, block: int, buf: "bytearray | memoryview", offset: int = 0) -> None:
        """Fill `buf`, whole blocks."""
        self._do(read, block, buf)

    def writeblocks(self, block: int, buf: "bytearray | bytes | memoryview", offset: int = 0) -> None:
        """Write `buf`, whole blocks; they are on the card when this returns."""
        global _worst_ms
        started = ticks_ms()
        self._do(_write, block, buf)
        _worst_ms = max(_worst_ms, ticks_diff(ticks_ms(), started))

    def ioctl(self, op: int, arg: int) -> int:
        """vfs.AbstractBlockDev: 4 count, 5 size; the others, sync among them, have nothing left to do."""
        return blocks if op == 4 else _BLOCK_BYTES if op == 5 else 0


def present() -> bool:
    """A card is in the slot and has not been exchanged since `open_card`. Asks the card, once a second or if the switch moved."""
    global _card, _asked
    if _busy or _card is None or (detect() == _level and ticks_diff(ticks_ms(), _asked) < _ASK_MS):
        return _card is not None
    _asked = ticks_ms()
    select(0)
    spi.readinto(_one, 0xFF)
    if _one[0] == 0xFF and _status() & _ABSENT:  # else it is busy, and so it is there
        _card = None
    release()
    return _card is not None


def open_card() -> Card:
    """Initialise the card. Raises CardError(NONE | FAILED)."""
    global _card, _level, _unsettled, _worst_ms
    from recorder.hal import card_open

    _card = None
    _unsettled = False
    _worst_ms = 0
    card_open.start()
    _level = detect()
    _card = Card()
    return _card


def worst_write_ms() -> int:
    """The longest that one write has taken since `open_card`, the pump's share included."""
    return _worst_ms
