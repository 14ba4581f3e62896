"""All vectors, each with what has to be said of it."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

from host import maker
from host.maker import PAGE, Device, Owner, Recording
from vectors.workshop import (
    OWNER,
    UTC_US,
    Anybody,
    Vector,
    fields,
    flip,
    least,
    middle,
    note_changed,
    resigned,
    sealed_body,
    short,
    with_header,
)

_VECTORS: list[Vector] = []
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


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


_OK, _SEALED = (0, 0), (0, 0)
_BAD = (13, 13)
_PART = (4, 4)
_WHOLE = ("intact", "complete")


def _good() -> None:
    recording, samples = short()
    _add("ok-short", "the least that is whole; the worked example", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = middle()
    _add("ok-checkpoint-between", "a running checkpoint in it", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = maker.begin(owners=[Owner(2), OWNER, Owner(3)])
    recording.finish()
    _add("ok-three-recipients", "three stanzas in the envelope", "ok", recording, _WHOLE, _OK, samples=samples)
    recording, samples = maker.begin(owners=[OWNER])
    for number in range(1, 9):
        part = maker.tone(20, number)
        recording.sound(part)
        samples += part
        if number == 7:
            recording.checkpoint(n=4)  # as if it had taken that long to sign
    recording.finish()
    _add("ok-many-leaves", "one checkpoint 5 leaves late", "ok", recording, _WHOLE, _OK, samples=samples)
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
    recording, samples = short()
    recording.file += [maker.normal(2, device=Device(5))[0].file[2], bytes(PAGE)]
    data = recording.bytes() + b"EWR1 and less than a page"
    about = "pages of another recording, zeros and a part of a page behind the end"
    key = OWNER.open_envelope(recording.envelope)
    _add("ok-unused-space", about, "ok", data, _WHOLE, _OK, samples=samples)
    _VECTORS[-1].key = key
    device = Device()
    short(device=device)
    recording, samples = short(device=device)
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
        recording = flip(least()[0], 0, at)
        exits = (13, 13)
        _add(f"header-{name}-flipped", about, "header failure", recording, ("damaged", "complete"), exits)
    recording = least()[0]
    recording.file[0] = Recording(Device(), [Owner(2)]).file[0]
    about = (
        "a well-formed page 0 with another envelope than the one that was signed: the copy stands, page 0 is damaged"
    )
    _add("header-contradicts", about, "header failure", recording, ("damaged", "complete"), (13, 13))
    recording = least(seed=9)[0]
    recording.file[1] = least()[0].file[1]
    about = "checkpoint 0 of an older recording behind page 0, another id and another envelope: page 0 stands"
    _add("header-stale-copy", about, "header failure", recording, ("damaged", "not complete"), (13, 13))
    recording = flip(flip(least()[0], 0, 130), 1, 600)
    _add("header-and-copy-flipped", "page 0 and its copy are both spoilt", "header failure", recording, refused, _BAD)
    made = (
        ("suite", "suite 2, in every page", 5, 2, (14, 14)),
        ("reserved", "byte 6 is not zero", 6, 1, _BAD),
        ("type", "the type of a checkpoint", 4, 3, _BAD),
        ("prev-missing", "number 2 that names no recording before it", 28, 2, _BAD),
        ("prev-of-1", "number 1 that names a recording before it", 36, 1, _BAD),
        ("padding", "a byte that is not zero behind the envelope", 1000, 1, _BAD),
        ("envelope-length", "an envelope one byte too short", 100, 231, _BAD),
        ("envelope-longer", "an envelope one byte too long, a zero", 100, 233, _BAD),
        ("envelope-stanza", "another stanza than X25519", 102 + 25, ord("Y"), _BAD),
        ("envelope-version", "another version of age", 102 + 20, ord("2"), _BAD),
        ("envelope-base64", "base64 with stray bits in the first stanza", 102 + 74, _stray(102 + 74), _BAD),
    )
    for name, about, at, value, exits in made:
        recording = with_header(both(at, value))
        if name == "suite":
            recording.file = [page[:5] + b"\2" + page[6:] for page in recording.file]
        _add(f"header-{name}", f"{about}; sealed and signed over it", "header failure", recording, refused, exits)

    def nought(page: bytearray) -> None:
        page[28], page[36] = 0, 1

    about = "number 0, and a recording before it; sealed and signed over it"
    _add("header-number-0", about, "header failure", with_header(nought), refused, _BAD)

    def high(page: bytearray) -> None:
        page[32] = page[36] = 1

    about = "number 2^32 + 1; sealed and signed over it"
    _add("header-number-high", about, "header failure", with_header(high), refused, _BAD)
    recording = short(device=Anybody())[0]
    about = "a device key of small order, under which anybody can sign: every signature in it holds"
    _add("header-weak-key", about, "header failure", recording, refused, _BAD)
    recording = Recording(Device(), [OWNER, Owner(2), Owner(3), Owner(4)])
    _add("header-four-recipients", "four stanzas", "header failure", recording, refused, _BAD)
    _add("no-recording", "a WAV file", "no recording", b"RIFF" + bytes(6000), refused, (14, 14))


def _stray(at: int) -> int:
    """The character there in the header, with a bit set that means nothing."""
    return _ALPHABET[_ALPHABET.index(least()[0].file[0][at]) | 1]


def _bodies() -> None:
    recording = Recording(Device(), [OWNER])
    recording.body(fields().ljust(4016, b"\0"), wrong_tag=True)
    recording.checkpoint("end")
    bad = ("not intact", "not complete")
    about = "leaf 1 is signed and has a tag that the key does not give; nobody sees it without the key"
    _add("tag-wrong", about, "tag failure", recording, bad, (13, 0))
    good, frame = maker.verbatim(0, maker.tone(20)), maker.verbatim(1, maker.tone(20))
    meta = maker.event(3, 0, maker.meta()[10:62] + b"\1a\1b")
    bodies = (
        ("padding", "the last byte of the body is not zero", fields().ljust(4015, b"\0") + b"\1"),
        ("flags", "a flag", fields(flags=1)),
        ("reserved", "the last field is not zero", fields(zero=1)),
        ("too-long", "one sample more than the page has room for", fields(samples=1993, n_audio=3986) + bytes(3984)),
        ("pcm-length", "3 samples in 4 bytes", fields(samples=3, n_audio=4)),
        ("codec", "codec 9, on what would be good as codec 1", fields(0, 20, 0, len(good), codec=9) + good),
        ("flac-number", "its frame numbered one sample on", fields(0, 20, 0, len(frame), codec=1) + frame),
        ("flac-empty", "codec 1 and no sample", fields(n_audio=len(frame), codec=1) + frame),
        ("meta", "a META with two texts of three", fields(n_events=len(meta)) + meta),
        ("meta-short", "a META of ten bytes", fields(n_events=20) + maker.event(3, 0, bytes(10))),
        ("event-byte", "one byte of events", fields(n_events=1) + b"\1"),
        (
            "event-short",
            "an event whose length is 4",
            fields(n_events=20) + b"\xc8\4four" + maker.event(200, 0, b"more"),
        ),
        ("event-fields", "a MARK without its fields", fields(n_events=10) + maker.event(1, 0)),
        ("event-end", "an event that runs past event_bytes", fields(n_events=10) + b"\xc8\x20" + bytes(40)),
    )
    for name, about, plain in bodies:
        _add(f"body-{name}", f"sealed and signed: {about}", "body failure", sealed_body(plain), bad, (13, 0))
    for name, about, first in (("on", "one sample too far on, none said to be lost", 501), ("back", "one twice", 499)):
        recording = sealed_body(fields(first), second=True)
        _add(f"body-jumps-{name}", f"sealed and signed: {about}", "body failure", recording, bad, (13, 0))
    many = (1 << 32) - 500
    recording = sealed_body(fields(500 + many, 1, 0, 2, lost=many), second=True)
    about = "sealed and signed: one sample more than 2^32, nearly all of them lost"
    _add("body-count-high", about, "body failure", recording, bad, (13, 0))
    recording = Recording(Device(), [OWNER])
    recording.sound(maker.tone(30), lost_before=10)
    recording.checkpoint("end")
    about = "sealed and signed: page 1 begins at sample 10"
    _add("body-begins-late", about, "body failure", recording, bad, (13, 0))


def _leaves() -> None:
    damaged, bad = ("damaged", "not complete"), ("not intact", "not complete")
    for name, at in (("number", 9), ("id", 12), ("body", 2000), ("tag", 4050), ("device-tag", 4090)):
        _add(f"leaf-{name}-flipped", "one bit of leaf 2", "tree failure", flip(short()[0], 3, at), damaged, _BAD)
    recording = short()[0]
    recording.file[3] = short(device=Device(7))[0].file[3]
    _add("leaf-foreign", "leaf 2 of another device in its place", "tree failure", recording, damaged, _BAD)
    recording = short()[0]
    recording.file.insert(3, bytes(PAGE))
    about = "a page of zeros between leaves 1 and 2"
    _add("leaf-stranger-between", about, "tree failure", recording, ("damaged", "complete"), _BAD)
    recording, _ = maker.begin(owners=[OWNER])
    recording.file.append(bytes(PAGE))
    recording.page()
    recording.checkpoint("recovered", seen=2)
    about = "a page of zeros between leaves 1 and 2 of a recovered recording: no power cut leaves it there"
    _add("recovered-stranger-between", about, "tree failure", recording, ("damaged", "recovered"), _BAD)
    recording = short()[0]
    recording.file[2], recording.file[3] = recording.file[3], recording.file[2]
    _add("leaf-swapped", "leaves 1 and 2 swapped", "tree failure", recording, bad, _BAD)
    recording = short()[0]
    recording.file.insert(3, recording.file[2])
    _add("leaf-doubled", "leaf 1 twice", "tree failure", recording, bad, _BAD)
    recording = short()[0]
    recording.file.append(recording.file[2])
    _add("leaf-behind-the-end", "leaf 1 again, behind the final note", "tree failure", recording, bad, _BAD)
    recording = short()[0]
    recording.page()
    _add("leaf-added-behind-the-end", "a leaf more, behind the final note", "tree failure", recording, bad, _BAD)
    recording = least()[0]
    recording.file.insert(3, recording.file[0])
    _add("header-doubled", "the header again among the pages", "tree failure", recording, bad, _BAD)
    recording, _ = maker.begin(owners=[OWNER])
    recording.file.append(recording.file[0])
    about = "the header again, behind the last checkpoint of an unfinished recording"
    _add("header-doubled-last", about, "tree failure", recording, ("not intact", "unfinished"), _BAD)
    _late_leaves()
    recording = short()[0]
    del recording.file[2]
    _add("cut-short-inside", "leaf 1 taken out", "cut short", recording, ("damaged", "cut short"), _BAD)


def _late_leaves() -> None:
    """Header, checkpoint 0, leaves 1 and 2, a checkpoint over leaves 0 and 1 (so leaf 2 was late), leaf 3 with STOP, end."""

    def signed_late() -> Recording:
        recording, _ = maker.begin(owners=[OWNER])
        recording.sound(maker.tone(30))
        recording.checkpoint(n=2)
        recording.finish()
        return recording

    damaged, bad = ("damaged", "not complete"), ("not intact", "not complete")
    recording = signed_late()
    recording.file[3] = bytes(PAGE)
    about = "zeros in place of leaf 2, which stands before the checkpoint and is listed by the next"
    _add("late-leaf-zeroed", about, "tree failure", recording, damaged, _BAD)
    about = "one bit of the number of leaf 2, so that it is too far on at the checkpoint before which it stands"
    _add("late-leaf-number", about, "tree failure", flip(signed_late(), 3, 8, 64), damaged, _BAD)
    about = "one bit of the number of leaf 1, so that it waits at the checkpoint that lists it"
    _add("leaf-number-later", about, "tree failure", flip(signed_late(), 2, 8, 8), damaged, _BAD)
    recording = signed_late()
    del recording.file[3]
    about = "leaf 2 taken out; it stood before the checkpoint and is listed by the next"
    _add("late-leaf-removed", about, "cut short", recording, ("damaged", "cut short"), _BAD)
    recording = signed_late()
    recording.file.insert(4, recording.file[2])
    _add("late-leaf-doubled", "leaf 1 again behind leaf 2", "tree failure", recording, bad, _BAD)


def _checkpoints() -> None:
    damaged, bad = ("damaged", "complete"), ("not intact", "not complete")
    for name, at in (("p", 28), ("list", 370), ("range", 400), ("padding", 4095)):
        recording = flip(middle()[0], 3, at)
        about = "one bit of the running checkpoint; its note holds and the leaves fit it"
        _add(f"checkpoint-{name}-flipped", about, "tree failure", recording, damaged, _BAD)
    about = "one bit of the running checkpoint's type, so that it says that it is a header"
    _add("checkpoint-type-flipped", about, "tree failure", flip(middle()[0], 3, 4, 2), damaged, _BAD)
    recording = flip(short()[0], -1, 4095)
    del recording.file[3]
    about = (
        "the last leaf taken out, and one bit of the final checkpoint: its note holds, for more leaves than are here"
    )
    _add("checkpoint-of-others", about, "tree failure", recording, ("damaged", "unfinished"), _BAD)
    recording = Recording(Device(), [OWNER])
    del recording.file[1]
    recording.covered = 0
    recording.page()
    recording.checkpoint()
    recording.finish()
    about = "checkpoint 0 covers the header and leaf 1, and is signed so"
    _add("checkpoint-0-of-two", about, "tree failure", recording, ("damaged", "not complete"), _BAD)
    recording = Recording(Device(), [OWNER])
    del recording.file[1]
    recording.covered = 0
    recording.checkpoint("recovered", seen=0)
    about = "checkpoint 0 says that the recording is over, and is signed so"
    _add("checkpoint-0-final", about, "tree failure", recording, ("damaged", "recovered"), _BAD)
    recording = short()[0]
    recording.file[-1:] = []
    recording.checkpoint("end", n=2, p=3, root_of=3)
    about = "a final checkpoint over fewer leaves than the one before, with the root of all of them, and signed so"
    _add("checkpoint-p-over-n", about, "tree failure", recording, ("damaged", "unfinished"), _BAD)
    recording = middle()[0]
    del recording.file[3]
    _add("checkpoint-removed", "the running checkpoint taken out", "tree failure", recording, bad, _BAD)
    recording = middle()[0]
    recording.file.insert(5, recording.file[3])
    _add("checkpoint-older-again", "the running checkpoint again, later", "tree failure", recording, bad, _BAD)
    recording = middle()[0]
    recording.file[-1] = recording.file[3]
    about = "the running checkpoint again in place of the end"
    _add("checkpoint-older-last", about, "tree failure", recording, ("not intact", "unfinished"), _BAD)
    recording = least()[0]
    del recording.file[1]
    _add("checkpoint-0-removed", "no checkpoint 0", "tree failure", recording, bad, _BAD)
    recording = middle()[0]
    recording.file[1:3] = [recording.file[2], recording.file[1]]
    _add("checkpoint-0-late", "checkpoint 0 behind leaf 1", "tree failure", recording, bad, _BAD)
    recording = short()[0]
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

    add("flipped", "one bit of the signature", flip(least()[0], 1, 320))
    add("root-flipped", "one character of the root", flip(least()[0], 1, 34 + 80))
    add("other-key", "signed by another device under its own name", note_changed(_by_thief))
    add("other-key-same-name", "signed by another key under this device's name", note_changed(_in_our_name))
    add("two-signatures", "a second signature line", note_changed(lambda r, n: n + n.split(b"\n\n")[1]))
    add("base64", "root in base64 with stray bits", note_changed(_stray_bits))
    add("order", "lines in another order, and signed so", resigned("seq 1\nstate running\n", "state running\nseq 1\n"))
    add("number", "another recording's number, and signed so", resigned("seq 1\n", "seq 2\n"))
    add("prev", "another recording before it, and signed so", resigned("prev AAAA", "prev BAAA"))
    add("count", "covers one leaf more than the page says", resigned("\n1\n", "\n2\n"))
    add("root", "another root than that of its leaves, and signed so", note_changed(_another_root))
    add("zero", "a count with a leading zero, and signed so", resigned("\n1\n", "\n01\n"))
    add("seen", "`seen` in a running note, and signed so", resigned("AAA=\n", "AAA=\nseen 1\n"))
    add("kind", "a status where a checkpoint belongs", resigned("/checkpoint/", "/status/"))


def _by_thief(recording: Recording, note: bytes) -> bytes:
    return Device(2).sign(note.split(b"\n\n")[0] + b"\n")


def _in_our_name(recording: Recording, note: bytes) -> bytes:
    thief = Device()
    thief.key = Device(2).key
    return thief.sign(note.split(b"\n\n")[0] + b"\n")


def _stray_bits(recording: Recording, note: bytes) -> bytes:
    lines = note.split(b"\n\n")[0].split(b"\n")
    lines[2] = lines[2][:42] + bytes([_ALPHABET[_ALPHABET.index(lines[2][42]) | 1]]) + b"="
    return recording.device.sign(b"\n".join(lines) + b"\n")


def _another_root(recording: Recording, note: bytes) -> bytes:
    lines = note.split(b"\n\n")[0].split(b"\n")
    lines[2] = base64.b64encode(bytes(32))
    return recording.device.sign(b"\n".join(lines) + b"\n")


def _ends() -> None:
    recording = short()[0]
    del recording.file[-1]
    _add("unfinished", "no final note", "unfinished", recording, ("intact", "unfinished"), _PART)
    data = short()[0].bytes()[: -PAGE - 1000]
    _add("unfinished-torn", "the last page torn", "unfinished", data, ("intact", "unfinished"), _PART)
    _VECTORS[-1].key = _VECTORS[-2].key
    recording = flip(least()[0], -1, 330)
    about = "one bit in the signature of the end: no end at all, told as debris"
    _add("unfinished-end-unsigned", about, "unfinished", recording, ("intact", "unfinished"), _PART)
    recording = least()[0]
    recording.file[-1] = recording.file[-2]
    about = "a leaf twice behind the last checkpoint"
    _add("unfinished-doubled", about, "tree failure", recording, ("not intact", "unfinished"), _BAD)
    recording = flip(least()[0], 2, 9)
    del recording.file[-1]
    about = "one bit of the number of a leaf behind the last checkpoint: far from where it stands"
    _add("unfinished-number", about, "tree failure", recording, ("damaged", "unfinished"), _BAD)
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
            flip(recording, -1, 420)
            about = "one bit in the list of the recovery's checkpoint"
            _add("recovered-flipped", about, "tree failure", recording, ("damaged", state), _BAD)
    _cut_off_behind_a_checkpoint()
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
    recording.pcm(maker.tone(50) + [0] * 300 + maker.tone(50), events=maker.silent(550) + maker.heard(850))
    recording.finish()
    about = "300 samples of one value, and said to be a dead microphone's"
    _add("microphone-silent", about, "not continuous", recording, _WHOLE, (4, 0))
    recording, _ = maker.begin(owners=[OWNER])
    recording.sound(maker.tone(50), late_us=9_000)
    recording.finish()
    _add("time-jumps", "9 ms more than samples account for", "not continuous", recording, _WHOLE, (4, 0))
    recording, _ = maker.begin(owners=[OWNER])
    recording.page(events=maker.unmuted(600) + maker.stop(600), lost_before=100)
    recording.checkpoint("end")
    about = "an UNMUTED without a MUTED: what is missing before it was lost"
    _add("unmuted-alone", about, "not continuous", recording, _WHOLE, (4, 0))
    recording, _ = maker.begin(owners=[OWNER])
    recording.page(events=maker.clock(500, UTC_US + 900_000) + maker.stop(500))
    recording.checkpoint("end")
    about = "two CLOCKs, 0.9 s apart, where 31 ms have passed and each may err by 40 ms"
    _add("clocks-disagree", about, "not continuous", recording, _WHOLE, (4, 0))


def _cut_off_behind_a_checkpoint() -> None:
    """Power goes right behind a running checkpoint: that of the recovery lists no leaf, and stands on it."""

    def cut_off(leaves: int = 0) -> Recording:
        recording, _ = maker.begin(owners=[OWNER])
        recording.checkpoint()
        for number in range(leaves):
            recording.sound(maker.tone(30, number))
        recording.checkpoint("recovered", seen=2)
        return recording

    def add(name: str, about: str, recording: Recording, intact: str = "damaged", complete: str = "recovered") -> None:
        _add(f"recovered-checkpoint-{name}", about, "tree failure", recording, (intact, complete), _BAD)

    add("flipped", "one bit in the note of the checkpoint that a recovery stands on", flip(cut_off(), 3, 200))
    recording = cut_off()
    recording.file[3] = bytes(PAGE)
    add("zeroed", "zeros in place of the checkpoint that a recovery stands on", recording)
    recording = cut_off()
    del recording.file[3]
    about = "the checkpoint that a recovery stands on taken out: no accident moves the pages behind it"
    add("removed", about, recording, "not intact")
    recording = cut_off(1)
    recording.file[3:5] = [bytes(PAGE)]
    about = "one page of zeros in place of two, the checkpoint that a recovery stands on and the leaf behind it"
    add("and-leaf-removed", about, recording, "not intact", "cut short")
    recording = cut_off(1)
    recording.file[3:5] = [bytes(PAGE), bytes(PAGE)]
    about = "zeros in place of both; whether the page of the leaf was torn by the cut nobody can tell"
    add("and-leaf-zeroed", about, recording, "damaged", "cut short")
    recording, _ = maker.begin(owners=[OWNER])
    recording.checkpoint()
    recording.sound(maker.tone(30, 1))
    flip(recording, 3, 450).covered = 1
    recording.checkpoint("recovered", seen=1)
    about = "a running checkpoint spoilt behind its note, a leaf, and a recovery that stands on the checkpoint before"
    add("before", about, recording)


def _chain() -> None:
    recording, _ = maker.begin(owners=[OWNER])
    recording.checkpoint("recovered", seen=2)
    about = "another end of the recording in ok-short: whoever signed both had an older journal, or a copied key"
    _add("rollback", about, "rollback", recording, ("intact", "cut short"), (13, 13), beside=["ok-short"])
    recording, _ = short(seed=9)
    about = "another recording with the number of ok-short"
    _add("rollback-other", about, "rollback", recording, _WHOLE, (13, 13), beside=["ok-short"])
    device = Device(seq=1, prev=bytes(31) + b"\1")
    recording, _ = short(device=device)
    about = "number 2 of the device of ok-short, which names another recording before it"
    _add("prev-broken", about, "rollback", recording, _WHOLE, (13, 13), beside=["ok-short"])
    recording, _ = short()
    del recording.file[-1]
    about = "ok-short without its end, although the next recording names that end"
    _add("cut-short-by-chain", about, "cut short", recording, ("intact", "cut short"), _PART, beside=["ok-second"])


def _excerpts() -> None:
    """ok-short with leaf 1 disclosed and leaf 2, which holds STOP, withheld."""
    recording, _ = short()
    begin = struct.pack("<4sI", b"EWRB", 1) + recording.file[0] + recording.file[-1]
    shown = b"\1" + recording.page_keys[1] + recording.file[2]
    hidden = b"\0" + recording.hashes[2]
    good = begin + shown + hidden
    states = ("intact", "sealed as end; an excerpt")
    _add("ok-excerpt", "leaf 1 disclosed, leaf 2 withheld", "ok", good, states, (4, 4), suffix="ewd")
    bad = ("not intact", "not complete")

    def add(name: str, about: str, data: bytes, states: tuple[str | None, str | None] = bad) -> None:
        _add(f"excerpt-{name}", about, "excerpt failure", data, states, (13, 13), suffix="ewd")

    recording, _ = maker.begin(owners=[OWNER])
    recording.page()
    recording.checkpoint("end")
    data = begin[:8] + recording.file[0] + recording.file[-1] + b"\0" + recording.hashes[1]
    data += b"\1" + recording.page_keys[2] + recording.file[3]
    about = "leaf 1 withheld; leaf 2, the last, holds no STOP although the end is signed"
    _add("excerpt-stop", about, "not complete", data, ("intact", "not complete"), (4, 4), suffix="ewd")
    at = begin.index(b"\xe2\x80\x94 earwitness/") + 60
    unsigned = begin[:at] + bytes([begin[at] ^ 1]) + begin[at + 1 :]
    add("signature", "one bit of the signature", unsigned + shown + hidden, (None, None))
    add("key", "one bit of the page key", begin + b"\1" + bytes([shown[1] ^ 1]) + shown[2:] + hidden)
    add(
        "page", "one bit of the disclosed page", begin + shown[:2000] + bytes([shown[2000] ^ 1]) + shown[2001:] + hidden
    )
    add("hash", "one bit of the withheld hash", begin + shown + b"\0" + bytes([hidden[1] ^ 1]) + hidden[2:])
    add("kind", "neither disclosed nor withheld: byte 2, then the hash", begin + shown + b"\2" + hidden[1:])
    for name, about, wrong in (
        ("number", "says that it is leaf 2", {"number": 2}),
        ("zero", "is not zero at 28", {"zero": 1}),
    ):
        recording = Recording(Device(), [OWNER])
        recording.body(fields().ljust(4016, b"\0"), **wrong)
        recording.checkpoint("end")
        data = begin[:8] + recording.file[0] + recording.file[-1]
        data += b"\1" + recording.page_keys[1] + recording.file[2]
        add(name, f"leaf 1 is sealed and signed, and {about}", data)
    add("short", "the withheld hash is not there", begin + shown)
    add("behind", "one byte behind its end", good + b"\0")


def vectors() -> list[Vector]:
    """All of them, in the order of the manifest."""
    _VECTORS.clear()
    for part in (_good, _headers, _bodies, _leaves, _checkpoints, _signatures, _ends, _chain, _excerpts):
        part()
    return list(_VECTORS)
