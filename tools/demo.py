#!/usr/bin/env python3
"""The whole story in under two minutes, without hardware: pair, record, mark, lose power, recover, sync, verify, export.

The recorder is the real firmware on virtual hardware; what a person would type is run as it would be typed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.environment import use_environment  # noqa: E402

if TYPE_CHECKING:
    from tools.virtual.device import VirtualRecorder

RATE_HZ = 16_000
_SAMPLE = ROOT / "tools" / "speech" / "meeting.flac"
_DECLINE = "decline\nI accept that a lost key loses every recording\n"
_LONGEST_S = 900.0  # of a longer input only this much is recorded
_SHORTEST_S = 20.0
_ANSWERS = ("intact", "complete", "continuous", "in_sequence", "when", "by")


class DemoError(RuntimeError):
    """Something did not go as the story tells it."""


@dataclass
class Story:
    """Where things are, and what is told at the end."""

    out: Path
    quiet: bool
    recordings: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    masters: list[str] = field(default_factory=list)
    marks: list[list[float]] = field(default_factory=list)  # seconds, for each recording
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    tampered: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)

    def chapter(self, title: str) -> None:
        """A heading."""
        self.say(f"\n{title}\n{'-' * len(title)}")

    def say(self, text: str) -> None:
        """A sentence for the reader: on stdout, or on stderr where stdout is for the result."""
        print(text, file=sys.stderr if self.quiet else sys.stdout, flush=True)

    def earwitness(self, *words: str, answers: str = "", expect: tuple[int, ...] = (0,)) -> Any:
        """Run the companion as a person would; returns what it says as JSON."""
        self.say(f"  $ earwitness {' '.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "earwitness", *words, "--json"],
            input=answers,
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ, EARWITNESS_HOME=str(self.out / "home"), PYTHONPATH=str(ROOT / "host")),
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
    story.say("  To hear the second mark again: earwitness play 1 --mark 2")
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
    starts = [at for at in np.flatnonzero(said == head[0]) if np.array_equal(said[at : at + len(head)], head)]
    if not starts:
        raise DemoError("the master is not what the microphone heard")
    expected = said[starts[0] : starts[0] + len(heard)].copy()
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
    os.environ["EARWITNESS_HOME"] = str(story.out / "home")
    sys.path.insert(0, str(ROOT / "host"))
    from earwitness.keystore import Keystore

    identity = Keystore().load(lambda _question: "")
    path = story.out / "identity.txt"
    path.touch(0o600)
    path.write_text(f"# public key: {identity.recipient}\n{identity.text}\n")
    story.identity = {"file": str(path), "public_key": identity.recipient}


def tell(out: Path, source: Path, *, as_json: bool, keep: bool) -> Story:
    """Play the whole story into `out`. Raises DemoError, VirtualRecorderError."""
    from tools.virtual.device import VirtualRecorder
    from tools.virtual.tape import make_tape

    story = Story(out, as_json)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    tape = out / "microphone.s16"
    seconds = min(make_tape(source, tape) / RATE_HZ, _LONGEST_S)
    if seconds < _SHORTEST_S:
        raise DemoError(f"the input has {seconds:.1f} s; the story needs {_SHORTEST_S:.0f}")
    story.say(f"The microphone hears {source.name}, {seconds:.1f} s. Everything goes to {out}.")
    with VirtualRecorder(out / "recorder", mic=tape) as recorder:
        _pair(story, recorder)
        _record(story, recorder, seconds - 1)
        _cut(story, recorder, seconds)
        _sync(story, recorder)
        _verify(story)
        _export(story, recorder, tape)
    _tamper(story)
    _keep_identity(story)
    if not keep:
        shutil.rmtree(out / "recorder")
        tape.unlink()
    return story


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--input", type=Path, default=_SAMPLE, help="what the microphone hears (default: a spoken sample)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "demo", help="folder for the results; replaced")
    parser.add_argument("--json", action="store_true", help="one object on stdout; the story goes to stderr")
    parser.add_argument("--keep", action="store_true", help="keep the virtual recorder's card, flash and events too")
    arguments = parser.parse_args()
    if arguments.out.exists() and any(arguments.out.iterdir()) and not (arguments.out / "home").exists():
        print(f"demo: {arguments.out} is not empty and not an earlier demo's", file=sys.stderr)
        return 2
    use_environment()
    from tools.virtual.device import VirtualRecorderError

    started = time.monotonic()
    try:
        story = tell(arguments.out.resolve(), arguments.input, as_json=arguments.json, keep=arguments.keep)
    except (DemoError, VirtualRecorderError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    story.chapter("Done")
    story.say(f"  {time.monotonic() - started:.0f} s. Recordings, exports and the demo's key are in {story.out}.")
    if arguments.json:
        told = {name: getattr(story, name) for name in ("recordings", "exports", "masters", "marks", "verdicts")}
        print(json.dumps({**told, "tampered": story.tampered, "identity": story.identity}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
