"""A paired recorder to start from, and what its card holds, as the companion sees it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from earwitness.devices import DeviceStore
from earwitness.identity import Identity
from earwitness.import_card import import_card
from earwitness.library import Library
from earwitness.link.transport import open_port
from earwitness.pairing import Recorder, pair
from earwitness.sync import Item

from tools.virtual.device import VirtualRecorder

_WAKE_S = 4


@dataclass(frozen=True)
class Paired:
    """A recorder's files after pairing, the owner's key and what the computer keeps."""

    state: Path
    home: Path
    identity: Identity

    def take(self, card: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> list[Item]:
        """Import the recordings of a card image into a new library."""
        monkeypatch.setenv("EARWITNESS_HOME", str(into))
        library = Library()
        try:
            return import_card(card, library, DeviceStore(self.home), identity=self.identity).items
        finally:
            library.close()


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory, speech: Path) -> Iterator[Paired]:
    """Pair once; tests work on copies (`fresh`)."""
    folder = tmp_path_factory.mktemp("paired")
    home = folder / "computer"
    home.mkdir()
    identity = Identity.generate()
    with VirtualRecorder(folder / "recorder", mic=speech, card_size=34 << 20) as recorder:
        recorder.run("0:wait", settle=_WAKE_S)
        recorder.play("0:hold")
        with Recorder(open_port(recorder.port)) as link:
            link.hello()
            pair(link, [identity.recipient_bytes], DeviceStore(home), name="Tested", wait_for_button=lambda: True)
        recorder.play("0:release")
    yield Paired(folder / "recorder", home, identity)


@pytest.fixture
def fresh(
    paired: Paired, tmp_path: Path, virtual_recorder: Callable[..., VirtualRecorder], speech: Path
) -> Callable[..., VirtualRecorder]:
    """Makes a recorder as it was just after pairing, without a cable."""

    def make(**settings: object) -> VirtualRecorder:
        state = tmp_path / "fresh"
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(paired.state, state)
        (state / "events.jsonl").unlink()
        return virtual_recorder(**{"state": state, "mic": speech, "port": "none", **settings})

    return make
