"""The vectors: what this program says of each is what the manifest wants."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pyrage
import pytest

from earwitness import events, note
from earwitness.audio import Audio
from earwitness.errors import EarwitnessError, FormatError, IntegrityError, KeyMissingError
from earwitness.excerpt_verdict import verify_excerpt
from earwitness.verify import Chain, Verdict, verify

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text("utf-8"))
ENTRIES = MANIFEST["vectors"]
EXPECTED = {
    "ok",
    "header failure",
    "body failure",
    "tag failure",
    "tree failure",
    "signature failure",
    "unfinished",
    "recovered",
    "damaged",
    "cut short",
    "not complete",
    "not continuous",
    "rollback",
    "no recording",
    "excerpt failure",
}


class Owner:
    """The identity of the manifest."""

    def __init__(self) -> None:
        self._identity = pyrage.x25519.Identity.from_str(MANIFEST["identity"])

    def open_envelope(self, envelope: bytes) -> bytes:
        try:
            return pyrage.decrypt(envelope, [self._identity])
        except pyrage.DecryptError:
            raise KeyMissingError("no recipient") from None


def chain_of(*names: str) -> Chain:
    """What a library would know that holds these files."""
    recordings: dict[int, frozenset[tuple[bytes, bytes]]] = {}
    finals: dict[int, frozenset[bytes]] = {}
    for name in names:
        found = verify(VECTORS / name)
        recordings[found.seq] = recordings.get(found.seq, frozenset()) | {(found.recording_id, found.prev)}
        if found.final_note:
            finals[found.seq] = finals.get(found.seq, frozenset()) | {found.final_note}
    return Chain(recordings, finals)


def said(entry: dict[str, object], owner: Owner | None) -> tuple[Verdict | None, int]:
    """The verdict, if there is one, and the exit code."""
    path, beside = VECTORS / str(entry["file"]), entry.get("beside")
    chain = chain_of(*beside) if isinstance(beside, list) else None
    try:
        verdict = verify_excerpt(path) if path.suffix == ".ewd" else verify(path, owner, chain=chain)
    except EarwitnessError as error:
        return None, error.exit_code
    return verdict, verdict.exit_code


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_vectors", VECTORS / "make_vectors.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_vectors"] = module
    spec.loader.exec_module(module)
    return module


def test_the_files_the_manifest_and_the_example_are_what_the_script_makes(script):
    wanted = script.files()
    assert [path.name for path, data in wanted.items() if path.read_bytes() != data] == []
    assert {path.name for path in VECTORS.glob("*.ew[rd]")} == {
        path.name for path in wanted if path.suffix in (".ewr", ".ewd")
    }


def test_the_script_would_see_a_change(script, tmp_path, monkeypatch):
    for path, data in script.files().items():
        (tmp_path / path.name).write_bytes(data)
    changed = tmp_path / "ok-short.ewr"
    changed.write_bytes(changed.read_bytes()[:-1] + b"\1")
    monkeypatch.setattr(script, "HERE", tmp_path)
    monkeypatch.setattr(script, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script.sys, "argv", ["make_vectors.py", "--check"])
    assert script.main() == 1
    changed.write_bytes(changed.read_bytes()[:-1] + b"\0")
    assert script.main() == 0


def test_every_kind_of_failure_has_a_vector():
    assert {entry["expect"] for entry in ENTRIES} == EXPECTED


def test_they_stay_small():
    assert sum(path.stat().st_size for path in VECTORS.iterdir() if path.is_file()) < 2_700_000


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_the_verdict_is_the_one_expected(entry):
    data = (VECTORS / entry["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    verdict, code = said(entry, Owner())
    states = (verdict.intact.state, verdict.complete.state) if verdict else (None, None)
    assert (states, code) == ((entry["intact"], entry["complete"]), entry["exit"]), verdict
    assert said(entry, None)[1] == entry["exit_without_key"]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "samples" in e], ids=lambda entry: entry["file"])
def test_the_sound_is_the_one_expected(entry):
    audio = Audio(VECTORS / entry["file"], Owner())
    sound = b"".join(block.astype("<i2").tobytes() for block in audio.blocks())
    assert audio.samples == entry["samples"] and hashlib.sha256(sound).hexdigest() == entry["pcm_sha256"]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e["exit"] == 13 and not e["intact"]], ids=lambda e: e["file"])
def test_a_refused_header_is_refused_in_words(entry):
    with pytest.raises(EarwitnessError) as caught:
        verify(VECTORS / entry["file"])
    assert len(caught.value.message) > 20


def test_nothing_of_a_vector_that_fails_is_played():
    for entry in ENTRIES:
        if entry["file"].endswith(".ewr") and entry["exit"] != 0 and entry["intact"] not in ("intact", "damaged"):
            with pytest.raises(EarwitnessError):
                Audio(VECTORS / entry["file"], Owner())


def test_the_tables_of_the_specification_are_those_of_the_program():
    text = (VECTORS.parent.parent / "firmware" / "FORMAT.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| ([A-Z]+) \| .* \| (\d+)(?: or more)? \|$", text, re.MULTILINE)
    assert {int(kind): name.lower() for kind, name, _ in rows} == events.NAMES
    for kind, name, size in rows:
        for change in (0, 1):
            data = bytes([int(kind), 8 + int(size) + change]) + bytes(8 + int(size) + change)
            if name == "META":
                data = data[:58] + (16_000).to_bytes(4, "little") + bytes(3 + change)
            assert sum(1 for _ in events.parse(data)) == 1 if not change or name == "META" else refused(data)
    weak = re.findall(r"`([0-9a-f]{64})`", text.split("Small-order")[1].split("## Keys")[0])
    assert len(weak) == 2
    for key in weak:
        with pytest.raises(IntegrityError):
            note.refuse_weak_key(bytes.fromhex(key))


def refused(data: bytes) -> bool:
    with pytest.raises(FormatError):
        list(events.parse(data))
    return True
