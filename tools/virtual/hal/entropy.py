"""Entropy: the computer's own; "stuck" is a dead oscillator, a number makes a run repeatable."""

import os

import world

_state = 0


def boot() -> None:
    global _state
    seed = world.config.get("entropy")
    _state = seed if isinstance(seed, int) else 0


def _next() -> int:
    """xorshift64: for repeatable tests only."""
    global _state
    _state ^= (_state << 13) & 0xFFFFFFFFFFFFFFFF
    _state ^= _state >> 7
    _state ^= (_state << 17) & 0xFFFFFFFFFFFFFFFF
    return _state


def raw(into: bytearray) -> None:
    if world.config.get("entropy") == "stuck":
        for index in range(len(into)):
            into[index] = 1
        return
    for start in range(0, len(into), 256):
        count = min(256, len(into) - start)
        octets = system(count)
        for index in range(count):
            into[start + index] = octets[index] & 1
    world.advance(len(into))


def system(count: int) -> bytes:
    if _state:
        return bytes([(_next() >> 24) & 0xFF for _ in range(count)])
    return os.urandom(count)
