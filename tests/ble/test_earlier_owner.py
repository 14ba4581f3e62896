"""A recorder changes hands while its earlier owner is still connected through the air: the connection does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from earwitness.devices import DeviceStore
from earwitness.errors import NoDeviceError
from earwitness.identity import Identity
from earwitness.link.connect import connect
from earwitness.link.near import connect_near
from earwitness.pairing import open_recorder, pair
from tests.system.kit import READY_S, make_pairing
from tools.virtual.ble.rig import Rig


def test_a_session_of_an_earlier_pairing_is_worth_nothing(rig: Rig, tmp_path: Path) -> None:
    paired = make_pairing(tmp_path / "paired")
    (tmp_path / "new").mkdir()
    old, new = DeviceStore(paired.folder), DeviceStore(tmp_path / "new")
    with paired.recorder(tmp_path, port="tcp:0", settings={"ble": rig.recorder_socket}) as recorder:
        recorder.run("0:wait", settle=READY_S)
        recorder.play("0:mark")
        near, record = connect_near(old)
        with near:
            assert near.status().epoch == record.epoch
            recorder.play("0:hold")
            link, _ = connect(old, recorder.port)
            with link:
                link.unpair()
            with open_recorder(recorder.port) as link:
                pair(link, [Identity.generate().recipient_bytes], new, name="New owner")
            recorder.play("0:release")
            near._tries = 1
            with pytest.raises(NoDeviceError):
                near.settings(name="still mine")
        link, _ = connect(new, recorder.port)
        with link:
            assert link.settings().name == "New owner"
            assert [fault.text for fault in link.faults()] == ["unpaired"]
