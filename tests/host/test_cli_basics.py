"""What a person meets whatever the command: help, words, colours, codes, interruptions, faults of ours."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from earwitness import cli, errors
from earwitness.console import console
from tests.host.program import environment, run, run_process

COMMANDS = [
    "devices",
    "pair",
    "unpair",
    "status",
    "sync",
    "list",
    "show",
    "verify",
    "play",
    "export",
    "label",
    "note",
    "doctor",
    "completion",
    "key",
]


def test_the_bare_command_prints_help(tmp_path: Path) -> None:
    done = run_process(tmp_path)
    assert done.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^\W*{name}\b", done.stdout, re.MULTILINE), name


@pytest.mark.parametrize("words", [[name] for name in COMMANDS] + [["key", "init"], ["key", "restore"]], ids="-".join)
def test_every_command_has_help_and_takes_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Usage: earwitness " + " ".join(words) in told
    if words != ["key"]:
        assert "--json" in told and "--quiet" in told and "--passphrase-fd" in told
    assert not re.search(r"--passphrase\b(?!-fd)", told), "a secret must never be an argument"


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["key", "init"]], ids=" ".join)
def test_help_is_readable_on_a_narrow_terminal(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert cli.main([*words, "--help"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) < 40
    assert "<" not in told and "…" not in told.replace("AGE1…", "") and "..." not in told.replace("]...", "")
    assert "x>=" not in told


def test_a_wrong_value_is_told_in_words(tmp_path: Path) -> None:
    assert "Wrong value for '--mark': it is at least 1." in run(tmp_path, "play", "1", "--mark", "0").stderr
    assert "Wrong value for '--mark': it is a whole number." in run(tmp_path, "play", "1", "--mark", "q").stderr


def test_a_way_to_sync_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "sync", "--via", "pigeon")
    assert done.returncode == 2 and "Choose usb, ble or card." in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["bogus"], 2),
        (["list", "--bogus"], 2),
        (["show"], 2),
        (["show", "7"], 2),
        (["verify"], 2),
        (["export", "1", "-o", "x.doc"], 2),
        (["sync", "--via", "pigeon"], 2),
        (["sync", "--via", "card"], 2),
        (["sync", "--via", "card", "/nowhere/at/all"], 10),
        (["status"], 10),
        (["key", "show-public"], 12),
        (["completion", "tcsh"], 2),
        (["list"], 0),
        (["devices"], 0),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_exit_codes_and_one_message(
    tmp_path: Path,
    words: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert cli.main(words) == code
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    if code:
        assert told.out == "" and told.err.startswith("earwitness: ")


def test_errors_are_json_when_json_is_asked_for(tmp_path: Path) -> None:
    for words in (["show", "7", "--json"], ["--json", "show", "7"], ["list", "--bogus", "--json"]):
        done = run(tmp_path, *words)
        assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 2


def test_quiet_says_only_the_result(tmp_path: Path) -> None:
    assert run(tmp_path, "list").stderr
    assert run(tmp_path, "list", "-q").stderr == ""


def test_the_version_is_told(tmp_path: Path) -> None:
    assert re.fullmatch(r"earwitness \d+\.\d+\.\d+\n", run_process(tmp_path, "--version").stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts(tmp_path: Path, shell: str) -> None:
    assert "_EARWITNESS_COMPLETE" in run(tmp_path, "completion", shell).stdout


def test_what_others_wrote_never_steers_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "a\x1b]0;title\x07\x1b[2Jb\x9bc\u202ed"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console.reset()
    console.result(f"{nasty}\n{console.paint(nasty, 'good')}", {})
    console.say(nasty)
    console.error(errors.UsageError(nasty, nasty))
    told = capsys.readouterr()
    assert told.out == "a]0;title[2Jbcd\n\x1b[32ma]0;title[2Jbcd\x1b[0m\n"
    assert not set(told.err.replace("\x1b[31m", "").replace("\x1b[0m", "")) & set("\x1b\x07\x9b\u202e")


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_only_for_a_terminal_that_wants_them(tmp_path: Path, extra: dict[str, str], coloured: bool) -> None:
    import pty

    leader, follower = pty.openpty()
    env = environment(tmp_path, **{"TERM": "xterm", **extra})
    subprocess.run(
        [sys.executable, "-m", "earwitness", "doctor"], stdout=follower, stderr=follower, env=env, check=False
    )
    os.close(follower)
    assert (b"\x1b[3" in os.read(leader, 100_000)) == coloured
    os.close(leader)
    assert "\x1b" not in run(tmp_path, "doctor", env=extra).stdout


def test_a_reader_who_leaves_early_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m earwitness completion bash | true",
        shell=True,
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        check=False,
    )
    assert done.stderr == ""


def test_a_fault_of_ours_is_one_sentence_and_where_the_details_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path))

    def broken(_self: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("earwitness.library.Library.entries", broken)
    assert cli.main(["list"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and "A fault in the program: ZeroDivisionError" in said
    details = tmp_path / "state" / "last-fault.txt"
    assert str(details) in said and "Traceback" in details.read_text()
    assert cli.main(["list", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_trouble_with_files_is_told_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").write_text("a file where a folder belongs")
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    assert cli.main(["list"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and str(tmp_path / "home") in said


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_with_130(tmp_path: Path, number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "earwitness", "key", "restore"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    ) as process:
        assert process.stderr is not None
        assert process.stderr.read(5) == "The 2"  # it asks
        time.sleep(0.1)
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(10) == 130
    assert "Traceback" not in said and "Stopped" in said


def test_every_error_has_the_exit_code_that_the_help_names(tmp_path: Path) -> None:
    text = run(tmp_path, "--help").stdout
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 7
    for kind in kinds:
        assert re.search(rf"\b{kind.exit_code}\b", text.split("Exit codes:")[1]), kind
