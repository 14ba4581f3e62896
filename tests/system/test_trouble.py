"""What goes wrong in a pocket: each time the recorder says so, loses nothing that it has, and goes on when it can."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.virtual.device import VirtualRecorder

from .kit import RATE_HZ, READY_S, Paired, Samples, master, speech

_ON = READY_S
_SHAPES = {"no card": 2, "card full": 3, "card failed": 4, "battery": 5}


@pytest.fixture(scope="module")
def tape() -> Samples:
    return speech(40)


def flashes(recorder: VirtualRecorder, since: float) -> int:
    """How many flashes stand together after `since` (seconds of the scene): what a person counts; 0 for steady or dark."""
    lit = [e["t"] for e in recorder.events() if e["what"] == "light" and e["value"] and e["t"] > since + 0.5]
    groups: list[int] = []
    for index, at in enumerate(lit):
        if index and at - lit[index - 1] < 0.9:
            groups[-1] += 1
        else:
            groups.append(1)
    whole = groups[1:-1] or groups
    return max(whole, default=0)


def buzzes(recorder: VirtualRecorder, since: float, until: float = 1e9) -> int:
    return sum(1 for e in recorder.events() if e["what"] == "motor" and e["value"] and since <= e["t"] <= until)


_DEAD = b"the microphone is silent or stuck"


def faults(recorder: VirtualRecorder) -> bytes:
    """What the journal keeps, as it lies in the flash."""
    return recorder.flash.read_bytes()


def events(item: Any) -> list[Any]:
    assert item.verdict is not None
    return list(item.verdict.events)


def test_without_a_card_it_says_so_and_records_when_one_is_put_in(
    paired: Paired, tape: Samples, tmp_path: Path
) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run("0:pull 5:on", settle=10)
        assert flashes(recorder, 5) == _SHAPES["no card"]
        assert buzzes(recorder, 5, 6) == 3
        recorder.run("0:insert 8:off", settle=4)
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0 and item.verdict.duration_s > 3


def test_a_switch_that_goes_off_while_it_gets_ready_starts_nothing(
    paired: Paired, tape: Samples, tmp_path: Path
) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run("0:pull 4:on 6:stall=3000 6:insert 7:off", settle=10)
        stalled = [e for e in recorder.events() if e["what"] == "light" and e["value"] and e["t"] > 9]
        assert not stalled and buzzes(recorder, 7) == 0
        recorder.run("0:on 4:off", settle=4)
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0 and item.seq == 1


def test_a_card_pulled_while_recording_is_told_at_once_and_recovered(
    paired: Paired, tape: Samples, tmp_path: Path
) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + 6}:pull", settle=8)
        pulled = next(e["t"] for e in recorder.events() if e["what"] == "card")
        assert buzzes(recorder, pulled, pulled + 2) >= 3
        assert flashes(recorder, pulled + 1) in (_SHAPES["no card"], _SHAPES["card failed"])
        recorder.run("0:off 1:insert 6:on 8:off", settle=4)
        first, second = paired.items(recorder, tmp_path)
    assert first.verdict is not None and first.verdict.complete.state == "recovered"
    assert first.verdict.intact.ok and first.verdict.duration_s >= 5.0
    assert second.verdict is not None and second.verdict.exit_code == 0


def test_stalls_of_the_card_lose_nothing_at_speech(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(
            f"{_ON}:on {_ON + 3}:stall=900 {_ON + 3.9}:stall=900 {_ON + 8}:stall=2500 {_ON + 14}:off", settle=4
        )
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0 and not item.verdict.gaps
    heard = master(item, paired, tmp_path / "m.flac")
    assert np.array_equal(heard, tape[: len(heard)]) and len(heard) > 13 * RATE_HZ


def test_a_longer_stall_is_counted_to_the_sample(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + 3}:stall=9000 {_ON + 18}:off", settle=4)
        assert buzzes(recorder, _ON + 4, _ON + 17.5) == 2, "whoever holds it is told when it is over"
        assert faults(recorder).count(b"sound was lost: is the card slow?") == 1
        (item,) = paired.items(recorder, tmp_path)
    verdict = item.verdict
    assert verdict is not None and verdict.intact.ok and verdict.complete.ok and not verdict.continuous.ok
    assert verdict.exit_code == 4
    heard = master(item, paired, tmp_path / "m.flac")
    expected = tape[: len(heard)].copy()
    lost = 0
    for gap in verdict.gaps:
        assert gap.reason == "lost"
        expected[gap.sample : gap.sample + gap.count] = 0
        lost += gap.count
    assert 3 * RATE_HZ < lost < 9 * RATE_HZ
    assert np.array_equal(heard, expected) and len(heard) > 17 * RATE_HZ


@pytest.mark.parametrize("how", ["deaf", "stuck", "halt"])
def test_a_microphone_that_dies_is_told_at_once_and_the_recording_says_from_when_to_when(
    paired: Paired, tape: Samples, tmp_path: Path, how: str
) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + 5}:{how} {_ON + 75}:hear {_ON + 80}:off", settle=4)
        died, back = (e["t"] for e in recorder.events() if e["what"] == "mic_trouble")
        assert buzzes(recorder, died, died + 2.5) == 3, "told at once"
        assert buzzes(recorder, died + 2.5, back) == 3, "and once a minute"
        assert buzzes(recorder, back, back + 2) == 1, "and when it hears again"
        flickers = [e["t"] for e in recorder.events() if e["what"] == "light" and died + 2.5 < e["t"] < back]
        assert len(flickers) > 500 and max(b - a for a, b in pairwise(flickers)) < 0.2
        assert not [e for e in recorder.events() if e["what"] == "light" and back + 1 < e["t"] < back + 4], "steady"
        (item,) = paired.items(recorder, tmp_path)
        assert faults(recorder).count(_DEAD) == 1
    verdict = item.verdict
    assert verdict is not None and verdict.intact.ok and verdict.complete.ok
    assert verdict.exit_code == 4 and verdict.continuous.state == "not continuous"
    assert "the microphone gave nothing for " in verdict.continuous.reason
    assert "disagree" not in verdict.continuous.reason and bool(verdict.losses) is (how == "halt")
    (silence,) = verdict.silences
    assert silence.sample / RATE_HZ == pytest.approx(died - _ON, abs=1.3)
    assert silence.seconds == pytest.approx(back - died, abs=1.3)
    heard = master(item, paired, tmp_path / "m.flac")
    assert len(heard) == pytest.approx(80 * RATE_HZ, abs=RATE_HZ // 2)
    before, after = int(4.9 * RATE_HZ), round((back - died + 5.3) * RATE_HZ)
    assert np.array_equal(heard[:before], tape[:before])
    assert bool(heard[before + RATE_HZ // 2 : after - RATE_HZ // 2].any()) is (how == "stuck")
    assert heard[after:].any()


def test_with_a_dead_microphone_nothing_passes_for_a_recording(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"1:deaf {_ON}:on {_ON + 6}:off {_ON + 7}:hear {_ON + 14}:on {_ON + 18}:off", settle=4)
        assert buzzes(recorder, _ON, _ON + 3) >= 3
        assert len([e for e in recorder.events() if e["what"] == "light" and _ON + 1 < e["t"] < _ON + 5]) > 40
        assert faults(recorder).count(_DEAD) == 1
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0 and item.verdict.samples > 3 * RATE_HZ


@pytest.mark.parametrize("second", [0.01, 5])
def test_a_card_that_errs_ends_the_recording_and_the_next_one_works(
    paired: Paired, tape: Samples, tmp_path: Path, second: float
) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + second}:fail=1 {_ON + 16}:off", settle=4)
        assert any(e["what"] == "card error" for e in recorder.events())
        items = paired.items(recorder, tmp_path)
    assert len(items) == 2, "the switch was still on: a second recording follows the recovered one"
    for item in items:
        assert item.verdict is not None and item.verdict.intact.ok
    assert items[-1].verdict is not None and items[-1].verdict.exit_code == 0


def test_a_full_card_ends_the_recording_cleanly_and_is_told(paired: Paired, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32767, 120 * RATE_HZ).astype(np.int16)
    with paired.recorder(tmp_path, noise, card_size=40 << 20) as recorder:
        fill(recorder, leave_bytes=2 << 20)
        recorder.run(f"{_ON}:on", settle=130)
        assert flashes(recorder, _ON + 110) == _SHAPES["card full"]
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0
    assert item.verdict.stop_reason == "card full"


def fill(recorder: VirtualRecorder, leave_bytes: int) -> None:
    """Put a file on the card that leaves so much."""
    image = str(recorder.card)
    free = 39 * (1 << 20) - leave_bytes
    filler = recorder.state / "filler"
    with filler.open("wb") as file:
        file.truncate(free)
    subprocess.run(["mcopy", "-i", image, str(filler), "::FILLER.BIN"], check=True)
    filler.unlink()


def test_exfat_is_refused_and_left_alone(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        block = bytearray(512)
        block[:11] = b"\xeb\x76\x90EXFAT   "
        block[510:] = b"\x55\xaa"
        with recorder.card.open("r+b") as card:
            card.write(block)
        before = recorder.card.read_bytes()
        recorder.run(f"{_ON}:on", settle=10)
        assert flashes(recorder, _ON) == _SHAPES["card failed"]
        assert buzzes(recorder, _ON, _ON + 1) == 3
        recorder.power_off()
        assert recorder.card.read_bytes() == before


def test_an_empty_battery_does_not_start_a_recording(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run("0:battery=3200 5:on", settle=10)
        assert flashes(recorder, 5) == _SHAPES["battery"]
        assert paired.items(recorder, tmp_path) == []


def test_a_battery_that_runs_out_ends_the_recording_with_its_reason(
    paired: Paired, tape: Samples, tmp_path: Path
) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(
            f"{_ON}:on {_ON + 5}:minutes=14 {_ON + 12}:minutes=9 {_ON + 18}:minutes=4 {_ON + 25}:battery=3250",
            settle=12,
        )
        warned = [e["t"] for e in recorder.events() if e["what"] == "motor" and e["value"] and e["t"] > _ON + 4]
        assert len(warned) >= 6  # three warnings of two pulses
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0 and item.verdict.stop_reason == "battery"


def test_off_and_on_within_two_seconds_makes_two_recordings(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + 3}:off {_ON + 4}:on {_ON + 8}:off", settle=4)
        first, second = paired.items(recorder, tmp_path)
    for item in (first, second):
        assert item.verdict is not None and item.verdict.exit_code == 0, item
    assert first.seq == 1 and second.seq == 2


def test_power_back_with_the_switch_on_goes_on_and_says_so(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + 3}:cut {_ON + 4}:power {_ON + 12}:off", settle=4)
        first, second = paired.items(recorder, tmp_path)
    assert first.verdict is not None and first.verdict.complete.state == "recovered"
    assert second.verdict is not None and second.verdict.exit_code == 0
    assert any("power came back" in str(event) for event in events(second))


def test_the_recording_says_whether_the_light_was_on(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"0:dark {_ON}:on {_ON + 3}:off", settle=4)
        (item,) = paired.items(recorder, tmp_path)
    (indicator,) = [event for event in events(item) if event.name.upper() == "INDICATOR"]
    assert indicator.data == bytes((0, 1)), "the light was dark, the motor worked"


def test_the_fiftieth_recording_is_as_good_as_the_first(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape, card_size=512 << 20) as recorder:
        script = " ".join(f"{_ON + 8 * k}:on {_ON + 8 * k + 1.5}:off" for k in range(50))
        assert recorder.run(script, settle=4) == "done"
        items = paired.items(recorder, tmp_path)
    assert [item.seq for item in items] == list(range(1, 51))
    for item in items:
        assert item.verdict is not None and item.verdict.exit_code == 0


def test_an_unpaired_recorder_refuses_and_records_nothing(tape: Samples, tmp_path: Path) -> None:
    mic = tmp_path / "tape.s16"
    mic.write_bytes(tape.tobytes())
    with VirtualRecorder(tmp_path / "new", mic=mic, port="none", card_size=40 << 20) as recorder:
        recorder.run("3:on", settle=8)
        assert buzzes(recorder, 3, 4) == 3
        assert not any(e["what"] == "mic" and e["value"] == "start" for e in recorder.events())


def test_a_stuck_random_source_is_a_fault_and_no_key_is_made(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape, settings={"entropy": "stuck"}) as recorder:
        recorder.run("4:on", settle=8)
        assert buzzes(recorder, 4, 5) == 3
        assert paired.items(recorder, tmp_path) == []


def test_off_the_record_counts_at_once_though_the_card_stalls(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    """Guards a mute that took effect only when a stalled card let the main loop go on."""
    with paired.recorder(tmp_path, tape) as recorder:
        # The button is held from second 1 on; when that comes to mean "off the record", at 4, the card has stalled.
        recorder.run(f"{_ON}:on {_ON + 1}:mute {_ON + 3}:stall=2500 {_ON + 14}:off", settle=4)
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.intact.ok
    stored = [gap for gap in item.verdict.gaps if gap.reason == "muted"]
    assert len(stored) == 1
    assert stored[0].sample / RATE_HZ == pytest.approx(4.0, abs=0.15)


def test_the_switch_counts_at_once_though_the_card_stalls(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + 3}:stall=2500 {_ON + 4}:off", settle=5)
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0
    assert item.verdict.duration_s == pytest.approx(4.0, abs=0.1)


def test_what_else_lies_on_the_card_does_not_stop_the_recorder(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    """Guards names that are no UTF-8 and a directory entry that lies about a size: neither may crash the start or the sync."""
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{_ON}:on {_ON + 2}:off", settle=4)
        recorder.power_off()
        note = tmp_path / "note.txt"
        note.write_text("not ours")
        subprocess.run(["mcopy", "-i", str(recorder.card), str(note), "::CAFE.TXT"], check=True)
        image = bytearray(recorder.card.read_bytes())
        image[image.index(b"CAFE    TXT") + 3] = 0x90  # É in code page 437
        entry = image.index(b"EW000001EWR")
        image[entry + 28 : entry + 32] = b"\xff" * 4
        recorder.card.write_bytes(image)
        assert recorder.run(f"8:on {8 + 2}:off", settle=4) == "done"
        assert not [e for e in recorder.events() if e["what"] in ("crash", "fault")]
        starts = [e for e in recorder.events() if e["what"] == "mic" and e["value"] == "start"]
    assert len(starts) == 2


def test_a_recorder_whose_seed_is_gone_makes_no_key(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        flash = bytearray(recorder.flash.read_bytes())
        flash[2 * 4096 : 4 * 4096] = b"\xff" * 8192
        recorder.flash.write_bytes(flash)
        recorder.run("4:on", settle=8)
        assert buzzes(recorder, 4, 5) == 3
        assert paired.items(recorder, tmp_path) == []
