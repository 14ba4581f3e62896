"""A virtual recorder that is paired, without going through commands: for benchmarks and tests."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.identity import Identity
from earwitness.import_card import import_card
from earwitness.item import Item
from earwitness.keystore import Keystore
from earwitness.library import Library
from earwitness.pairing import open_recorder, pair

from .device import VirtualRecorder

RATE_HZ = 16_000
READY_S = 4  # from power-up to primed, with a margin
Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Paired:
    """A recorder's flash as pairing left it, and the two ends' keys."""

    folder: Path
    owners: tuple[Identity, ...]
    record: DeviceRecord

    def recorder(self, folder: Path, tape: Samples | None = None, **options: Any) -> VirtualRecorder:
        """A recorder with this pairing and a blank card of its own, not yet powered."""
        state = folder / "recorder"
        state.mkdir(parents=True)
        shutil.copyfile(self.folder / "flash.bin", state / "flash.bin")
        mic = None
        if tape is not None:
            mic = folder / "tape.s16"
            mic.write_bytes(tape.astype("<i2").tobytes())
        options.setdefault("card_size", 300 << 20)  # clusters of 4 KiB: a page is one write, as on real cards
        options.setdefault("port", "none")
        return VirtualRecorder(state, mic=mic, **options)

    def computer(self, home: Path) -> Path:
        """A computer (EARWITNESS_HOME) that is paired with it and holds the first owner's key in a plain file; returns `home`."""
        for name in ("config", "state", "library"):
            (home / name).mkdir(parents=True, mode=0o700)
        Keystore(home / "config").save(self.owners[0], "file", recovery="declined")
        DeviceStore(home / "state").put(self.record)
        return home

    def items(self, recorder: VirtualRecorder, folder: Path) -> list[Item]:
        """Every recording on the card, verified with the owner's identity. The recorder is off afterwards."""
        recorder.power_off()
        home = folder / "home"
        store = DeviceStore(home)
        store.put(self.record)
        library = Library(home / "library")
        try:
            return import_card(recorder.card, library, store, identity=self.owners[0]).items
        finally:
            library.close()


def make_pairing(folder: Path, recipients: int = 1) -> Paired:
    """Pair a new virtual recorder over its cable, its button held."""
    owners = tuple(Identity.generate() for _ in range(recipients))
    with VirtualRecorder(folder, card_size=40 << 20) as recorder:
        recorder.run("0:wait", settle=1)
        recorder.play("0:hold")
        link = open_recorder(recorder.port)
        try:
            record = pair(link, [owner.recipient_bytes for owner in owners], DeviceStore(folder), name="Test")
        finally:
            link.close()
    return Paired(folder, owners, record)
