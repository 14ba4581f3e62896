"""Imported code lives in RAM: what only an idle recorder needs is gone before it records."""

from __future__ import annotations

from pathlib import Path

from tests.system.kit import READY_S, Paired, make_pairing, speech

_MAIN = """
import sys
import virtual_hal
from recorder import session
from recorder.running import Running
start = Running.start
def told(self, meta):
    start(self, meta)
    with open({out!r}, "w") as file:
        file.write(" ".join(sorted(name for name in sys.modules if name.startswith("recorder"))))
Running.start = told
session.Session().run()
"""


def test_the_idle_set_is_dropped_before_recording(tmp_path: Path) -> None:
    paired: Paired = make_pairing(tmp_path / "paired")
    out = tmp_path / "modules"
    main = tmp_path / "main.py"
    main.write_text(_MAIN.format(out=str(out)))
    with paired.recorder(tmp_path, speech(3), settings={"main": str(main)}) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 1}:off", settle=3)
        (item,) = paired.items(recorder, tmp_path)
    assert item.verdict is not None and item.verdict.exit_code == 0
    loaded = set(out.read_text().split())
    assert {"recorder.capture", "recorder.audio.flac", "recorder.seal.ed25519"} <= loaded
    for word in (
        "primer",
        "readiness",
        "vault",
        "randomness",
        "age",
        "x25519",
        "chacha20poly1305",
        "header",
        "recovery",
        "seeds",
        "pairing",
        "commands",
    ):
        assert not [name for name in loaded if name.endswith("." + word)], word
