"""Ctrl-C at any moment is a wish to stop, never a fault of the program or of a recording."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from earwitness import cli
from earwitness.errors import IntegrityError
from tests.host.program import HOST, environment


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "error", [IntegrityError("spoilt"), RuntimeError("from a library"), OSError(5, "broken"), None]
)
def test_what_a_library_makes_of_an_interruption_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, error: Exception | None
) -> None:
    def work(**_: object) -> int:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if error is None:
                raise
            raise error from None
        return 0

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli, "app", work)
    try:
        assert cli.main(["list"]) == 130
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert capsys.readouterr().err == "earwitness: Stopped. Nothing is left half-written.\n"


def test_a_program_that_was_told_not_to_hear_ctrl_c_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As behind nohup, and as a shell does with what it runs in the background."""
    monkeypatch.setattr(cli, "app", lambda **_: 0)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        assert cli.main(["list"]) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _script() -> str:
    """What an installed `earwitness` runs."""
    scripts = tomllib.loads((HOST.parent / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["earwitness"].split(":")
    return f"import sys\nfrom {module} import {function}\nsys.exit({function}())"


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", [["-m", "earwitness"], ["-c", _script()]])
def test_an_interruption_while_modules_are_imported_is_one_too(tmp_path: Path, number: int, how: list[str]) -> None:
    """The first module that is not the program's own is one that interrupts it, and makes an error of that."""
    stand_in = (
        "import os, time\ntry:\n    os.kill(os.getpid(), {})\n    time.sleep(5)\nexcept BaseException:\n    raise"
    )
    (tmp_path / "typer.py").write_text(stand_in.format(int(number)) + " ImportError('half of it') from None\n")
    done = subprocess.run(
        [sys.executable, *how, "list"],
        env=environment(tmp_path / "home", PYTHONPATH=f"{tmp_path}{os.pathsep}{HOST}"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 130
    assert done.stderr == "earwitness: Stopped. Nothing is left half-written.\n"
