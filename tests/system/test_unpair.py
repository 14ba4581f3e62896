"""A recorder changes hands: unpaired by its owner, or by hand when the computer is lost. What it recorded stays theirs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from earwitness.devices import DeviceStore
from earwitness.errors import EarwitnessError
from earwitness.identity import Identity
from earwitness.link.client import Recorder
from earwitness.link.connect import connect
from earwitness.pairing import open_recorder, pair
from earwitness.verify import verify
from tools.virtual.device import VirtualRecorder

from .kit import READY_S, Paired, speech


def pair_again(recorder: VirtualRecorder, folder: Path) -> Identity:
    """Pair with a new owner on another computer."""
    owner = Identity.generate()
    recorder.play("0:hold")
    link = open_recorder(recorder.port)
    try:
        pair(link, [owner.recipient_bytes], DeviceStore(folder), name="New owner")
    finally:
        link.close()
    recorder.play("0:release")
    return owner


@pytest.mark.parametrize("how", ["cable", "by hand"])
def test_a_new_owner_records_and_the_old_recordings_stay_the_old_owners(
    paired: Paired, tmp_path: Path, how: str
) -> None:
    (tmp_path / "computer").mkdir()
    (tmp_path / "other").mkdir()
    store = DeviceStore(tmp_path / "computer")
    store.put(paired.record)
    with paired.recorder(tmp_path, speech(10), port="pty") as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=3)
        if how == "cable":
            link, _ = connect(store, recorder.port)
            with link:
                with pytest.raises(EarwitnessError, match="button"):
                    link.unpair()
                recorder.play("0:hold")
                link.unpair()
            recorder.play("0:release")
        else:
            recorder.power_off()
            recorder.play("0:hold")
            recorder.run("0:wait 12:release", settle=2)
        with pytest.raises(EarwitnessError):
            connect(store, recorder.port)
        owner = pair_again(recorder, tmp_path / "other")
        recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=3)
        items = paired.items(recorder, tmp_path)
    first, second = items
    assert first.verdict is not None and first.verdict.exit_code == 0
    assert second.path is not None and second.outcome == "unopened"
    verdict = verify(second.path, owner)
    assert verdict.intact.ok and verdict.complete.ok and verdict.device != first.verdict.device


def test_what_a_power_cut_left_is_finished_before_it_is_unpaired_by_hand(paired: Paired, tmp_path: Path) -> None:
    """Nobody else can sign for it, and the next owner's recording would say that it was lost."""
    (tmp_path / "other").mkdir()
    with paired.recorder(tmp_path, speech(10), port="pty") as recorder:
        assert recorder.run(f"{READY_S}:on {READY_S + 3}:cut") == "cut"
        recorder.play("0:off")
        recorder.play("0:hold")
        recorder.run("0:wait 13:release", settle=2)
        owner = pair_again(recorder, tmp_path / "other")
        recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=3)
        items = paired.items(recorder, tmp_path)
    first, second = items
    assert first.verdict is not None and first.verdict.intact.ok and first.verdict.complete.state == "recovered"
    assert second.path is not None
    verdict = verify(second.path, owner)
    assert verdict.intact.ok and verdict.complete.ok


def test_without_its_card_it_is_unpaired_by_hand_all_the_same(paired: Paired, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with paired.recorder(tmp_path, speech(10), port="pty") as recorder:
        assert recorder.run(f"{READY_S}:on {READY_S + 3}:cut") == "cut"
        for script in ("0:off", "0:pull", "0:hold"):
            recorder.play(script)
        recorder.run("0:wait 13:release", settle=2)
        pair_again(recorder, tmp_path / "other")
        assert not [event for event in recorder.events() if event["what"] == "crash"]


def test_a_shorter_hold_at_the_start_changes_nothing(paired: Paired, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, speech(5), port="pty") as recorder:
        recorder.play("0:hold")
        recorder.run("0:wait 8:release", settle=2)
        (tmp_path / "computer").mkdir()
        store = DeviceStore(tmp_path / "computer")
        store.put(paired.record)
        link, _ = connect(store, recorder.port)
        assert isinstance(link, Recorder)
        link.close()


def test_a_button_that_is_still_held_after_a_restart_changes_nothing(paired: Paired, tmp_path: Path) -> None:
    """`earwitness install` asks for the button, and restarts the recorder."""
    with paired.recorder(tmp_path, speech(5), port="pty") as recorder:
        recorder.play("0:hold")
        recorder.power_on(restart=True)
        recorder.run("0:wait 13:release", settle=2)
        (tmp_path / "computer").mkdir()
        store = DeviceStore(tmp_path / "computer")
        store.put(paired.record)
        link, _ = connect(store, recorder.port)
        assert isinstance(link, Recorder)
        link.close()


def test_a_damaged_identity_is_told_and_can_be_reset_by_hand(paired: Paired, tmp_path: Path) -> None:
    with paired.recorder(tmp_path, speech(5), port="pty") as recorder:
        flash = bytearray(recorder.flash.read_bytes())
        at = next(sector * 4096 for sector in (0, 1) if flash[sector * 4096 : sector * 4096 + 4] == b"EWV1")
        flash[at + 40] ^= 1
        recorder.flash.write_bytes(flash)
        recorder.run("3:on 6:off", settle=1)
        assert not [e for e in recorder.events() if e["what"] == "mic" and e["value"] == "start"]
        recorder.power_off()
        recorder.play("0:hold")
        recorder.run("0:wait 12:release", settle=2)
        (tmp_path / "other").mkdir()
        pair_again(recorder, tmp_path / "other")
        recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=3)
        assert [e for e in recorder.events() if e["what"] == "mic" and e["value"] == "start"]
    shutil.rmtree(tmp_path / "recorder")
