"""Who is near and knows no secret: what he reads, what he hears, how long he may stay, and that he keeps nobody out."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from earwitness.errors import NoDeviceError
from earwitness.link import ble, frames, messages
from earwitness.link.client import Recorder
from link_device import SECRET, SEED, Device
from tools.virtual.ble.rig import Rig

_GAP_AND_GATT = {"UUID-16:1800", "UUID-16:1801", "UUID-16:2A00", "UUID-16:2A05", "UUID-16:2902"}
_SERVICE = ble.SERVICE.replace("-", "")
# flags "general discoverable, no BR/EDR", then the complete list of 128-bit services: ours, which stands for version 1
_ADVERTISED = "020106" + "1107" + bytes.fromhex(_SERVICE)[::-1].hex()
HELLO = frames.encode(messages.HELLO, 7, b"EWLK\x01\x01")


def _reach() -> ble.BleTransport:
    (near,) = ble.find(10)
    return ble.BleTransport(near)


def _read_until_thrown_out(transport: ble.BleTransport, patience: float = 60) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        transport.read(1)
    raise AssertionError("was not thrown out")


def test_a_stranger_reads_the_version_and_nothing_else(rig: Rig, start: Callable[..., Device]) -> None:
    """Everything that can be read of a paired recorder with recordings, dumped; and two recorders are alike but for an
    address that no recorder ever had before."""
    dumps = []
    for settings in ({"link_secret": SECRET.hex(), "newest": 9, "hash": "ab" * 32}, {}):
        device = start(**settings)
        dumps += rig.order("stranger", stay_s=30, patience_s=20)  # is thrown out after five
        device.stop()
    for seen in dumps:
        assert seen["advertised"] == _ADVERTISED
        assert seen["kind"] == "random" and int(seen["address"][:2], 16) >= 0xC0
        assert seen["thrown_out"]
        uuids = {one["uuid"].split(" ")[0] for one in seen["attributes"]}
        ours = {ble.SERVICE.upper(), ble.TO_RECORDER.upper(), ble.TO_COMPUTER.upper()}
        assert uuids == _GAP_AND_GATT | ours
        values = {one["uuid"].split(" ")[0]: one["value"] for one in seen["attributes"] if "value" in one}
        assert values["UUID-16:2A00"] == "" and values["UUID-16:2A05"] == "" and values["UUID-16:2902"] == "0000"
        assert all(values[own.upper()].startswith("refused") for own in (ble.TO_RECORDER, ble.TO_COMPUTER))
    assert dumps[0].pop("address") != dumps[1].pop("address")
    assert dumps[0] == dumps[1]


def test_a_listener_hears_no_key_and_no_command(rig: Rig, start: Callable[..., Device]) -> None:
    """All packets of a session: of what was said in it nothing is among them, nor the recorder's key."""
    device = start(link_secret=SECRET.hex())
    with Recorder(_reach()) as recorder:
        recorder.authenticate(SECRET, device.public)
        status = recorder.status()
        recorder.entropy(b"\x5a" * 32)
    heard = rig.order("listen")
    air = b"".join(bytes.fromhex(packet)[7:] for packet in heard["packets"])
    assert len(air) > 500 and b"EWLK" in air
    for secret in (SECRET, SEED, device.public, status.nonce, status.boot_id, b"\x5a" * 8, b"earwitness", b"battery"):
        assert secret not in air
    assert {data for _, data in heard["advertised"] if _SERVICE[:8] in bytes.fromhex(data)[::-1].hex()} == {_ADVERTISED}


def test_who_does_not_prove_himself_is_thrown_out_and_the_next_comes_in(rig: Rig, start: Callable[..., Device]) -> None:
    device = start(link_secret=SECRET.hex())
    stranger = _reach()
    stranger.write(HELLO)
    assert b"EWLK" in stranger.read(30)
    device.order("skip", 5000)
    with pytest.raises(NoDeviceError):
        _read_until_thrown_out(stranger)
    with Recorder(_reach()) as recorder:
        recorder.authenticate(SECRET, device.public)
        for _ in range(3):  # who has proved himself stays
            device.order("skip", 6000)
            recorder.identify()


def test_pairing_is_not_for_the_air(start: Callable[..., Device]) -> None:
    """The link secret would travel in the clear: PAIR is not even refused, though the button is held."""
    device = start(button=1)
    request = b"\x20" + bytes(32) + b"\x01" + b"\x01" * 32 + SECRET + b"\x02" * 32 + b"\x01x"
    transport = _reach()
    transport.write(HELLO + frames.encode(messages.PAIR, 8, request))
    receiver = frames.Receiver()
    answers = []
    patience = 30.0  # for the first
    while data := transport.read(patience):
        answers += [(frame.kind, frame.request) for frame in receiver.feed(data)]
        patience = 0.5
    transport.close()
    assert answers == [(messages.HELLO | messages.ANSWER, 7)]
    assert not device.called("pair")


def test_noise_is_thrown_out_and_changes_nothing(rig: Rig, start: Callable[..., Device]) -> None:
    device = start(link_secret=SECRET.hex())
    with Recorder(_reach()) as recorder:
        recorder.authenticate(SECRET, device.public)
    before = device.order("heap")["heap"]
    stranger = _reach()
    noise = random.Random(3).randbytes(60_000)
    for at in range(0, len(noise), 4000):
        stranger.write(noise[at : at + 4000])
    device.order("skip", 5000)
    with pytest.raises(NoDeviceError):
        _read_until_thrown_out(stranger)
    assert device.order("heap")["heap"] < before + 10_000
    with Recorder(_reach()) as recorder:
        recorder.authenticate(SECRET, device.public)
        assert recorder.status().epoch == 1


def test_a_connection_in_which_nothing_is_written_any_more_is_ended(rig: Rig, start: Callable[..., Device]) -> None:
    device = start(link_secret=SECRET.hex())
    recorder = Recorder(left := _reach())
    recorder.authenticate(SECRET, device.public)
    device.order("skip", 29_000)
    recorder.identify()
    device.order("skip", 29_000)
    recorder.identify()
    device.order("skip", 30_000)
    with pytest.raises(NoDeviceError):
        _read_until_thrown_out(left)


def test_a_computer_that_has_nothing_to_say_gives_signs_of_life(
    monkeypatch: pytest.MonkeyPatch, rig: Rig, start: Callable[..., Device]
) -> None:
    monkeypatch.setattr(ble, "_LIFE_S", 0.2)
    device = start(link_secret=SECRET.hex())
    with Recorder(_reach()) as recorder:
        recorder.authenticate(SECRET, device.public)
        for _ in range(3):
            device.order("skip", 20_000)
            rig.order("heard")
            signs = 0
            while signs < 2:  # the first is there when the second follows
                time.sleep(0.05)
                signs += rig.order("heard")["writes"]
        recorder.identify()


def test_who_confirms_nothing_does_not_hold_the_recorder_up(start: Callable[..., Device]) -> None:
    """A recording is to start at once, whoever is near: a stranger fills the window, leaves it full and goes on asking."""

    class Silent(ble.BleTransport):
        def _on_data(self, _sender: object, data: bytearray) -> None:
            pass  # confirms nothing, now or with the next write

    device = start(link_secret=SECRET.hex())
    (near,) = ble.find(10)
    stranger = Silent(near)
    slowest = 0.0
    stranger.write(b"".join(frames.encode(messages.HELLO, one, b"EWLK\x01\x01")[1:] for one in range(146)))
    until = time.monotonic() + 4
    while time.monotonic() < until:
        began = time.monotonic()
        device.order("heap")
        slowest = max(slowest, time.monotonic() - began)
    stranger.close()
    assert slowest < 2, slowest
