"""Bytes both ways between the chip's module and bleak: the MTU, the window, and what happens when the air is bad."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from earwitness.errors import NoDeviceError
from earwitness.link import ble
from tools.virtual.ble.rig import Rig

Run = Callable[..., subprocess.Popen[str]]

_WINDOW = 128
_NOTICED_S = 20.0  # however busy the computer is

# Echoes; after b"send N" sends N bytes 0, 1, 2, ..., after b"try N" as many as go before a second passes without a
# confirmation; b"hang up" and b"off" do so.
_DEVICE = """
import ble
ble.advertise(True)
piece = bytearray(64)
count = 0
def send(count, patience):
    data = bytes(range(256)) * (count // 256 + 1)
    at = 0
    idle = 0
    while at < count and idle < patience and ble.is_connected():
        taken = ble.write(memoryview(data)[at : min(at + 4125, count)])
        idle = 0 if taken else idle + 1
        at += taken
while True:
    if ble.accept():
        sys.stdout.write("accepted\\n")
    count = ble.read(piece)
    if not count:
        ble.advertise(True)
        time.sleep_ms(2)
        continue
    said = bytes(piece[:count])
    if said[:5] == b"send ":
        send(int(said[5:]), 300)
        print("sent; most", bluetooth.BLE().most_pending)
    elif said[:4] == b"try ":
        send(int(said[4:]), 10)
        sys.stdout.write("tried\\n")
    elif said == b"hang up":
        ble.hang_up()
    elif said == b"off":
        ble.off()
        print("off", bluetooth.BLE().active())
        sys.exit(0)
    else:
        ble.write(said)
"""


def _pattern(count: int) -> bytes:
    return (bytes(range(256)) * (count // 256 + 1))[:count]


def _read(transport: ble.BleTransport, count: int, patience: float = 30.0) -> bytes:
    got = b""
    while len(got) < count:
        data = transport.read(patience)
        if not data:
            break
        got += data
    return got


@pytest.fixture
def device(micropython: Run) -> subprocess.Popen[str]:
    return micropython(_DEVICE)


@pytest.fixture
def connect(rig: Rig, device: subprocess.Popen[str]) -> Iterator[Callable[[], ble.BleTransport]]:
    opened: list[ble.BleTransport] = []

    def begin() -> ble.BleTransport:
        (near,) = ble.find(10)
        opened.append(ble.BleTransport(near))
        return opened[-1]

    yield begin
    for transport in opened:
        transport.close()


@pytest.mark.parametrize(
    ("asked", "mtu"),
    [(0, 23), (517, 247), *(pytest.param(mtu, mtu, marks=pytest.mark.long) for mtu in (23, 64, 100, 185, 247))],
)
def test_everything_passes_at_every_mtu_and_the_mtu_is_used(
    rig: Rig, connect: Callable[[], ble.BleTransport], asked: int, mtu: int
) -> None:
    rig.order("mtu", computer=0, mtu=asked)
    transport = connect()
    outgoing = _pattern(1000)
    transport.write(outgoing)
    assert _read(transport, 1000) == outgoing
    rig.order("heard")
    transport.write(b"send 20000")
    assert _read(transport, 20000) == _pattern(20000)
    heard = rig.order("heard")
    assert heard["longest_notification"] == mtu - 3
    assert heard["notified_bytes"] <= 20000 * (mtu - 3) / (mtu - 4) + 5 * (mtu - 3)  # only ends of frames are shorter
    assert heard["longest_write"] <= mtu - 3


def test_no_more_is_under_way_than_a_window(
    rig: Rig, connect: Callable[[], ble.BleTransport], device: subprocess.Popen[str]
) -> None:
    """The queue on the chip takes memory without bound; the window bounds it, however slow the link."""
    transport = connect()
    rig.order("faults", rate=200_000)
    rig.order("heard")
    transport.write(b"send 150000")
    assert _read(transport, 150_000) == _pattern(150_000)
    assert rig.order("heard")["most_waiting_bytes"] <= _WINDOW * (244 + 7)
    assert device.stdout is not None
    said = [device.stdout.readline() for _ in range(2)][-1]
    assert 8 < int(said.split()[-1]) <= _WINDOW, said


def test_a_window_that_was_lost_does_not_close_the_way_for_ever(
    rig: Rig, connect: Callable[[], ble.BleTransport], device: subprocess.Popen[str]
) -> None:
    transport = connect()
    transport.write(b"a")
    assert _read(transport, 1) == b"a"
    rig.order("faults", drop_notifications=list(range(2000)))
    transport.write(b"try 60000")
    assert device.stdout is not None
    assert [device.stdout.readline().strip() for _ in range(2)] == ["accepted", "tried"]
    assert _read(transport, 1, patience=0) == b""
    rig.order("faults")
    transport.write(b"send 60000")  # the computer asks again
    assert _read(transport, 60_000) == _pattern(60_000)


def test_lost_confirmations_cost_no_bytes(rig: Rig, connect: Callable[[], ble.BleTransport]) -> None:
    transport = connect()
    rig.order("faults", drop_writes=[2, 3, 7])  # the first is the request
    transport.write(b"send 150000")
    assert _read(transport, 150_000) == _pattern(150_000)
    assert rig.order("heard")["lost"] == 3


def test_who_waits_is_told_that_the_connection_is_lost(rig: Rig, connect: Callable[[], ble.BleTransport]) -> None:
    transport = connect()
    rig.order("faults", cut_at_notification=50)
    transport.write(b"send 100000")
    began = time.monotonic()
    with pytest.raises(NoDeviceError, match="out of range") as caught:
        while transport.read(30):
            pass
    assert time.monotonic() - began < _NOTICED_S and "resumes" in caught.value.hint
    with pytest.raises(NoDeviceError):
        transport.write(b"more")


@pytest.mark.parametrize("word", [b"hang up", b"off"])
def test_a_device_that_ends_the_connection_is_noticed(
    connect: Callable[[], ble.BleTransport], device: subprocess.Popen[str], word: bytes
) -> None:
    transport = connect()
    transport.write(word)
    began = time.monotonic()
    with pytest.raises(NoDeviceError):
        while transport.read(30):
            pass
    assert time.monotonic() - began < _NOTICED_S
    if word == b"off":
        assert device.wait(10) == 0
        assert device.stdout is not None and "off False" in device.stdout.read()


def test_a_device_whose_power_goes_is_noticed(
    connect: Callable[[], ble.BleTransport], device: subprocess.Popen[str]
) -> None:
    transport = connect()
    device.kill()
    with pytest.raises(NoDeviceError):
        transport.read(_NOTICED_S)


def test_a_device_that_went_after_it_was_heard_does_not_stand_in_the_way_of_the_next(
    monkeypatch: pytest.MonkeyPatch, rig: Rig, micropython: Run
) -> None:
    first = micropython(_DEVICE)
    (near,) = ble.find(10)
    first.kill()
    while rig.order("recorders"):
        time.sleep(0.02)
    with monkeypatch.context() as patched:
        patched.setattr(ble, "_CONNECT_S", 1.0)
        with pytest.raises(NoDeviceError, match="does not answer"):
            ble.BleTransport(near)
    micropython(_DEVICE)
    (near,) = ble.find(10)
    with contextlib.closing(ble.BleTransport(near, patience=10)) as transport:
        transport.write(b"here")
        assert _read(transport, 4) == b"here"


def test_what_was_meant_for_one_computer_does_not_reach_the_next(
    rig: Rig, connect: Callable[[], ble.BleTransport]
) -> None:
    first = connect()
    first.write(b"send 100000")
    assert first.read(30)
    first.close()
    second = connect()
    assert second.read(0.5) == b""
    second.write(b"mine")
    assert _read(second, 4) == b"mine"


def test_a_short_black_out_loses_nothing_and_a_long_one_the_connection(
    rig: Rig, connect: Callable[[], ble.BleTransport]
) -> None:
    transport = connect()
    transport.write(b"send 300000")
    got = transport.read(30)
    rig.order("faults", dark_s=0.7, supervision_s=10)  # a busy computer is dark for a while, too
    assert got + _read(transport, 300_000 - len(got)) == _pattern(300_000)
    rig.order("faults", dark_s=0.6, supervision_s=0.3)
    with pytest.raises(NoDeviceError):
        while transport.read(30):
            pass
    again = connect()
    again.write(b"back")
    assert _read(again, 4) == b"back"
