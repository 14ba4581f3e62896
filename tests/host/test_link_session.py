"""Both real ends against each other: who may speak, what is answered, what a stranger, a thief or a bad cable gets."""

from __future__ import annotations

import hmac
import os
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earwitness.errors import DeviceBusyError, EarwitnessError, FormatError, IntegrityError, KeyMissingError
from earwitness.link import frames, messages
from earwitness.link.channel import Channel
from earwitness.link.client import DeniedError, LinkLostError, NotFoundError, Recorder
from earwitness.link.messages import Recording
from earwitness.link.transport import SerialTransport, SocketTransport
from link_device import SECRET, Device, Meddler, exchange

PAGES = 70
HELLO = frames.encode(messages.HELLO, 7, b"EWLK\x01\x01")


def pages_file(path: Path, pages: int = PAGES) -> bytes:
    """A file with a header, checkpoints and audio pages by their look; what is in them is noise."""
    chance = random.Random(pages)
    recording_id = chance.randbytes(16)
    out = bytearray()
    for number in range(pages):
        kind = 1 if number == 0 else 3 if number % 33 == 1 else 2
        out += b"EWR1" + bytes((kind, 1, 0, 0)) + struct.pack("<I", number) + recording_id
        out += chance.randbytes(4096 - 28)
    path.write_bytes(out)
    return recording_id


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    """Starts devices and ends them; a traceback on a device fails the test."""
    running: list[Device] = []

    def begin(**settings: Any) -> Device:
        device = Device(tmp_path, **settings)
        running.append(device)
        return device

    yield begin
    for device in running:
        device.stop()


@pytest.fixture
def paired(start: Callable[..., Device], tmp_path: Path) -> Device:
    """A paired recorder with one recording of 70 pages and one of 3."""
    recordings = {}
    for seq, pages, state in ((4, PAGES, 1), (6, 3, 1), (9, 1, 3)):
        path = tmp_path / f"{seq}.bin"
        recordings[str(seq)] = {
            "id": pages_file(path, pages).hex(),
            "pages": pages,
            "path": str(path),
            "state": state,
            "marks": list(range(seq)),
        }
    return start(
        link_secret=SECRET.hex(),
        recordings=recordings,
        newest=6,
        hash="ab" * 32,
        open=0,
        notes={"9": "the end of nine"},
        faults=[(0, "reset after fault 1"), (4, "card pulled")],
    )


def session(device: Device, transport: SocketTransport | None = None, **how: Any) -> Recorder:
    recorder = Recorder(transport or SocketTransport(device.url), **how)
    recorder.authenticate(SECRET, device.public)
    return recorder


# ---- who may speak


def test_a_session_answers_every_command(paired: Device, tmp_path: Path) -> None:
    with session(paired) as recorder:
        status = recorder.status()
        assert (status.newest, status.newest_hash, status.open_seq, status.epoch) == (6, b"\xab" * 32, 0, 1)
        assert status.boot_id == bytes(range(16))
        assert status.told["battery_mv"] == "3912" and status.told["state"] == "idle"
        found = recorder.list()
        assert [(item.seq, item.pages, item.state, item.marks) for item in found] == [
            (4, PAGES, messages.FINAL, (0, 1, 2, 3)),
            (6, 3, messages.FINAL, tuple(range(6))),
            (9, 1, messages.FREED, tuple(range(9))),
        ]
        assert [item.seq for item in recorder.list(4)] == [6, 9]
        read = b"".join(page.data or b"" for page in recorder.read(found[0]))
        assert read == (tmp_path / "4.bin").read_bytes()
        assert [page.number for page in recorder.read(found[0], 68)] == [68, 69]
        recorder.identify()
        recorder.entropy(b"\x07" * 32)
        recorder.beacon(1, b"\x09" * 32)
        recorder.stop()
        recorder.receipt(4, found[0].recording_id, bytes(32), b"\x0a" * 64)
        assert [item.receipt for item in recorder.list()] == [True, False, False]
        recorder.free(4, found[0].recording_id, bytes(32))
        assert recorder.list()[0].state == messages.FREED
        assert recorder.final_note(9) == b"the end of nine"
        kept = recorder.settings()
        assert (kept.light, kept.name, kept.recipients) == (40, "test", (b"\x01" * 32,))
        assert recorder.settings(light=90).light == 90
        assert recorder.settings(light=91, name="Küche").name == "Küche"
        assert recorder.faults() == [messages.Fault(0, "reset after fault 1"), messages.Fault(4, "card pulled")]
        tested = recorder.selftest()
        assert [(part.name, part.verdict) for part in tested] == [
            ("card", messages.OK),
            ("microphone", messages.BAD),
            ("newthing", messages.CARE),
        ]
        clock = recorder.set_clock()
    assert paired.called("receipt")[0] == {"call": "receipt", "seq": 4, "signature": "0a" * 64}
    assert [call["seq"] for call in paired.called("free")] == [4] and len(paired.called("stop")) == 1
    assert [call["brightness"] for call in paired.called("set_light")] == [90, 91]
    told = paired.called("set_clock")[0]
    assert abs(told["utc_us"] - told["wall_us"]) <= told["error_us"]
    assert told["error_us"] == clock.error_us < 100_000 and told["source"] == 1
    assert len(paired.called("identify")) == 1
    assert paired.called("add_entropy")[0]["data"] == "07" * 32
    assert paired.called("set_beacon")[0]["data"] == "01" + "09" * 32


def test_a_stranger_learns_the_version_and_nothing_else(start: Callable[..., Device]) -> None:
    """Paired or not, with a recording or none: the bytes that come back to a stranger are the same in kind."""
    answers = []
    for settings in ({"link_secret": SECRET.hex(), "newest": 9}, {}):
        device = start(**settings)
        probes = [frames.encode(kind, 1, bytes(n)) for kind in range(256) for n in (0, 33) if kind != messages.HELLO]
        assert exchange(device.url, b"".join(probes)) == []
        assert exchange(device.url, HELLO) == [(messages.HELLO | messages.ANSWER, 7, b"EWLK\x01\x01")]
        asked = HELLO + b"".join(
            (
                frames.encode(messages.PAIR, 2, bytes(150)),
                frames.encode(messages.SEALED, 3, bytes(60)),
                frames.encode(messages.CHALLENGE, 4, bytes(32)),
                frames.encode(messages.PROVE, 5, bytes(32)),
                frames.encode(messages.PROVE, 6, bytes(32)),
            )
        )
        found = exchange(device.url, asked)
        answers.append([(kind, request, len(payload)) for kind, request, payload in found])
        assert found[-1] == (messages.REFUSED, 5, bytes((messages.DENIED,)) + b"denied")
    assert answers[0] == answers[1]
    assert [kind for kind, _, _ in answers[0]] == [0x81, messages.REFUSED, 0x82, messages.REFUSED]


def test_the_wrong_secret_is_refused(paired: Device) -> None:
    with Recorder(SocketTransport(paired.url)) as recorder:
        with pytest.raises(DeniedError):
            recorder.authenticate(bytes(32), paired.public)
        with pytest.raises(LinkLostError):
            recorder.status()


def test_an_impostor_that_cannot_prove_itself_is_refused(paired: Device) -> None:
    def lie(_: int, data: bytes) -> bytes:
        (frame,) = frames.Receiver().feed(data)
        if frame.kind == messages.PROVE | messages.ANSWER:
            return frames.encode(frame.kind, frame.request, bytes(32))
        return data

    with Recorder(Meddler(paired.url, back=lie)) as recorder, pytest.raises(IntegrityError, match="prove itself"):
        recorder.authenticate(SECRET, paired.public)


def test_changed_versions_in_hello_break_the_proof(paired: Device) -> None:
    """A downgrade on the cable: each end must have seen the other's own range."""

    def widen(number: int, data: bytes) -> bytes:
        return (
            frames.encode(messages.HELLO, frames.Receiver().feed(data).__next__().request, b"EWLK\x00\x01")
            if (number == 0)
            else data
        )

    with Recorder(Meddler(paired.url, out=widen)) as recorder, pytest.raises(DeniedError):
        recorder.authenticate(SECRET, paired.public)


def test_a_status_signed_by_another_key_is_refused(paired: Device) -> None:
    with Recorder(SocketTransport(paired.url)) as recorder:
        recorder.authenticate(SECRET, bytes(31) + b"\x40")
        with pytest.raises(IntegrityError):
            recorder.status()


def test_no_proof_within_five_seconds_drops_the_session(paired: Device) -> None:
    transport = SocketTransport(paired.url)
    transport.write(HELLO)
    assert transport.read(2)
    transport.write(frames.encode(messages.CHALLENGE, 1, bytes(32)))
    nonce = next(frames.Receiver().feed(transport.read(2))).payload
    paired.order("skip", 5001)
    proof = Channel(SECRET, b"\x01\x01\x01\x01", bytes(32), nonce).proof
    transport.write(frames.encode(messages.PROVE, 2, proof))
    transport.write(frames.encode(messages.CHALLENGE, 3, bytes(32)))
    assert transport.read(0.3) == b""
    transport.write(HELLO)
    assert transport.read(2)
    transport.close()


def test_a_proved_session_outlives_the_five_seconds(paired: Device) -> None:
    with session(paired) as recorder:
        paired.order("skip", 60_000)
        assert recorder.status().newest == 6


def test_a_recorded_session_cannot_be_replayed(paired: Device) -> None:
    cable = Meddler(paired.url)
    with session(paired, cable) as recorder:
        recorder.identify()
        recorder.entropy(bytes(32))
    assert len(paired.called("identify")) == 1
    for kind, _, _ in exchange(paired.url, b"".join(cable.sent)):
        assert kind in (0x81, 0x82, messages.REFUSED)
    assert len(paired.called("identify")) == 1 and len(paired.called("add_entropy")) == 1


def test_repeated_and_reordered_commands_act_once(paired: Device) -> None:
    held: list[bytes] = []

    def twist(number: int, data: bytes) -> bytes:
        if number < 3:
            return data
        if number == 3:  # kept back, to come after its successor
            held.append(data)
            return b""
        return data + data + held[0]

    cable = Meddler(paired.url, out=twist)
    with session(paired, cable, timeout=0.5) as recorder:
        recorder.identify()
    assert len(paired.called("identify")) == 1


def test_a_changed_sealed_frame_is_ignored_at_either_end(paired: Device) -> None:
    def flip(data: bytes) -> bytes:
        (frame,) = frames.Receiver().feed(data)
        payload = bytearray(frame.payload)
        payload[-20] ^= 1
        return frames.encode(frame.kind, frame.request, bytes(payload))

    cable = Meddler(
        paired.url,
        out=lambda number, data: flip(data) if number == 3 else data,
        back=lambda number, data: flip(data) if number == 3 else data,
    )
    with session(paired, cable, timeout=0.5) as recorder:
        assert recorder.status().newest == 6
    assert len(cable.sent) == 3 + 3  # the first did not arrive, the answer to the second neither


def test_answers_sealed_for_the_other_direction_are_not_taken(paired: Device) -> None:
    """Reflection: the computer's own frame sent back to it opens with no key of the other direction."""
    channel = Channel(SECRET, b"\x01\x01\x01\x01", bytes(32), bytes(32))
    sealed = channel.seal(b"\x10\x01", b"\x01" + bytes(32))
    assert channel.unseal(frames.Frame(0x10, 1, sealed)) is None


def test_keys_and_proofs_follow_the_specification() -> None:
    """LINK.md, "Sessions", spelled out once more by hand."""
    host, device, versions = bytes(range(32)), bytes(range(32, 64)), b"\x01\x02\x01\x01"
    channel = Channel(SECRET, versions, host, device)
    label = b"earwitness/v1/link/proof"
    assert channel.proof == hmac.digest(SECRET, label + b"\x01" + versions + host + device, "sha256")
    assert channel.is_recorder(hmac.digest(SECRET, label + b"\x02" + versions + host + device, "sha256"))
    prk = hmac.digest(host + device, SECRET, "sha256")
    key = hmac.digest(prk, b"earwitness/v1/link/host/mac\x01", "sha256")
    sealed = channel.seal(b"\x10\x05", b"text")
    assert sealed[:4] == b"\x01\0\0\0" and len(sealed) == 4 + 4 + 16
    assert sealed[-16:] == hmac.digest(key, b"\x10\x05" + sealed[:-16], "sha256")[:16]


# ---- a bad cable


@pytest.mark.parametrize("direction", ["out", "back"])
def test_the_loss_of_any_frame_in_turn_is_made_good(paired: Device, tmp_path: Path, direction: str) -> None:
    """First without loss to count the frames, then once for each of them."""

    def run(lost: int) -> int:
        cable = Meddler(paired.url, **{direction: lambda number, data: b"" if number == lost else data})
        recorder = Recorder(cable, timeout=0.15, tries=20)  # patience with a busy computer
        recorder.authenticate(SECRET, paired.public)
        assert recorder.status().newest == 6
        found = recorder.list()
        read = b"".join(page.data or b"" for page in recorder.read(found[1]))
        assert read == (tmp_path / "6.bin").read_bytes()
        recorder.set_clock()
        recorder.identify()
        recorder.close()
        return len(cable.sent if direction == "out" else cable.received)

    total = run(-1)
    assert total >= 11
    for lost in range(total):
        run(lost)


def test_lost_and_repeated_pages_come_right(paired: Device, tmp_path: Path) -> None:
    chance = random.Random(5)

    def spoil(_: int, data: bytes) -> bytes:
        roll = chance.random()
        if len(data) < 4000 or roll < 0.9:
            return data
        return b"" if roll < 0.94 else data + data if roll < 0.97 else data[:2000] + b"\0" + data[2000:]

    with session(paired, Meddler(paired.url, back=spoil), timeout=0.3, tries=20) as recorder:
        recording = recorder.list()[0]
        read = b"".join(page.data or b"" for page in recorder.read(recording))
    assert read == (tmp_path / "4.bin").read_bytes()


def test_header_and_checkpoints_travel_sealed_and_audio_as_it_is(paired: Device, tmp_path: Path) -> None:
    cable = Meddler(paired.url)
    with session(paired, cable) as recorder:
        list(recorder.read(recorder.list()[0]))
    data = (tmp_path / "4.bin").read_bytes()
    seen = b"".join(frame.payload for raw in cable.received for frame in frames.Receiver().feed(raw))
    for number in range(PAGES):
        page = data[number * 4096 : number * 4096 + 4096]
        assert (page[100:200] in seen) == (page[4] == 2)


def test_a_header_that_comes_in_the_clear_is_not_taken(paired: Device, tmp_path: Path) -> None:
    """Somebody on the cable cannot put his own page 0 or checkpoint in: only sealed ones count."""

    def inject(_: int, data: bytes) -> bytes:
        (frame,) = frames.Receiver().feed(data)
        if frame.kind == messages.SEALED and len(frame.payload) > 4000:
            forged = bytes(4) + b"EWR1\x01" + bytes(4091)
            return frames.encode(messages.PAGE, frame.request, forged) + data
        return data

    with session(paired, Meddler(paired.url, back=inject)) as recorder:
        page = next(iter(recorder.read(recorder.list()[1])))
    assert page.data == (tmp_path / "6.bin").read_bytes()[:4096]


def test_a_bad_sector_does_not_keep_the_rest(start: Callable[..., Device], tmp_path: Path) -> None:
    path = tmp_path / "r"
    recording_id = pages_file(path, 5)
    item = {"id": recording_id.hex(), "pages": 5, "path": str(path), "bad": [3]}
    device = start(link_secret=SECRET.hex(), recordings={"1": item})
    with session(device) as recorder:
        pages = list(recorder.read(recorder.list()[0]))
    assert [page.number for page in pages if page.data is None] == [3]
    assert len(pages) == 5


def test_a_card_that_was_pulled_is_told(start: Callable[..., Device], tmp_path: Path) -> None:
    item = {"id": "11" * 16, "pages": 5, "path": "-", "bad": [0, 1, 2, 3, 4], "kind": "card pulled"}
    device = start(link_secret=SECRET.hex(), recordings={"1": item})
    with session(device) as recorder, pytest.raises(EarwitnessError, match="card pulled"):
        list(recorder.read(recorder.list()[0]))


def test_a_long_list_comes_in_parts(start: Callable[..., Device]) -> None:
    recordings = {
        str(seq): {"id": f"{seq:032x}", "pages": seq, "path": "", "marks": list(range(100))} for seq in range(1, 30)
    }
    device = start(link_secret=SECRET.hex(), recordings=recordings)
    with session(device) as recorder:
        found = recorder.list()
    assert [item.seq for item in found] == list(range(1, 30))
    assert all(item.marks == tuple(range(64)) for item in found)


# ---- while recording


def test_while_recording_status_stop_and_the_light_are_answered(paired: Device) -> None:
    with session(paired) as recorder:
        recording = recorder.list()[0]
        paired.order("state", "recording")
        assert recorder.status().told["state"] == "recording"
        assert recorder.settings(light=200).light == 200
        for ask in (
            recorder.list,
            recorder.identify,
            recorder.entropy,
            recorder.faults,
            recorder.selftest,
            recorder.format,
            recorder.maintenance,
            lambda: recorder.settings(name="other"),
            lambda: recorder.settings(light=90, name="other"),
            lambda: recorder.set_recipients([b"\x02" * 32]),
            lambda: list(recorder.read(recording)),
        ):
            with pytest.raises(DeviceBusyError):
                ask()
        assert paired.called("identify") == paired.called("set_name") == paired.called("prompt") == []
        recorder.stop()
        assert recorder.status().told["state"] == "idle"
    with session(paired) as recorder:
        assert recorder.status().newest == 6


def test_a_read_ends_when_a_recording_begins_and_the_idle_set_is_given_back(paired: Device) -> None:
    with session(paired) as recorder:
        pages = recorder.read(recorder.list()[0])
        next(pages)
        assert "recorder.link.commands" in paired.order("heap")["modules"]
        paired.order("state", "recording")
        after = paired.order("release")
        assert "recorder.link.commands" not in after["modules"] and after["open"]
        with pytest.raises(DeviceBusyError):
            for _ in pages:
                pass
            list(recorder.read(recorder.list()[0]))
        paired.order("state", "idle")
        assert len(recorder.list()) == 3


def test_a_host_that_stops_reading_is_written_off_until_its_next_frame(paired: Device) -> None:
    with session(paired, timeout=1, tries=2) as recorder:
        paired.order("state", "recording")
        paired.order("stall", 1)
        with pytest.raises(LinkLostError):
            recorder.status()
        assert paired.order("heap")["dead"]
        paired.order("stall", 0)
        assert recorder.status().newest == 6
        assert not paired.order("heap")["dead"]


# ---- what must be refused by name


def test_unknown_commands_are_refused_by_name(paired: Device) -> None:
    with session(paired) as recorder:
        for command, name in ((0x00, "0x00"), (0x13, "0x13"), (0x77, "0x77")):
            with pytest.raises(FormatError, match=name):
                recorder._command(command)


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (messages.STATUS, bytes(31)),
        (messages.STATUS, bytes(33)),
        (messages.LIST, bytes(7)),
        (messages.READ, struct.pack("<QIH", 4, 0, 65)),
        (messages.READ, struct.pack("<QIH", 4, 0, 0)),
        (messages.READ, struct.pack("<QIH", 0, 0, 1)),
        (messages.READ, bytes(15)),
        (messages.CLOCK, bytes(19)),
        (messages.CLOCK, struct.pack("<QqI", 1 << 60, 1, 1)),
        (messages.CLOCK, struct.pack("<QqI", 0, 1_700_000_000_000_000, 1)),
        (messages.ENTROPY, bytes(31)),
        (messages.ENTROPY, bytes(65)),
        (messages.IDENTIFY, b"x"),
        (messages.STOP, b"x"),
        (messages.RECEIPT, bytes(119)),
        (messages.FREE, bytes(55)),
        (messages.NOTE, bytes(7)),
        (messages.SETTINGS, b"\x01\x01\x07"),
        (messages.SETTINGS, b"\x01\x02\x40\x40"),
        (messages.SETTINGS, b"\x02\x00"),
        (messages.SETTINGS, b"\x02\x21" + b"n" * 33),
        (messages.SETTINGS, b"\x02\x02\xff\xfe"),
        (messages.SETTINGS, b"\x02\x09name"),
        (messages.SETTINGS, b"\x01\x01\x40\x09\x01\x01"),
        (messages.SETTINGS, b"\x01"),
        (messages.FAULTS, b"x"),
        (messages.SELFTEST, b"x"),
        (messages.FORMAT, b""),
        (messages.FORMAT, b"\x02"),
        (messages.MAINTENANCE, b"x"),
        (messages.UNPAIR, b"x"),
        (messages.RECIPIENTS, b""),
        (messages.RECIPIENTS, bytes(32)),
        (messages.RECIPIENTS, b"\x01" * 33),
        (messages.RECIPIENTS, b"\x01" * 128),
    ],
)
def test_malformed_commands_are_refused_and_the_session_goes_on(paired: Device, command: int, payload: bytes) -> None:
    with session(paired) as recorder:
        with pytest.raises(FormatError):
            recorder._command(command, payload)
        assert recorder.status().newest == 6
    for call in ("set_clock", "add_entropy", "set_light", "set_name", "set_recipients", "receipt", "free", "format"):
        assert paired.called(call) == []


def test_pages_that_are_not_there_are_refused(paired: Device) -> None:
    with session(paired) as recorder:
        for seq, first in ((4, PAGES), (5, 0), (9, 0), (10, 0), (1 << 63, 0)):
            with pytest.raises(NotFoundError):
                recorder._command(messages.READ, struct.pack("<QIH", seq, first, 1))


def test_a_window_is_cut_at_the_end_of_the_file(paired: Device) -> None:
    with session(paired) as recorder:
        asked = Recording(6, bytes(16), 40, messages.FINAL)
        with pytest.raises(NotFoundError):
            list(recorder.read(asked))


# ---- noise


def test_a_megabyte_of_noise_changes_nothing(paired: Device) -> None:
    before = paired.order("heap")["heap"]
    transport = SocketTransport(paired.url)
    noise = random.Random(3).randbytes(1 << 20)
    for at in range(0, len(noise), 1 << 16):
        transport.write(noise[at : at + (1 << 16)])
    assert transport.read(0.2) == b""
    transport.write(HELLO)
    assert transport.read(20)
    transport.close()
    assert abs(paired.order("heap")["heap"] - before) < 4096
    with session(paired) as recorder:
        assert recorder.status().newest == 6


def test_noise_from_the_recorder_does_not_confuse_the_computer(paired: Device, tmp_path: Path) -> None:
    chance = random.Random(9)
    cable = Meddler(paired.url, back=lambda _, data: chance.randbytes(200) + b"\0" + data + chance.randbytes(90))
    with session(paired, cable) as recorder:
        read = b"".join(page.data or b"" for page in recorder.read(recorder.list()[1]))
    assert read == (tmp_path / "6.bin").read_bytes()


def test_something_else_on_the_port_is_said_to_be_no_recorder(tmp_path: Path) -> None:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        recorder = Recorder(SocketTransport(f"socket://127.0.0.1:{server.getsockname()[1]}"), timeout=0.05, tries=2)
        with pytest.raises(LinkLostError, match="Nothing that speaks"):
            recorder.hello()
        recorder.close()


# ---- a real terminal device


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_everything_passes_a_terminal_device_unchanged(paired: Device, tmp_path: Path) -> None:
    """pyserial on a pty, every byte value included (Ctrl-C too), bridged to the recorder's socket."""
    import select

    master, slave = os.openpty()
    wire = SocketTransport(paired.url)
    stop = threading.Event()

    def bridge() -> None:
        while not stop.is_set():
            ready, _, _ = select.select([master, wire._socket], [], [], 0.05)
            if master in ready:
                wire.write(os.read(master, 4096))
            if wire._socket in ready:
                data = wire._socket.recv(4096)
                while data:
                    data = data[os.write(master, data) :]

    thread = threading.Thread(target=bridge, daemon=True)
    port = SerialTransport(os.ttyname(slave))
    thread.start()
    try:
        with Recorder(port) as recorder:
            recorder.authenticate(SECRET, paired.public)
            recorder.entropy(bytes(range(64)))
            with pytest.raises(DeviceBusyError, match="in use"):
                SerialTransport(os.ttyname(slave))
            read = b"".join(page.data or b"" for page in recorder.read(recorder.list()[0]))
        assert read == (tmp_path / "4.bin").read_bytes()
        assert paired.called("add_entropy")[0]["data"] == bytes(range(64)).hex()
    finally:
        stop.set()
        thread.join()
        wire.close()
        os.close(master)
        os.close(slave)


def test_a_port_that_is_not_there_says_so() -> None:
    with pytest.raises(EarwitnessError) as caught:
        SerialTransport("/dev/earwitness-not-there")
    assert caught.value.exit_code == 10 and caught.value.hint


def test_the_rate_over_a_socket_is_told(paired: Device) -> None:
    with session(paired) as recorder:
        began = time.monotonic()
        list(recorder.read(recorder.list()[0]))
        assert recorder.bytes_read > PAGES * 4096
        assert time.monotonic() - began < 30


def test_key_missing_is_the_kind_of_a_refusal() -> None:
    assert issubclass(DeniedError, KeyMissingError)


def test_the_example_in_the_specification_is_what_the_code_does() -> None:
    """Guards LINK.md, "Example", against drift."""
    text = (Path(__file__).parents[2] / "firmware" / "LINK.md").read_text("utf-8")
    flat = " ".join(text.split())
    channel = Channel(SECRET, b"\x01\x01\x01\x01", bytes(range(32)), bytes(range(32, 64)))
    sealed = frames.encode(messages.SEALED, 8, channel.seal(b"\x10\x08", bytes((messages.IDENTIFY,))))
    assert HELLO.hex(" ") in flat and sealed.hex(" ") in flat
    assert f"PROVE {channel.proof.hex()}" in flat and f"PROVE answer {channel._expected.hex()}" in flat
    for name, key in (
        ("host/enc", channel._send_enc),
        ("host/mac", channel._send_mac),
        ("device/enc", channel._receive_enc),
        ("device/mac", channel._receive_mac),
    ):
        assert f"{name} {key.hex()}" in flat


def test_the_numbers_in_the_specification_are_those_of_both_ends() -> None:
    """Command and refusal numbers stand in three places: LINK.md, firmware, computer."""
    import re

    root = Path(__file__).parents[2] / "firmware"
    text = (root / "LINK.md").read_text("utf-8")
    sources = [*(root / "recorder/link").glob("*.py"), root / "recorder/errands.py"]
    told: dict[str, set[int]] = {}
    for source in sources:
        for name, number in re.findall(r"^_([A-Z_]+) = const\((0x[0-9A-F]+|\d+)\)", source.read_text(), re.MULTILINE):
            told.setdefault(name, set()).add(int(number, 0))

    def table(heading: str, pattern: str) -> list[tuple[str, str]]:
        section = text.split(f"\n{heading}\n")[1].split("\n#")[0]
        return re.findall(pattern, section, re.MULTILINE)

    types = table("### Types", r"^\| ([0-9a-f]{2})(?: / [0-9a-f]{2})? \| ([A-Z]+) \|")
    commands = table("## Commands", r"^\| ([01][0-9A-F]) \| ([A-Z]+) \|")
    refusals = table("### Refusals", r"^\| (\d+) \| ([A-Z_]+) \|")
    assert len(types) == 8 and len(commands) == 18 and len(refusals) == 11
    for number, name in types + commands:
        assert int(number, 16) == getattr(messages, name) and int(number, 16) in told[name], name
    for number, name in refusals:
        assert int(number) == getattr(messages, name) and int(number) in told[name], name


def test_a_host_that_dawdles_gets_everything_in_the_end(paired: Device, tmp_path: Path) -> None:
    """Pages that the cable does not take at once go out later; nothing is asked for twice."""
    cable = Meddler(paired.url)
    with session(paired, cable, timeout=5) as recorder:
        recording = recorder.list()[0]
        asked = len(cable.sent)
        pages = recorder.read(recording)
        first = [next(pages)]
        paired.order("stall", 1)
        time.sleep(0.5)
        paired.order("stall", 0)
        read = b"".join(page.data or b"" for page in (*first, *pages))
        assert read == (tmp_path / "4.bin").read_bytes()
        assert len(cable.sent) - asked == 2
