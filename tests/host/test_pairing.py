"""Pairing: only with a hand on the button, what is stored is what was given, and a cut leaves nothing that is stuck."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earwitness.devices import DeviceRecord, DeviceStore, Pending
from earwitness.errors import EarwitnessError, FormatError, IntegrityError, KeyMissingError, UsageError
from earwitness.link import frames, messages
from earwitness.link.client import AlreadyPairedError, ButtonError, LinkLostError, Recorder
from earwitness.link.connect import connect
from earwitness.link.transport import SocketTransport
from earwitness.pairing import pair, receipt_public
from link_device import SEED, Device, Meddler

RECIPIENTS = [bytes([9]) * 32, bytes([8]) * 32]


@pytest.fixture
def store(tmp_path: Path) -> DeviceStore:
    return DeviceStore(tmp_path / "state")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    running: list[Device] = []

    def begin(**settings: Any) -> Device:
        running.append(Device(tmp_path, **{"button": 1, **settings}))
        return running[-1]

    yield begin
    for device in running:
        device.stop()


def run(device: Device, store: DeviceStore, cable: SocketTransport | None = None, **how: Any) -> DeviceRecord:
    with Recorder(cable or SocketTransport(device.url), timeout=1, tries=3) as recorder:
        return pair(recorder, how.pop("recipients", RECIPIENTS), store, **how)


def test_pairing_pins_the_key_and_the_session_opens(start: Callable[..., Device], store: DeviceStore) -> None:
    device = start()
    record = run(device, store, name="Küche")
    assert record.public == device.public and store.all() == [record] and store.pending() is None
    recorder, found = connect(store, device.url)
    with recorder:
        assert found == record and recorder.status().epoch == record.epoch
    (asked,) = device.called("pair")
    assert asked["name"] == "Küche" and asked["recipients"] == [key.hex() for key in RECIPIENTS]
    assert [call["call"] for call in device.calls] == ["add_entropy", "pair"]
    assert device.called("add_entropy")[0]["count"] >= 32


def test_the_note_holds_what_was_given_and_not_the_secret(start: Callable[..., Device], store: DeviceStore) -> None:
    record = run(start(), store, name="Anna")
    lines = messages.open_note(record.pairing_note.encode(), record.public)
    assert f"receipts {messages.b64(receipt_public(bytes.fromhex(record.receipt_seed)))}" in lines
    assert [line for line in lines if line.startswith("recipient ")] == [
        f"recipient {messages.b64(key)}" for key in RECIPIENTS
    ]
    assert messages.b64(record.secret) not in record.pairing_note
    assert record.link_secret not in repr(record) and record.receipt_seed not in repr(record)


def test_without_a_hand_on_the_button_nothing_is_told_and_nothing_happens(
    start: Callable[..., Device], store: DeviceStore
) -> None:
    for settings in ({}, {"link_secret": "44" * 32}):
        device = start(button=0, **settings)
        with pytest.raises(ButtonError):
            run(device, store)
        assert device.called("pair") == [] and device.called("add_entropy") == []
    assert store.all() == []


def test_it_waits_for_the_button(start: Callable[..., Device], store: DeviceStore) -> None:
    device = start(button=0)
    asked = []

    def press() -> bool:
        asked.append(1)
        if len(asked) == 3:
            device.order("button", 1)
        return True

    assert run(device, store, wait_for_button=press).public == device.public
    assert len(asked) == 3


def test_a_paired_recorder_is_not_paired_again(start: Callable[..., Device], store: DeviceStore) -> None:
    device = start(link_secret="44" * 32)
    with pytest.raises(AlreadyPairedError):
        run(device, store)
    assert store.all() == [] and device.called("pair") == []


def test_a_lost_answer_is_asked_for_again(start: Callable[..., Device], store: DeviceStore) -> None:
    device = start()
    cable = Meddler(device.url, back=lambda number, data: b"" if number == 1 else data)
    with Recorder(cable, timeout=0.5, tries=20) as recorder:
        recorder_timeout = "earwitness.link.client._PAIR_TIMEOUT_S"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recorder_timeout, 1)
            record = pair(recorder, RECIPIENTS, store)
    assert record.public == device.public and len(device.called("pair")) == 1


def test_a_pairing_cut_off_before_its_answer_is_finished_by_the_next_run(
    start: Callable[..., Device], store: DeviceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earwitness.link.client._PAIR_TIMEOUT_S", 0.3)
    device = start()
    with pytest.raises(LinkLostError):
        run(device, store, Meddler(device.url, back=lambda number, data: b"" if number % 2 else data))
    assert store.all() == [] and store.pending() is not None
    record = run(device, store)
    assert store.all() == [record] and len(device.called("pair")) == 1
    recorder, _ = connect(store, device.url)
    recorder.close()


def test_another_request_is_no_repetition(start: Callable[..., Device], store: DeviceStore, tmp_path: Path) -> None:
    device = start()
    record = run(device, store)
    again = DeviceStore(tmp_path / "again")
    for recipients, name in ((RECIPIENTS[:1], "Recorder"), (RECIPIENTS[::-1], "Recorder"), (RECIPIENTS, "other")):
        keys = tuple(key.hex() for key in recipients)
        again.set_pending(Pending(record.link_secret, record.receipt_seed, name, keys))
        with pytest.raises(AlreadyPairedError):
            run(device, again, recipients=recipients, name=name)


def test_an_answer_about_something_else_is_refused(start: Callable[..., Device], store: DeviceStore) -> None:
    """Somebody on the cable who exchanges a recipient is found out by the note."""
    other = bytes([7]) * 32

    def exchange(_: int, data: bytes) -> bytes:
        (frame,) = frames.Receiver().feed(data)
        return frames.encode(frame.kind, frame.request, frame.payload.replace(RECIPIENTS[1], other))

    device = start()
    with pytest.raises(IntegrityError, match="something else"):
        run(device, store, Meddler(device.url, out=exchange))
    assert store.all() == []


def test_a_weak_device_key_is_refused() -> None:
    with pytest.raises(IntegrityError):
        messages.parse_pairing(bytes((1, *bytes(31))) + b"x\n\ny\n", bytes(32), bytes(32), "n", RECIPIENTS)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes((31,)) + bytes(31 + 1 + 32 + 64 + 1),
        bytes((65,)) + bytes(65 + 1 + 32 + 64 + 1),
        bytes((32,)) + bytes(32) + b"\x00" + bytes(65),
        bytes((32,)) + bytes(32) + b"\x04" + b"\x01" * 128 + bytes(65),
        bytes((32,)) + bytes(32) + b"\x01" + bytes(32) + b"\x02" * 64 + b"\x00",  # recipient of zeros
        bytes((32,)) + bytes(32) + b"\x01" + b"\x01" * 96 + b"\x21" + b"n" * 33,
        bytes((32,)) + bytes(32) + b"\x01" + b"\x01" * 96 + b"\x02" + b"\xff\xfe",
        bytes((32,)) + bytes(32) + b"\x01" + b"\x01" * 96 + b"\x05" + b"n",
        bytes((32,)) + bytes(32) + b"\x01" + b"\x01" * 96 + b"\x01" + b"n" + b"more",
    ],
)
def test_requests_whose_lengths_lie_are_refused(start: Callable[..., Device], payload: bytes) -> None:
    device = start()
    with Recorder(SocketTransport(device.url)) as recorder:
        recorder.hello()
        with pytest.raises(FormatError):
            recorder._ask(messages.PAIR, payload)
    assert device.called("pair") == [] and device.called("add_entropy") == []


@pytest.mark.parametrize(
    ("recipients", "name"),
    [
        ([], "n"),
        ([bytes(32)] * 2, "n"),
        (RECIPIENTS * 2, "n"),
        ([b"short"], "n"),
        (RECIPIENTS, ""),
        (RECIPIENTS, "ü" * 17),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    store: DeviceStore, recipients: list[bytes], name: str
) -> None:
    with pytest.raises(UsageError):
        pair(None, recipients, store, name=name)  # type: ignore[arg-type]


def test_not_paired_while_recording(start: Callable[..., Device], store: DeviceStore) -> None:
    device = start(state="recording")
    with pytest.raises(ButtonError):
        run(device, store)


# ---- the file of paired recorders


def test_the_file_is_private_and_replaced_whole(start: Callable[..., Device], store: DeviceStore) -> None:
    record = run(start(), store)
    if os.name == "posix":
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]
    store.remove(record.public)
    assert store.all() == []
    with pytest.raises(KeyMissingError):
        store.get(record.public)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2}', '{"version": 1, "recorders": [{}]}'])
def test_a_damaged_file_is_said_to_be_so(store: DeviceStore, text: str) -> None:
    store.path.parent.mkdir()
    store.path.write_text(text)
    with pytest.raises(EarwitnessError) as caught:
        store.all()
    assert caught.value.exit_code == 14 and SEED.hex() not in str(caught.value)
