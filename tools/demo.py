#!/usr/bin/env python3
"""The whole story in under two minutes, without hardware: pair, record, mark, lose power, recover, sync, verify, export.

The recorder is the real firmware on virtual hardware; what a person would type is run as it would be typed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.environment import use_environment  # noqa: E402
from tools.virtual.tape import TapeError, check_source, make_tape  # noqa: E402

if TYPE_CHECKING:
    from tools.virtual.device import VirtualRecorder

RATE_HZ = 16_000
_SAMPLE = ROOT / "tools" / "speech" / "meeting.flac"
_DECLINE = "decline\nI accept that a lost key loses every recording\n"
_LONGEST_S = 900.0  # of a longer input only this much is recorded
_SHORTEST_S = 20.0
_ANSWERS = ("intact", "complete", "continuous", "in_sequence", "when", "by")
_MARKER = ".earwitness-demo"
_MARKED = "tools/demo.py fills this folder. When it runs again it replaces what it made here, and nothing else.\n"
_FOLDERS = ("home", "recorder")
_FILES = (
    *("microphone.s16", "identity.txt", "changed.ewr"),
    *(
        name + ending
        for name in ("recording1", "recording2", "recording1-master", "recording2-master", "recording1-mark2")
        for ending in (".opus", ".flac", ".moments.txt")
    ),
)
_AFTER = """\
What stays in the folder: home/ (EARWITNESS_HOME: the recordings, still encrypted, the pairing and the owner's key),
recording1.opus and recording2.opus (to listen to), recording1-mark2.flac (around one mark), recording1-master.flac and
recording2-master.flac (bit for bit), changed.ewr (one bit turned round) and identity.txt (the key once more, for the
program age; like the one in home/ it is not locked). With --keep also recorder/ (card, flash, events, console) and
microphone.s16 (what the microphone heard: 16 kHz, mono, 16 bit). The next run replaces these, and nothing else there.

--json prints one object:
  recordings  [path, path]         the two recordings, encrypted
  exports     [path, path, path]   listening copies of both, and the moment around a mark
  masters     [path, path]         FLAC, bit for bit what the microphone heard
  marks       [[seconds, ...], [seconds, ...]]   for each recording, from its beginning
  verdicts    [verdict, verdict]   as `earwitness verify --json` gives them, with the answers and their reasons
  tampered    {"path", "byte", "exit_code", "verdict"}   the copy with one changed bit
  identity    {"file", "public_key"}   the owner's key

exit codes: 0 the story went as told, 1 it did not, 2 the input or the folder cannot be used, 130 interrupted
"""


class DemoError(RuntimeError):
    """Something did not go as the story tells it."""


class UnusableError(ValueError):
    """The input or the folder for the results cannot be used; the message says what to do. Nothing was touched."""


def _from_here(path: Path) -> str:
    """The path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path.parent != here else str(path)


@dataclass
class Story:
    """Where things are, and what is told at the end."""

    out: Path
    quiet: bool
    via: str = "usb"  # or ble
    recordings: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    masters: list[str] = field(default_factory=list)
    marks: list[list[float]] = field(default_factory=list)  # seconds, for each recording
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    tampered: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The owner's computer."""
        return self.out / "home"

    def typed(self, *words: str) -> str:
        """The whole command line with which the reader, from where the demo was started, does this to its recordings."""
        settings = {"EARWITNESS_HOME": _from_here(self.home)}
        program = Path(sys.executable).with_name("earwitness")
        command = [_from_here(program)]
        if not program.exists():
            settings["PYTHONPATH"] = _from_here(ROOT / "host")
            command = [sys.executable, "-m", "earwitness"]
        return " ".join(
            [*(f"{name}={shlex.quote(value)}" for name, value in settings.items()), shlex.join([*command, *words])]
        )

    def chapter(self, title: str) -> None:
        """A heading."""
        self.say(f"\n{title}\n{'-' * len(title)}")

    def say(self, text: str) -> None:
        """A sentence for the reader: on stdout, or on stderr where stdout is for the result."""
        print(text, file=sys.stderr if self.quiet else sys.stdout, flush=True)

    def earwitness(self, *words: str, answers: str = "", expect: tuple[int, ...] = (0,)) -> Any:
        """Run the companion as a person would; returns what it says as JSON."""
        self.say(f"  $ {shlex.join(['earwitness', *words])}")
        done = subprocess.run(
            [sys.executable, "-m", "earwitness", *words, "--json"],
            input=answers,
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ, EARWITNESS_HOME=str(self.home), PYTHONPATH=str(ROOT / "host")),
        )
        if done.returncode not in expect:
            raise DemoError(f"earwitness {words[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None


def _pair(story: Story, recorder: VirtualRecorder) -> None:
    story.chapter("1. Pair")
    story.say("The recorder is new. Its button is held down while the computer makes the owner's key and pairs.")
    recorder.run("0:wait", settle=3)
    recorder.play("0:hold")
    paired = story.earwitness(
        "pair", "--name", "Demo recorder", "--port", recorder.port, "--no-passphrase", answers=_DECLINE
    )
    recorder.play("0:release")
    story.say(f"  Paired: the recorder's key is {paired['device']}. Only the owner's key opens what it records.")


def _record(story: Story, recorder: VirtualRecorder, seconds: float) -> None:
    story.chapter("2. Record and mark")
    times = {name: seconds * part for name, part in (("mark", 0.28), ("mark2", 0.56), ("mute", 0.7), ("unmute", 0.84))}
    script = "0:on 1:notice " + " ".join(f"{at:.2f}:{name}" for name, at in times.items()) + f" {seconds:.2f}:off"
    story.say(f"  {script}")
    story.say("The switch goes on, people are told (a two-second press), two moments are marked, one as disputed,")
    story.say("a stretch is kept off the record, and the switch goes off.")
    started = time.monotonic()
    if recorder.run("4:wait") != "done" or recorder.run(script, settle=5) != "done":
        raise DemoError("the virtual recorder lost its power")
    lit = [event for event in recorder.events() if event["what"] == "light" and event["value"]]
    if not lit:
        raise DemoError("the light never came on")
    story.say(f"  {seconds:.0f} s recorded in {time.monotonic() - started:.1f} s of this computer's time.")


def _cut(story: Story, recorder: VirtualRecorder, seconds: float) -> float:
    """Lose power in the middle of a second recording; returns the second of the cut."""
    story.chapter("3. Lose power in the middle")
    recorder.power_off()
    at = seconds * 0.6 + 0.137
    script = f"4:on {4 + seconds * 0.2:.2f}:mark {4 + at:.3f}:cut {5 + at:.3f}:off {6 + at:.3f}:power"
    story.say(f"  {script}")
    story.say("A second recording; the battery falls out; nothing had time to finish. Then power comes back.")
    if recorder.run(script, settle=8) != "done":
        raise DemoError("power did not come back")
    story.say("  On its own the recorder found what was on the card, checked it, and signed how far it is whole.")
    return at


def _sync(story: Story, recorder: VirtualRecorder) -> None:
    story.chapter("4. Sync")
    if story.via == "ble":
        story.say("The recorder's button is pressed: for one minute it can be found. Over Bluetooth the marked minutes")
        story.say("come first; all of it comes if asked.")
        recorder.play("0:mark")
        for minute in story.earwitness("sync", "--via", "ble")["minutes"]:
            if minute["reason"]:
                raise DemoError(f"a marked minute of recording {minute['seq']} did not come: {minute['reason']}")
            story.say(
                f"  Recording {minute['seq']}, mark {minute['number']} at {minute['at_s']:.2f} s: "
                f"{minute['seconds']:.1f} s around it are here."
            )
        report = story.earwitness("sync", "--via", "ble", "--all")
    else:
        report = story.earwitness("sync", "--port", recorder.port)
    for item in report["recordings"]:
        if item["outcome"] != "new":
            raise DemoError(f"recording {item['seq']} is {item['outcome']}: {item['reason']}")
        story.recordings.append(item["path"])
        story.say(f"  Recording {item['seq']}: copied, {item['bytes'] / 1e6:.2f} MB, verified, still encrypted here.")
    if len(story.recordings) != 2:
        raise DemoError(f"two recordings were made and {len(story.recordings)} came")


def _verify(story: Story) -> None:
    story.chapter("5. Verify")
    for number, checked in enumerate(story.earwitness("verify", "1", "2", expect=(0, 3, 4)), 1):
        verdict = checked["verdict"]
        if not verdict or not verdict["intact"]["ok"]:
            raise DemoError(f"recording {number} is not intact: {json.dumps(checked)[:2000]}")
        story.verdicts.append(verdict)
        story.marks.append([mark["sample"] / RATE_HZ for mark in verdict["marks"]])
        story.say(f"  Recording {number}, {verdict['duration_s']:.1f} s")
        for name in _ANSWERS:
            story.say(f"    {name.replace('_', ' '):12} {verdict[name]['state']}: {verdict[name]['reason']}")
        for mark in verdict["marks"]:
            story.say(f"    mark at {mark['sample'] / RATE_HZ:.2f} s: {mark['kind']}")


def _export(story: Story, recorder: VirtualRecorder, tape: Path) -> None:
    story.chapter("6. Listen and export")
    for number in (1, 2):
        listening = story.out / f"recording{number}.opus"
        master = story.out / f"recording{number}-master.flac"
        story.exports.append(story.earwitness("export", str(number), "-o", str(listening), "-f")["file"])
        story.masters.append(story.earwitness("export", str(number), "-o", str(master), "--master", "-f")["file"])
    moment = story.out / "recording1-mark2.flac"
    words = ("export", "1", "-o", str(moment), "-f", "--mark", "2", "--before", "3", "--after", "3")
    story.exports.append(story.earwitness(*words)["file"])
    story.say("  To hear the second mark again, when this is over:")
    story.say(f"  {story.typed('play', '1', '--mark', '2')}")
    same, silent = _compare(Path(story.masters[0]), tape, story.verdicts[0])
    story.say(f"  The master of recording 1 equals the microphone's {same} samples, one for one;")
    story.say(f"  {silent} more, off the record, are silence of exact length.")


def _compare(master: Path, tape: Path, verdict: dict[str, Any]) -> tuple[int, int]:
    """Hold a master against the microphone's tape, outside the gaps. The tape's place is found by its own first second."""
    import numpy as np
    import soundfile as sf

    heard, _ = sf.read(master, dtype="int16")
    said = np.frombuffer(tape.read_bytes(), "<i2")
    head = heard[:RATE_HZ]
    firsts = np.flatnonzero(said == head[0])
    start = next((at for at in firsts if np.array_equal(said[at : at + len(head)], head)), None)
    if start is None:
        raise DemoError("the master is not what the microphone heard")
    expected = said[start : start + len(heard)].copy()
    silent = 0
    for gap in verdict["gaps"]:
        expected[gap["sample"] : gap["sample"] + gap["count"]] = 0
        silent += gap["count"]
    if not np.array_equal(expected, heard[: len(expected)]) or heard[len(expected) :].any():
        raise DemoError("the master differs from what the microphone heard")
    return len(heard) - silent, silent


def _tamper(story: Story) -> None:
    story.chapter("7. What one changed byte looks like")
    changed = story.out / "changed.ewr"
    data = bytearray(Path(story.recordings[0]).read_bytes())
    at = len(data) // 2
    data[at] ^= 1
    changed.write_bytes(data)
    story.say(f"  One bit of byte {at} of {len(data)} is turned round in a copy.")
    (checked,) = story.earwitness("verify", str(changed), expect=(13,))
    verdict = checked["verdict"]
    story.tampered = {"path": str(changed), "byte": at, "exit_code": checked["exit_code"], "verdict": verdict}
    if not verdict or verdict["intact"]["ok"]:
        raise DemoError("the changed byte was not seen")
    story.say(f"    intact       {verdict['intact']['state']}: {verdict['intact']['reason']}")
    for detail in verdict["intact"]["details"]:
        story.say(f"                 {detail}")


def _keep_identity(story: Story) -> None:
    """The demo's key as an age key file, so that other programs can open the demo's recordings."""
    os.environ["EARWITNESS_HOME"] = str(story.home)
    sys.path.insert(0, str(ROOT / "host"))
    from earwitness.keystore import Keystore

    identity = Keystore().load(lambda _question: "")
    path = story.out / "identity.txt"
    path.touch(0o600)
    path.write_text(f"# public key: {identity.recipient}\n{identity.text}\n")
    story.identity = {"file": str(path), "public_key": identity.recipient}


def _is_marked(out: Path) -> bool:
    marker = out / _MARKER
    return marker.is_file() and not marker.is_symlink() and marker.read_text(errors="replace") == _MARKED


def check_places(out: Path, source: Path) -> None:
    """Refuse a folder that is not the demo's to fill, and an input that it would replace. Raises UnusableError."""
    if out.exists() and not out.is_dir():
        raise UnusableError(f"{out} is a file. Name a folder for the results, or a new one, with --out.")
    if out.exists() and any(out.iterdir()) and not _is_marked(out):
        raise UnusableError(
            f"{out} holds files that are not the demo's. Name an empty folder, or a new one, with --out."
        )
    for name in (*_FOLDERS, *_FILES):
        for place in (source.absolute(), source.resolve()):
            if _is_marked(out) and place.is_relative_to(out / name):
                raise UnusableError(f"{source} is among the results that would be replaced. Copy it to another folder.")
        if (out / name).is_dir() and not (out / name).is_symlink() and name in _FILES:
            raise UnusableError(f"{out / name} is a folder, and not the demo's. Name another folder with --out.")


def _clear(out: Path) -> None:
    """Delete what an earlier run made, by name. What else lies there stays."""
    for name in (*_FOLDERS, *_FILES):
        path = out / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _give_up(out: Path, is_new: bool) -> None:
    """After a failure nothing that was said may lie about in the clear."""
    _clear(out)
    (out / _MARKER).unlink(missing_ok=True)
    if is_new:
        with contextlib.suppress(OSError):  # somebody put something there
            out.rmdir()


def tell(out: Path, source: Path, *, as_json: bool, keep: bool, via: str = "usb") -> Story:
    """Play the whole story into `out`, synced over the cable or, with `via` ble, over Bluetooth.

    Raises UnusableError, TapeError, DemoError, VirtualRecorderError, OSError.

    The input is read before anything in `out` is replaced. A story that fails leaves nothing, unless `keep`.
    """
    check_places(out, source)
    with tempfile.TemporaryDirectory(prefix="earwitness-demo-") as folder:
        tape = Path(folder) / "microphone.s16"
        seconds = make_tape(source, tape, longest=round(_LONGEST_S * RATE_HZ)) / RATE_HZ
        if seconds < _SHORTEST_S:
            raise UnusableError(
                f"{source} has {seconds:.1f} s of sound; the story needs {_SHORTEST_S:.0f}. Name a longer one."
            )
        is_new = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        (out / _MARKER).write_text(_MARKED)
        _clear(out)
        story = Story(out, as_json, via)
        try:
            _tell(story, source, tape, seconds)
        except BaseException:
            if not keep:
                _give_up(out, is_new)
            raise
        if keep:
            shutil.copyfile(tape, out / tape.name)
        else:
            shutil.rmtree(out / "recorder")
    return story


def _tell(story: Story, source: Path, tape: Path, seconds: float) -> None:
    from tools.virtual.device import VirtualRecorder

    story.say(f"The microphone hears {source.name}, {seconds:.1f} s. Everything goes to {story.out}.")
    story.say("After $ stands what a person would type.")
    with contextlib.ExitStack() as stack:
        settings = {}
        if story.via == "ble":
            from tools.virtual.ble.rig import Rig

            rig = stack.enter_context(Rig())
            settings["ble"] = rig.recorder_socket
            os.environ.update(rig.environment)
        recorder = stack.enter_context(VirtualRecorder(story.out / "recorder", mic=tape, settings=settings))
        _pair(story, recorder)
        _record(story, recorder, seconds - 1)
        _cut(story, recorder, seconds)
        _sync(story, recorder)
        _verify(story)
        _export(story, recorder, tape)
    _tamper(story)
    _keep_identity(story)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_AFTER, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        default=_SAMPLE,
        help=f"what the microphone hears (default: a spoken sample): a sound file of {_SHORTEST_S:.0f} s or more; "
        f"of a long one the first {_LONGEST_S / 60:.0f} minutes",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=ROOT / "out" / "demo",
        help="folder for the results: new, empty or an earlier demo's, whose results are replaced (default: out/demo)",
    )
    parser.add_argument(
        "--via",
        choices=("usb", "ble"),
        default="usb",
        help="how the recordings come to the computer: by cable (default) or by Bluetooth, virtual like the recorder",
    )
    parser.add_argument("--json", action="store_true", help="one object on stdout, see below; the story on stderr")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the recorder's card, flash and events and the microphone's sound too, even if the story fails",
    )
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    out = arguments.out.resolve()
    try:
        check_places(out, arguments.input)
        check_source(arguments.input)
        use_environment()
        return _run(arguments, out)
    except (UnusableError, TapeError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"demo: {place}{error.strerror or error}. Is there room, and may you write there?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace, out: Path) -> int:
    from tools.virtual.device import VirtualRecorderError

    started = time.monotonic()
    try:
        story = tell(out, arguments.input, as_json=arguments.json, keep=arguments.keep, via=arguments.via)
    except (DemoError, VirtualRecorderError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    story.chapter("Done")
    story.say(f"  {time.monotonic() - started:.0f} s. Recordings, exports and the demo's key are in {story.out}.")
    story.say(f"  To look around: {story.typed('show', '1')}")
    if arguments.json:
        told = {name: getattr(story, name) for name in ("recordings", "exports", "masters", "marks", "verdicts")}
        print(json.dumps({**told, "tampered": story.tampered, "identity": story.identity}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
