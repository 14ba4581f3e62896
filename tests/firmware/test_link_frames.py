"""The recorder's frame parser and encoder against the computer's, under the real interpreter."""

from __future__ import annotations

import random
import zlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.link import frames

_RUN = """
from recorder.link import frames
from binascii import unhexlify, hexlify
for text in ARGS["streams"]:
    receiver = frames.Receiver()
    found = []
    for byte in unhexlify(text):
        if receiver.push(byte):
            found.append(hexlify(receiver.raw[:receiver.count]).decode())
    emit(found)
"""

_ENCODE = """
from recorder.link import frames
from binascii import unhexlify, hexlify
raw = bytearray(4144)
wire = bytearray(frames.encoded_bytes(4140))
for text in ARGS["frames"]:
    data = unhexlify(text)
    raw[:len(data)] = data
    emit(hexlify(wire[:frames.encode(raw, len(data), wire)]).decode())
"""


def _valid(data: bytes) -> list[str]:
    """What the recorder must take from `data`, by the computer's parser and the recorder's own limit."""
    found = frames.Receiver().feed(data)
    return [
        (frame.head + frame.payload).hex() for frame in found if len(frame.payload) + 2 + 4 <= frames.MAX_TO_RECORDER
    ]


def test_encodes_as_the_computer_does_at_every_critical_length(mpy):
    chance = random.Random(1)
    samples = [
        bytes((1, 2)) + chance.randbytes(n) for n in (0, 1, 247, 248, 249, 250, 251, 252, 253, 254, 502, 503, 4100)
    ]
    samples += [bytes((7, 0)) + bytes(n) for n in (0, 1, 253, 254, 255, 4100)]
    samples += [bytes((7, 1)) + b"\xff" * n for n in (250, 251, 252, 504, 505, 4132)]
    out = mpy(_ENCODE, args={"frames": [data.hex() for data in samples]})
    assert out == [frames.encode(data[0], data[1], data[2:]).hex() for data in samples]


def test_takes_what_the_computer_sends_up_to_its_limit_and_not_a_byte_more(mpy):
    most = frames.MAX_TO_RECORDER - 6
    streams = [frames.encode(3, 9, b"\x01" * n) for n in (0, 1, most - 1, most, most + 1, 4096)]
    streams += [frames.encode(3, 9, bytes(n)) for n in (most, most + 1)]
    out = mpy(_RUN, args={"streams": [data.hex() for data in streams]})
    assert [len(found) for found in out] == [1, 1, 1, 1, 0, 0, 1, 0]


def test_finds_its_feet_after_garbage_and_lengths_that_lie(mpy):
    good = frames.encode(1, 5, b"hello\x00there")
    raw = b"\x01\x05hello"
    lying = b"\0\xfe" + raw + b"\0"  # announces more than comes
    short = b"\0\x02\x01\0"
    crc = frames.cobs_encode(raw + (zlib.crc32(raw) ^ 1).to_bytes(4, "little"))
    streams = [
        b"\x55" * 3000 + good,
        lying + good,
        short + good,
        b"\0" + crc + b"\0" + good,
        good[:-4] + good,
        b"\0\0\0" + good + b"\0\0" + good,
        b"\0" + b"\x01" * 700 + b"\0" + good,
    ]
    out = mpy(_RUN, args={"streams": [data.hex() for data in streams]})
    wanted = b"\x01\x05hello\x00there".hex()
    assert out == [[wanted]] * 5 + [[wanted] * 2] + [[wanted]]


def test_both_parsers_agree_on_anything(mpy):
    """Hypothesis makes the streams, the interpreter runs them in batches."""
    made: list[bytes] = []
    pieces = st.one_of(
        st.binary(max_size=40),
        st.builds(frames.encode, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=600)),
        st.builds(
            lambda data, at, bit: bytes((*data[:at], data[at] ^ 1 << bit, *data[at + 1 :])),
            st.just(frames.encode(16, 3, b"a\x00sealed\x00\x00frame")),
            st.integers(0, 20),
            st.integers(0, 7),
        ),
        st.builds(lambda n: b"\0" + b"\x02\x01" * n + b"\0", st.integers(0, 400)),
    )

    @settings(max_examples=300, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(pieces, max_size=5).map(b"".join))
    def collect(data: bytes) -> None:
        made.append(data)

    collect()
    assert mpy(_RUN, args={"streams": [data.hex() for data in made]}) == [_valid(data) for data in made]


def test_the_buffer_does_not_grow_under_a_megabyte_of_noise(mpy):
    out = mpy(
        """
        import gc
        from recorder.link import frames
        receiver = frames.Receiver()
        state = 1
        frames_found = 0
        gc.collect()
        before = gc.mem_alloc()
        for i in range(1 << 20):
            state = (state * 1103515245 + 12345) & 0x3FFFFFFF
            frames_found += receiver.push(state >> 16 & 0xFF)
        gc.collect()
        emit([frames_found, gc.mem_alloc() - before])
        """,
        heap="512K",
    )
    assert out[0][0] == 0
    assert abs(out[0][1]) < 512
