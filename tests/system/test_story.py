"""The demo's story, told once and looked at from many sides: what it says must be so in the files."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    out = tmp_path_factory.mktemp("story") / "out"
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "demo.py"), "--out", str(out), "--json", "--keep"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=dict(os.environ, EARWITNESS_ENVIRONMENT="own"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    told["out"] = out
    told["talk"] = done.stderr
    yield told


def _events(story: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (story["out"] / "recorder" / "events.jsonl").read_text().splitlines()]


def test_the_finished_recording_is_intact_complete_and_known(story: dict[str, Any]) -> None:
    verdict = story["verdicts"][0]
    assert verdict["intact"]["ok"] and verdict["complete"]["ok"] and verdict["by"]["ok"] and verdict["continuous"]["ok"]
    assert verdict["exit_code"] == 0
    assert verdict["stop_reason"] == "switch"


def test_the_recording_cut_by_the_power_is_intact_and_not_complete(story: dict[str, Any]) -> None:
    verdict = story["verdicts"][1]
    assert verdict["intact"]["ok"]
    assert not verdict["complete"]["ok"]
    assert verdict["exit_code"] == 4


def test_the_cut_costs_at_most_a_second(story: dict[str, Any]) -> None:
    events = _events(story)
    (cut,) = [event for event in events if event["what"] == "power" and event["value"] == "cut"]
    started = [
        event
        for event in events
        if event["what"] == "mic" and event["value"] == "start" and event["boot"] == cut["boot"]
    ][-1]
    taken = (cut["up_us"] - started["up_us"]) / 1e6
    assert 0 <= taken - story["verdicts"][1]["duration_s"] <= 1.0


def test_masters_hold_exactly_what_the_microphone_heard(story: dict[str, Any]) -> None:
    said = np.frombuffer((story["out"] / "microphone.s16").read_bytes(), "<i2")
    for master, verdict in zip(story["masters"], story["verdicts"], strict=True):
        heard, rate = sf.read(master, dtype="int16")
        assert rate == 16_000
        assert len(heard) == verdict["samples"]
        expected = said[: len(heard)].copy()
        for gap in verdict["gaps"]:
            expected[gap["sample"] : gap["sample"] + gap["count"]] = 0
        assert np.array_equal(heard[: len(expected)], expected)


def test_masters_pass_the_reference_decoder(story: dict[str, Any]) -> None:
    from tools.environment import find_tool

    flac = find_tool("flac")
    if flac is None:
        pytest.skip("no flac here")
    for master in story["masters"]:
        done = subprocess.run([flac, "-t", "-s", master], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_marks_are_where_the_button_was_pressed(story: dict[str, Any]) -> None:
    events = _events(story)
    boot = next(event["boot"] for event in events if event["what"] == "switch" and event["value"] == 1)
    in_boot = [event for event in events if event["boot"] == boot]
    start = [event for event in in_boot if event["what"] == "mic" and event["value"] == "start"][-1]
    pressed = [event["up_us"] for event in in_boot if event["what"] == "button" and event["value"] == 1]
    pressed = [at - start["up_us"] for at in pressed if at > start["up_us"]]
    assert [mark["kind"] for mark in story["verdicts"][0]["marks"]] == ["notice given", "moment", "disputed"]
    # notice, mark, both presses of the dispute, mute, unmute
    for mark, at_us in zip(story["marks"][0], (pressed[0], pressed[1], pressed[2]), strict=True):
        assert mark == pytest.approx(at_us / 1e6, abs=0.3)


def test_what_was_off_the_record_is_a_gap_and_silent(story: dict[str, Any]) -> None:
    (gap,) = [gap for gap in story["verdicts"][0]["gaps"] if gap["reason"] == "muted"]
    assert gap["seconds"] > 1
    assert not [gap for gap in story["verdicts"][0]["gaps"] if gap["reason"] == "lost"]


def test_one_changed_byte_is_found_and_named(story: dict[str, Any]) -> None:
    tampered = story["tampered"]
    assert tampered["exit_code"] == 13
    assert tampered["verdict"]["intact"]["ok"] is False
    page = tampered["byte"] // 4096
    assert str(page) in json.dumps(tampered["verdict"]["intact"])


def test_nothing_that_was_said_lies_on_the_card_in_the_clear(story: dict[str, Any]) -> None:
    said = (story["out"] / "microphone.s16").read_bytes()
    card = (story["out"] / "recorder" / "card.img").read_bytes()
    for at in range(32_000, len(said) - 64, 64_000):
        assert said[at : at + 64] not in card
    assert b"fLaC" not in card


def test_light_is_on_while_recording_and_off_after(story: dict[str, Any]) -> None:
    events = _events(story)
    states: list[tuple[float, int]] = [(event["t"], event["value"]) for event in events if event["what"] == "light"]
    on, off = [event["t"] for event in events if event["what"] == "switch"][:2]
    assert [value for at, value in states if at <= on + 0.5][-1] > 0
    assert [value for at, value in states if at <= off + 4][-1] == 0


def test_json_holds_what_the_help_says(story: dict[str, Any]) -> None:
    assert [len(story[name]) for name in ("recordings", "exports", "masters", "marks", "verdicts")] == [2, 3, 2, 2, 2]
    assert {"path", "byte", "exit_code", "verdict"} == set(story["tampered"])
    assert {"file", "public_key"} == set(story["identity"])
    for path in (*story["recordings"], *story["exports"], *story["masters"], story["identity"]["file"]):
        assert Path(path).is_file()
    asked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "demo.py"), "--help"], capture_output=True, text=True, check=True
    )
    for name in ("recordings", "exports", "masters", "marks", "verdicts", "tampered", "identity"):
        assert f"\n  {name} " in asked.stdout


def test_the_demo_knows_every_file_that_it_leaves(story: dict[str, Any]) -> None:
    from tools import demo

    left = {path.name for path in story["out"].iterdir()}
    assert left <= {*demo._FOLDERS, *demo._FILES, demo._MARKER}
    assert {"home", "recorder", "microphone.s16", "identity.txt", demo._MARKER} <= left


def test_the_line_to_hear_a_mark_again_works_as_it_is_printed(story: dict[str, Any], tmp_path: Path) -> None:
    (line,) = [line for line in story["talk"].splitlines() if " play 1 --mark 2" in line]
    heard = tmp_path / "heard.wav"
    player = tmp_path / "ffplay"
    player.write_text(f"#!/bin/sh\ncat > {shlex.quote(str(heard))}\n")
    player.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", line.strip()],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{tmp_path}:/bin:/usr/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert sf.info(heard).frames > 5 * 16_000


def test_talk_names_no_secret(story: dict[str, Any]) -> None:
    assert "AGE-SECRET-KEY" not in story["talk"]
    assert (story["out"] / "identity.txt").stat().st_mode & 0o077 == 0
    assert "AGE-SECRET-KEY-1" in Path(story["identity"]["file"]).read_text()
