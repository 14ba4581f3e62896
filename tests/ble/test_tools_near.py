"""The tools that a person starts by hand: the story over Bluetooth, and a recorder that can be found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_virtual_recorder_says_how_to_reach_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/virtual_recorder.py", "--ble", "--state", str(tmp_path / "it"), "--script", "0:wait"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("bluetooth: ")]
    address = line.split("unix:path=")[1].split()[0]
    assert "sync --via ble" in line and not Path(address).parent.exists()


@pytest.mark.long
def test_the_demo_tells_its_story_over_bluetooth(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/demo.py", "--via", "ble", "--json", "--out", str(tmp_path / "demo")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["recordings"]) == 2 and [len(marks) for marks in told["marks"]] == [3, 1]
    assert "sync --via ble --all" in done.stderr and "--port" in done.stderr  # pairing is by cable
