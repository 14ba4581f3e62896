"""Finding the recorder, for somebody who has never done it: one sentence for what is in the way, and one for what to do."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import DeviceBusyError, EarwitnessError, KeyMissingError, NoDeviceError, UsageError
from earwitness.link import connect as connecting
from earwitness.link import transport
from earwitness.link.client import ButtonError
from earwitness.link.connect import connect, to_prompt
from earwitness.link.transport import Port
from link_device import SECRET, Device
from tests.host.program import run

OTHER = bytes(range(50, 82))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    running: list[Device] = []

    def begin(**settings: Any) -> Device:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Device(folder, **settings))
        return running[-1]

    yield begin
    for device in running:
        device.stop()


@pytest.fixture
def store(tmp_path: Path) -> DeviceStore:
    return DeviceStore(tmp_path / "state")


def record(device: Device, secret: bytes, name: str) -> DeviceRecord:
    return DeviceRecord(device.public.hex(), secret.hex(), "11" * 32, name, ("09" * 32,), 1, "", "")


@pytest.fixture
def two(start: Callable[..., Device], store: DeviceStore, monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """Two paired recorders on two ports, and something else on a third that says nothing."""
    devices = [start(link_secret=SECRET.hex()), start(link_secret=OTHER.hex(), seed="44" * 32)]
    store.put(record(devices[0], SECRET, "Kitchen"))
    store.put(record(devices[1], OTHER, "Office"))
    monkeypatch.setattr(connecting, "discover", lambda: [Port(device.url, "") for device in devices])
    return devices


def sentence(error: EarwitnessError) -> str:
    """What is said, checked for what every such sentence must be."""
    assert error.message.endswith(".") and error.hint.endswith("."), (error.message, error.hint)
    assert "\n" not in error.message + error.hint and len(error.message) < 200
    return f"{error.message} {error.hint}"


def test_no_recorder(tmp_path: Path) -> None:
    for words in (["sync"], ["status"], ["settings"], ["stop"]):
        done = run(tmp_path, *words, env={"EARWITNESS_PORT": ""})
        assert done.returncode == 10
        assert "No recorder is plugged in." in done.stderr and "carries data" in done.stderr


def test_two_recorders_are_told_apart_by_name(two: list[Device], store: DeviceStore) -> None:
    with pytest.raises(UsageError) as caught:
        connect(store, timeout=5)
    said = sentence(caught.value)
    assert "Kitchen" in said and "Office" in said and "--recorder" in said
    for name, device in (("Kitchen", two[0]), ("Office", two[1])):
        for which in (name, store.active()[two.index(device)].short_key[:6]):
            link, found = connect(store, which=which, timeout=5)
            link.close()
            assert found.public == device.public and link.name == device.url


def test_a_recorder_that_is_not_there_is_not_taken_for_another(two: list[Device], store: DeviceStore) -> None:
    with pytest.raises(UsageError, match="There is no recorder Bathroom"):
        connect(store, which="Bathroom")
    with pytest.raises(KeyMissingError, match="not Office"):
        connect(store, two[0].url, which="Office")


def test_two_of_one_name_are_told_apart_by_their_keys(two: list[Device], store: DeviceStore) -> None:
    store.put(replace(store.get(two[1].public), name="Kitchen"))
    with pytest.raises(UsageError, match="could be 2"):
        connect(store, which="Kitchen")
    with pytest.raises(UsageError) as caught:
        connect(store, timeout=5)
    keys = [record.short_key[:6] for record in store.active()]
    said = sentence(caught.value)
    assert all(f"Kitchen, key {key} (at " in said for key in keys) and "start of its key" in said
    link, _ = connect(store, which=keys[0], timeout=5)
    link.close()


def test_not_paired(start: Callable[..., Device], store: DeviceStore) -> None:
    device = start(link_secret=SECRET.hex())
    with pytest.raises(KeyMissingError) as caught:
        connect(store, device.url)
    assert "not paired" in sentence(caught.value) and "earwitness pair" in caught.value.hint


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("failure", [PermissionError(13, "Permission denied"), OSError(16, "Device or resource busy")])
def test_a_port_that_cannot_be_opened(platform: str, failure: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(transport.sys, "platform", platform)
    monkeypatch.setattr(transport.serial, "Serial", refuse)
    with pytest.raises((NoDeviceError, DeviceBusyError)) as caught:
        transport.SerialTransport("/dev/ttyACM0")
    said = sentence(caught.value)
    if isinstance(failure, PermissionError) and platform == "linux":
        assert "may not open" in said and "dialout" in said
    if failure.errno == 16:
        assert isinstance(caught.value, DeviceBusyError) and "in use" in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="groups of Linux")
def test_the_group_that_may_open_a_port_is_named(tmp_path: Path) -> None:
    """dialout on Debian, uucp on Arch: the one that the port belongs to."""
    import grp

    port = tmp_path / "ttyACM0"
    port.touch()
    other = next(group for group in grp.getgrall() if group.gr_gid not in (0, os.getgid()))
    try:
        os.chown(port, -1, other.gr_gid)
    except PermissionError:
        pytest.skip("only root gives files away")
    assert transport._group(str(port)) == other.gr_name
    assert transport._group(str(tmp_path / "nothing")) == "dialout"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_a_port_that_nobody_answers_at_is_told(tmp_path: Path) -> None:
    master, slave = os.openpty()
    try:
        with pytest.raises(NoDeviceError) as caught:
            connect(DeviceStore(tmp_path), os.ttyname(slave), timeout=0.05)
        assert "Nothing that speaks like a recorder" in sentence(caught.value) and "install" in caught.value.hint
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_of_several_reasons_the_telling_one_is_told(
    start: Callable[..., Device], store: DeviceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board that says nothing, and a recorder that belongs to somebody else."""
    device = start(link_secret=SECRET.hex())
    master, slave = os.openpty()
    try:
        places = [Port(os.ttyname(slave), ""), Port(device.url, "")]
        for order in (places, places[::-1]):
            monkeypatch.setattr(connecting, "discover", lambda order=order: order)
            with pytest.raises(KeyMissingError, match="is not paired with this computer"):
                connect(store, timeout=1)
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_a_port_that_another_program_holds(tmp_path: Path) -> None:
    master, slave = os.openpty()
    name = os.ttyname(slave)
    held = transport.SerialTransport(name)
    try:
        done = run(tmp_path, "status", "--port", name)
        assert (
            done.returncode == 11 and "in use by another program" in done.stderr and "Close that program" in done.stderr
        )
    finally:
        held.close()
        os.close(master)
        os.close(slave)


def test_the_prompt_is_asked_for_with_a_hand_on_the_button(start: Callable[..., Device], store: DeviceStore) -> None:
    for settings in ({}, {"link_secret": SECRET.hex()}):
        device = start(button=0, **settings)
        if settings:
            store.put(record(device, SECRET, "Kitchen"))
        with pytest.raises(ButtonError):
            to_prompt(store, device.url)
        asked = []

        def press(device: Device = device, asked: list[int] = asked) -> bool:
            asked.append(1)
            device.order("skip", 4000)  # a person takes their time, longer than a greeting lasts
            if len(asked) == 3:
                device.order("button", 1)
            return True

        to_prompt(store, device.url, press)
        assert len(device.called("prompt")) == 1 and len(asked) == 3


def test_watching_syncs_what_is_plugged_in_and_goes_on(
    start: Callable[..., Device], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plugged in, pulled out, plugged in again: synced each time; a stranger in between is said and no reason to stop."""
    from earwitness import pairing
    from earwitness.commands import sync as command
    from earwitness.library import Library

    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(command, "_LOOK_S", 0.02)
    mine, stranger = start(link_secret=SECRET.hex()), start(link_secret=OTHER.hex())
    DeviceStore().put(record(mine, SECRET, "test"))
    turns = [[], [mine], [mine], [], [stranger], [stranger], [], [mine], []]
    looked = iter(turns)
    over = threading.Event()

    def ports(_named: str | None = None) -> list[Port]:
        try:
            return [Port(device.url, "") for device in next(looked)]
        except StopIteration:
            over.set()
            raise KeyboardInterrupt from None

    monkeypatch.setattr(pairing, "ports", ports)
    with pytest.raises(KeyboardInterrupt):
        command._watch(Library(), command._Wants(False, False, False), None, None)
    said = capsys.readouterr().err
    assert over.is_set() and len(mine.called("set_clock")) == 2 and stranger.called("set_clock") == []
    assert said.count("test is plugged in") == 2 and said.count("not paired") == 1
