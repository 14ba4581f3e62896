"""Where keys and sound may be found after a whole day's use, and nowhere else: every byte that was left is searched."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from earwitness import keys
from earwitness.container import Container
from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.identity import Identity
from earwitness.keystore import Keystore
from earwitness.opening import open_page
from earwitness.recovery_sheet import words_of
from earwitness.structure import Structure
from tests.host.program import environment
from tools.virtual.device import VirtualRecorder

from .kit import READY_S, speech

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a script as player, inherited descriptors")

_DECLINE = b"decline\nI accept that a lost key loses every recording\n"
_PASSPHRASE = "seven quiet herons near the old mill"
_NAME = "Kitchen recorder"
_BLOCK = 4096
_WINDOW_BYTES = 24

# Runs the program and writes down every program that it starts: argument list and environment.
_WATCHED = """
import sys
log = open(sys.argv.pop(1), "a")
def watch(event, args):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"):
        print(event, args, file=log, flush=True)
sys.addaudithook(watch)
from earwitness.cli import main
sys.exit(main())
"""
_PLAYER = "#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/cmdline >> {log}\ntr '\\0' '\\n' < /proc/$PPID/cmdline >> {log}\ncat > /dev/null\n"


@dataclass
class Day:
    """What was left of one day: files, and what the program said."""

    folder: Path
    plain: bool
    heap: dict[str, bytes] = field(default_factory=dict)  # what is searched, by name

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def earwitness(self, *words: str, answers: bytes = b"") -> None:
        reader, writer = os.pipe()
        os.write(writer, _PASSPHRASE.encode() + b"\n")
        os.close(writer)
        given = () if self.plain else ("--passphrase-fd", str(reader))
        player = self.folder / "bin"
        done = subprocess.run(
            [sys.executable, "-c", _WATCHED, str(self.folder / "started.txt"), *words, *given, "-v"],
            input=answers,
            capture_output=True,
            env=environment(self.home, TMPDIR=str(self.folder / "tmp"), PATH=f"{player}:{os.environ['PATH']}"),
            timeout=120,
            check=False,
            pass_fds=(reader,),
        )
        os.close(reader)
        assert done.returncode == 0, done.stderr.decode()
        self.heap[f"said/{words[0]}"] = done.stdout + done.stderr

    def gather(self, *folders: Path) -> None:
        """Take every file below some folders; the empty blocks of images are left out."""
        for folder in folders:
            for path in sorted(item for item in folder.rglob("*") if item.is_file()):
                with path.open("rb") as file:
                    blocks = [block for block in iter(lambda: file.read(_BLOCK), b"") if block.strip(b"\0\xff")]
                self.heap[str(path.relative_to(self.folder))] = b"".join(blocks)

    def holding(self, needles: list[bytes]) -> set[str]:
        """Names of all that holds any of the needles."""
        assert needles and all(len(needle) >= 12 for needle in needles)
        return {name for name, data in self.heap.items() if any(needle in data for needle in needles)}

    def identity(self) -> Identity:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EARWITNESS_HOME", str(self.home))
            return Keystore().load(lambda _prompt: _PASSPHRASE)

    def record(self) -> DeviceRecord:
        (record,) = DeviceStore(self.home / "state").all()
        return record


@pytest.fixture(scope="module", params=["passphrase", "plain file"])
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Pair, record, mark, lose power, record, sync, and use every command that touches sound or keys."""
    day = Day(tmp_path_factory.mktemp("day"), request.param == "plain file")
    for name in ("tmp", "bin", "out", "tape"):
        (day.folder / name).mkdir()
    (day.folder / "bin" / "ffplay").write_text(_PLAYER.format(log=day.folder / "started.txt"))
    (day.folder / "bin" / "ffplay").chmod(0o755)
    tape = day.folder / "tape" / "tape.s16"
    tape.write_bytes(speech(30).astype("<i2").tobytes())
    with VirtualRecorder(day.folder / "recorder", mic=tape, card_size=40 << 20) as recorder:
        recorder.run("0:wait", settle=READY_S)
        recorder.play("0:hold")
        keep = ("--no-passphrase",) if day.plain else ("--keep", "passphrase")
        day.earwitness("pair", "--name", _NAME, "--port", recorder.port, *keep, answers=_DECLINE)
        recorder.play("0:release")
        recorder.run(
            f"{READY_S}:on {READY_S + 3}:mark {READY_S + 5}:mute {READY_S + 9}:unmute {READY_S + 14}:off", settle=3
        )
        recorder.run("0:on 5:cut 6:off 7:power", settle=8)
        day.earwitness("sync", "--port", recorder.port)
        day.earwitness("status", "--port", recorder.port)
        day.earwitness("doctor", "--device", "--port", recorder.port)
    out = day.folder / "out"
    day.earwitness("export", "1", "-o", str(out / "x.opus"))
    day.earwitness("export", "1", "-o", str(out / "m.wav"), "--master")
    day.earwitness("play", "1", "--mark", "1")
    for words in (["verify", "1"], ["show", "1"], ["list"], ["devices"], ["key", "show-public"]):
        day.earwitness(*words)
    (day.folder / "recorder" / "mic.s16").unlink()  # the sound in the room
    day.gather(day.folder / "recorder", day.home, day.folder / "tmp")
    day.heap["started.txt"] = (day.folder / "started.txt").read_bytes()
    yield day


def written(secret: bytes) -> list[bytes]:
    """A secret as it might stand somewhere: as it is, in parts, in hex, in base64, as Python shows bytes."""
    coded = base64.b64encode(secret).rstrip(b"=")[:-1]
    shown = repr(secret)[2:-1].encode()
    return [secret[:16], secret[16:], secret.hex().encode(), secret.hex().upper().encode(), coded, shown]


def contents(day: Day) -> tuple[list[bytes], list[bytes]]:
    """(all keys, all sealed contents) of the recordings, windows of the latter."""
    found_keys, plain = [], []
    for path in sorted((day.home / "library").glob("*.ewr")):
        container = Container(path)
        key = keys.recording_key(container.header, day.identity())
        ratchet = keys.Ratchet(key, container.header)
        found_keys += [key, keys.chain_key(key, container.header)]
        for leaf in Structure(container).leaves():
            page_key = ratchet.page_key(leaf.index)
            found_keys += [page_key, *keys.page_keys(page_key)]
            body = open_page(leaf.page, leaf.digest, page_key)
            for inside in (body.audio, body.events):
                windows = (inside[at : at + _WINDOW_BYTES] for at in range(0, len(inside) - _WINDOW_BYTES, 509))
                plain += [window for window in windows if len(set(window)) > 12]
    assert len(found_keys) > 60 and len(plain) > 100
    return found_keys, plain


def samples() -> list[bytes]:
    """Windows of what the microphone heard, in either byte order."""
    heard = speech(30)
    windows = [heard[at : at + _WINDOW_BYTES // 2] for at in range(0, len(heard), 800)]
    loud = [window for window in windows if window.std() > 100]
    assert len(loud) > 100
    return [window.astype(order).tobytes() for window in loud for order in ("<i2", ">i2")]


def test_the_owners_key_is_where_the_owner_put_it_and_nowhere_else(day: Day) -> None:
    identity = day.identity()
    words = words_of(identity)
    needles = [*written(identity.secret), identity.text[16:].encode(), identity.text[16:].lower().encode()]
    needles += [" ".join(words[at : at + 3]).encode() for at in range(22)]
    assert day.holding(needles) == ({"home/config/identity.txt"} if day.plain else set())


def test_the_passphrase_is_nowhere(day: Day) -> None:
    assert day.holding([_PASSPHRASE.encode(), _PASSPHRASE[:15].encode(), *written(_PASSPHRASE.encode())]) == set()


def test_the_links_secrets_are_with_the_two_that_share_them(day: Day) -> None:
    record, kept = day.record(), "home/state/recorders.json"
    assert day.holding(written(record.secret)) == {kept, "recorder/flash.bin"}
    assert day.holding(written(bytes.fromhex(record.receipt_seed))) == {kept}


def test_what_the_recorder_signs_with_never_leaves_its_flash(day: Day, mpy: Callable[..., list[Any]]) -> None:
    (found,) = mpy(
        "from recorder.store.vault import Vault\ni = Vault().load()\nemit([bytes(i.seed).hex(), bytes(i.device_secret).hex()])",
        args={"virtual": {"flash": str(day.folder / "recorder" / "flash.bin")}},
    )
    for secret in found:
        assert day.holding(written(bytes.fromhex(secret))) == {"recorder/flash.bin"}


def test_no_key_of_any_page_is_kept_anywhere(day: Day) -> None:
    found, _plain = contents(day)
    assert day.holding([form for key in found for form in written(key)]) == set()


def test_no_sound_and_no_event_lies_open_on_card_flash_computer_or_in_a_log(day: Day) -> None:
    _keys, plain = contents(day)
    assert day.holding(plain) == set()
    assert day.holding(samples()) == set()
    master = (day.folder / "out" / "m.wav").read_bytes()
    assert sum(window in master for window in samples()) > 50, "the search would find it"


def test_the_card_does_not_tell_whose_it_is(day: Day) -> None:
    assert "recorder/card.img" in day.heap and len(day.heap["recorder/card.img"]) > 40 * _BLOCK
    assert "recorder/card.img" not in day.holding([_NAME.encode()])


def test_programs_are_started_without_secrets_and_the_player_is_seen(day: Day) -> None:
    started = day.heap["started.txt"].decode()
    assert "ffplay" in started and "-autoexit" in started, "what is started is seen"
    assert not list((day.folder / "tmp").iterdir())
    assert {"said/pair", "said/sync", "said/doctor", "recorder/console.txt", "recorder/events.jsonl"} <= day.heap.keys()
