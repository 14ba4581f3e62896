"""Ctrl-C at any moment is a wish to stop, never a fault of the program or of a recording."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from earwitness import cli
from earwitness.errors import IntegrityError


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
