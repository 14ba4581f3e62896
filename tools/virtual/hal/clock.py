"""Virtual monotonic time."""

import world

_TICKS_MASK = (1 << 29) - 1


def now_us() -> int:
    world.advance(1)
    world.touch()
    return world.now


def stamp(into: bytearray, offset: int, back_us: int) -> None:
    value = world.now - back_us
    for index in range(8):
        into[offset + index] = value & 0xFF
        value >>= 8


def ticks_ms() -> int:
    world.advance(1)
    world.touch()
    return (world.now // 1000) & _TICKS_MASK


def since_ms(ticks: int) -> int:
    return (ticks_ms() - ticks) & _TICKS_MASK


def idle(ms: int) -> None:
    world.idle(ms)
