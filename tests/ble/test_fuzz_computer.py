"""Anything at all through the air to the computer: something near calls itself a recorder, and is not made as one is."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import EarwitnessError, NoDeviceError
from earwitness.link import ble
from earwitness.link.client import Recorder
from earwitness.link.near import connect_near
from tools.virtual.ble.rig import Rig

_FUZZ = settings(
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_READ, _WRITE_COMMAND, _WRITE, _NOTIFY, _INDICATE = 0x02, 0x04, 0x08, 0x10, 0x20
_RIGHT = [[ble.SERVICE, [[ble.TO_RECORDER, _WRITE_COMMAND], [ble.TO_COMPUTER, _NOTIFY]]]]

# Advertises our service, has the attributes that its first line says, and does what the next ones say: one for each write
# that has bytes in it, all values of a line as notifications. "hang up" in the first: at which event it ends the connection.
_DEVICE = """
import json
import select
from binascii import unhexlify
radio = bluetooth.BLE()
connection = -1
waiting = 0
first = json.loads(sys.stdin.readline())
def event(kind, data):
    global connection, waiting
    if kind == 1:
        connection = data[0]
    elif kind == 2:
        connection = -1
    elif kind == 3:
        waiting += len(radio.gatts_read(data[1])) > 1
    if kind == first["hang up"]:
        radio.gap_disconnect(data[0])
radio.irq(event)
radio.active(True)
radio.config(addr_mode=1)
radio.config(gap_name="", mtu=first["mtu"])
handles = radio.gatts_register_services(
    [
        (bluetooth.UUID(uuid), [(bluetooth.UUID(name), flags) for name, flags in below])
        for uuid, below in first["services"]
    ]
)
for group, (_, below) in zip(handles, first["services"]):
    for handle, (_, flags) in zip(group, below):
        radio.gatts_set_buffer(handle, 512)
        if flags & 0x30:
            out = handle
advertised = b"\\x02\\x01\\x06\\x11\\x07" + bytes(bluetooth.UUID(first["advertised"]))
poller = select.poll()
poller.register(sys.stdin, select.POLLIN)
said = []
radio.gap_advertise(100000, advertised)
shown = True
while True:
    if poller.poll(3):
        said.append(json.loads(sys.stdin.readline()))
    radio.active()
    if connection < 0 and not shown:
        waiting = 0
        said.clear()
        radio.gap_advertise(100000, advertised)
    shown = connection < 0
    if waiting and said:
        waiting -= 1
        values, times = said.pop(0)
        for _ in range(times):
            for value in values:
                if connection >= 0:
                    radio.gatts_notify(connection, out, unhexlify(value))
"""


class Odd:
    """Such a thing."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def say(self, values: list[bytes], times: int = 1) -> None:
        """Notify these when the next write comes, so many times over."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([[value.hex() for value in values], times]) + "\n")
        self._process.stdin.flush()


Make = Callable[..., Odd]


@pytest.fixture
def make(micropython: Callable[[str], subprocess.Popen[str]]) -> Make:
    def begin(services: Any = _RIGHT, hang_up: int = 0, mtu: int = 247) -> Odd:
        process = micropython(_DEVICE)
        assert process.stdin is not None
        first = {"services": services, "hang up": hang_up, "mtu": mtu, "advertised": ble.SERVICE}
        process.stdin.write(json.dumps(first) + "\n")
        process.stdin.flush()
        return Odd(process)

    return begin


@pytest.fixture
def store(tmp_path: Path) -> DeviceStore:
    made = DeviceStore(tmp_path)
    made.put(DeviceRecord("11" * 32, "22" * 32, "", "Mine", (), 1, "", ""))
    return made


_IN, _OUT = [ble.TO_RECORDER, _WRITE_COMMAND], [ble.TO_COMPUTER, _NOTIFY]
_OTHER = "0000fe59-0000-1000-8000-00805f9b34fb"


@pytest.mark.parametrize(
    "services",
    [
        [],
        [[ble.SERVICE, []]],
        [[_OTHER, [_IN, _OUT]]],
        [[ble.SERVICE, [_IN]]],
        [[ble.SERVICE, [_OUT]]],
        [[ble.SERVICE, [_IN, [ble.TO_COMPUTER, _READ]]]],
        [[ble.SERVICE, [_IN, [ble.TO_COMPUTER, _INDICATE]]]],
        [[ble.SERVICE, [[ble.TO_RECORDER, _READ], _OUT]]],
        [[ble.SERVICE, [[ble.TO_RECORDER, _NOTIFY], [ble.TO_COMPUTER, _WRITE_COMMAND]]]],
        [[ble.SERVICE, [_IN, _OUT, _OUT]]],
        [[ble.SERVICE, [_IN, _IN, _OUT]]],
        [[ble.SERVICE, [_IN, _OUT]], [ble.SERVICE, [_IN, _OUT]]],
    ],
    ids=[
        "nothing",
        "empty",
        "of another",
        "in",
        "out",
        "read",
        "indicate",
        "deaf",
        "swapped",
        "2 out",
        "2 in",
        "twice",
    ],
)
def test_attributes_that_are_no_recorders_are_told_in_a_sentence(
    rig: Rig, make: Make, store: DeviceStore, services: Any
) -> None:
    make(services)
    _fails(store)


@pytest.mark.parametrize("event", [1, 3, 21], ids=["connected", "written", "mtu"])
def test_who_hangs_up_at_once_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, rig: Rig, make: Make, store: DeviceStore, event: int
) -> None:
    monkeypatch.setattr(ble, "_CONNECT_S", 2)
    make(hang_up=event)
    _fails(store)


def _fails(store: DeviceStore) -> None:
    began = time.monotonic()
    with pytest.raises(NoDeviceError) as caught:
        connect_near(store, answer_s=0.2)
    assert time.monotonic() - began < 40
    assert caught.value.message.endswith(".") and caught.value.hint and caught.value.message.isprintable()


@pytest.fixture
def transport(rig: Rig, make: Make) -> Iterator[Callable[..., tuple[Odd, ble.BleTransport]]]:
    opened: list[ble.BleTransport] = []

    def begin(**how: Any) -> tuple[Odd, ble.BleTransport]:
        odd = make(**how)
        (near,) = ble.find(10)
        opened.append(ble.BleTransport(near))
        return odd, opened[-1]

    yield begin
    for one in opened:
        one.close()


_VALUES = st.lists(st.binary(max_size=244), max_size=30)


@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_whatever_is_notified_is_the_stream_without_its_numbers(
    transport: Callable[..., tuple[Odd, ble.BleTransport]], examples: int
) -> None:
    odd, way = transport()

    @settings(_FUZZ, max_examples=examples)
    @given(_VALUES)
    def throw(values: list[bytes]) -> None:
        end = b"\x05" + b"the end"
        odd.say([*values, end])
        way.write(b"go")
        got = b""
        while not got.endswith(end[1:]):
            data = way.read(5)
            assert data, "nothing comes any more"
            got += data
        assert got == b"".join(value[1:] for value in values) + end[1:]

    throw()


@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_whatever_is_notified_a_command_ends_in_a_sentence(
    transport: Callable[..., tuple[Odd, ble.BleTransport]], examples: int
) -> None:
    odd, way = transport()
    recorder = Recorder(way, timeout=0.1, tries=1)

    @settings(_FUZZ, max_examples=examples)
    @given(_VALUES)
    def throw(values: list[bytes]) -> None:
        odd.say(values)
        with pytest.raises(EarwitnessError) as caught:
            recorder.hello()
        assert caught.value.message.endswith(".") and caught.value.message.isprintable()

    throw()


@pytest.mark.parametrize("mtu", [23, 24, 100])
def test_at_any_mtu_what_is_sent_arrives(
    rig: Rig, transport: Callable[..., tuple[Odd, ble.BleTransport]], mtu: int
) -> None:
    odd, way = transport(mtu=mtu)
    rig.order("heard")
    way.write(bytes(300))
    odd.say([b"\x01here"])
    assert way.read(30) == b"here"
    heard = rig.order("heard")
    assert heard["longest_write"] <= mtu - 3 and heard["written_bytes"] >= 300


def test_a_flood_that_nobody_takes_is_held_in_bounds(
    monkeypatch: pytest.MonkeyPatch, rig: Rig, transport: Callable[..., tuple[Odd, ble.BleTransport]]
) -> None:
    """A recorder that never stops sending, while the program is busy with something else."""
    monkeypatch.setattr(ble, "_MOST_WAITING", 100_000)
    odd, way = transport()
    odd.say([bytes((number,)) + bytes(243) for number in range(32)], 40)
    rig.order("heard")
    way.write(b"go")
    until = time.monotonic() + 60
    came = 0
    while came < 32 * 40 * 244 and time.monotonic() < until:
        came += rig.order("heard")["notified_bytes"]
        time.sleep(0.05)
    assert came >= 32 * 40 * 244
    while way._last != 31 or way._waiting < 99_000:  # from BlueZ to the program
        assert time.monotonic() < until
        time.sleep(0.05)
    assert way._waiting <= 100_000 and sum(map(len, way._received)) <= 100_000
    assert len(way.read(1)) > 90_000
    odd.say([b"\x01and on"])
    way.write(b"go")
    while (data := way.read(5)) and not data.endswith(b"and on"):
        pass
    assert data, "it goes on"
    assert threading.active_count() < 20
