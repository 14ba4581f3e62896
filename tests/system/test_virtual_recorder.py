"""The virtual recorder as a whole, with a small program in the firmware's place: script, power, cable, command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import serial

from tools.virtual.device import VirtualRecorder, VirtualRecorderError
from tools.virtual.script import ScriptError, Step, parse
from tools.virtual.tape import TapeError, make_tape

ROOT = Path(__file__).resolve().parent.parent.parent

_ECHO = """
from recorder.hal import button, card, clock, flash, light, mic, power, switch, usb
device = card.open_card()
into = bytearray(64)
edge = bytearray(8)
mic.start()
turn = 0
while True:
    light.set(40 if switch.is_on() else 0)
    got = usb.read(into)
    if got:
        if into[0] == 0x52:
            power.reset()
        usb.write(memoryview(into)[:got])
    turn += 1
    device.writeblocks(turn % 64, bytes([turn & 255]) * 512)
    flash.program(turn * 16 % 65536, b"x")
    power.feed()
    clock.idle(50)
"""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    path = tmp_path / "echo.py"
    path.write_text(_ECHO)
    return path


def _whats(recorder: VirtualRecorder, name: str) -> list[tuple[float, Any]]:
    return [(event["t"], event.get("value")) for event in recorder.events() if event["what"] == name]


# --- script


def test_script_words_become_levers_in_order_of_time() -> None:
    assert parse("2:off 0:on 0.5:mark") == [
        Step(0, "switch", 1),
        Step(500_000, "button", 1),
        Step(600_000, "button", 0),
        Step(2_000_000, "switch", 0),
    ]


def test_two_presses_of_a_dispute_are_within_400_ms() -> None:
    presses = [step.at_us for step in parse("1:mark2") if step.value == 1]
    assert len(presses) == 2
    assert presses[1] - presses[0] < 400_000


@pytest.mark.parametrize(("word", "least", "most"), [("notice", 1.5, 3.0), ("mute", 3.0, 4.0)])
def test_holds_are_as_long_as_the_gesture_wants(word: str, least: float, most: float) -> None:
    down, up = parse(f"0:{word}")
    assert least * 1e6 <= up.at_us - down.at_us < most * 1e6


@pytest.mark.parametrize("text", ["on", "0:jump", "x:on", "-1:on", "0:battery=", "0:on=1"])
def test_unreadable_script_is_refused(text: str) -> None:
    with pytest.raises(ScriptError):
        parse(text)


# --- time and what is seen


def test_what_is_seen_is_logged_with_its_time(virtual_recorder: Callable[..., VirtualRecorder], echo: Path) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)}, port="none")
    began = time.monotonic()
    assert recorder.run("1:on 300:off") == "done"
    assert time.monotonic() - began < 60
    on, off = (at for at, value in _whats(recorder, "light") if at >= 1)
    assert 1 <= on < 1.1
    assert 300 <= off < 300.1


def test_two_runs_of_one_script_are_the_same(virtual_recorder: Callable[..., VirtualRecorder], echo: Path) -> None:
    logs = []
    for _ in range(2):
        recorder = virtual_recorder(settings={"main": str(echo)}, port="none")
        recorder.run("0:on 3:mark 5:mark2 8:off")
        logs.append(recorder.events())
    assert logs[0] == logs[1]


def test_a_second_script_goes_on_where_the_first_ended(
    virtual_recorder: Callable[..., VirtualRecorder], echo: Path
) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)}, port="none")
    recorder.run("0:on 4:off", settle=1)
    recorder.run("0:on 4:off", settle=1)
    switched = [at for at, _ in _whats(recorder, "switch")]
    assert switched[0] == 0
    assert switched[1] == 4
    assert switched[2] == pytest.approx(5, abs=1)
    assert switched[3] - switched[2] == pytest.approx(4, abs=1e-3)


def test_paced_run_takes_its_time(virtual_recorder: Callable[..., VirtualRecorder], echo: Path) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)}, port="none", speed=20)
    began = time.monotonic()
    recorder.run("0:on 10:off", settle=0)
    assert time.monotonic() - began >= 0.5


# --- power


def test_power_cut_and_return_keep_levers_and_files(
    virtual_recorder: Callable[..., VirtualRecorder], echo: Path
) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)}, port="none")
    assert recorder.run("0:on 2:cut 3:pull 4:insert 5:power 6:off") == "done"
    assert [at for at, _ in _whats(recorder, "boot")] == [0, 5]
    assert _whats(recorder, "power") == [(2, "cut")]
    lit = [at for at, value in _whats(recorder, "light") if value]
    assert lit[1] == pytest.approx(5, abs=0.1), "the switch was left on, so the light comes back with the power"
    assert recorder.card.read_bytes()[:65536].count(1) > 0


def test_a_lever_moved_without_power_stays_where_it_was_put(
    virtual_recorder: Callable[..., VirtualRecorder], echo: Path
) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)}, port="none")
    assert recorder.run("0:on 2:cut 3:off 4:power") == "done"
    assert _whats(recorder, "light")[-1] == (pytest.approx(4, abs=0.1), 0)


def test_cut_without_return_leaves_it_off(virtual_recorder: Callable[..., VirtualRecorder], echo: Path) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)}, faults={"cut_at_write": 9}, port="none")
    assert recorder.run("0:on 60:off") == "cut"
    assert not recorder.powered
    assert _whats(recorder, "power")[0][0] < 60
    assert recorder.run("0:off") == "done", "the fault was for one boot"


def test_reset_boots_again_within_the_script(virtual_recorder: Callable[..., VirtualRecorder], tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        "from recorder.hal import clock, power, switch\nwhile True:\n    clock.idle(40)\n"
        "    if switch.is_on() and clock.now_us() > 3000000:\n        power.reset()\n"
    )
    recorder = virtual_recorder(settings={"main": str(main)}, port="none")
    assert recorder.run("1:on 5:off") == "done"
    assert [value for _, value in _whats(recorder, "boot")] == [1, 2]
    assert _whats(recorder, "switch")[-1] == (5, 0)


def test_crash_of_the_firmware_is_told_with_what_it_said(
    virtual_recorder: Callable[..., VirtualRecorder], tmp_path: Path
) -> None:
    main = tmp_path / "main.py"
    main.write_text("from recorder.hal import clock\nclock.idle(1000)\nraise ValueError('worn out')\n")
    recorder = virtual_recorder(settings={"main": str(main)}, port="none")
    with pytest.raises(VirtualRecorderError, match="worn out"):
        recorder.run("5:on")


# --- cable


@pytest.mark.parametrize("port", ["pty", "tcp:0"])
def test_every_byte_passes_both_ways(virtual_recorder: Callable[..., VirtualRecorder], echo: Path, port: str) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)}, port=port)
    recorder.run("0:wait")
    sent = bytes(range(256)) * 40
    sent = sent.replace(b"\x52", b"\x53")
    with serial.serial_for_url(recorder.port, timeout=10) as host:
        got = b""
        for start in range(0, len(sent), 1000):
            host.write(sent[start : start + 1000])
            got += host.read(len(sent[start : start + 1000]))
    assert got == sent


def test_a_host_can_come_and_go(virtual_recorder: Callable[..., VirtualRecorder], echo: Path) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)})
    recorder.run("0:wait")
    for turn in range(3):
        with serial.serial_for_url(recorder.port, timeout=10) as host:
            host.write(b"turn%d" % turn)
            assert host.read(5) == b"turn%d" % turn
        time.sleep(0.2)
    assert [value for _, value in _whats(recorder, "host")] == [1, 0] * 3


def test_time_is_the_walls_while_a_host_is_there(virtual_recorder: Callable[..., VirtualRecorder], echo: Path) -> None:
    recorder = virtual_recorder(settings={"main": str(echo)})
    recorder.run("0:wait")
    with serial.serial_for_url(recorder.port, timeout=10) as host:
        host.write(b"x")
        host.read(1)
        began = time.monotonic()
        recorder.run("0:mark", settle=1)
        passed = time.monotonic() - began
    assert 0.9 < passed < 5


def test_a_host_that_stops_reading_does_not_stop_the_recorder(
    virtual_recorder: Callable[..., VirtualRecorder], tmp_path: Path
) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        "from recorder.hal import clock, light, usb\nimport world\nshort = False\n"
        "while True:\n    clock.idle(1)\n"
        "    if world.host_connected and not short:\n        short = usb.write(bytes(65536)) < 65536\n        light.set(9 if short else 0)\n"
    )
    recorder = virtual_recorder(settings={"main": str(main)})
    recorder.run("0:wait")
    with serial.serial_for_url(recorder.port, timeout=10):
        until = time.monotonic() + 20
        while time.monotonic() < until and (9 not in [value for _, value in _whats(recorder, "light")]):
            time.sleep(0.05)
    assert 9 in [value for _, value in _whats(recorder, "light")]


# --- command


def test_command_plays_a_script_and_prints_events(tmp_path: Path, speech: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "tools" / "virtual_recorder.py"), "--state", str(tmp_path / "state")),
            *("--mic", str(speech), "--script", "0:on 2:off", "--port", "none", "--events"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ, EARWITNESS_ENVIRONMENT="own"),
    )
    assert done.returncode == 0, done.stderr
    whats = [json.loads(line)["what"] for line in done.stdout.splitlines()]
    assert whats.count("switch") == 2
    assert (tmp_path / "state" / "card.img").exists()


def _command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "virtual_recorder.py"), "--script", "0:wait", "--port", "none", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ, EARWITNESS_ENVIRONMENT="own"),
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--script", "0:jump"), "jump"),
        (("--script", "inf:on"), "inf:on"),
        (("--mic", "nosuch.wav"), "nosuch.wav"),
        (("--mic", "say.txt"), "ffmpeg"),
        (("--mic", "."), "folder"),
        (("--mic", "empty.wav"), "empty"),
        (("--card-size", "banana"), "banana"),
        (("--card-size", "1M"), "34 MiB"),
        (("--card-size", "4096G"), "2048 GiB"),
        (("--rtc", "yesterday"), "yesterday"),
        (("--speed", "nan"), "nan"),
        (("--until", "-1"), "-1"),
        (("--port", "tcp:99999"), "99999"),
        (("--port", "tcp:x"), "tcp:x"),
        (("--port", "serial"), "serial"),
        (("--stall", "20"), "20"),
        (("--card", "no/such/card.img"), "no/such/card.img"),
        (("--card", "."), "folder"),
        (("--state", "say.txt"), "say.txt"),
    ],
    ids=" ".join,
)
def test_command_refuses_what_cannot_be_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "say.txt").write_text("This is a letter.")
    (tmp_path / "empty.wav").touch()
    done = _command(*words)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("virtual_recorder: ")
    assert done.stderr.count("\n") == 1
    assert named in done.stderr
    assert (tmp_path / "say.txt").read_text() == "This is a letter."


def test_two_commands_do_not_share_a_card(tmp_path: Path) -> None:
    import fcntl

    state = tmp_path / "state"
    state.mkdir()
    with (state / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _command("--state", state)
    assert done.returncode == 1
    assert "already" in done.stderr
    assert not (state / "card.img").exists()


def test_a_folder_with_other_peoples_files_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flash.bin").write_text("a game")
    done = _command("--state", tmp_path)
    assert done.returncode == 1
    assert "Name another folder" in done.stderr
    assert (tmp_path / "flash.bin").read_text() == "a game"


def test_the_cable_has_a_name_that_stays(virtual_recorder: Callable[..., VirtualRecorder], tmp_path: Path) -> None:
    for _ in range(2):
        recorder = virtual_recorder(state=tmp_path / "state")
        assert recorder.port_link == tmp_path / "state" / "port"
        assert str(recorder.port_link.readlink()) == recorder.port
        recorder.close()
        assert not recorder.port_link.is_symlink()


# --- tape


def test_a_tape_that_lies_in_its_place_already_is_taken(tmp_path: Path) -> None:
    tape = tmp_path / "mic.s16"
    tape.write_bytes(bytes(range(100)) + b"x")
    assert make_tape(tape, tape) == 50
    assert tape.read_bytes() == bytes(range(100))


def test_a_tape_ends_where_it_is_told_to(tmp_path: Path, speech: Path) -> None:
    assert make_tape(speech, tmp_path / "whole.s16") > 70_000
    assert make_tape(speech, tmp_path / "part.s16", longest=70_000) == 70_000
    assert (tmp_path / "part.s16").read_bytes() == (tmp_path / "whole.s16").read_bytes()[:140_000]
    assert make_tape(tmp_path / "whole.s16", tmp_path / "part.s16", longest=7) == 7


def test_a_sound_that_cannot_be_read_leaves_the_earlier_tape(tmp_path: Path) -> None:
    (tmp_path / "say.txt").write_text("This is a letter.")
    (tmp_path / "mic.s16").write_bytes(b"before")
    with pytest.raises(TapeError, match=r"say\.txt"):
        make_tape(tmp_path / "say.txt", tmp_path / "mic.s16")
    assert {path.name for path in tmp_path.iterdir()} == {"say.txt", "mic.s16"}
    assert (tmp_path / "mic.s16").read_bytes() == b"before"


def test_after_a_cut_of_the_power_each_lever_stands_where_it_was_left(
    virtual_recorder: Callable[..., VirtualRecorder],
) -> None:
    """As its program does it: each lever is looked at before it is moved. A button that was let go is not held at the boot."""
    recorder = virtual_recorder()
    recorder.power_on()
    for script in ("0:press", "0:release", "0:on"):
        name, before = ("switch" if script == "0:on" else "button"), script == "0:release"
        assert recorder.lever(name) == before
        moved = len(_whats(recorder, name))
        recorder.play(script)
        until = time.monotonic() + 20
        while len(_whats(recorder, name)) == moved and time.monotonic() < until:
            time.sleep(0.01)
    recorder.play("0:cut")
    until = time.monotonic() + 20
    while recorder.powered and time.monotonic() < until:
        time.sleep(0.01)
    recorder.play("0:pull")
    recorder.power_on()
    levers = json.loads((recorder.state / "boot.json").read_text())["levers"]
    assert (levers["button"], levers["switch"], levers["card"]) == (0, 1, 0)
    assert (recorder.lever("button"), recorder.lever("switch"), recorder.lever("card")) == (0, 1, 0)
