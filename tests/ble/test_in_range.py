"""Finding one's recorder in the air: one clear sentence for everything that may be in the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from earwitness.commands._near import watch_near
from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import KeyMissingError, NoDeviceError, UsageError
from earwitness.link import answering, ble
from earwitness.link.near import connect_near
from link_device import SECRET, Device
from tools.virtual.ble.bus import start_bus
from tools.virtual.ble.rig import BUS_VARIABLE, Rig

ROOT = Path(__file__).resolve().parents[2]
OTHER_SEED, OTHER_SECRET = bytes(range(50, 82)), bytes(range(60, 92))


def _store(folder: Path, *devices: tuple[Device, bytes]) -> DeviceStore:
    store = DeviceStore(folder)
    for number, (device, secret) in enumerate(devices, 1):
        record = DeviceRecord(device.public.hex(), secret.hex(), "", f"Recorder {number}", (), 1, "", "")
        store.put(record)
    return store


@pytest.fixture
def mine(start: Callable[..., Device]) -> Device:
    return start(link_secret=SECRET.hex())


def test_the_paired_recorder_in_range_is_found_and_proves_itself(mine: Device, tmp_path: Path) -> None:
    recorder, record = connect_near(_store(tmp_path, (mine, SECRET)))
    with recorder:
        assert record.name == "Recorder 1" and recorder.name == "Bluetooth"
        assert recorder.status().epoch == 1


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("off", "Bluetooth is off on this computer."), ("absent", "This computer has no Bluetooth adapter.")],
)
def test_an_adapter_that_is_off_or_absent_is_told(
    rig: Rig, mine: Device, tmp_path: Path, state: str, sentence: str
) -> None:
    rig.order("adapter", computer=0, state=state)
    with pytest.raises(ble.BluetoothOffError) as caught:
        connect_near(_store(tmp_path, (mine, SECRET)), look_s=1)
    assert caught.value.message == sentence and "cable" in caught.value.hint and caught.value.exit_code == 10


def test_an_adapter_that_goes_at_the_moment_it_is_asked_is_told() -> None:
    told = ble._off(OSError('[org.freedesktop.DBus.Error.UnknownObject] Method "StartDiscovery" does not exist'))
    assert told.message == "This computer has no Bluetooth adapter." and "cable" in told.hint


_FIND = """
from earwitness.link import ble
ble._OTHERS_S = 0
try:
    print(*(near.address for near in ble.find({look})))
except Exception as error:
    print(error)
"""


def _elsewhere(bus: str, look: float = 3) -> str:
    """What another computer's program finds."""
    done = subprocess.run(
        [sys.executable, "-c", _FIND.format(look=look)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, BUS_VARIABLE: bus, "PYTHONPATH": str(ROOT / "host")},
        timeout=30,
    )
    return done.stdout.strip()


def test_a_computer_without_bluetooths_service_is_told(rig: Rig, tmp_path: Path) -> None:
    assert _elsewhere(f"unix:path={tmp_path}/nothing") == "Bluetooth does not run on this computer."


_OWN = """
import asyncio, sys
from dbus_fast.aio import MessageBus
async def own():
    bus = await MessageBus(bus_address=sys.argv[1]).connect()
    await bus.request_name("org.bluez")
    print("owned", flush=True)
    await bus.wait_for_disconnect()
asyncio.run(own())
"""


def test_a_person_who_may_not_use_bluetooth_is_told(tmp_path: Path) -> None:
    """Bluetooth runs, and the system's policy keeps this account from it."""
    daemon, address = start_bus(tmp_path, "closed", denied="org.bluez")
    with subprocess.Popen([sys.executable, "-c", _OWN, address], stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None and service.stdout.readline() == "owned\n"
            said = _elsewhere(address)
        finally:
            service.kill()
    daemon.kill()
    daemon.wait()
    assert daemon.stdout is not None
    daemon.stdout.close()
    assert said == "You may not use Bluetooth on this computer."


def test_nobody_in_range_is_told(rig: Rig, tmp_path: Path, mine: Device) -> None:
    store = _store(tmp_path, (mine, SECRET))
    rig.order("faults", dark_s=30)
    began = time.monotonic()
    with pytest.raises(NoDeviceError, match=r"No recorder is in range\.") as caught:
        connect_near(store, look_s=0.6)
    assert "button" in caught.value.hint and time.monotonic() - began < 15


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_connection_that_is_lost_as_it_begins_is_made_again(rig: Rig, mine: Device, tmp_path: Path, cut: int) -> None:
    """At the recorder's greeting, its challenge, its proof: as happens at the edge of the range."""
    rig.order("faults", cut_at_notification=cut)
    recorder, _ = connect_near(_store(tmp_path, (mine, SECRET)))
    with recorder:
        assert recorder.status().epoch == 1


def test_without_a_pairing_nobody_is_looked_for(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match="not paired") as caught:
        connect_near(DeviceStore(tmp_path))
    assert "earwitness pair" in caught.value.hint


def test_a_strangers_recorder_is_not_taken_for_ones_own(mine: Device, tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match="in range is not paired with this computer"):
        connect_near(_store(tmp_path, (mine, OTHER_SECRET)))


def test_of_two_in_range_ones_own_is_taken_and_of_two_of_ones_own_none(
    monkeypatch: pytest.MonkeyPatch, mine: Device, start: Callable[..., Device], tmp_path: Path
) -> None:
    monkeypatch.setattr(ble, "_OTHERS_S", 0.4)
    other = start(together=True, link_secret=OTHER_SECRET.hex(), seed=OTHER_SEED.hex())
    recorder, record = connect_near(_store(tmp_path / "one", (other, OTHER_SECRET)))
    with recorder:
        assert record.public == other.public
    both = _store(tmp_path / "both", (mine, SECRET), (other, OTHER_SECRET))
    with pytest.raises(UsageError, match=r"Recorder 1; Recorder 2|Recorder 2; Recorder 1"):
        connect_near(both)


# Calls itself a recorder, lets everybody connect, and says nothing.
_PRETENDER = """
import ble
while True:
    ble.advertise(True)
    ble.accept()
    time.sleep_ms(5)
"""


def _pretenders(rig: Rig, micropython: Callable[..., subprocess.Popen[str]], count: int) -> None:
    before = rig.order("recorders")
    for _ in range(count):
        micropython(_PRETENDER)
    until = time.monotonic() + 20
    while rig.order("recorders") < before + count and time.monotonic() < until:
        time.sleep(0.02)


def _heard(rig: Rig) -> list[str]:
    ble.find(5)
    return [address.split("/")[0] for address, _ in rig.order("listen")["advertised"]]


def test_among_many_that_pretend_the_closest_is_asked_first(
    monkeypatch: pytest.MonkeyPatch,
    rig: Rig,
    mine: Device,
    micropython: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    (near,) = ble.find(10)
    _pretenders(rig, micropython, 6)
    monkeypatch.setattr(ble, "_OTHERS_S", 1.0)
    far = {address: -85 for address in _heard(rig) if address != near.address}
    assert len(far) >= 6
    rig.order("signals", computer=0, signals=far)
    began = time.monotonic()
    recorder, _ = connect_near(_store(tmp_path, (mine, SECRET)))
    with recorder:
        assert recorder.status().epoch == 1
    assert time.monotonic() - began < 30  # the others, asked first, would take the 45 s that all may take


def test_however_many_pretend_the_search_ends_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    rig: Rig,
    mine: Device,
    micropython: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(ble, "_OTHERS_S", 1.5)
    monkeypatch.setattr(answering, "_LEAST_S", 1.5)
    store = _store(tmp_path, (mine, SECRET))
    mine.stop()
    _pretenders(rig, micropython, 8)
    began = time.monotonic()
    with pytest.raises(NoDeviceError) as caught:
        connect_near(store, ask_s=4)
    assert time.monotonic() - began < 40  # seconds, however busy the computer is
    said = caught.value.message
    # on a busy computer not all are heard in time
    assert re.match(r"[2-8] things that call themselves recorders are in range, and none of the [1-4] that", said), said
    assert "close to this computer" in caught.value.hint and "cable" in caught.value.hint


def test_watching_goes_past_those_that_pretend(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rig: Rig,
    mine: Device,
    micropython: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    """They are closer, and say nothing: one after the other is asked, the next time later, and it is said once."""
    (near,) = ble.find(10)
    _pretenders(rig, micropython, 3)
    monkeypatch.setattr(ble, "_OTHERS_S", 1.0)
    rig.order("signals", computer=0, signals={near.address: -90})
    store = _store(tmp_path, (mine, SECRET))
    asked: list[str] = []

    def sync(place: ble.Near) -> None:
        asked.append(place.address)
        if len(asked) > 12:
            raise KeyboardInterrupt  # they kept it from ever being asked
        recorder, _ = connect_near(store, places=[place], answer_s=1.5, ask_s=4)
        recorder.close()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch_near(sync)
    assert asked[-1] == near.address and len(asked) == len(set(asked)) > 1
    assert capsys.readouterr().err.count("What calls itself a recorder in range does not answer.") == 1


def test_two_computers_at_once(rig: Rig, mine: Device, tmp_path: Path) -> None:
    """The second finds nobody while the first is connected, and the recorder when it has left."""
    if len(rig.computers) < 2:
        rig.add_computer()
    recorder, _ = connect_near(_store(tmp_path, (mine, SECRET)))
    near_address = rig.order("listen")["advertised"]
    with recorder:
        assert _elsewhere(rig.computers[1], 0.7) == "", near_address
        assert recorder.status().epoch == 1
    assert _elsewhere(rig.computers[1]).count(":") == 5


_LEAVE = """
import os, sys
from earwitness.link import ble
ble._OTHERS_S = 0
transport = ble.BleTransport(ble.find(5)[0])
print("connected", flush=True)
sys.stdin.read()
"""


def test_a_program_that_was_killed_leaves_a_connection_that_the_next_takes_over(mine: Device, tmp_path: Path) -> None:
    """bluetoothd keeps the connection of a program that died, and who is connected is not heard: it is found all the same."""
    program = subprocess.Popen(
        [sys.executable, "-c", _LEAVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "host")},
    )
    assert program.stdin is not None and program.stdout is not None
    assert program.stdout.readline() == b"connected\n"
    program.send_signal(signal.SIGKILL)
    program.wait()
    program.stdin.close()
    program.stdout.close()
    recorder, _ = connect_near(_store(tmp_path, (mine, SECRET)))
    with recorder:
        assert recorder.status().epoch == 1
