"""SELFTEST: each part of the recorder tried, with a verdict and figures. Idle set; takes about two seconds.

What a part needs a person for (press it, look at it) is told as it stands; the computer asks the person.
"""

import gc

from micropython import const

from recorder import randomness
from recorder.errors import CardError, EntropyFault, RecorderError
from recorder.hal import battery, button, card, clock, entropy, light, mic, motor, power, rtc, switch

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from recorder.session import Session

OK = "ok"
CARE = "care"  # works, or cannot be told, and somebody should know
BAD = "bad"

_LISTEN_MS = const(500)
_SETTLE_MS = const(100)  # a microphone's first samples are its own
_TURN_MS = const(20)
_RATE_OFF = const(3)  # percent, of so short a time
_LEAST_NOISE = const(1)  # RMS of a live microphone in the quietest room, 16 bit
_MOST_OFFSET = const(2000)
_LOUD = const(32000)
_EMPTY_MV = const(3300)
_LOW_MV = const(3500)
_MOST_MV = const(4400)
_CLOCK_MS = const(100)
_CLOCK_OFF_US = const(20_000)
_PULSE_MS = const(150)
_READS = const(4096)
_BLOCK_BYTES = const(512)
_FREE_BYTES = const(60_000)  # what a recording needs besides what is loaded for it
_NAME = "EWTEST.TMP"


def run(session: "Session") -> str:
    """A line for each part: `name verdict figures`. A part whose test itself fails is `bad`, and the others go on."""
    text = ""
    for name, look in (
        ("card", _card),
        ("microphone", _microphone),
        ("clock", _clock),
        ("battery", _battery),
        ("button", _button),
        ("switch", _switch),
        ("light", _light),
        ("motor", _motor),
        ("radio", _radio),
        ("entropy", _entropy),
        ("memory", _memory),
    ):
        power.feed()
        try:
            verdict, figures = look(session)
        except (RecorderError, OSError) as error:
            verdict, figures = BAD, str(error)
        text += "%s %s %s\n" % (name, verdict, figures)
    session.indicator.dim(session.indicator.brightness)  # the light goes on with what it says
    return text


def _card(session: "Session") -> "tuple[str, str]":
    """Write a file, read it back from the card, remove it."""
    volume = session.volume
    if volume is None:
        raise CardError(session.trouble or CardError.NONE)
    pattern = entropy.system(_BLOCK_BYTES)
    began = clock.ticks_ms()
    try:
        fat = volume.fat
        with fat.open(_NAME, "wb") as file:
            for _ in range(8):
                file.write(pattern)
        wrote_ms = clock.since_ms(began)
        same = 0
        with fat.open(_NAME, "rb") as file:
            block = bytearray(_BLOCK_BYTES)
            for _ in range(8):
                same += file.readinto(block) == _BLOCK_BYTES and bytes(block) == pattern
        fat.remove(_NAME)
    except OSError as error:
        volume.fail(error)
    figures = "%d MB free, 4096 bytes in %d ms, slowest write %d ms" % (
        volume.free_pages // 256,
        wrote_ms,
        card.worst_write_ms(),
    )
    return (OK if same == 8 else BAD), (figures if same == 8 else "reads otherwise than written")


def _microphone(session: "Session") -> "tuple[str, str]":
    """Half a second of sound: its rate by the recorder's clock, its level, its offset. The samples are overwritten."""
    mic.start()
    try:
        _pass(_SETTLE_MS)
        first, began = mic.count(), clock.now_us()
        _pass(_LISTEN_MS)
        count, took_us = mic.count() - first, clock.now_us() - began
    finally:
        mic.stop()
    ring = mic.ring()
    total = squares = peak = 0
    for index in range(first, first + count, 4):
        at = 2 * (index % mic.RING_SAMPLES)
        value = ring[at] | ring[at + 1] << 8
        value -= (value & 0x8000) << 1
        total += value
        squares += value * value
        peak = max(peak, abs(value))
    for index in range(len(ring)):
        ring[index] = 0
    taken = max((count + 3) // 4, 1)
    mean = total // taken
    rms = int((squares / taken - mean * mean) ** 0.5) if squares > taken * mean * mean else 0
    hertz = count * 1_000_000 // max(took_us, 1)
    figures = "%d Hz, noise %d, peak %d, offset %d of 32768" % (hertz, rms, peak, mean)
    if abs(hertz - mic.RATE_HZ) * 100 > _RATE_OFF * mic.RATE_HZ or rms < _LEAST_NOISE:
        return BAD, figures
    return (CARE if abs(mean) > _MOST_OFFSET or peak > _LOUD else OK), figures


def _clock(session: "Session") -> "tuple[str, str]":
    """The optional clock chip against the recorder's own."""
    before, began = rtc.read(), clock.now_us()
    if before is None:
        return CARE, "no clock chip, or it lost its power; set by the computer: %s" % (
            "no" if session.anchor is None else "yes"
        )
    _pass(_CLOCK_MS * 11)
    after = rtc.read()
    if after is None:
        return BAD, "does not answer twice"
    off_us = (after[0] - before[0]) - (clock.now_us() - began)
    # The chip counts whole seconds.
    return (OK if abs(off_us) <= 1_000_000 + _CLOCK_OFF_US and after[0] > before[0] else BAD), "off by %d ms" % (
        off_us // 1000
    )


def _battery(session: "Session") -> "tuple[str, str]":
    millivolts, minutes = battery.millivolts(), battery.minutes_left()
    figures = "%d mV, %s" % (millivolts, "on the cable" if battery.usb_power() else "not on a cable")
    if minutes >= 0:
        figures += ", %d minutes" % minutes
    if millivolts > _MOST_MV and battery.usb_power():
        return OK, figures + ": the cable's, not the cell's"  # without a fuel gauge that is all that can be measured
    if millivolts > _MOST_MV or 0 < millivolts < _EMPTY_MV:
        return BAD, figures
    return (OK if millivolts >= _LOW_MV else CARE), figures


def _button(session: "Session") -> "tuple[str, str]":
    down = button.is_down()
    return (CARE if down else OK), ("pressed" if down else "not pressed")


def _switch(session: "Session") -> "tuple[str, str]":
    on = switch.is_on()
    return (CARE if on else OK), ("on" if on else "off")


def _light(session: "Session") -> "tuple[str, str]":
    light.set(session.indicator.brightness)
    _pass(_PULSE_MS)
    works = light.working()
    light.set(0)
    return (OK if works else BAD), "lit for %d ms, brightness %d of 255" % (_PULSE_MS, session.indicator.brightness)


def _motor(session: "Session") -> "tuple[str, str]":
    motor.set(True)
    _pass(_PULSE_MS)
    works = motor.working()
    motor.set(False)
    return (OK if works else BAD), "on for %d ms" % _PULSE_MS


def _radio(session: "Session") -> "tuple[str, str]":
    if session.nearby is not None and session.nearby.is_on:
        return OK, "on for Bluetooth"  # and not to be cut off under its driver
    power.radio_off()
    return (OK if power.radio_is_off() else BAD), "switched off"


def _entropy(session: "Session") -> "tuple[str, str]":
    reads = bytearray(_READS)
    entropy.raw(reads)
    try:
        randomness.check(reads)
    except EntropyFault as error:
        return BAD, str(error)
    return OK, "%d of %d bits set" % (sum(reads), _READS)


def _memory(session: "Session") -> "tuple[str, str]":
    gc.collect()
    free = gc.mem_free()
    return (OK if free >= _FREE_BYTES else CARE), "%d bytes free, journal has room for %d entries" % (
        free,
        session.journal.room(),
    )


def _pass(ms: int) -> None:
    began = clock.ticks_ms()
    while clock.since_ms(began) < ms:
        power.feed()
        clock.idle(_TURN_MS)
