"""Makes a card ready, at the fastest clock that it can be trusted at. Idle set. SD Physical Layer Specification, 4.2, 5.3, 7.2."""

from time import sleep_ms, ticks_diff, ticks_ms

from machine import SPI, Pin
from micropython import const

from recorder.errors import CardError
from recorder.hal import card as _card
from recorder.hal import pins, power

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

card: "Any" = _card  # its insides are no part of what card.pyi promises

# SPI divides 48 MHz by even numbers. 25 MHz is the most that a card takes without being asked for more.
_CLOCKS_HZ = (24_000_000, 12_000_000, 6_000_000, 3_000_000)
_SLOW_HZ = const(400_000)  # most while a card is being identified
_READY_MS = const(2_000)  # the specification allows 1 s
_TRIES = const(4)
_PROBES = const(16)  # blocks read to prove a clock
_MOST_BLOCKS = const(0x3FFF_FFFF)  # beyond 512 GiB a block's number is no small integer to VfsFat

# R1
_IDLE = const(1)
_ILLEGAL_IDLE = const(5)


def start() -> None:
    """Set up the card module for the card in the slot. Raises CardError(NONE | FAILED)."""
    if card.spi is None:
        card.detect = Pin(pins.CARD_DETECT, Pin.IN, Pin.PULL_UP)
        card.select = Pin(pins.CARD_SELECT, Pin.OUT, value=1)
        miso = Pin(
            pins.CARD_MISO, Pin.IN, Pin.PULL_UP
        )  # an empty slot reads 0xFF; the pull stays when SPI takes the pin
        card.spi = SPI(pins.CARD_SPI, baudrate=_SLOW_HZ, sck=Pin(pins.CARD_CLOCK), mosi=Pin(pins.CARD_MOSI), miso=miso)
    card.spi.init(baudrate=_SLOW_HZ)
    try:
        _reset()
        _identify()
        _find_clock()
    except CardError as error:
        raise CardError(CardError.NONE if error.kind == CardError.NONE else CardError.FAILED)
    finally:
        card.release()


def _reset() -> None:
    """CMD0: into SPI mode, idle."""
    rest = b"\xff" * 10
    for _ in range(_TRIES):
        card.select(1)
        card.spi.write(rest)  # at least 74 clocks, not chosen
        card.select(0)
        if card.command(0) == _IDLE:
            return
        # A card that kept its power while the recorder restarted may be in the middle of a block: fill it up, its CRC will
        # refuse it, then end the writing, and let the card finish what it was doing.
        for _ in range(53):
            card.spi.write(rest)
        card.spi.write(b"\xfd\xff")
        try:
            card.wait(True, _READY_MS)
        except CardError:
            continue
        card.command(12)
        card.release()
    raise CardError(CardError.NONE)


def _identify() -> None:
    answer = card.command(8, 0x1AA)
    newer = answer == _IDLE
    if newer:
        if _more(4)[2:] != b"\x01\xaa":  # 2.7 to 3.6 V, and the pattern comes back
            raise CardError(CardError.FAILED)
    elif answer != _ILLEGAL_IDLE:
        raise CardError(CardError.FAILED)
    started = ticks_ms()
    while True:
        card.command(55)
        answer = card.command(41, newer, 30)  # HCS: cards of more than 2 GB are welcome
        if answer == 0:
            break
        if answer != _IDLE or ticks_diff(ticks_ms(), started) > _READY_MS:
            raise CardError(CardError.FAILED)
        power.feed()
        sleep_ms(5)
    _ask(58)
    card.shift = 0 if _more(4)[0] & 0x40 else 9
    # The CSD has a CRC of its own. It is read before CMD59, because some cards' CRC over so short a block is wrong.
    _ask(9)
    if card.wait(False, _READY_MS) != 0xFE:
        raise CardError(CardError.FAILED)
    csd = _more(18)
    if _crc7(csd[:15]) != csd[15]:
        raise CardError(CardError.FAILED)
    card.blocks = min(_capacity(csd), _MOST_BLOCKS)
    _ask(59, 1)
    if card.shift:
        _ask(16, 512)


def _find_clock() -> None:
    block = bytearray(512)
    for hz in _CLOCKS_HZ:
        card.hz = hz
        card.spi.init(baudrate=hz)
        try:
            for _ in range(_PROBES):
                card.read(0, block)
            return
        except CardError:
            card.release()
        card.spi.init(baudrate=_SLOW_HZ)
        card.settle()
    raise CardError(CardError.FAILED)


def _ask(index: int, argument: int = 0) -> None:
    if card.command(index, argument) & 0xFE:  # still idle or not, the answer to CMD58 and CMD59 is the same
        raise CardError(CardError.FAILED)


def _more(count: int) -> bytearray:
    """The next `count` bytes of an answer."""
    answer = bytearray(count)
    card.spi.readinto(answer, 0xFF)
    return answer


def _crc7(data: bytearray) -> int:
    """CRC-7 in the upper bits, as the CSD ends with it."""
    crc = 0
    for byte in data:
        for bit in range(8):
            crc <<= 1
            if ((byte << bit) ^ crc) & 0x80:
                crc ^= 0x09
    return (crc << 1 | 1) & 0xFF


def _capacity(csd: bytearray) -> int:
    """Blocks of 512 bytes. CSD, 5.3.2 (version 1) and 5.3.3."""
    if csd[0] >> 6:
        return ((csd[7] & 0x3F) << 16 | csd[8] << 8 | csd[9]) + 1 << 10
    size = (csd[6] & 3) << 10 | csd[7] << 2 | csd[8] >> 6
    shift = ((csd[9] & 3) << 1 | csd[10] >> 7) + 2 + (csd[5] & 15) - 9
    return size + 1 << shift
