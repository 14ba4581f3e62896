"""Bluetooth for tests: one virtual radio for all of them, put right again before each."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earwitness.link import ble
from link_device import Device
from tools.virtual.ble.rig import BUS_VARIABLE, Rig

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def _rig() -> Iterator[Rig]:
    with Rig() as rig:
        yield rig


@pytest.fixture
def rig(_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """The air with one computer, which is this one; nothing is wrong with it."""
    until = time.monotonic() + 10
    while _rig.order("recorders") > _rig.staying and time.monotonic() < until:
        time.sleep(0.02)  # those of the test before
    _rig.order("faults")
    _rig.order("adapter", computer=0, state="on")
    _rig.order("mtu", computer=0, mtu=517)
    _rig.order("signals", computer=0, signals={})
    _rig.order("forget")
    monkeypatch.setenv(BUS_VARIABLE, _rig.computers[0])
    monkeypatch.setattr(ble, "_OTHERS_S", 0.0)  # a test knows how many recorders there are
    return _rig


@pytest.fixture
def micropython(rig: Rig, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs source under the real interpreter with the chip's `recorder.hal.ble` on the stand-in for `bluetooth`."""
    running: list[subprocess.Popen[str]] = []
    prelude = f"""
import sys, time
sys.path[:0] = [{str(ROOT / "tools/virtual/ble/device")!r}, {str(ROOT / "firmware/recorder/hal")!r}]
import bluetooth
bluetooth.path = {rig.recorder_socket!r}
"""

    def run(source: str) -> subprocess.Popen[str]:
        script = tmp_path / f"device{len(running)}.py"
        script.write_text(prelude + source)
        process = subprocess.Popen(
            ["micropython", "-X", "heapsize=2M", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def start(tmp_path: Path, rig: Rig) -> Iterator[Callable[..., Device]]:
    """Starts the link under the real interpreter, in range, one after the other or with `together` beside the others; a
    traceback in one fails the test."""
    running: list[Device] = []
    made = 0

    def begin(*, together: bool = False, **settings: Any) -> Device:
        nonlocal made
        while running and not together:
            running.pop().stop()
        made += 1
        folder = tmp_path / f"device{made}"
        folder.mkdir()
        running.append(Device(folder, ble=rig.recorder_socket, **settings))
        return running[-1]

    yield begin
    for device in running:
        device.stop()
