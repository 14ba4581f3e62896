"""When a recording was made, where the recorder itself was never told the time."""

from __future__ import annotations

import json
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from earwitness.verify import verify
from tests.host.program import run
from tools.virtual.device import VirtualRecorder

from .kit import READY_S, Paired, make_pairing, speech

_WORDS = "dated by this computer at sync: the recorder had not been switched off since; not part of the recording"
_NOT_SET = "The recorder's clock was not set."


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Paired:
    return make_pairing(tmp_path_factory.mktemp("paired"))


@pytest.fixture
def home(paired: Paired, tmp_path: Path) -> Path:
    return paired.computer(tmp_path / "home")


def record(recorder: VirtualRecorder, wait_s: float) -> float:
    """Two seconds of recording, then `wait_s` idle; returns when it began, seconds since 1970, as this computer would know."""
    recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=wait_s)
    ended, events = time.time(), recorder.events()
    (*_, began) = [event["t"] for event in events if event["what"] == "mic" and event["value"] == "start"]
    return float(ended - (events[-1]["t"] - began))


def sync(home: Path, recorder: VirtualRecorder) -> list[dict[str, Any]]:
    done = run(home, "sync", "--port", recorder.port, "--json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["recordings"])


def listed(home: Path) -> list[dict[str, Any]]:
    return list(json.loads(run(home, "list", "--json").stdout))


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def when(home: Path, number: str) -> dict[str, Any]:
    (found,) = json.loads(run(home, "verify", number, "--json").stdout)
    return dict(found["verdict"]["when"])


def test_a_recorder_never_told_the_time_is_dated_at_sync_and_everything_says_so(
    paired: Paired, home: Path, tmp_path: Path
) -> None:
    with paired.recorder(tmp_path, speech(3), port="pty") as recorder:
        began = record(recorder, wait_s=7200)
        (item,) = sync(home, recorder)
    assert verify(item["path"], paired.owners[0]).when.reason == _NOT_SET, "the recording itself knows no date"
    (entry,) = listed(home)
    assert seconds(entry["started"]) == pytest.approx(began, abs=2)
    assert entry["dated_by"] == "sync" and "(dated at sync)" in run(home, "list").stdout
    for told in (item["verdict"]["when"], when(home, "1")):
        assert told["state"] == "dated at sync" and told["ok"] is None
        assert told["reason"].startswith(_NOT_SET) and _WORDS in told["reason"]
        said, _, error = told["reason"].removeprefix(f"{_NOT_SET} It began ").partition(",")[0].partition(" ± ")
        assert seconds(said) == pytest.approx(began, abs=2)
        assert 0.36 <= float(error.removesuffix(" s")) < 1, "50 ppm of two hours, and what the link adds"
    assert run(home, "show", "1").stdout.count(_WORDS) == 2
    assert run(home, "export", "1", "-o", str(tmp_path / "x.flac")).returncode == 0
    moments = (tmp_path / "x.moments.txt").read_text()
    (line,) = [line for line in moments.splitlines() if line.startswith("Begins ")]
    assert _WORDS in line and seconds(line[7:26] + "+00:00") == pytest.approx(began, abs=2)


def test_once_told_the_time_the_recorder_dates_its_recordings_itself(
    paired: Paired, home: Path, tmp_path: Path
) -> None:
    with paired.recorder(tmp_path, speech(3), port="pty") as recorder:
        record(recorder, wait_s=2)
        sync(home, recorder)
        began = record(recorder, wait_s=60)
        sync(home, recorder)
    first, second = listed(home)
    assert (first["dated_by"], second["dated_by"]) == ("sync", "recorder")
    assert seconds(second["started"]) == pytest.approx(began, abs=120), (
        "the scene runs faster than the computer's clock"
    )
    assert "by this computer at sync" not in when(home, "2")["reason"]


def test_what_was_recorded_before_it_was_switched_off_has_no_date(paired: Paired, home: Path, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, speech(3), port="pty") as recorder:
        record(recorder, wait_s=2)
        recorder.power_off()
        began = record(recorder, wait_s=2)
        sync(home, recorder)
        sync(home, recorder)
    first, second = sorted(listed(home), key=lambda entry: int(entry["seq"]))
    assert (first["started"], first["dated_by"]) == (None, None)
    assert seconds(second["started"]) == pytest.approx(began, abs=2)
    assert when(home, "1")["reason"] == _NOT_SET and when(home, "1")["state"] == "unknown"
    assert "date not known" in run(home, "list").stdout
    assert _NOT_SET[4:-1] in run(home, "show", "1").stdout


def test_a_card_in_a_reader_dates_nothing_and_the_cable_does_it_later(
    paired: Paired, home: Path, tmp_path: Path
) -> None:
    with paired.recorder(tmp_path, speech(3), port="pty") as recorder:
        began = record(recorder, wait_s=2)
        shutil.copyfile(recorder.card, tmp_path / "card.img")
        assert run(home, "sync", "--via", "card", str(tmp_path / "card.img")).returncode == 0
        assert when(home, "1")["reason"] == _NOT_SET
        (item,) = sync(home, recorder)
        assert item["outcome"] == "present"
        (entry,) = listed(home)
        assert entry["dated_by"] == "sync" and seconds(entry["started"]) == pytest.approx(began, abs=2)
        sync(home, recorder)
    log = Path(item["path"]).with_suffix(".custody.jsonl").read_text()
    assert log.count("clock compared") == 1


def test_a_recording_synced_without_the_key_is_dated_when_it_is_opened(
    paired: Paired, home: Path, tmp_path: Path
) -> None:
    (home / "config").rename(tmp_path / "locked away")
    with paired.recorder(tmp_path, speech(3), port="pty") as recorder:
        began = record(recorder, wait_s=2)
        sync(home, recorder)
        sync(home, recorder)
    (entry,) = listed(home)
    assert entry["started"] is None and "date not read" in run(home, "list").stdout
    shutil.rmtree(home / "config", ignore_errors=True)
    (tmp_path / "locked away").rename(home / "config")
    assert when(home, "1")["state"] == "dated at sync"
    (entry,) = listed(home)
    assert seconds(entry["started"]) == pytest.approx(began, abs=2)
