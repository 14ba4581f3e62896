"""Light and motor: every state by shape, never by colour or brightness alone. README, "What the light says".

A recorder that does not record must not look or feel as if it did: steady light means recording, and nothing else does.
"""

from micropython import const

from recorder.hal import clock, light, motor

_BRIGHTNESS = const(40)  # of 255: seen across a table, not across a street

# Light shapes: milliseconds on, off, on, off ... repeated. An empty shape is dark, None is steady.
OFF = ()
RECORDING = None
MUTED = (80, 1920)
WAIT = (500, 500)
SYNCING = (80, 120, 80, 720)
UNPAIRED = (1500, 300, 100, 300)  # a long and a short
NO_CARD = (150, 250, 150, 1450)  # two
CARD_FULL = (150, 250, 150, 250, 150, 1450)  # three
CARD_FAILED = (150, 250, 150, 250, 150, 250, 150, 1450)  # four: failed, pulled, too slow or not FAT32
BATTERY_LOW = (150, 250) * 4 + (150, 1450)  # five
SELF_TEST = (60, 60)  # a flicker: identity, random source or microphone

# Motor: milliseconds on, off, on ... once.
START = (150,)
STOPPED = (150, 200, 150)
TICK = (60,)
SECOND_TICK = (60, 100, 60)
NOTICE = (400,)
MUTE = (1000,)
UNMUTE = (150, 150, 600)
REMIND = (250,)
REFUSED = (80, 80, 80, 80, 80)
WARN = (500, 300, 500)


class Indicator:
    """Plays a light shape for ever and a motor shape once."""

    def __init__(self) -> None:
        self._shape: "tuple[int, ...] | None" = OFF
        self._shape_from = 0
        self._buzz: "tuple[int, ...]" = ()
        self._buzz_from = 0
        self._lit = -1
        self._buzzing = False
        self.brightness = _BRIGHTNESS
        self.show(OFF)

    def dim(self, brightness: int) -> None:
        """How bright the light is when it is on, 1 to 255, from now on."""
        self.brightness = brightness
        self._lit = -1
        self.step()

    def show(self, shape: "tuple[int, ...] | None") -> None:
        """Show a shape from now on; the same shape goes on undisturbed."""
        if shape != self._shape or self._lit < 0:
            self._shape = shape
            self._shape_from = clock.ticks_ms()
            self.step()

    def buzz(self, pattern: "tuple[int, ...]") -> None:
        """Play a motor pattern once, in place of one that is playing."""
        self._buzz = pattern
        self._buzz_from = clock.ticks_ms()
        self.step()

    def busy(self) -> bool:
        """A motor pattern is playing."""
        return bool(self._buzz)

    def step(self) -> None:
        """Set light and motor for this moment; call it at least every 50 ms."""
        shape = self._shape
        lit = 1 if shape is None else _phase(shape, clock.since_ms(self._shape_from), True)
        if lit != self._lit:
            self._lit = lit
            light.set(self.brightness if lit else 0)
        if self._buzz:
            on = _phase(self._buzz, clock.since_ms(self._buzz_from), False)
            if on < 0:
                self._buzz = ()
                on = 0
            if bool(on) != self._buzzing:
                self._buzzing = bool(on)
                motor.set(self._buzzing)


def _phase(shape: "tuple[int, ...]", at_ms: int, repeat: bool) -> int:
    """1 on, 0 off, -1 over."""
    if not shape:
        return 0
    if at_ms >= sum(shape):
        if not repeat:
            return -1
        at_ms %= sum(shape)
    lit = 1
    for part in shape:
        if at_ms < part:
            return lit
        at_ms -= part
        lit ^= 1
    return 0
