"""A tape of 16 kHz mono samples that runs past the microphone while it is on, into a ring that is overwritten as DMA would.

The tape stands still between recordings and starts over at each boot; behind its end is the hiss of a quiet room. The lever
`mic_trouble` breaks it: the tape runs on unheard.
"""

import micropython
import world
from recorder.errors import RecorderError

RATE_HZ = 16000
RING_SAMPLES = 16384
NAME = "virtual microphone"

_STAGE_SAMPLES = 1024
_COUNT_MASK = (1 << 30) - 1

# The lever
_DEAF = 1  # zeros
_STUCK = 2  # the data line at one level
_STANDING = 3  # its clock stands still: no samples at all

_ring = bytearray(2 * RING_SAMPLES)
_stage = bytearray(2 * _STAGE_SAMPLES)
_hiss = b"\x00\x00\x01\x00\x00\x00\xff\xff\x01\x00\xff\xff\x00\x00\x01\x00\xff\xff\x01\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00\xff\xff"
_tape = None
_tape_at = 0  # tape position of sample 0, in samples
_staged_from = -1  # tape position of the stage's first sample
_staged_fault = 0  # the lever then
_read_at = 0  # where the tape's file stands, in samples
_started_us = 0
_filled = 0  # samples since start that are in the ring
_running = False
_stalled = False


@micropython.viper
def _copy(target: ptr16, at: int, source: ptr16, first: int, count: int):
    index = 0
    while index < count:
        target[at + index] = source[first + index]
        index += 1


def _fill() -> None:
    """Bring the ring up to virtual time. Allocates nothing."""
    global _filled, _staged_from, _staged_fault, _started_us, _stalled
    fault = world.levers["mic_trouble"]
    if fault == _STANDING:
        _stalled = True
        _started_us = world.now - _filled * 125 // 2  # it goes on from here
        return
    if fault != _staged_fault:
        _staged_fault = fault
        _staged_from = -1
    due = (world.now - _started_us) * 2 // 125  # 16 samples a millisecond
    if world.config.get("mic_fault") == "slow":
        due = due * 9 // 10
    if due - _filled > RING_SAMPLES:
        _filled = due - RING_SAMPLES
    while _filled < due:
        position = _tape_at + _filled
        inside = position % _STAGE_SAMPLES
        if position - inside != _staged_from:
            _staged_from = position - inside
            _load()
        at = _filled % RING_SAMPLES
        count = min(due - _filled, _STAGE_SAMPLES - inside, RING_SAMPLES - at)
        _copy(_ring, at, _stage, inside, count)
        _filled += count


def _load() -> None:
    global _read_at
    got = 0
    if _is_broken():
        level = 255 if _staged_fault == _STUCK else 0
        while got < len(_stage):
            _stage[got] = level
            got += 1
        return
    if _tape is not None:
        if _read_at != _staged_from:  # in order it needs no seek, which would allocate
            _tape.seek(2 * _staged_from)
        got = _tape.readinto(_stage) or 0
        _read_at = _staged_from + got // 2
    while got < len(_stage):
        _stage[got] = _hiss[got % len(_hiss)]
        got += 1


def _is_broken() -> bool:
    return world.levers["mic_trouble"] != 0 or world.config.get("mic_fault") == "silent"


def _position() -> int:
    return _tape_at + _filled


def boot() -> None:
    global _tape, _tape_at, _staged_from, _staged_fault, _read_at, _filled, _running, _stalled
    if _tape is not None:
        _tape.close()
    path = world.config.get("mic")
    _tape = open(path, "rb") if path else None
    _tape_at = _filled = _read_at = 0
    _staged_from = -1
    _staged_fault = 0
    _running = _stalled = False
    world.tape_position = _position
    for index in range(len(_ring)):
        _ring[index] = 0


def ring() -> bytearray:
    return _ring


def start() -> None:
    global _tape_at, _filled, _started_us, _running, _stalled
    _tape_at += _filled
    _filled = 0
    _started_us = world.now
    if _is_broken():
        raise RecorderError("the microphone is silent or stuck")
    _running = True
    _stalled = False
    world.tape_hook = _fill
    world.log("mic", "start")


def stop() -> None:
    global _running
    if _running:
        _fill()
    _running = False
    world.tape_hook = None
    world.log("mic", "stop")


def count() -> int:
    if _running:
        world.advance(world.config.get("count_us", 2))
        world.touch()
    return _filled & _COUNT_MASK


def stalled() -> bool:
    global _stalled
    was, _stalled = _stalled, False
    return was
