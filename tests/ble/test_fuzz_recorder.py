"""Anything at all through the air to a recorder, under the real interpreter: it goes on, in bounded memory, by the rules."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sealed_recording
from earwitness.errors import EarwitnessError
from earwitness.link import frames, messages
from earwitness.link.client import Recorder
from link_device import SECRET, SEED, Device
from tools.virtual.ble import wire

from .bare_radio import LARGEST, BareRadio, BareTransport

RECORDING = sealed_recording.make(SEED, bytes(range(1, 33)), 1, 30)
_FUZZ = settings(
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_HELLO = frames.encode(messages.HELLO, 7, b"EWLK\x01\x01")
_LONGEST_VALUE = 512  # what an attribute may have at most
_PAGE_BUFFERS = 8400  # that a READ holds while its session lasts


@pytest.fixture
def radio(tmp_path: Path) -> Iterator[BareRadio]:
    with BareRadio(tmp_path) as made:
        yield made


@pytest.fixture
def device(tmp_path: Path, radio: BareRadio) -> Iterator[Device]:
    """A paired recorder with a recording; a traceback in it fails the test."""
    path = tmp_path / "recording"
    path.write_bytes(RECORDING)
    item = {"id": RECORDING[12:28].hex(), "pages": len(RECORDING) // 4096, "path": str(path), "marks": [7]}
    how: dict[str, Any] = {"link_secret": SECRET.hex(), "recordings": {"1": item}, "newest": 1, "hash": "ab" * 32}
    made: Device = _while_serving(radio, lambda: Device(tmp_path, ble=radio.path, **how))

    def settle() -> None:
        for _ in range(2):  # what it was told between two orders, it has dealt with
            _while_serving(radio, lambda: made.order("heap"))

    radio.settle = settle
    yield made
    made.stop()


def _while_serving(radio: BareRadio, work: Callable[[], Any]) -> Any:
    """The recorder waits for its radio now and then, also while we wait for the recorder."""
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    while thread.is_alive():
        radio.serve(0.005)
    thread.join()
    return done[0]


# What one does to it: a method of _Rough, and what goes with it.
_BYTES = st.binary(max_size=_LONGEST_VALUE)
_FRAMES = st.one_of(
    st.just(_HELLO),
    st.builds(frames.encode, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=520)),
)
_ACTS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([b"", b"\0"]) | _BYTES),
    st.tuples(st.just("confirm"), st.integers(0, 255)),
    st.just(("confirm_all",)),
    st.tuples(st.just("frame"), _FRAMES, st.lists(st.integers(1, 250), max_size=8), st.integers(0, 255)),
    st.tuples(st.just("flood"), st.integers(1, 40)),
    st.tuples(st.just("agree"), st.sampled_from([23, 24, 185, 247, 248, 517, 1017])),
    st.just(("connect_again",)),
    st.just(("disconnect",)),
    st.just(("disconnect_twice",)),
    st.tuples(st.just("read"), st.integers(0, 40), st.integers(0, 64)),
    st.just(("read", 0, 30)),
    st.just(("listen",)),
    st.just(("listen",)),
    st.tuples(st.just("command"), st.integers(0, 0x14), st.binary(max_size=130)),
    st.tuples(st.just("skip"), st.sampled_from([1, 900, 1100, 5100, 31_000])),
)


class _Rough:
    """Does such things to one recorder."""

    def __init__(self, radio: BareRadio, device: Device) -> None:
        self.radio, self.device = radio, device
        self.owner: Recorder | None = None
        self.count = 0

    def begin(self, mtu: int, as_owner: bool) -> None:
        transport = BareTransport(self.radio, mtu)
        self.owner = Recorder(transport, timeout=20)
        if as_owner:
            self.owner.authenticate(SECRET, self.device.public)

    def do(self, act: tuple[Any, ...]) -> None:
        """One of `_ACTS`."""
        self.count += 1
        getattr(self, act[0])(*act[1:])
        self.radio.serve()

    def write(self, value: bytes) -> None:
        self.radio.write(value)

    def confirm(self, number: int) -> None:
        self.radio.write(bytes((number,)))

    def confirm_all(self) -> None:
        self.radio.write(bytes((self.radio.last,)))

    def frame(self, data: bytes, cuts: list[int], number: int) -> None:
        for cut in cuts:
            self.radio.write(bytes((number,)) + data[:cut])
            data = data[cut:]
        self.radio.write(bytes((self.radio.last,)) + data[:_LONGEST_VALUE])

    def flood(self, count: int) -> None:
        for _ in range(count):
            self.radio.write(bytes((self.radio.last,)) + _HELLO)

    def agree(self, mtu: int) -> None:
        self.radio.agree(mtu)

    def connect_again(self) -> None:
        if self.radio.connected:
            self.radio.connected_event()

    def disconnect(self) -> None:
        self.radio.disconnect()

    def disconnect_twice(self) -> None:
        self.radio.disconnect()
        self.radio.tell(wire.DISCONNECTED)

    def listen(self) -> None:
        """And confirm nothing."""
        self.radio.serve(0.15, until_told=False)

    def skip(self, how_long_ms: int) -> None:
        _while_serving(self.radio, lambda: self.device.order("skip", how_long_ms))

    def read(self, first: int, count: int) -> None:
        self._send(messages.READ, struct.pack("<QIH", 1, first, count))

    def command(self, command: int, payload: bytes) -> None:
        if command not in (messages.UNPAIR, messages.STATUS):  # no owner any more; a signature takes long
            self._send(command, payload)

    def _send(self, command: int, payload: bytes) -> None:
        if self.owner is not None and self.owner.is_open:
            with contextlib.suppress(EarwitnessError):
                self.owner._send(command, payload)


@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_nothing_that_comes_through_the_air_ends_the_recorder(radio: BareRadio, device: Device, examples: int) -> None:
    rough = _Rough(radio, device)

    @settings(_FUZZ, max_examples=examples)
    @example(247, True, [("read", 0, 30), ("listen",), ("confirm", 60), ("listen",), ("confirm", 200), ("listen",)])
    @example(23, True, [("read", 0, 3), ("listen",)])
    @example(247, True, [("agree", 1017), ("read", 0, 3), ("listen",)])
    @example(185, False, [("write", b""), ("write", b"\0"), ("disconnect_twice",)])
    @given(st.sampled_from([23, 64, 185, 247]), st.sampled_from([True, True, False]), st.lists(_ACTS, max_size=10))
    def throw(mtu: int, as_owner: bool, acts: list[tuple[Any, ...]]) -> None:
        rough.begin(mtu, as_owner)
        for act in acts:
            rough.do(act)
        radio.disconnect()
        with Recorder(BareTransport(radio), timeout=20) as recorder:
            recorder.authenticate(SECRET, device.public)
            assert recorder.settings().recipients
        assert radio.broken == []

    throw()
    before = device.order("heap")["heap"]
    throw()
    assert rough.count > 5 * examples
    assert device.order("heap")["heap"] - before < _PAGE_BUFFERS + 8192
    with Recorder(BareTransport(radio), timeout=20) as recorder:
        recorder.authenticate(SECRET, device.public)
        assert recorder.status().newest == 1
        (listed,) = recorder.list()
        assert b"".join(page.data or b"" for page in recorder.read(listed)) == RECORDING


# Says in hexadecimal what it read, a piece of the stream each time.
_READER = """
import ble
from binascii import hexlify
piece = bytearray(97)
while True:
    ble.advertise(True)
    if ble.accept():
        print("accepted")
    count = ble.read(piece)
    if count:
        print(hexlify(piece[:count]).decode())
    else:
        time.sleep_ms(10)
"""


@pytest.mark.parametrize("examples", [30, pytest.param(500, marks=pytest.mark.long)])
def test_a_value_is_taken_whole_or_not_at_all(radio: BareRadio, micropython: Any, examples: int) -> None:
    """More at a time than it has room for is given up by the value, and never mixed up with what came before."""
    process = micropython(_READER.replace("import ble\n", f"import ble\nbluetooth.path = {radio.path!r}\n", 1))
    said: list[str] = []
    threading.Thread(target=lambda: said.extend(iter(process.stdout.readline, "")), daemon=True).start()

    def settle() -> None:
        until = time.monotonic() + 30
        while "accepted\n" not in said:
            assert time.monotonic() < until
            radio.serve(0.005)
        del said[: said.index("accepted\n") + 1]  # what came before is of the connection that was

    radio.settle = settle

    @settings(_FUZZ, max_examples=examples)
    @example([243] * 40)
    @given(st.lists(st.integers(0, 243), max_size=40))
    def throw(lengths: list[int]) -> None:
        radio.connect()
        radio.agree(LARGEST)
        values = [bytes((number + 1,)) * length for number, length in enumerate(lengths)]
        for value in values:
            radio.write(b"\0" + value)
        end = b"\xff" * 20
        until = time.monotonic() + 30
        while not (got := bytes.fromhex("".join(said).replace("\n", ""))).endswith(end):
            assert time.monotonic() < until, "nothing comes any more"
            radio.serve(0.05)  # time to take what it has
            radio.write(b"\0" + end)
        whole = b"".join(value for value in values if value and value in got)
        assert got.rstrip(b"\xff") == whole
        assert len(whole) >= min(sum(map(len, values)), 2048 - 243)
        radio.disconnect()

    throw()
