"""SECURITY.md, "Opening a recording without us": the lines that stand there are run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from tools.environment import find_tool

from .kit import RATE_HZ, READY_S, Paired, Samples, make_pairing, master, speech

ROOT = Path(__file__).resolve().parents[2]
AGE = find_tool("age")
pytestmark = pytest.mark.skipif(AGE is None, reason="no age here")


def blocks(language: str) -> list[str]:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    section = text.split("## Opening a recording without us\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Paired:
    return make_pairing(tmp_path_factory.mktemp("paired"), recipients=2)


def opened(paired: Paired, folder: Path, recording: Path, owner: int) -> tuple[Samples, str]:
    """The samples that the published lines make of a recording, and what they say."""
    (shell,), (script,) = blocks("sh"), blocks("python")
    (folder / "open_ewr.py").write_text(script, "utf-8")
    (folder / "identity.txt").write_text(paired.owners[owner].text + "\n")
    shutil.copyfile(recording, folder / "recording.ewr")
    done = subprocess.run(
        ["bash", "-e", "-c", shell], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    with wave.open(str(folder / "sound.wav")) as file:
        assert file.getparams()[:3] == (1, 2, RATE_HZ)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), done.stdout


@pytest.mark.parametrize("owner", [0, 1])
def test_age_and_the_published_script_give_exactly_the_master(paired: Paired, tmp_path: Path, owner: int) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32767, 3 * RATE_HZ).astype(np.int16)  # does not shrink
    tape = np.concatenate([speech(12), noise, np.zeros(RATE_HZ, np.int16), speech(12, seed=2)])
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 2}:mark {READY_S + 4}:mute {READY_S + 9}:unmute {READY_S + 27}:off")
        (item,) = paired.items(recorder, tmp_path)
    assert item.path is not None and item.verdict is not None and item.verdict.exit_code == 0 and item.verdict.mutes
    found, said = opened(paired, tmp_path, item.path, owner)
    assert np.array_equal(found, master(item, paired, tmp_path / "master.flac"))
    assert f"{item.verdict.pages} pages opened" in said


def test_a_recording_with_its_end_torn_off_opens_as_far_as_it_goes(paired: Paired, tmp_path: Path) -> None:
    tape = speech(80)
    with paired.recorder(tmp_path, tape) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 75}:cut")
        (item,) = paired.items(recorder, tmp_path)
    assert item.path is not None and item.verdict is not None and item.verdict.complete.state == "unfinished"
    found, _said = opened(paired, tmp_path, item.path, 0)
    vouched = master(item, paired, tmp_path / "master.flac")
    assert np.array_equal(found[: len(vouched)], vouched) and np.array_equal(found, tape[: len(found)])
    assert len(found) > 73 * RATE_HZ, "what no checkpoint vouches for yet opens as well"


def test_the_script_stops_at_a_changed_page_and_is_short(paired: Paired, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, speech(8)) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 6}:off")
        (item,) = paired.items(recorder, tmp_path)
    assert item.path is not None
    data = bytearray(item.path.read_bytes())
    data[4096 * 3 + 1000] ^= 1
    (tmp_path / "changed.ewr").write_bytes(data)
    with pytest.raises(AssertionError, match="page 2 was changed"):
        opened(paired, tmp_path, tmp_path / "changed.ewr", 0)
    assert len("".join(blocks("sh") + blocks("python")).splitlines()) <= 100
