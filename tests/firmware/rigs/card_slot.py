"""The chip's own card driver under MicroPython: machine.SPI, Pin, time and the watchdog stand in, the card is sd_card's.

Time goes on with every byte on the wire and every call, and with nothing else.
"""

import sys

import sd_card

now_ns = 0
card = None
fed_us = 0  # when the watchdog was last fed
hunger_us = 0  # the longest that it was not, from one feed to the next
_CALL_NS = 4000
_detect_wired = True


def now_us():
    return now_ns // 1000


class Pin:
    IN, OUT, PULL_UP = 0, 1, 2

    def __init__(self, number, mode=None, pull=None, value=None):
        self.number = number
        if value is not None:
            self(value)

    def __call__(self, level=None):
        global now_ns
        now_ns += _CALL_NS
        if level is None:
            return 0 if _detect_wired and card is not None and card.inserted else 1
        if card is not None:
            card.select(level)


class SPI:
    def __init__(self, number, baudrate, sck, mosi, miso):
        self.hz = baudrate

    def init(self, baudrate):
        # The chip's divider: 48 MHz by the next even number that is slow enough.
        by = 2
        while 48_000_000 // by > baudrate:
            by += 2
        self.hz = 48_000_000 // by

    def _one(self, byte):
        global now_ns
        now_ns += 8_000_000_000 // self.hz
        return 0xFF if card is None else card.exchange(byte, self.hz)

    def write(self, data):
        global now_ns
        now_ns += _CALL_NS
        for byte in data:
            self._one(byte)

    def readinto(self, into, value=0):
        global now_ns
        now_ns += _CALL_NS
        for at in range(len(into)):
            into[at] = self._one(value)


class _Machine:
    pass


class _Time:
    @staticmethod
    def ticks_ms():
        return now_us() // 1000

    @staticmethod
    def ticks_diff(later, earlier):
        return later - earlier

    @staticmethod
    def sleep_ms(ms):
        global now_ns
        now_ns += ms * 1_000_000


class _Power:
    @staticmethod
    def feed():
        global now_ns, fed_us, hunger_us
        now_ns += _CALL_NS
        hunger_us = max(hunger_us, now_us() - fed_us)
        fed_us = now_us()


def driver():
    """recorder.hal.card as it runs on the chip."""
    import recorder

    for name in list(sys.modules):
        if name.startswith("recorder.hal"):
            del sys.modules[name]
    if hasattr(recorder, "hal"):
        delattr(recorder, "hal")
    machine = _Machine()
    machine.SPI = SPI
    machine.Pin = Pin
    sys.modules["machine"] = machine
    sys.modules["time"] = _Time
    import recorder.hal

    sys.modules["recorder.hal.power"] = _Power
    recorder.hal.power = _Power
    import recorder.hal.card

    return recorder.hal.card


def put_in(count=1 << 20, kind=sd_card.SDHC, wired=True, **settings):
    """A card into the slot."""
    global card, _detect_wired
    _detect_wired = wired
    card = sd_card.SdCard(sd_card.Memory(count), now_us, kind, **settings)
    return card
