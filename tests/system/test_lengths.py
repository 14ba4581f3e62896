"""From one sample to an hour: each recording is whole, and its master is what the microphone gave."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from .kit import RATE_HZ, READY_S, Paired, master, speech

# 64-bit objects are twice the size of the chip's, and here the firmware is compiled from source in the same heap: 384 KiB
# is what the chip's 192 KiB would be. The least with which an hour was recorded is 320 KiB.
_HEAP = "384K"

# A microphone that stops after so many samples: the firmware is the real one, only its clock input runs dry.
_SHORT = """
import virtual_hal
from recorder.hal import mic
count = mic.count
mic.count = lambda: min(count(), {samples})
from recorder.capture import Capture
Capture.watch = lambda capture: None  # else it would tell what a microphone that stands still loses
from recorder.session import Session
Session().run()
"""


@pytest.mark.parametrize("samples", [0, 1, 15, 16, 17, 1025])
def test_very_short_recordings_are_whole(paired: Paired, tmp_path: Path, samples: int) -> None:
    tape = speech(2)
    main = tmp_path / "main.py"
    main.write_text(_SHORT.format(samples=samples))
    with paired.recorder(tmp_path, tape, settings={"main": str(main)}) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 1}:off", settle=3)
        (item,) = paired.items(recorder, tmp_path)
    verdict = item.verdict
    assert verdict is not None and verdict.intact.ok and verdict.complete.ok and verdict.samples == samples
    if not samples:
        return
    heard = master(item, paired, tmp_path / "m.flac")
    assert np.array_equal(heard, tape[:samples])
    if shutil.which("flac"):
        subprocess.run(["flac", "-t", "-s", str(tmp_path / "m.flac")], check=True)


def test_an_hour_fits_a_small_heap_and_is_exact(paired: Paired, tmp_path: Path) -> None:
    seconds = 3600
    tape = np.resize(speech(61), (seconds + 5) * RATE_HZ)
    with paired.recorder(tmp_path, tape, heap=_HEAP) as recorder:
        assert recorder.run(f"{READY_S}:on {READY_S + seconds}:off", settle=4, timeout=400) == "done"
        (item,) = paired.items(recorder, tmp_path)
    verdict = item.verdict
    assert verdict is not None and verdict.exit_code == 0 and not verdict.gaps
    heard = master(item, paired, tmp_path / "m.flac")
    assert abs(len(heard) - seconds * RATE_HZ) < 1600
    assert np.array_equal(heard, tape[: len(heard)])
