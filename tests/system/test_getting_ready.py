"""Getting ready and pairing take seconds: light and motor keep their rhythm in them. A multiplication takes here what it takes
on the chip, and so does the card."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from earwitness.devices import DeviceStore
from earwitness.identity import Identity
from earwitness.pairing import open_recorder, pair
from tools.virtual.device import VirtualRecorder

from .kit import make_pairing, speech

_MULTIPLICATION_US = 115  # at 125 MHz, tools/bench_device.py
_LATEST_S = 0.06  # a light that changes this late looks as it should

_MAIN = f"""
import virtual_hal, world
from recorder import session
from recorder.seal import field25519
run = field25519.run
def slow(start, stop, registers, program, table):
    for at in range(start, stop, 4):
        if program[at] == field25519.MUL:
            world.advance({_MULTIPLICATION_US})
        elif program[at] == field25519.SQR:
            world.advance({_MULTIPLICATION_US} * program[at + 3])
    run(start, stop, registers, program, table)
field25519.run = slow
session.Session().run()
"""


@pytest.mark.parametrize("recipients", [1, 3])
def test_the_light_blinks_evenly_while_it_gets_ready(tmp_path: Path, recipients: int) -> None:
    paired = make_pairing(tmp_path / "paired", recipients)
    main = tmp_path / "main.py"
    main.write_text(_MAIN)
    settings = {"main": str(main), "write_block_us": 4_000, "read_block_us": 1_000}
    with paired.recorder(tmp_path, speech(2), settings=settings) as recorder:
        recorder.run("0:on 20:off", settle=3)
        events = recorder.events()
    lights = [(e["t"], e["value"]) for e in events if e["what"] == "light"]
    begun = next(e["t"] for e in events if e["what"] == "mic" and e["value"] == "start")
    changes = [at for at, _ in lights[1:] if at < begun - 0.001]  # the first is "off", as it wakes
    assert begun > 0.7 + recipients * 0.5, "it took what it takes on the chip"
    assert len(changes) >= 1 + recipients
    assert all(abs(b - a - 0.5) < _LATEST_S for a, b in pairwise(changes)), changes


def test_light_and_motor_go_on_while_it_is_paired(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(_MAIN)
    with VirtualRecorder(tmp_path / "recorder", card_size=40 << 20, settings={"main": str(main)}) as recorder:
        recorder.run("0:wait", settle=1)
        recorder.play("0:hold")
        link = open_recorder(recorder.port)
        try:
            pair(
                link,
                [Identity.generate().recipient_bytes for _ in range(3)],
                DeviceStore(tmp_path / "home"),
                name="Test",
            )
        finally:
            link.close()
        lights = [e["t"] for e in recorder.events() if e["what"] == "light"][1:]
    shape = [round(b - a, 2) for a, b in pairwise(lights)]
    assert len(shape) >= 4
    for took, due in zip(shape[:4], (0.08, 0.12, 0.08, 0.72), strict=True):
        assert due - 0.01 <= took <= due + _LATEST_S, shape
