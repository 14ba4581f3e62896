"""Power may go at any write to card or flash: the recorder comes back, closes what was open, and records again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from .kit import RATE_HZ, READY_S, Paired, Samples, master, speech

_ON_S, _OFF_S = READY_S, READY_S + 4
_SAMPLED = 14  # cuts of the default run


@pytest.fixture(scope="module")
def tape() -> Samples:
    return speech(12)


def count_writes(paired: Paired, folder: Path, tape: Samples) -> int:
    """Writes of a boot that primes, records four seconds, and primes again."""
    with paired.recorder(folder, tape) as recorder:
        assert recorder.run(f"{_ON_S}:on {_OFF_S}:off", settle=3) == "done"
        writes = [event["value"] for event in recorder.events() if event["what"] == "writes"]
    return int(writes[-1])


def cut_and_come_back(paired: Paired, folder: Path, tape: Samples, write: int, torn: bool) -> None:
    """Cut the power in the middle of the `write`-th write, give it back with the switch off, record once more."""
    with paired.recorder(folder, tape) as recorder:
        recorder.faults = {"cut_at_write": write, "torn": torn}
        ended = recorder.run(f"{_ON_S}:on {_OFF_S}:off", settle=3)
        assert ended == "cut", f"the run has fewer than {write} writes"
        events = recorder.events()
        cut = events[-1]
        starts = [e for e in events if e["what"] == "mic" and e["value"] == "start"]
        stops = [e for e in events if e["what"] == "mic" and e["value"] == "stop"]
        taken_s = 0.0
        if starts:
            taken_s = ((stops[-1] if stops else cut)["up_us"] - starts[-1]["up_us"]) / 1e6
        recorder.play("0:off")
        assert recorder.run(f"{2 * READY_S}:on {2 * READY_S + 2}:off", settle=3) == "done"
        items = paired.items(recorder, folder)
    assert items, "nothing on the card"
    last = items[-1]
    assert last.verdict is not None and last.verdict.exit_code == 0, last
    again = master(last, paired, folder / "again.flac")
    assert 1.9 * RATE_HZ < len(again) < 2.1 * RATE_HZ and np.array_equal(again, tape[: len(again)])
    assert len(items) <= 2
    if len(items) == 2:
        (first, _) = items
        verdict = first.verdict
        assert verdict is not None and verdict.intact.ok is True, verdict
        assert verdict.complete.state in ("complete", "recovered"), verdict.complete
        heard = master(first, paired, folder / "cut.flac") if verdict.samples else np.zeros(0, np.int16)
        assert np.array_equal(heard, tape[: len(heard)])
        assert taken_s - len(heard) / RATE_HZ <= 1.0, (taken_s, len(heard) / RATE_HZ)
        assert last.verdict.in_sequence.ok is not False
    else:
        assert taken_s <= 1.0, f"{taken_s} s of sound are gone without a trace"


def test_power_cuts_at_sampled_writes(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    total = count_writes(paired, tmp_path / "count", tape)
    assert total > 40
    for index in range(_SAMPLED):
        write = 1 + index * (total - 1) // (_SAMPLED - 1)
        cut_and_come_back(paired, tmp_path / f"cut{write}", tape, write, torn=bool(index % 2))
        shutil.rmtree(tmp_path / f"cut{write}")


@pytest.mark.long
def test_power_cuts_at_every_write(paired: Paired, tape: Samples, tmp_path: Path) -> None:
    total = count_writes(paired, tmp_path / "count", tape)
    for write in range(1, total + 1):
        for torn in (False, True):
            folder = tmp_path / f"cut{write}{torn}"
            cut_and_come_back(paired, folder, tape, write, torn)
            shutil.rmtree(folder)


@pytest.mark.parametrize("second", [1, 2, 3, 5, 8, 13, 21])
def test_power_cut_during_recovery_too(paired: Paired, tape: Samples, tmp_path: Path, second: int) -> None:
    with paired.recorder(tmp_path, tape) as recorder:
        assert recorder.run(f"{_ON_S}:on {_ON_S + 2.7}:cut") == "cut"
        recorder.play("0:off")
        recorder.faults = {"cut_at_write": second}
        ended = recorder.run("0:wait", settle=READY_S)
        assert ended == ("cut" if ended == "cut" else "done")
        recorder.power_off()
        assert recorder.run(f"{2 * READY_S}:on {2 * READY_S + 2}:off", settle=3) == "done"
        first, last = paired.items(recorder, tmp_path)
    assert first.verdict is not None and first.verdict.intact.ok and first.verdict.complete.state == "recovered"
    heard = master(first, paired, tmp_path / "cut.flac")
    assert np.array_equal(heard, tape[: len(heard)]) and 2.7 - len(heard) / RATE_HZ <= 1.0
    assert last.verdict is not None and last.verdict.exit_code == 0
