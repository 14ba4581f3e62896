"""The verdict as JSON and as exit code."""

from __future__ import annotations

import json

import pytest

from earwitness.verify import verify
from host import maker
from host.maker import Owner

ANSWERS = {"intact", "complete", "continuous", "in_sequence", "when", "by"}


@pytest.mark.parametrize("owner", [Owner(), None])
def test_json_holds_six_answers_with_reasons(tmp_path, owner):
    recording, samples = maker.normal()
    verdict = verify(recording.write(tmp_path / "a.ewr"), owner)
    found = json.loads(json.dumps(verdict.to_json()))
    assert found.keys() > ANSWERS
    for name in ANSWERS:
        assert found[name].keys() == {"state", "ok", "reason", "details"} and found[name]["reason"].endswith(".")
    assert found["recording_id"] == recording.id.hex() and found["exit_code"] == 0
    assert found["final_note_hash"] == maker.sha(recording.final).hex()
    assert found["duration_s"] == (len(samples) / 16_000 if owner else 0)


def test_nothing_from_inside_is_told_without_the_key(tmp_path):
    recording, _ = maker.begin()
    recording.sound(maker.tone(50), events=maker.mark(510))
    recording.finish()
    found = verify(recording.write(tmp_path / "a.ewr")).to_json()
    assert not found["opened"] and not found["marks"] and not found["events"] and not found["clock"]


def test_what_recorded_is_told(tmp_path):
    found = verify(maker.normal()[0].write(tmp_path / "a.ewr"), Owner()).to_json()
    assert found["meta"]["recorder"] == "red" and found["meta"]["boot_id"] == bytes(range(16)).hex()
    assert "2025-10-09T08:53:20Z ± 0.04 s" in found["when"]["reason"] and found["when"]["ok"] is None


def test_progress_is_told(tmp_path):
    recording, _ = maker.normal(600)
    told: list[int] = []
    verify(recording.write(tmp_path / "a.ewr"), progress=told.append)
    assert told == sorted(told) and len(told) == 2
