#!/usr/bin/env python3
"""Makes the test vectors of the container, manifest.json and the worked example in firmware/FORMAT.md.

python3 tests/vectors/make_vectors.py            write them
python3 tests/vectors/make_vectors.py --check    compare with what is here; exit code 1 and names if anything differs

All keys and all randomness are fixed, so that the same bytes come out everywhere. One fault a file.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "tests")]

from host import maker
from host.maker import PAGE, Device, Owner, Recording
from vectors import example

MANIFEST = HERE / "manifest.json"
FORMAT = ROOT / "firmware" / "FORMAT.md"
UTC_US = 1_760_000_000_000_000  # 2025-10-09T08:53:20Z
OWNER = Owner()


@dataclass
class Vector:
    """One file and what has to be said of it."""

    name: str
    about: str
    expect: str
    data: bytes
    intact: str | None  # state with the key; None: the header is refused
    complete: str | None
    exit: int  # with the key
    sealed_exit: int  # without
    key: bytes = b""
    beside: list[str] = field(default_factory=list)
    samples: list[int] | None = None

    def entry(self) -> dict[str, object]:
        """What stands in the manifest."""
        found: dict[str, object] = {
            "file": f"{self.name}.ewr",
            "about": self.about,
            "expect": self.expect,
            "intact": self.intact,
            "complete": self.complete,
            "exit": self.exit,
            "exit_without_key": self.sealed_exit,
            "recording_key": self.key.hex() or None,
            "sha256": maker.sha(self.data).hex(),
        }
        if self.beside:
            found["beside"] = [f"{name}.ewr" for name in self.beside]
        if self.samples is not None:
            sound = struct.pack(f"<{len(self.samples)}h", *self.samples)
            found |= {"samples": len(self.samples), "pcm_sha256": maker.sha(sound).hex()}
        return found


_VECTORS: list[Vector] = []


def _add(
    name: str,
    about: str,
    expect: str,
    recording: Recording | bytes,
    answers: tuple[str | None, str | None],
    exits: tuple[int, int],
    **more: object,
) -> None:
    key = b""
    if isinstance(recording, Recording):
        try:
            key = OWNER.open_envelope(recording.envelope)
        except Exception:
            assert answers[0] is None or exits[0], name
        recording = recording.bytes()
    _VECTORS.append(Vector(name, about, expect, recording, *answers, *exits, key, **more))  # type: ignore[arg-type]


# What they are made from.


def _least(**more: object) -> tuple[Recording, list[int]]:
    """4 pages: header, checkpoint 0, leaf 1 with 500 samples and STOP, end."""
    recording = Recording(owners=[OWNER], **({"device": Device()} | more))  # type: ignore[arg-type]
    samples = maker.tone(500, 1)
    recording.sound(samples, maker.rice, events=maker.meta() + maker.clock(0, UTC_US) + maker.stop(500))
    recording.checkpoint("end")
    return recording, samples


def _short(**more: object) -> tuple[Recording, list[int]]:
    """5 pages: header, checkpoint 0, 500 samples, STOP, end."""
    recording, samples = maker.begin(owners=[OWNER], **more)  # type: ignore[arg-type]
    recording.finish()
    return recording, samples


def _middle() -> tuple[Recording, list[int]]:
    """6 pages: header, checkpoint 0, leaf 1, a running checkpoint, leaf 2 with STOP, end."""
    recording, samples = maker.begin(owners=[OWNER])
    recording.checkpoint()
    recording.finish()
    return recording, samples


def _with_header(change: Callable[[bytearray], None], device: Device | None = None) -> Recording:
    """A whole recording, sealed and signed over a header that was changed before."""
    recording = Recording(device or Device(), [OWNER])
    page = bytearray(recording.file[0][:4048])
    change(page)
    recording.chain = maker.hkdf(OWNER.open_envelope(recording.envelope), maker.sha(page), b"earwitness/v1/chain")
    recording.file, recording.hashes, recording.covered = [], [], 0
    recording._leaf(bytes(page), None)
    recording.checkpoint()
    recording.page(events=maker.stop(0))
    recording.checkpoint("end")
    return recording


def _flip(recording: Recording, page: int, at: int, mask: int = 1) -> Recording:
    data = bytearray(recording.file[page])
    data[at] ^= mask
    recording.file[page] = bytes(data)
    return recording


def _note_changed(change: Callable[[Recording, bytes], bytes]) -> Recording:
    """Checkpoint 0 with another signed note, everything else in the page as it has to be."""
    recording, _ = _least()
    page = recording.file[1]
    length = int.from_bytes(page[32:34], "little")
    note = change(recording, page[34 : 34 + length])
    rest = page[34 + length :]
    recording.file[1] = (page[:32] + struct.pack("<H", len(note)) + note + rest.rstrip(b"\0")).ljust(PAGE, b"\0")
    return recording


def _resigned(old: str, new: str) -> Recording:
    def change(recording: Recording, note: bytes) -> bytes:
        text = note.split(b"\n\n")[0].decode() + "\n"
        assert old in text
        return recording.device.sign(text.replace(old, new, 1).encode())

    return _note_changed(change)


def _body(plain: bytes) -> Recording:
    """A sealed leaf 2 with this body, zeros behind it."""
    recording, _ = maker.begin(owners=[OWNER])
    recording.body(plain.ljust(4016, b"\0"))
    recording.checkpoint("end")
    return recording


def _fields(first: int = 500, samples: int = 0, n_events: int = 0, n_audio: int = 0, **more: int) -> bytes:
    return struct.pack(
        "<QQHHHBBII",
        first,
        maker.mono(first),
        samples,
        n_events,
        n_audio,
        more.get("codec", 0),
        more.get("flags", 0),
        more.get("lost", 0),
        more.get("zero", 0),
    )


# The vectors.

_OK, _SEALED = (0, 0), (0, 0)
_BAD = (13, 13)
_PART = (4, 4)
_WHOLE = ("intact", "complete")


def _good() -> None:
    recording, samples = _short()
    _add("ok-short", "the least that is whole; the worked example", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = _middle()
    _add("ok-checkpoint-between", "a running checkpoint in it", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = maker.begin(owners=[Owner(2), OWNER, Owner(3)])
    recording.finish()
    _add("ok-three-recipients", "three stanzas in the envelope", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = maker.begin(owners=[OWNER])
    for number in range(1, 16):
        part = maker.tone(20, number)
        recording.sound(part)
        samples += part
        if number == 14:
            recording.checkpoint(n=5)  # as if it had taken that long to sign
    recording.finish()
    _add("ok-many-leaves", "one checkpoint 11 leaves late", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = maker.begin(owners=[OWNER])
    part = maker.tone(15, 2)
    recording.pcm(part)
    recording.finish()
    _add("ok-pcm", "codec 0", "ok", recording, _WHOLE, _OK, samples=samples + part)
    recording, samples = maker.begin(owners=[OWNER])
    events = maker.event(7, maker.mono(500), b"\1\1") + maker.event(8, maker.mono(500), struct.pack("<H", 3911))
    events += maker.event(9, maker.mono(500), b"\1" + bytes(range(32)))
    events += maker.mark(500) + maker.mark(510, 2) + maker.mark(520, 3)
    part = maker.tone(100, 3)
    recording.sound(part, maker.rice, events=events + maker.event(200, maker.mono(530), b"later") + maker.muted(600))
    recording.page(lost_before=480_000)
    tail = maker.tone(50, 4)
    recording.sound(tail, maker.rice, lost_before=1000, events=maker.unmuted(481_600))
    recording.finish()
    samples += part + [0] * 481_000 + tail
    _add("ok-every-event", "each event, one of a later version, a mute", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = _short()
    recording.file += [maker.normal(2, device=Device(5))[0].file[2], bytes(PAGE)]
    data = recording.bytes() + b"EWR1 and less than a page"
    about = "pages of another recording, zeros and a part of a page behind the end"
    key = OWNER.open_envelope(recording.envelope)
    _add("ok-unused-space", about, "ok", data, _WHOLE, _OK, samples=samples)
    _VECTORS[-1].key = key
    device = Device()
    _short(device=device)
    recording, samples = _short(device=device)
    about = "number 2 of the device of ok-short, which it names as the one before it"
    _add("ok-second", about, "ok", recording, _WHOLE, _OK, samples=samples, beside=["ok-short"])


def _headers() -> None:
    def both(at: int, value: int) -> Callable[[bytearray], None]:
        def change(page: bytearray) -> None:
            page[at] = value

        return change

    refused = (None, None)
    about = "one bit of page 0; the copy in checkpoint 0 is good, and everything can still be opened"
    for name, at in (("magic", 1), ("id", 20), ("device", 80), ("device-tag", 4090)):
        recording = _flip(_least()[0], 0, at)
        exits = (13, 13)
        _add(f"header-{name}-flipped", about, "header failure", recording, ("damaged", "complete"), exits)
    recording = _flip(_flip(_least()[0], 0, 130), 1, 600)
    _add("header-and-copy-flipped", "page 0 and its copy are both spoilt", "header failure", recording, refused, _BAD)
    made = (
        ("suite", "suite 2, in every page", 5, 2, (14, 14)),
        ("reserved", "byte 6 is not zero", 6, 1, _BAD),
        ("page-size", "a page size of 4097", 8, 1, _BAD),
        ("number-0", "number 0", 28, 0, _BAD),
        ("prev-of-1", "number 1 that names a recording before it", 36, 1, _BAD),
        ("padding", "a byte that is not zero behind the envelope", 1000, 1, _BAD),
        ("envelope-length", "an envelope one byte too short", 100, 231, _BAD),
        ("envelope-stanza", "another stanza than X25519", 102 + 25, ord("Y"), _BAD),
        ("envelope-version", "another version of age", 102 + 20, ord("2"), _BAD),
    )
    for name, about, at, value, exits in made:
        recording = _with_header(both(at, value))
        if name == "suite":
            recording.file = [page[:5] + b"\2" + page[6:] for page in recording.file]
        _add(f"header-{name}", f"{about}; sealed and signed over it", "header failure", recording, refused, exits)
    device = Device()
    device.public = bytes(32)
    recording = Recording(device, [OWNER])
    recording.finish()
    about = "a device key of small order, by which anybody can sign"
    _add("header-weak-key", about, "header failure", recording, ("not intact", "not complete"), _BAD)
    recording = Recording(Device(), [OWNER, Owner(2), Owner(3), Owner(4)])
    recording.finish()
    _add("header-four-recipients", "four stanzas", "header failure", recording, refused, _BAD)
    _add("no-recording", "a WAV file", "no recording", b"RIFF" + bytes(6000), refused, (14, 14))


def _bodies() -> None:
    recording, _ = maker.begin(owners=[OWNER])
    recording.body(_fields().ljust(4016, b"\0"), wrong_tag=True)
    recording.finish()
    bad = ("not intact", "not complete")
    about = "leaf 2 is signed and has a tag that the key does not give; nobody sees it without the key"
    _add("tag-wrong", about, "tag failure", recording, bad, (13, 0))
    plain = (
        ("padding", "the last byte of the body is not zero", _fields().ljust(4015, b"\0") + b"\1"),
        ("flags", "a flag", _fields(flags=1)),
        ("reserved", "the last field is not zero", _fields(zero=1)),
        ("too-long", "events and audio longer than the page", _fields(n_events=3000, n_audio=3000)),
        ("pcm-length", "3 samples in 4 bytes", _fields(samples=3, n_audio=4)),
        ("codec", "codec 9", _fields(codec=9)),
        ("jumps-on", "one sample too far on, none said to be lost", _fields(501)),
        ("jumps-back", "one sample twice", _fields(499)),
        ("event-short", "an event whose length is under 8", _fields(n_events=2) + b"\1\1"),
        ("event-fields", "a MARK without its fields", _fields(n_events=10) + maker.event(1, 0)),
        ("event-end", "an event that runs past event_bytes", _fields(n_events=10) + b"\xc8\x20" + bytes(40)),
    )
    for name, about, body in plain:
        _add(f"body-{name}", f"sealed and signed: {about}", "body failure", _body(body), bad, (13, 0))
    recording = Recording(Device(), [OWNER])
    recording.sound(maker.tone(30), lost_before=10)
    recording.finish()
    about = "sealed and signed: page 1 begins at sample 10"
    _add("body-begins-late", about, "body failure", recording, bad, (13, 0))


def _leaves() -> None:
    damaged, bad = ("damaged", "not complete"), ("not intact", "not complete")
    for name, at in (("number", 9), ("id", 12), ("reserved", 30), ("body", 2000), ("tag", 4050), ("device-tag", 4090)):
        _add(f"leaf-{name}-flipped", "one bit of leaf 2", "tree failure", _flip(_short()[0], 3, at), damaged, _BAD)
    recording = _short()[0]
    recording.file[3] = _short(device=Device(7))[0].file[3]
    _add("leaf-foreign", "leaf 2 of another device in its place", "tree failure", recording, damaged, _BAD)
    recording = _short()[0]
    recording.file[2], recording.file[3] = recording.file[3], recording.file[2]
    _add("leaf-swapped", "leaves 1 and 2 swapped", "tree failure", recording, bad, _BAD)
    recording = _short()[0]
    recording.file.insert(3, recording.file[2])
    _add("leaf-doubled", "leaf 1 twice", "tree failure", recording, bad, _BAD)
    recording = _short()[0]
    recording.file.append(recording.file[2])
    _add("leaf-behind-the-end", "leaf 1 again, behind the final note", "tree failure", recording, bad, _BAD)
    recording = _least()[0]
    recording.file.insert(3, recording.file[0])
    _add("header-doubled", "the header again among the pages", "tree failure", recording, bad, _BAD)
    recording = _short()[0]
    del recording.file[2]
    _add("cut-short-inside", "leaf 1 taken out", "cut short", recording, ("damaged", "cut short"), _BAD)


def _checkpoints() -> None:
    damaged, bad = ("damaged", "complete"), ("not intact", "not complete")
    for name, at in (("p", 28), ("list", 370), ("range", 400), ("padding", 4095)):
        recording = _flip(_middle()[0], 3, at)
        about = "one bit of the running checkpoint; its note holds and the leaves fit it"
        _add(f"checkpoint-{name}-flipped", about, "tree failure", recording, damaged, _BAD)
    recording = _middle()[0]
    del recording.file[3]
    _add("checkpoint-removed", "the running checkpoint taken out", "tree failure", recording, bad, _BAD)
    recording = _middle()[0]
    recording.file.insert(5, recording.file[3])
    _add("checkpoint-older-again", "the running checkpoint again, later", "tree failure", recording, bad, _BAD)
    recording = _middle()[0]
    recording.file[-1] = recording.file[3]
    about = "the running checkpoint again in place of the end"
    _add("checkpoint-older-last", about, "tree failure", recording, ("not intact", "unfinished"), _BAD)
    recording = _least()[0]
    del recording.file[1]
    _add("checkpoint-0-removed", "no checkpoint 0", "tree failure", recording, bad, _BAD)
    recording = _middle()[0]
    recording.file[1:3] = [recording.file[2], recording.file[1]]
    _add("checkpoint-0-late", "checkpoint 0 behind leaf 1", "tree failure", recording, bad, _BAD)
    recording = _short()[0]
    recording.file = [page for page in recording.file if page[4] != 3]
    _add("checkpoints-removed", "the sealing taken out", "tree failure", recording, bad, _BAD)
    recording, _ = maker.begin(owners=[OWNER])
    recording.page()
    recording.checkpoint("end", n=2)
    about = "a final checkpoint that leaves the last page out"
    _add("checkpoint-final-short", about, "tree failure", recording, bad, _BAD)
    recording, _ = maker.begin(owners=[OWNER])
    recording.checkpoint()
    recording.checkpoint()
    recording.checkpoint("end")
    _add(
        "checkpoint-empty",
        "a running checkpoint that lists no leaf",
        "tree failure",
        recording,
        ("damaged", "not complete"),
        _BAD,
    )


def _signatures() -> None:
    damaged = ("damaged", "not complete")
    expect = "signature failure"

    def add(name: str, about: str, recording: Recording) -> None:
        _add(f"note-{name}", f"checkpoint 0: {about}", expect, recording, damaged, _BAD)

    add("flipped", "one bit of the signature", _flip(_least()[0], 1, 320))
    add("root-flipped", "one character of the root", _flip(_least()[0], 1, 34 + 80))
    add("other-key", "signed by another device under its own name", _note_changed(_by_thief))
    add("other-key-same-name", "signed by another key under this device's name", _note_changed(_in_our_name))
    add("two-signatures", "a second signature line", _note_changed(lambda r, n: n + n.split(b"\n\n")[1]))
    add("base64", "root in base64 with stray bits", _note_changed(_stray_bits))
    add("order", "lines in another order, and signed so", _resigned("seq 1\nstate running\n", "state running\nseq 1\n"))
    add("number", "another recording's number, and signed so", _resigned("seq 1\n", "seq 2\n"))
    add("prev", "another recording before it, and signed so", _resigned("prev AAAA", "prev BAAA"))
    add("count", "covers one leaf more than the page says", _resigned("\n1\n", "\n2\n"))
    add("zero", "a count with a leading zero, and signed so", _resigned("\n1\n", "\n01\n"))
    add("seen", "`seen` in a running note, and signed so", _resigned("AAA=\n", "AAA=\nseen 1\n"))
    add("kind", "a status where a checkpoint belongs", _resigned("/checkpoint/", "/status/"))
    add("line-ends", "CR LF", _resigned("\n1\n", "\r\n1\r\n"))


def _by_thief(recording: Recording, note: bytes) -> bytes:
    return Device(2).sign(note.split(b"\n\n")[0] + b"\n")


def _in_our_name(recording: Recording, note: bytes) -> bytes:
    thief = Device()
    thief.key = Device(2).key
    return thief.sign(note.split(b"\n\n")[0] + b"\n")


def _stray_bits(recording: Recording, note: bytes) -> bytes:
    lines = note.split(b"\n\n")[0].split(b"\n")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    lines[2] = lines[2][:42] + bytes([alphabet[alphabet.index(lines[2][42]) | 1]]) + b"="
    return recording.device.sign(b"\n".join(lines) + b"\n")


def _ends() -> None:
    recording = _short()[0]
    del recording.file[-1]
    _add("unfinished", "no final note", "unfinished", recording, ("intact", "unfinished"), _PART)
    recording = _middle()[0]
    del recording.file[-2:]
    about = "cut right behind the running checkpoint"
    _add("unfinished-at-checkpoint", about, "unfinished", recording, ("intact", "unfinished"), _PART)
    data = _short()[0].bytes()[: -PAGE - 1000]
    _add("unfinished-torn", "the last page torn", "unfinished", data, ("intact", "unfinished"), _PART)
    _VECTORS[-1].key = _VECTORS[-2].key
    recording = _flip(_least()[0], -1, 330)
    about = "one bit in the signature of the end: no end at all, told as debris"
    _add("unfinished-end-unsigned", about, "unfinished", recording, ("intact", "unfinished"), _PART)
    recording = _least()[0]
    recording.file[-1] = recording.file[-2]
    about = "a leaf twice behind the last checkpoint"
    _add("unfinished-doubled", about, "tree failure", recording, ("not intact", "unfinished"), _BAD)
    for state, seen in (("recovered", 1), ("damaged", 9)):
        recording, _ = maker.begin(owners=[OWNER])
        recording.sound(maker.tone(300, 2), maker.rice)
        recording.checkpoint(state, seen=seen)
        about = {"recovered": "closed after a power cut", "damaged": "fewer pages found than were sealed"}[state]
        _add(state, about, state, recording, ("intact", state), _PART)
        if state == "recovered":
            recording.file.insert(-1, b"\xff" * PAGE)
            about = "a torn page before the note of the recovery"
            _add("recovered-torn", about, state, recording, ("intact", state), _PART)
            del recording.file[-2]
            _flip(recording, -1, 420)
            about = "one bit in the list of the recovery's checkpoint"
            _add("recovered-flipped", about, "tree failure", recording, ("damaged", state), _BAD)
    recording = Recording(Device(), [OWNER])
    recording.checkpoint("recovered", seen=0)
    about = "power was cut before the first page of sound"
    _add("recovered-header-alone", about, "recovered", recording, ("intact", "recovered"), _PART)
    for name, events in (
        ("none", b""),
        ("twice", maker.stop(500) * 2),
        ("not-last", maker.stop(500) + maker.mark(400)),
    ):
        recording, _ = maker.begin(owners=[OWNER])
        recording.page(events=events)
        recording.checkpoint("end")
        _add(f"stop-{name}", "how STOP stands", "not complete", recording, ("intact", "not complete"), (4, 0))
    recording, _ = maker.begin(owners=[OWNER])
    recording.sound(maker.tone(50), lost_before=777, events=maker.lost(500, 777))
    recording.finish()
    _add("lost-samples", "777 samples lost, and said so", "not continuous", recording, _WHOLE, (4, 0))
    recording, _ = maker.begin(owners=[OWNER])
    recording.sound(maker.tone(50), late_us=9_000)
    recording.finish()
    _add("time-jumps", "9 ms more than samples account for", "not continuous", recording, _WHOLE, (4, 0))


def _chain() -> None:
    recording, _ = maker.begin(owners=[OWNER])
    recording.checkpoint("recovered", seen=2)
    about = "another end of the recording in ok-short: whoever signed both had an older journal, or a copied key"
    _add("rollback", about, "rollback", recording, ("intact", "cut short"), (13, 13), beside=["ok-short"])
    recording, _ = _short(seed=9)
    about = "another recording with the number of ok-short"
    _add("rollback-other", about, "rollback", recording, _WHOLE, (13, 13), beside=["ok-short"])
    device = Device(seq=1, prev=bytes(31) + b"\1")
    recording, _ = _short(device=device)
    about = "number 2 of the device of ok-short, which names another recording before it"
    _add("prev-broken", about, "rollback", recording, _WHOLE, (13, 13), beside=["ok-short"])
    recording, _ = _short()
    del recording.file[-1]
    about = "ok-short without its end, although the next recording names that end"
    _add("cut-short-by-chain", about, "cut short", recording, ("intact", "cut short"), _PART, beside=["ok-second"])


def vectors() -> list[Vector]:
    """All of them, in the order of the manifest."""
    _VECTORS.clear()
    for part in (_good, _headers, _bodies, _leaves, _checkpoints, _signatures, _ends, _chain):
        part()
    return list(_VECTORS)


def files() -> dict[Path, bytes]:
    """Every file that this script writes, with its bytes."""
    made = vectors()
    head = {
        "about": "Vectors of the container, FORMAT.md. Made by make_vectors.py; one fault a file.",
        "identity": OWNER.text,
        "device": Device().public.hex(),
        "vectors": [vector.entry() for vector in made],
    }
    found = {HERE / f"{vector.name}.ewr": vector.data for vector in made}
    assert len(found) == len(made)
    found[MANIFEST] = (json.dumps(head, indent=1, ensure_ascii=False) + "\n").encode()
    key = next(vector.key for vector in made if vector.name == "ok-short")
    text = FORMAT.read_text("utf-8")
    found[FORMAT] = example.inserted(text, found[HERE / "ok-short.ewr"], key, Device().secret).encode()
    return found


def main() -> int:
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--check", action="store_true", help="write nothing")
    check = usage.parse_args().check
    wanted = files()
    changed = [path for path, data in wanted.items() if not path.exists() or path.read_bytes() != data]
    stale = [path for path in HERE.glob("*.ewr") if path not in wanted]
    for path in changed + stale:
        print(f"{path.relative_to(ROOT)}: {'differs' if path in wanted else 'is no vector any more'}")
        if not check:
            path.write_bytes(wanted[path]) if path in wanted else path.unlink()
    return 1 if check and changed + stale else 0


if __name__ == "__main__":
    sys.exit(main())
