"""What is imported takes RAM: what only an idle recorder needs is gone before it records."""

from __future__ import annotations

from pathlib import Path

from tests.system.kit import READY_S, Paired, make_pairing, speech
from tools import firmware_sets

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
        "header",
        "recovery",
        "seeds",
        "pairing",
        "commands",
        "waiting",
        "opening",
        "volume",
        "preparing",
        "journal_reading",
        "journal_tidying",
    ):
        assert not [name for name in loaded if name.endswith("." + word)], word


# Of the compiled modules that stay while it records, what takes RAM (tools/firmware_sets.py). Only ever lower it.
_RECORD_SET_BYTES = 27_000


def test_the_record_set_keeps_its_budget() -> None:
    resident = firmware_sets.record_set(firmware_sets.sources())
    taken = firmware_sets.sizes()
    assert {"recorder/session.py", "recorder/audio/flac.py", "recorder/hal/mic.py"} <= resident
    assert not resident & {"recorder/waiting.py", "recorder/store/volume.py", "recorder/store/journal_tidying.py"}
    assert sum(taken[path].in_ram for path in resident) <= _RECORD_SET_BYTES


def test_nothing_native_is_loaded_twice() -> None:
    """MicroPython keeps native code for good, whatever becomes of its module: each loading would take memory for ever."""
    modules = firmware_sets.sources()
    resident = firmware_sets.record_set(modules)
    native = {path for path, text in modules.items() if "@micropython.viper" in text or "@micropython.native" in text}
    assert len(native) >= 10
    assert native - resident == set()
