"""`earwitness verify` decodes what it can open: what it calls intact can be played and exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from earwitness.commands import _cores
from earwitness.excerpt_verdict import verify_excerpt
from earwitness.identity import Identity
from earwitness.keystore import Keystore
from earwitness.library import Library
from tests.host import maker
from tests.host.excerpts import bundle, refused
from tests.host.maker import Device, Owner, Recording
from tests.host.program import run


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path))
    identity = Identity.generate()
    Keystore().save(identity, "file", recovery="declined")
    found = Owner()
    found.public = identity.recipient_bytes
    return found


def wrong_crc(recording: Recording) -> None:
    audio = bytearray(maker.rice(recording.sample, maker.tone(400)))
    audio[-1] ^= 1
    recording.page(bytes(audio), 400)


def bytes_behind(recording: Recording) -> None:
    recording.page(maker.verbatim(recording.sample, maker.tone(400)) + bytes(20), 400)


def frame_of_another_number(recording: Recording) -> None:
    recording.page(maker.verbatim(recording.sample, maker.tone(400)) + maker.verbatim(7, maker.tone(100)), 400)


def sealed(owner: Owner, build: Callable[[Recording], None], device: Device | None = None) -> Recording:
    recording = Recording(device or Device(), [owner])
    recording.sound(maker.tone(500), events=maker.meta())
    build(recording)
    recording.finish()
    return recording


def nothing(_recording: Recording) -> None:
    pass


@pytest.mark.parametrize("build", [wrong_crc, bytes_behind, frame_of_another_number])
def test_sealed_sound_that_cannot_be_decoded_is_not_called_intact(
    tmp_path: Path, owner: Owner, build: Callable[[Recording], None]
) -> None:
    library = Library()
    library.add(sealed(owner, build).write(tmp_path / "x.ewr"), how="card")
    library.close()
    done = run(tmp_path, "verify", "1", "--json")
    (item,) = json.loads(done.stdout)
    assert done.returncode == 13 and item["verdict"]["intact"]["state"] == "not intact"
    assert "sealed and yet invalid" in item["verdict"]["intact"]["reason"]
    assert run(tmp_path, "export", "1", "-o", str(tmp_path / "x.wav"), "--master").returncode == 13
    assert run(tmp_path, "verify", "1", "--keyless").returncode == 0, "without the key the seals are all there is"


def test_all_decodes_too_on_every_core(tmp_path: Path, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cores, "_WORTH_STARTING_BYTES", 0)
    monkeypatch.setattr(_cores, "cores", lambda: 2)
    device, library = Device(), Library()
    for build in (nothing, wrong_crc):
        library.add(sealed(owner, build, device).write(tmp_path / "x.ewr"), how="card")
    library.close()
    done = run(tmp_path, "verify", "--all", "--json")
    assert [item["exit_code"] for item in json.loads(done.stdout)] == [0, 13], done.stderr


def test_an_excerpt_whose_sound_cannot_be_decoded_is_refused(tmp_path: Path, owner: Owner) -> None:
    path = tmp_path / "x.ewd"
    path.write_bytes(bundle(sealed(owner, wrong_crc), {2}))
    assert verify_excerpt(path).intact.ok is True
    assert "disclosed page 1 of it cannot be used" in refused(verify_excerpt(path, decode=True))
    assert run(tmp_path, "verify", str(path)).returncode == 13
    path.write_bytes(bundle(sealed(owner, wrong_crc), {1}))
    assert run(tmp_path, "verify", str(path)).returncode == 4
