"""The standalone verifier on what the recorder really writes: it needs nothing of ours and comes to the same answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .kit import READY_S, Paired, speech

_VERIFIER = Path(__file__).resolve().parents[2] / "tools" / "verify_ewr.py"


@pytest.mark.parametrize(("ending", "code"), [("6:off", 0), ("6:cut 7:off 8:power", 4)], ids=["whole", "power cut"])
def test_it_agrees_with_the_package(paired: Paired, tmp_path: Path, ending: str, code: int) -> None:
    script = f"{READY_S}:on " + " ".join(
        f"{READY_S + float(at)}:{what}" for at, what in (step.split(":") for step in ending.split())
    )
    with paired.recorder(tmp_path, speech(12)) as recorder:
        recorder.run(script, settle=6)
        (item,) = paired.items(recorder, tmp_path)
    assert item.path is not None and item.verdict is not None and item.verdict.exit_code == code
    device = paired.record.public.hex()
    words = [sys.executable, str(_VERIFIER), "--device", device]
    done = subprocess.run([*words, str(item.path)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    sealed = subprocess.run([*words, "--envelope", str(item.path)], capture_output=True, check=True).stdout
    key = tmp_path / "recording.key"
    key.write_bytes(paired.owners[0].open_envelope(sealed))
    done = subprocess.run([*words, "--key-file", str(key), str(item.path)], capture_output=True, text=True, check=False)
    assert done.returncode == code and str(item.verdict.samples) in done.stdout
