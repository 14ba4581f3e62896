"""The processor's speed follows what the recorder does: it is what the battery pays for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from earwitness.devices import DeviceStore
from earwitness.identity import Identity
from earwitness.pairing import open_recorder, pair
from tools.virtual.device import VirtualRecorder

from .kit import READY_S, Paired, speech


def speeds(recorder: VirtualRecorder) -> list[tuple[float, str]]:
    return [(e["t"], e["value"]) for e in recorder.events() if e["what"] == "speed"]


def test_it_rests_when_it_is_ready_and_is_fast_before_it_starts(paired: Paired, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, speech(10)) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 5}:off", settle=70)
        found = speeds(recorder)
        start, stop = (e["t"] for e in recorder.events() if e["what"] == "mic")
    (rested,) = (at for at, speed in found if speed == "rest" and at < READY_S)
    assert rested < 2, "before the switch went on it was ready and at rest"
    started = [(at, speed) for at, speed in found if READY_S <= at <= start]
    assert [speed for _, speed in started] == ["full", "recording"] and started[0][0] - READY_S < 0.1
    after = [(at, speed) for at, speed in found if at > start]
    assert after[0][1] == "full" and after[0][0] >= stop, "recording speed until it is sealed"
    assert found[-1][1] == "rest" and found[-1][0] < stop + 70, "and rest when nobody came by Bluetooth"


@pytest.mark.parametrize("script", ["0:pull 20:wait", "0:pull 1:on 20:wait"])
def test_without_a_card_it_rests_between_its_tries(paired: Paired, tmp_path: Path, script: str) -> None:
    with paired.recorder(tmp_path, speech(1)) as recorder:
        recorder.run(script, settle=1)
        found = speeds(recorder)
    slept = sum(b[0] - a[0] for a, b in pairwise(found) if a[1] == "rest")
    assert slept > 15


def test_it_is_fast_for_a_computer(tmp_path: Path) -> None:
    with VirtualRecorder(tmp_path / "recorder", card_size=40 << 20) as recorder:
        recorder.run("0:wait", settle=1)
        assert speeds(recorder)[-1][1] == "rest"
        recorder.play("0:hold")
        link = open_recorder(recorder.port)
        try:
            pair(link, [Identity.generate().recipient_bytes], DeviceStore(tmp_path / "home"), name="Test")
            assert speeds(recorder)[-1][1] == "full"
        finally:
            link.close()
