"""Power goes at any write of card or flash: no recording is unreadable, at most a second of sound is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from earwitness.audio import Audio

from tools.virtual.device import VirtualRecorder

from .conftest import Paired

_PRIMED_S = 4
_SCRIPT = f"{_PRIMED_S}:on {_PRIMED_S + 6}:mark {_PRIMED_S + 14}:off"
_ON_US = _PRIMED_S * 1_000_000  # writes are numbered from here, all of them the recording's
_SOME = (1, 2, 3, 5, 8, 13, 17, 21)


def _taken_s(events: list[dict[str, Any]]) -> float:
    """Seconds that the microphone had taken when the power went, 0 if it was not recording."""
    (cut,) = [event for event in events if event["what"] == "power" and event["value"] == "cut"]
    mic = [event for event in events if event["what"] == "mic" and event["boot"] == cut["boot"]]
    if not mic or mic[-1]["value"] != "start":
        return 0.0
    return float(cut["up_us"] - mic[-1]["up_us"]) / 1e6


def _survives(
    write: int,
    torn: bool,
    fresh: Callable[..., VirtualRecorder],
    paired: Paired,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    speech: Path,
) -> bool:
    """Cut at one write, boot again, look. False when the script ended before that write."""
    recorder = fresh(faults={"cut_at_write": write, "torn": torn, "faults_after_us": _ON_US})
    if recorder.run(_SCRIPT, settle=4) == "done":
        return False
    taken = _taken_s(recorder.events())
    assert recorder.run("0:off 1:on 5:off", settle=4) == "done"
    items = paired.take(recorder.card, tmp_path / f"home{write}{torn}", monkeypatch)
    assert items, "the recording made after the cut is there"
    said, _ = sf.read(speech, dtype="int16")
    kept = 0.0
    for item in items:
        assert item.outcome == "new", (write, item)
        assert item.verdict is not None and item.path is not None
        assert item.verdict.intact.ok and item.verdict.by.ok, (write, item.verdict.intact)
        if not item.verdict.complete.ok:
            kept = item.verdict.duration_s
            audio = Audio(item.path, paired.identity)
            heard = np.concatenate([np.zeros(0, np.int16), *audio.blocks()])
            assert np.array_equal(heard, said[: len(heard)])
    assert items[-1].verdict is not None and items[-1].verdict.complete.ok
    if len(items) == 1 or kept == 0.0:
        # cut before the recording stood, or after it was signed as ended
        assert taken <= 1.0 or any(item.verdict and item.verdict.complete.ok for item in items[:-1]), write
    else:
        assert taken - kept <= 1.0, write
    return True


@pytest.mark.parametrize("write", _SOME)
def test_power_cut_at_some_writes(write, fresh, paired, tmp_path, monkeypatch, speech) -> None:
    assert _survives(write, write % 2 == 0, fresh, paired, tmp_path, monkeypatch, speech)


@pytest.mark.long
@pytest.mark.parametrize("torn", [False, True])
def test_power_cut_at_every_write(torn, fresh, paired, tmp_path, monkeypatch, speech) -> None:
    write = 1
    while _survives(write, torn, fresh, paired, tmp_path, monkeypatch, speech):
        write += 1
    assert write > max(_SOME)


@pytest.mark.parametrize("stalls", [{"900": 900}, {"2500": 2500}])
def test_a_card_that_stalls_loses_nothing(stalls, fresh, paired, tmp_path, monkeypatch, speech) -> None:
    (stall,) = stalls.values()
    numbers = ("8", "9") if stall == 900 else ("8",)
    recorder = fresh(faults={"stall_at_write": dict.fromkeys(numbers, stall), "faults_after_us": _ON_US})
    assert recorder.run(_SCRIPT, settle=4) == "done"
    assert [event for event in recorder.events() if event["what"] == "stall"], "the stall fell into the recording"
    (item,) = paired.take(recorder.card, tmp_path / "home", monkeypatch)
    assert item.verdict is not None and item.verdict.complete.ok
    assert not item.verdict.gaps


def test_a_longer_stall_is_a_loss_counted_to_the_sample(fresh, paired, tmp_path, monkeypatch, speech) -> None:
    recorder = fresh(faults={"stall_at_write": {"8": 8000}, "faults_after_us": _ON_US})
    assert recorder.run(_SCRIPT, settle=4) == "done"
    (item,) = paired.take(recorder.card, tmp_path / "home", monkeypatch)
    assert item.verdict is not None and item.path is not None
    (gap,) = item.verdict.gaps
    assert gap.reason == "lost"
    said, _ = sf.read(speech, dtype="int16")
    heard = np.concatenate(list(Audio(item.path, paired.identity).blocks()))
    expected = said[: len(heard)].copy()
    expected[gap.sample : gap.sample + gap.count] = 0
    assert np.array_equal(heard, expected)


@pytest.mark.parametrize("fault", [{"pull_at_write": 1}, {"fail_writes": [1]}])
def test_a_card_that_fails_is_told_and_what_it_holds_is_kept(fault, fresh, paired, tmp_path, monkeypatch) -> None:
    recorder = fresh(faults={**fault, "faults_after_us": 12_000_000})
    assert recorder.run(f"{_PRIMED_S}:on 25:off", settle=2) == "done"
    felt = [event for event in recorder.events() if event["what"] == "motor" and 12 < event["t"] < 25]
    assert felt, "the motor said that recording ended"
    assert recorder.run("0:insert 20:wait", settle=4) == "done"
    item = paired.take(recorder.card, tmp_path / "home", monkeypatch)[0]
    assert item.verdict is not None and item.verdict.intact.ok and not item.verdict.complete.ok
    assert item.verdict.duration_s > 6
