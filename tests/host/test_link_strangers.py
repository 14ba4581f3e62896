"""What a stranger with a cable can read and a listener hears, and what either end makes of anything that is not the protocol."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sealed_recording
from earwitness import freeing
from earwitness.devices import DeviceRecord
from earwitness.errors import EarwitnessError
from earwitness.link import frames, messages
from earwitness.link.channel import Channel
from earwitness.link.client import LinkLostError, Recorder
from earwitness.link.transport import SocketTransport
from link_device import SECRET, SEED, Device, Meddler, exchange

HELLO = frames.encode(messages.HELLO, 7, b"EWLK\x01\x01")
RECORDING = sealed_recording.make(SEED, bytes(range(1, 33)), 1, 70)
NAME, FAULT, TOLD = "a name nobody may hear", "a fault nobody may hear", "battery_mv"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    running: list[Device] = []

    def begin(**how: Any) -> Device:
        running.append(Device(tmp_path, **how))
        return running[-1]

    yield begin
    for device in running:
        device.stop()


@pytest.fixture
def owned(start: Callable[..., Device], tmp_path: Path) -> Device:
    """A paired recorder that has something to tell."""
    path = tmp_path / "recording"
    path.write_bytes(RECORDING)
    item = {"id": RECORDING[12:28].hex(), "pages": len(RECORDING) // 4096, "path": str(path), "marks": [7, 9]}
    return start(
        link_secret=SECRET.hex(),
        recordings={"1": item},
        newest=1,
        hash="ab" * 32,
        notes={"1": "a note nobody may hear"},
        faults=[(1, FAULT)],
        button=1,
    )


def test_all_that_a_stranger_can_read_is_the_version(start: Callable[..., Device], owned: Device) -> None:
    """Every type in every state, without a hand on the button: a dump of all bytes that come back, paired or not."""
    owned.order("button", 0)
    dumps = []
    for device in (owned, start()):
        told = []
        for opening in (b"", HELLO, HELLO + frames.encode(messages.CHALLENGE, 8, bytes(32))):
            for kind in range(256):
                probes = b"".join(frames.encode(kind, 9, bytes(n)) for n in (0, 1, 32, 33, 120, 300))
                told.append(opening + probes)
        back = exchange(device.url, b"".join(told))
        dumps.append(back)
        for kind, _, payload in back:
            if kind == messages.CHALLENGE | messages.ANSWER:
                assert len(payload) == 32  # the nonce: random, the only thing that is not the same each time
            else:
                assert (kind, payload) in {
                    (messages.HELLO | messages.ANSWER, b"EWLK\x01\x01"),
                    (messages.REFUSED, bytes((messages.DENIED,)) + b"denied"),
                    (messages.REFUSED, bytes((messages.BUTTON,)) + b"hold the button"),
                }
    shapes = [[(kind, request, len(payload)) for kind, request, payload in dump] for dump in dumps]
    assert len(shapes[0]) > 500 and shapes[0] == shapes[1], "nor whether it is paired"
    nonces = [payload for dump in dumps for kind, _, payload in dump if kind == messages.CHALLENGE | messages.ANSWER]
    assert len(set(nonces)) == len(nonces)


def test_a_listener_hears_audio_pages_as_they_are_and_nothing_else(owned: Device) -> None:
    cable = Meddler(owned.url)
    with Recorder(cable) as recorder:
        recorder.authenticate(SECRET, owned.public)
        status = recorder.status()
        (recording,) = recorder.list()
        pages = [page.data for page in recorder.read(recording) if page.data is not None]
        recorder.entropy(b"\x5a" * 32)
        recorder.beacon(1, b"\xc7" * 32)
        recorder.settings(name=NAME)
        recorder.faults()
        recorder.final_note(1)
        recorder.selftest()
        recorder.set_clock()
        recorder.receipt(1, recording.recording_id, bytes(32), b"\xe3" * 64)
        recorder.set_recipients([b"\x77" * 32])
        recorder.free(1, recording.recording_id, bytes(32))
    assert len(pages) == len(RECORDING) // 4096
    heard = [frame for raw in cable.sent + cable.received for frame in frames.Receiver().feed(raw)]
    answer = messages.ANSWER
    clear = {messages.HELLO: 6, messages.CHALLENGE: 32, messages.PROVE: 32}
    open_pages = []
    for frame in heard:
        if frame.kind == messages.PAGE:
            assert frame.payload[4:10] == b"EWR1\x02\x01", "only sealed sound, by its type"
            open_pages.append(frame.payload[4:])
        elif frame.kind != messages.SEALED:
            assert len(frame.payload) == clear[frame.kind & ~answer]
    assert open_pages == [page for page in pages if page[4] == 2]
    air = b"".join(frame.payload for frame in heard if frame.kind != messages.PAGE)
    secret: list[bytes] = [
        SECRET,
        SEED,
        owned.public,
        status.nonce,
        status.boot_id,
        b"\xab" * 8,
        b"\x5a" * 8,
        b"\xc7" * 8,
    ]
    secret += [NAME.encode(), FAULT.encode(), TOLD.encode(), b"nobody may hear", b"microphone", b"earwitness"]
    secret += [b"\xe3" * 8, b"\x77" * 8, RECORDING[12:28], RECORDING[36:100], struct.pack("<Q", 1) + RECORDING[12:20]]
    for needle in secret:
        assert needle not in air


_FUZZ = settings(
    max_examples=120,
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_COMMANDS = st.tuples(st.integers(0, 0x20) | st.integers(0, 255), st.binary(max_size=130))
_RAW = st.one_of(
    st.binary(max_size=200),
    st.builds(frames.encode, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=560)),
)


def test_no_frame_of_an_owner_or_a_stranger_ends_the_recorder(owned: Device) -> None:
    """The recorder's own parser under its interpreter: sealed commands of any kind and length, and raw bytes between them."""
    sent = {"commands": 0}
    before = 0

    @_FUZZ
    @given(st.lists(st.one_of(_COMMANDS, _RAW), max_size=8))
    def throw(items: list[tuple[int, bytes] | bytes]) -> None:
        with Recorder(SocketTransport(owned.url), timeout=1) as recorder:
            recorder.authenticate(SECRET, owned.public)
            for item in items:
                if isinstance(item, bytes):
                    recorder._transport.write(b"\0" + item + b"\0")
                    continue
                command, payload = item
                if command in (messages.UNPAIR, messages.READ, messages.STATUS):
                    continue  # the session's end; many frames; a signature each
                sent["commands"] += 1
                with contextlib.suppress(EarwitnessError):
                    recorder._command(command, payload, timeout=1, tries=1)
            assert recorder.settings().recipients

    throw()
    before = owned.order("heap")["heap"]
    throw()
    assert sent["commands"] > 100
    assert abs(owned.order("heap")["heap"] - before) < 8192
    with Recorder(SocketTransport(owned.url)) as recorder:
        recorder.authenticate(SECRET, owned.public)
        assert recorder.status().newest == 1


class _Clock:
    """Stands for the module `time`: what waits in vain makes time pass, and a busy computer does not."""

    def __init__(self) -> None:
        self.now = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def monotonic(self) -> float:
        return self.now


clock = _Clock()


@pytest.fixture
def slow_time() -> Iterator[None]:
    """The computer's end of the link goes by `clock`."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("link.client", "link.conversation", "freeing"):
            patch.setattr(f"earwitness.{module}.time", clock)
        yield


class Liar:
    """A recorder that proves itself and then answers anything at all."""

    name = "liar"

    def __init__(self, answers: list[tuple[int, bytes]], raw: bytes) -> None:
        self._answers, self._raw = answers, raw
        self._receiver = frames.Receiver()
        self._out = b""
        self._channel: Channel | None = None
        self._nonce = b""

    def write(self, data: bytes) -> None:
        for frame in self._receiver.feed(data):
            if frame.kind == messages.HELLO:
                self._out += frames.encode(0x81, frame.request, b"EWLK\x01\x01")
            elif frame.kind == messages.CHALLENGE:
                self._nonce = frame.payload
                self._channel = Channel(SECRET, b"\x01" * 4, frame.payload, bytes(32))
                self._out += frames.encode(0x82, frame.request, bytes(32))
            elif frame.kind == messages.PROVE and self._channel is not None:
                self._out += frames.encode(0x83, frame.request, self._channel._expected)
                swapped = self._channel
                swapped._send_enc, swapped._receive_enc = swapped._receive_enc, swapped._send_enc
                swapped._send_mac, swapped._receive_mac = swapped._receive_mac, swapped._send_mac
            elif frame.kind == messages.SEALED and self._channel is not None:
                text = self._channel.unseal(frame)
                self._out += self._raw
                for kind, payload in self._answers:
                    said = bytes((text[0] | 0x80 if kind == 0 and text else kind,)) + payload
                    head = bytes((messages.SEALED, frame.request))
                    self._out += frames.encode(messages.SEALED, frame.request, self._channel.seal(head, said))

    def read(self, timeout: float) -> bytes:
        data, self._out = self._out, b""
        clock.now += 0 if data else timeout
        return data

    def close(self) -> None: ...


@pytest.mark.usefixtures("slow_time")
@settings(
    max_examples=60,
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.sampled_from([0, 0, 0, 0x7F, 0x40, 0x41, 0x83]), st.binary(max_size=300)), max_size=4),
    st.binary(max_size=60),
)
def test_no_answer_of_a_lying_recorder_ends_the_computer_otherwise_than_in_a_sentence(
    answers: list[tuple[int, bytes]], raw: bytes
) -> None:
    patch = pytest.MonkeyPatch()
    for name in ("_SELFTEST_TIMEOUT_S", "_FORMAT_TIMEOUT_S"):
        patch.setattr(f"earwitness.link.client.{name}", 0.01)
    recorder = Recorder(Liar(answers, raw), timeout=0.01, tries=1)
    recorder.authenticate(SECRET, sealed_recording.public_key(SEED))
    recording = messages.Recording(1, bytes(16), 3, messages.FINAL)
    asks: list[Callable[[], object]] = [
        *(recorder.status, recorder.list, recorder.settings, recorder.faults, recorder.selftest, recorder.set_clock),
        *(lambda: recorder.final_note(1), lambda: list(recorder.read(recording)), recorder.format),
        *(recorder.stop, recorder.identify, lambda: recorder.set_recipients([b"\x01" * 32])),
    ]
    for ask in asks:
        try:
            ask()
        except EarwitnessError as error:
            assert error.message and error.message.isprintable()
    patch.undo()


@pytest.mark.usefixtures("slow_time")
def test_a_lying_recorder_cannot_keep_the_computer_for_ever() -> None:
    """`more` in every list, with the highest number there is: it ends in a sentence."""
    entry = struct.pack("<Q16sIBH", (1 << 64) - 1, bytes(16), 1, 1, 0)
    recorder = Recorder(Liar([(0, b"\x01\x01" + entry)], b""), timeout=0.01, tries=1)
    recorder.authenticate(SECRET, sealed_recording.public_key(SEED))
    with pytest.raises((EarwitnessError, LinkLostError)):
        recorder.list()


class Drawn(Liar):
    """Proves itself, and then answers each command with what `say` makes of it: seconds to wait, then inner answers."""

    def __init__(self, say: Callable[[int, bytes], list[tuple[float, int, bytes]]]) -> None:
        super().__init__([], b"")
        self._say = say
        self._due: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        for frame in frames.Receiver().feed(data):
            if frame.kind != messages.SEALED:
                super().write(frames.encode(frame.kind, frame.request, frame.payload))
                continue
            assert self._channel is not None
            text = self._channel.unseal(frame)
            assert text is not None
            self._due = []
            at = clock.now
            head = bytes((messages.SEALED, frame.request))
            for wait, kind, payload in self._say(text[0], text[1:]):
                at += wait
                sealed = self._channel.seal(head, bytes((kind,)) + payload)
                self._due.append((at, frames.encode(messages.SEALED, frame.request, sealed)))

    def read(self, timeout: float) -> bytes:
        if self._out:
            return super().read(timeout)
        if not self._due or self._due[0][0] > clock.now + timeout:
            clock.now += timeout
            return b""
        at, data = self._due.pop(0)
        clock.now = max(at, clock.now)
        return data


def _drawn(say: Callable[[int, bytes], list[tuple[float, int, bytes]]], timeout: float = 0.05) -> Recorder:
    recorder = Recorder(Drawn(say), timeout=timeout, tries=2)
    recorder.authenticate(SECRET, sealed_recording.public_key(SEED))
    return recorder


_HUGE = messages.Recording(1, bytes(range(16)), messages.MOST_PAGES, messages.FINAL)


def _pages(request: bytes, wait: float, count: int) -> list[tuple[float, int, bytes]]:
    _, first, asked = struct.unpack("<QIH", request)
    numbers = range(first, first + min(count, asked))
    return [(wait, messages.MISSING, struct.pack("<I", number)) for number in numbers]


@pytest.mark.usefixtures("slow_time")
@pytest.mark.parametrize("count", [1, 3, 64])
def test_a_read_that_is_drawn_out_ends_in_a_sentence(count: int) -> None:
    """A page now and then, each just in time, of a file as large as there is: a million of them would take a day."""
    recorder = _drawn(
        lambda command, request: [*_pages(request, 0.04, count), (0, messages.READ | messages.ANSWER, bytes(4))]
    )
    began = clock.now
    with pytest.raises(LinkLostError, match="no end to it") as caught:
        for _ in recorder.read(_HUGE):
            pass
    assert clock.now - began < 15
    assert "resumes" in caught.value.hint


@pytest.mark.usefixtures("slow_time")
def test_a_page_that_is_repeated_for_ever_is_no_answer() -> None:
    """Each is in time, and none is the next one."""
    recorder = _drawn(lambda command, request: [(0.01, messages.MISSING, bytes(4)) for _ in range(10_000)])
    began = clock.now
    with pytest.raises(LinkLostError, match="stopped answering"):
        for _ in recorder.read(_HUGE, 5):
            pass
    assert clock.now - began < 3


def _entry(seq: int, state: int = 1, marks: int = 0, pages: int = 9, name: bytes = b"") -> bytes:
    recording_id = name or seq.to_bytes(16, "big")
    return struct.pack(f"<Q16sIBH{marks}I", seq, recording_id, pages, state, marks, *range(marks))


@pytest.mark.usefixtures("slow_time")
@pytest.mark.parametrize("wait", [0.0, 0.04])
def test_a_list_without_end_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch, wait: float) -> None:
    """One entry at a time, as fast as it goes or each just in time."""
    monkeypatch.setattr("earwitness.link.client._MOST_RECORDINGS", 1000)

    def say(_command: int, request: bytes) -> list[tuple[float, int, bytes]]:
        (after,) = struct.unpack("<Q", request)
        return [(wait, messages.LIST | messages.ANSWER, b"\x01\x01" + _entry(after + 1))]

    began = clock.now
    with pytest.raises(EarwitnessError, match="does not end") as caught:
        _drawn(say).list()
    assert clock.now - began < 10 and "exchanged" in caught.value.hint


@pytest.mark.usefixtures("slow_time")
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x01",
        b"\x02\x00",
        b"\x01\x00",
        b"\x00\x01",
        b"\x00\x01" + _entry(0),
        b"\x00\x01" + _entry(1) + b"\x00",
        b"\x00\x01" + _entry(1)[:-1],
        b"\x00\x02" + _entry(1),
        b"\x00\x02" + _entry(2) + _entry(1),
        b"\x00\x02" + _entry(1) + _entry(1),
        b"\x00\x02" + _entry(1, name=b"\x07" * 16) + _entry(2, name=b"\x07" * 16),
        b"\x00\x01" + _entry(1, marks=65),
        b"\x00\x01" + _entry(1, pages=messages.MOST_PAGES + 1),
        b"\x00\x01" + _entry(1)[:-2] + b"\xff\xff",
    ],
)
def test_a_list_that_does_not_hold_together_is_refused(answer: bytes) -> None:
    with pytest.raises(
        EarwitnessError, match=r"The recorder's list (does not hold together|names a recording twice)\."
    ):
        _drawn(lambda command, request: [(0, messages.LIST | messages.ANSWER, answer)]).list()


@pytest.mark.usefixtures("slow_time")
def test_final_notes_that_come_too_slowly_are_left_to_the_next_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Thousands that were freed, it says, and each of their notes just in time."""
    monkeypatch.setattr(freeing, "_ENDS_S", 0.5)
    recorder = _drawn(lambda command, request: [(0.02, messages.NOTE | messages.ANSWER, b"no note")])
    record = DeviceRecord(sealed_recording.public_key(SEED).hex(), SECRET.hex(), "", "Mine", (), 1, "", "")
    listed = [messages.Recording(seq, seq.to_bytes(16, "big"), 0, messages.FREED) for seq in range(1, 5001)]
    began = clock.now
    freeing.keep_ends(recorder, record, listed, tmp_path / "ends")
    assert clock.now - began < 5
