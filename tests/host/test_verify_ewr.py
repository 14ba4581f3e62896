"""The standalone verifier: it agrees with the package on whatever file, speaks in sentences and never in tracebacks."""

from __future__ import annotations

import ast
import gc
import itertools
import json
import re
import secrets
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from earwitness import excerpt, timeline
from earwitness.errors import EarwitnessError
from earwitness.excerpt_verdict import verify_excerpt
from earwitness.verify import verify
from host import maker
from host.excerpts import BEGIN, bundle
from host.maker import PAGE, Device, Owner
from tools import verify_ewr

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "tools" / "verify_ewr.py"
VECTORS = ROOT / "tests" / "vectors"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text("utf-8"))
ENTRIES = [entry for entry in MANIFEST["vectors"] if entry["file"].endswith(".ewr")]
EXCERPTS = [entry for entry in MANIFEST["vectors"] if entry["file"].endswith(".ewd")]
OWNER = Owner()


def by_script(path: Path, key: bytes | None, beside: tuple[Path, ...] = ()) -> int:
    """Its exit code, without a process of its own."""
    code, said = verify_ewr.answer(verify_ewr.Check(path, key or b""), "", tuple(map(str, beside)))
    assert all(len(line) > 10 for line in said)
    return code


def by_package(path: Path, owner: Owner | None) -> int:
    """What the script's exit code has to be."""
    try:
        return verify(path, owner).exit_code
    except EarwitnessError as error:
        return error.exit_code


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_it_agrees_on_every_vector(entry):
    beside = tuple(VECTORS / name for name in entry.get("beside", ()))
    assert by_script(VECTORS / entry["file"], None, beside) == entry["exit_without_key"]
    if entry["recording_key"]:
        assert by_script(VECTORS / entry["file"], bytes.fromhex(entry["recording_key"]), beside) == entry["exit"]


# Files that were changed: pages of several kinds of recording, bytes and pages moved about.


def _kinds() -> list[maker.Recording]:
    whole, _ = maker.normal(5)
    between, _ = maker.begin()
    for number in range(1, 9):
        between.sound(maker.tone(30, number))
        if number in (2, 5):
            between.checkpoint()
        if number == 7:
            between.checkpoint(n=7)
    between.finish()
    recovered, _ = maker.begin()
    recovered.checkpoint()
    for number in range(3):
        recovered.sound(maker.tone(30, number))
    recovered.file.append(b"torn".ljust(PAGE, b"\xaa"))
    recovered.checkpoint("recovered", seen=2)
    unfinished, _ = maker.begin()
    for number in range(4):
        unfinished.sound(maker.tone(30, number))
    long, _ = maker.normal(66)
    header = maker.Recording(Device(), [OWNER])
    header.checkpoint("damaged", seen=5)
    empty, _ = maker.begin()  # its last checkpoint lists no leaf
    empty.sound(maker.tone(30, 1))
    empty.checkpoint()
    empty.file.append(b"torn".ljust(PAGE, b"\xaa"))
    empty.checkpoint("recovered", seen=3)
    return [whole, between, recovered, unfinished, long, header, empty]


KINDS = _kinds()
KEYS = [OWNER.open_envelope(recording.envelope) for recording in KINDS]
FOREIGN = maker.normal(3, device=Device(7))[0]
COUNTER = itertools.count()

numbers = st.integers(0, 1 << 20)
change = st.one_of(
    st.tuples(st.just("flip"), numbers, st.integers(0, PAGE - 1), st.integers(1, 255)),
    st.tuples(st.just("flip"), numbers, st.integers(0, 500), st.integers(1, 255)),
    st.tuples(st.sampled_from(["zero", "drop", "cut", "torn"]), numbers),
    st.tuples(st.sampled_from(["twice", "swap", "foreign", "renumber"]), numbers, numbers),
)


def changed(pages: list[bytes], what: tuple) -> None:  # type: ignore[type-arg]
    name, at = what[0], what[1] % len(pages)
    if name == "flip":
        data = bytearray(pages[at])
        data[what[2]] ^= what[3]
        pages[at] = bytes(data)
    elif name == "zero":
        pages[at] = bytes(PAGE)
    elif name == "torn":
        pages[at] = pages[at][:512] + bytes(PAGE - 512)
    elif name == "drop" and len(pages) > 1:
        del pages[at]
    elif name == "cut":
        del pages[max(at, 1) :]
    elif name == "twice":
        pages.insert(what[2] % (len(pages) + 1), pages[at])
    elif name == "swap":
        other = what[2] % len(pages)
        pages[at], pages[other] = pages[other], pages[at]
    elif name == "foreign":
        pages.insert(at, FOREIGN.file[what[2] % len(FOREIGN.file)])
    elif name == "renumber":
        pages[at] = pages[at][:8] + (what[2] % 200).to_bytes(4, "little") + pages[at][12:]


@contextmanager
def bounded(*, weighed: bool) -> Iterator[None]:
    """What is done inside takes little time, and little memory if it is weighed. Hypothesis' own garbage does not count."""
    gc.disable()
    begin = time.process_time()
    if weighed:
        tracemalloc.start()
    try:
        yield
        assert not weighed or tracemalloc.get_traced_memory()[1] < MOST_BYTES
        assert time.process_time() - begin < MOST_S
    finally:
        tracemalloc.stop()
        gc.enable()


def agree(folder: Path, which: int, changes: list, loose: bytes) -> None:  # type: ignore[type-arg]
    pages = list(KINDS[which].file)
    for what in changes:
        changed(pages, what)
    number = next(COUNTER)
    path = folder / f"{number}.ewr"
    path.write_bytes(b"".join(pages) + loose)
    with bounded(weighed=number % WEIGHED == 0):
        for owner, key in ((OWNER, KEYS[which]), (None, None)):
            wanted, found = by_package(path, owner), by_script(path, key)
            # The script is given a key; the package finds that no identity opens an envelope that was changed.
            assert found == wanted or (wanted, found) == (12, 13), (found, wanted, path)
    path.unlink()


QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MOST_S = 5.0  # of a core for a file of at most 75 pages, four times checked, whatever was done to it; mostly 5 ms
MOST_BYTES, WEIGHED = 2 << 20, 50  # at a time; of one file in 50, since weighing takes its time
PARTS = 10  # of a long run: workers share them, and what Hypothesis remembers of one does not grow without end


def in_parts(examples: int, strategies: tuple[Any, ...], check: Callable[..., None]) -> None:
    """One part of a long run, with numbers of its own."""
    seed(secrets.randbits(64))(settings(QUIET, max_examples=examples // PARTS)(given(*strategies)(check)))()


every_part = pytest.mark.parametrize("part", range(PARTS))


@lru_cache(maxsize=1 << 12)
def outcome(public: bytes, signature: bytes, text: bytes) -> type[Exception] | None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError) as error:
        return type(error)
    return None


class Remembered:
    """A device key whose signatures are checked once each: of a hundred thousand files nearly all hold the same few."""

    def __init__(self, public: bytes) -> None:
        self._public = public

    @classmethod
    def from_public_bytes(cls, public: bytes) -> Remembered:
        return cls(public)

    def verify(self, signature: bytes, text: bytes) -> None:
        error = outcome(self._public, signature, text)
        if error:
            raise error


@pytest.fixture
def signatures_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earwitness.note.Ed25519PublicKey", Remembered)
    monkeypatch.setattr(verify_ewr, "Ed25519PublicKey", Remembered)


files = (st.integers(0, len(KINDS) - 1), st.lists(change, min_size=0, max_size=3), st.binary(max_size=20))


def test_it_agrees_on_changed_files(tmp_path):
    @settings(QUIET, max_examples=400)
    @given(*files)
    def check(which, changes, loose):
        agree(tmp_path, which, changes, loose)

    check()


@pytest.mark.long
@every_part
def test_it_agrees_on_a_hundred_thousand_changed_files(tmp_path, signatures_remembered, part):
    def check(which, changes, loose):
        agree(tmp_path, which, changes, loose)

    in_parts(100_000, files, check)


# Files by somebody who holds every key, the device's too, and seals and signs whatever he likes.

around = st.sampled_from([-60, -1, 0, 1, 10, 50, 60, 100])  # samples from where the page begins
BUILT = {
    1: maker.mark,
    2: lambda at, n: maker.clock(
        at, 1_760_000_000_000_000 + at * 1_000_000 // 16_000 + (0, 80_003, 80_004, -(1 << 61))[n]
    ),
    3: lambda at, n: maker.meta((16_000, 8_000, 0, 16_000)[n]),
    4: lambda at, n: maker.lost(at, 50 * n),
    5: lambda at, n: maker.muted(at),
    6: lambda at, n: maker.unmuted(at),
    7: lambda at, n: maker.event(7, maker.mono(at), bytes([n, 200])),
    8: lambda at, n: maker.event(3, maker.mono(at), bytes(48) + b"\x80\x3e\0\0" + b"\1a\0\1c\0\0"[: 3 + n]),
    9: lambda at, n: maker.event(9, maker.mono(at), bytes([n]) * 33),
    10: maker.stop,
    11: lambda at, n: maker.silent(at)[: 18 - n // 3],
    12: lambda at, n: maker.heard(at),
}
entry = st.tuples(st.sampled_from([*BUILT, 5, 5, 6, 6]), around, st.integers(0, 3))
small = st.integers(-3, 3)
step = st.one_of(
    st.tuples(st.just("sound"), st.integers(1, 40)),
    st.tuples(st.just("body"), st.sampled_from([500, 501, 499, 0]), st.integers(0, 3), st.integers(0, 2)),
    st.tuples(
        st.just("checkpoint"),
        st.sampled_from(["running", "running", "end", "recovered", "damaged", "lost"]),
        st.one_of(st.just(0), small),
        st.one_of(st.just(0), small),
        st.sampled_from([None, 0, 2]),
    ),
    st.tuples(st.just("checkpoint"), st.just("running"), st.just(0), st.just(0), st.none()),
    st.tuples(st.sampled_from(["junk", "again", "stop", "tagless"])),
)
inside = st.tuples(
    st.just("inside"),
    st.lists(entry, max_size=3),
    st.sampled_from([0, 0, 50, 100]),  # samples lost or muted
    st.sampled_from([0, 0, 20, 20, 300, 15, 1025]),  # samples here
    st.sampled_from([0, 0, 0, 1, 4_999, 5_001, -5_001, 1 << 62]),  # microseconds late
    st.one_of(st.none(), st.none(), st.tuples(st.integers(0, 9), st.integers(0, 255))),  # a byte of the sound changed
)


def made(steps: list) -> maker.Recording:  # type: ignore[type-arg]
    recording, _ = maker.begin(owners=[OWNER])
    for what, *rest in steps:
        count = len(recording.hashes)
        if what == "sound":
            for number in range(rest[0]):
                recording.page(events=maker.mark(recording.sample) if number % 7 == 1 else b"")
        elif what == "body":
            fields = maker.struct.pack("<QQHHHBBII", rest[0], 0, 0, rest[1], 0, 0, rest[2] // 2, 0, 0)
            recording.body(fields.ljust(4016, b"\0"))
        elif what == "checkpoint":
            state, dn, dp, seen = rest
            n, p = max(count + dn, 0), max(recording.covered + dp, 0)
            if p <= n and n - p <= 66:
                recording.checkpoint(state, n=n, p=p, seen=seen if state not in ("running", "end") or dn else None)
        elif what == "junk":
            recording.file.append(b"torn".ljust(PAGE, b"\x55"))
        elif what == "again":
            recording.file.append(recording.file[count % len(recording.file)])
        elif what == "inside":
            entries, lost, samples, late_us, change = rest
            first = recording.sample + lost
            data = b"".join(BUILT[kind](max(recording.sample + at, 0), n) for kind, at, n in entries)
            audio = bytearray(maker.constant(first, samples) if samples else b"")
            if change:
                audio[change[0] : change[0] + 1] = bytes([change[1]])
            recording.page(bytes(audio), samples, lost_before=lost, events=data, late_us=late_us)
        elif what == "stop":
            recording.page(events=maker.stop(recording.sample))
        else:
            recording.body(bytes(4016), wrong_tag=True)
    return recording


def agree_on_made(folder: Path, steps: list) -> None:  # type: ignore[type-arg]
    recording = made(steps)
    path = recording.write(folder / f"{next(COUNTER)}.ewr")
    for owner, key in ((OWNER, OWNER.open_envelope(recording.envelope)), (None, None)):
        assert by_script(path, key) == by_package(path, owner), path
    path.unlink()


def agree_on_inside(folder: Path, steps: list, *, ends: bool) -> None:  # type: ignore[type-arg]
    """The file, and the excerpt with all of its pages disclosed, and the one with every other page."""
    last = [("stop",)] * ends + [("checkpoint", "end" if ends else "running", 0, 0, None)]
    agree_on_made(folder, [*steps, *last])
    recording = made([*steps, *last])
    for gap in (1, 2):
        path = folder / f"{next(COUNTER)}.ewd"
        path.write_bytes(bundle(recording, range(1, len(recording.hashes), gap)))
        assert by_script(path, None) == excerpt_by_package(path), path
        path.unlink()


def test_it_agrees_on_files_that_a_device_signed_and_should_not_have(tmp_path):
    @settings(QUIET, max_examples=150)
    @given(st.lists(step, max_size=8))
    def check(steps):
        agree_on_made(tmp_path, steps)

    check()


@pytest.mark.parametrize(("listed", "code"), [(64, 0), (65, 13)])
def test_a_checkpoint_lists_64_leaves_at_most(tmp_path, listed, code):
    recording, _ = maker.begin(owners=[OWNER])
    recording.checkpoint()
    recording.covered = -1000  # so that none comes by itself
    for _ in range(listed - 1):
        recording.page()
    recording.page(events=maker.stop(recording.sample))
    recording.checkpoint("end", p=2)
    path = recording.write(tmp_path / "x.ewr")
    assert by_script(path, None) == by_package(path, None) == code


MUTE, UNMUTE = (5, 0, 0), (6, 50, 0)  # at the beginning of a page, and 50 samples on


def page(*entries: tuple[int, int, int], lost: int = 0, samples: int = 20, late_us: int = 0) -> tuple:  # type: ignore[type-arg]
    return ("inside", list(entries), lost, samples, late_us, None)


@pytest.mark.parametrize(
    ("code", "steps"),
    [
        (0, []),
        (4, [page(lost=50)]),
        (4, [page(UNMUTE, lost=50)]),
        (0, [page(MUTE, samples=0), page(UNMUTE, lost=50)]),
        (4, [page(MUTE, samples=0), page(UNMUTE, lost=51)]),
        (0, [page(MUTE), page(lost=50, samples=0), page(UNMUTE, lost=50)]),
        (4, [page(MUTE), page(), page(lost=50)]),  # sound ended the mute
        (4, [page(MUTE, MUTE, UNMUTE, lost=50, samples=0), page(lost=50, samples=0)]),
        (4, [page((5, 10, 0), UNMUTE, lost=50)]),  # 10 samples before the mute
        (0, [page((5, 10, 0), UNMUTE, MUTE, lost=50)]),  # the mute that goes on covers them
        (0, [page(late_us=5_000)]),
        (4, [page(late_us=5_001)]),
        (0, [page(late_us=-5_000)]),
        (4, [page(late_us=-5_001)]),
        (0, [page((2, 0, 1))]),  # 40 + 40 ms, and 100 ppm of 31 ms
        (4, [page((2, 0, 2))]),
        (0, [page((2, 0, 3))]),  # a date that no recorder has
        (0, [page((7, 0, 1), (9, 0, 0), (1, 0, 9))]),
        (13, [page((3, 0, 1))]),
        (13, [page((8, 0, 0))]),
        (13, [page((8, 0, 1))]),
        (0, [page((8, 0, 2))]),
        (0, [page((8, 0, 3))]),
        (13, [page(samples=15)]),
        (0, [page(samples=16)]),
        (0, [page(samples=1024)]),
        (13, [page(samples=1025)]),
        (4, [page((10, 0, 1))]),
    ],
)
def test_it_sees_losses_mutes_time_and_clocks(tmp_path, code, steps):
    agree_on_inside(tmp_path, steps, ends=True)
    recording = made([*steps, ("stop",), ("checkpoint", "end", 0, 0, None)])
    assert by_script(recording.write(tmp_path / "x.ewr"), OWNER.open_envelope(recording.envelope)) == code


def test_more_entries_than_are_looked_at_are_not_passed_over(tmp_path, monkeypatch):
    recording = made([page((1, 0, 1), (1, 1, 1)), ("stop",), ("checkpoint", "end", 0, 0, None)])
    path, key = recording.write(tmp_path / "x.ewr"), OWNER.open_envelope(recording.envelope)
    for most, code in ((5, 0), (4, 4)):  # META, CLOCK, two marks and STOP
        monkeypatch.setattr("earwitness.timeline._MAX_KEPT", most)
        monkeypatch.setattr(verify_ewr, "MOST_EVENTS", most)
        assert by_script(path, key) == by_package(path, OWNER) == code


def test_it_refuses_as_many_parts_of_an_excerpt_as_the_package_does(tmp_path, monkeypatch):
    path = tmp_path / "x.ewd"
    for keep, code in (({1, 3}, 4), ({1, 3, 5}, 13)):
        path.write_bytes(bundle(KINDS[0], keep))
        monkeypatch.setattr("earwitness.excerpt._MAX_RUNS", 4)
        monkeypatch.setattr(verify_ewr, "MOST_PARTS", 4)
        assert by_script(path, None) == excerpt_by_package(path) == code


def test_the_limits_are_those_of_the_package_and_of_the_specification():
    text = (ROOT / "firmware" / "FORMAT.md").read_text("utf-8")
    assert verify_ewr.MOST_PARTS == excerpt._MAX_RUNS and f"{verify_ewr.MOST_PARTS:,}; one with more is refused" in text
    assert (
        verify_ewr.MOST_EVENTS == timeline._MAX_KEPT
        and f"| events of a recording | {verify_ewr.MOST_EVENTS:,};" in text
    )


def test_it_agrees_on_losses_mutes_time_and_clocks(tmp_path):
    @settings(QUIET, max_examples=300)
    @given(st.lists(inside, max_size=6), st.booleans())
    def check(steps, ends):
        agree_on_inside(tmp_path, steps, ends=ends)

    check()


@pytest.mark.long
@every_part
def test_it_agrees_on_many_losses_mutes_times_and_clocks(tmp_path, signatures_remembered, part):
    def check(steps, ends):
        agree_on_inside(tmp_path, steps, ends=ends)

    in_parts(20_000, (st.lists(inside, max_size=6), st.booleans()), check)


@pytest.mark.long
@every_part
def test_it_agrees_on_many_files_that_a_device_signed_and_should_not_have(tmp_path, signatures_remembered, part):
    def check(steps):
        agree_on_made(tmp_path, steps)

    in_parts(5_000, (st.lists(step, max_size=10),), check)


# Excerpts: whole ones of every kind of recording, and with bytes and parts moved about.


def excerpt_by_package(path: Path) -> int:
    try:
        return verify_excerpt(path).exit_code
    except EarwitnessError as error:
        return error.exit_code


def parts(which: int, keep: set[int], sealed: int) -> list[bytes]:
    """Beginning, page 0, checkpoint, then each leaf: an excerpt taken apart."""
    kind = KINDS[which]
    seals = [page for page in kind.file if page[:5] == b"EWR1\3"]
    # A running checkpoint that lists no leaf is none: one kind has it.
    seals = [page for page in seals if page[8:12] != page[28:32] or b"\nstate running\n" not in page]
    seal = seals[-1 - sealed % len(seals)]
    data = bundle(kind, keep, seal, int.from_bytes(seal[8:12], "little"))
    found, at = [data[:8], data[8 : 8 + PAGE], data[8 + PAGE : BEGIN]], BEGIN
    while at < len(data):
        size = 33 + PAGE * data[at]
        found.append(data[at : at + size])
        at += size
    return found


def agree_on_excerpt(folder: Path, found: list[bytes]) -> int:
    path = folder / f"{next(COUNTER)}.ewd"
    path.write_bytes(b"".join(found))
    wanted, by_us = excerpt_by_package(path), by_script(path, None)
    assert by_us == wanted, path
    path.unlink()
    return by_us


@pytest.mark.parametrize("entry", EXCERPTS, ids=lambda entry: entry["file"])
def test_it_agrees_on_every_vector_of_an_excerpt(entry):
    path = VECTORS / entry["file"]
    assert by_script(path, None) == excerpt_by_package(path) == entry["exit"]


@pytest.mark.parametrize("which", range(len(KINDS)))
def test_it_agrees_on_excerpts_of_every_kind(tmp_path, which):
    for sealed in range(3):
        everything = agree_on_excerpt(tmp_path, parts(which, set(range(100)), sealed))
        assert everything == (0 if b"\nstate end\n" in parts(which, set(), sealed)[2] else 4)
        for keep in (set(), {1}, {2, 3}, {1, 4}):
            assert agree_on_excerpt(tmp_path, parts(which, keep, sealed)) == 4


@pytest.mark.parametrize(
    ("change", "code"), [((4, b"\2"), 14), ((3, b"C"), 14), ((8, b"X"), 13), ((8 + PAGE, b"X"), 13)]
)
def test_an_excerpt_of_another_version_is_none(tmp_path, change, code):
    data = bytearray((VECTORS / "ok-excerpt.ewd").read_bytes())
    data[change[0] : change[0] + 1] = change[1]
    (tmp_path / "x.ewd").write_bytes(data)
    done = run(tmp_path / "x.ewd")
    assert done.returncode == code and done.stdout and not done.stderr


@pytest.mark.parametrize(("keep", "code"), [({1, 2, 3}, 4), ({2, 4}, 4), ({4}, 4), ({3, 4}, 13), ({1, 5}, 13)])
def test_sample_numbers_of_an_excerpt_follow_within_a_run_and_never_go_back(tmp_path, keep, code):
    recording, _ = maker.begin()
    for first in (500, 900, 1200, 400):
        fields = maker.struct.pack("<QQHHHBBII", first, 0, 400, 0, 800, 0, 0, 0, 0)
        recording.body(fields.ljust(4016, b"\0"))
    recording.checkpoint("recovered", seen=2)
    path = tmp_path / "x.ewd"
    path.write_bytes(bundle(recording, keep))
    assert by_script(path, None) == excerpt_by_package(path) == code


def test_an_excerpt_that_is_cut_off_anywhere_is_refused(tmp_path):
    data = b"".join(parts(0, {1, 3}, 0))
    for boundary in (8, 8 + PAGE, BEGIN, BEGIN + 33 + PAGE, len(data)):
        for left in range(max(boundary - 40, 9), min(boundary + 40, len(data))):
            assert agree_on_excerpt(tmp_path, [data[:left]]) in (13, 14)


excerpt_change = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 9), st.integers(0, PAGE + 32), st.integers(1, 255)),
    st.tuples(st.just("flip"), st.integers(0, 9), st.integers(0, 70), st.integers(1, 255)),
    st.tuples(st.sampled_from(["drop", "twice", "swap", "foreign", "cut"]), st.integers(0, 80), st.integers(0, 80)),
)
excerpts = (
    st.tuples(st.integers(0, len(KINDS) - 1), st.sets(st.integers(1, 9)), st.integers(0, 2)),
    st.lists(excerpt_change, max_size=2),
    st.binary(max_size=2),
)


def agree_on_changed_excerpt(folder: Path, begin: tuple[int, set[int], int], changes: list, loose: bytes) -> None:  # type: ignore[type-arg]
    which, keep, sealed = begin
    found = parts(*begin)
    untouched = [*found]
    for name, first, second, *by in changes:
        at, other = first % len(found), second % len(found)
        if name == "flip":
            data = bytearray(found[at])
            data[second % len(data)] ^= by[0]
            found[at] = bytes(data)
        elif name == "drop" and len(found) > 1:
            del found[at]
        elif name == "twice":
            found.insert(other, found[at])
        elif name == "swap":
            found[at], found[other] = found[other], found[at]
        elif name == "foreign":
            found[at] = parts((which + 1) % len(KINDS), keep, sealed)[second % 3]
        elif name == "cut":
            found[at] = found[at][: 1 + second * 52]
    if not b"".join(found).startswith(b"EWRB"):
        return  # whatever it is then, it is read as a recording
    code = agree_on_excerpt(folder, [*found, loose])
    if not any(change[0] == "foreign" for change in changes):  # that may be a note of the same device and recording
        assert (code in (0, 4)) == (b"".join([*found, loose]) == b"".join(untouched))


def test_it_agrees_on_changed_excerpts(tmp_path):
    @settings(QUIET, max_examples=300)
    @given(*excerpts)
    def check(begin, changes, loose):
        agree_on_changed_excerpt(tmp_path, begin, changes, loose)

    check()


@pytest.mark.long
@every_part
def test_it_agrees_on_many_changed_excerpts(tmp_path, signatures_remembered, part):
    def check(begin, changes, loose):
        agree_on_changed_excerpt(tmp_path, begin, changes, loose)

    in_parts(20_000, excerpts, check)


# As it is run.


def vector(name: str) -> dict[str, object]:
    return next(entry for entry in ENTRIES if entry["file"] == name)


def test_it_says_in_sentences_what_it_found(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes.fromhex(str(vector("ok-short.ewr")["recording_key"])))
    sealed, opened = run(VECTORS / "ok-short.ewr"), run("--key-file", key, VECTORS / "ok-short.ewr")
    assert (sealed.returncode, opened.returncode) == (0, 0)
    assert "not opened" in sealed.stdout and "from start to STOP" in opened.stdout
    assert "500 samples" in opened.stdout and not opened.stderr


def test_it_says_what_of_an_excerpt_is_disclosed():
    done = run(VECTORS / "ok-excerpt.ewd")
    assert done.returncode == 4 and not done.stderr
    assert "1 pages of sound are withheld" in done.stdout


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("excerpt-key.ewd", 13, "leaf 1: its tag is not by this key"),
        ("excerpt-hash.ewd", 13, "the excerpt: leaf 2 is not the one that the checkpoint lists"),
        ("excerpt-behind.ewd", 13, "behind its end"),
        ("leaf-body-flipped.ewr", 13, "page 4: leaf 2 is not the one that the checkpoint lists"),
        ("leaf-swapped.ewr", 13, "out of order"),
        ("note-other-key-same-name.ewr", 13, "page 1 of the file is not what the recorder sealed"),
        ("checkpoints-removed.ewr", 13, "no checkpoint of any recorder"),
        ("header-suite.ewr", 14, "no Earwitness recording"),
        ("no-recording.ewr", 14, "no Earwitness recording"),
        ("unfinished.ewr", 4, "it is unfinished"),
        ("recovered.ewr", 4, "it is recovered"),
    ],
)
def test_each_fault_is_named(name, code, words):
    done = run(VECTORS / name)
    assert done.returncode == code and words in done.stdout and not done.stderr


def test_the_envelope_comes_out_as_age_wants_it(tmp_path):
    command = [sys.executable, str(SCRIPT), "--envelope", str(VECTORS / "ok-three-recipients.ewr")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"age-encryption.org/v1\n")
    assert OWNER.open_envelope(done.stdout).hex() == vector("ok-three-recipients.ewr")["recording_key"]


@pytest.mark.parametrize(("name", "code"), [("unfinished", 0), ("leaf-swapped", 0), ("header-envelope-length", 13)])
def test_the_envelope_comes_out_of_whatever_has_one(name, code):
    command = [sys.executable, str(SCRIPT), "--envelope", str(VECTORS / f"{name}.ewr")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.startswith(b"age-encryption.org/v1\n")) == (code, code == 0)


def test_a_device_that_is_not_the_expected_one_is_refused():
    path = VECTORS / "ok-short.ewr"
    assert run("--device", Device().public.hex(), path).returncode == 0
    other = run("--device", Device(2).public.hex(), path)
    assert other.returncode == 13 and "not by the device expected" in other.stdout


def test_two_ends_of_one_recording_are_a_rollback():
    done = run(VECTORS / "rollback.ewr", "--beside", VECTORS / "ok-short.ewr")
    assert done.returncode == 13 and "rollback" in done.stdout
    assert run(VECTORS / "ok-second.ewr", "--beside", VECTORS / "ok-short.ewr").returncode == 0


@pytest.mark.parametrize("size", [0, 3, 100, 4095, 4096, 5000])
def test_short_files_have_no_traceback(tmp_path, size):
    path = tmp_path / "short.ewr"
    path.write_bytes((VECTORS / "ok-short.ewr").read_bytes()[:size])
    done = run(path)
    assert done.returncode in (13, 14) and done.stdout and not done.stderr


def test_what_cannot_be_read_has_no_traceback(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes(31))
    for arguments, code in (
        ([tmp_path / "none.ewr"], 1),
        ([tmp_path], 1),
        (["--key-file", tmp_path / "none", VECTORS / "ok-short.ewr"], 1),
        (["--key-file", key, VECTORS / "ok-short.ewr"], 2),
        ([], 2),
    ):
        done = run(*arguments)
        assert done.returncode == code and "Traceback" not in done.stderr + done.stdout


def test_a_wrong_key_opens_nothing(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    done = run("--key-file", key, VECTORS / "ok-short.ewr")
    assert done.returncode == 13 and "not by this key" in done.stdout


def test_it_stands_alone():
    tree = ast.parse(SCRIPT.read_text("utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    outside = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names)
    assert outside == {"cryptography"}


def test_its_exit_codes_are_those_it_documents():
    words = re.findall(r"(\d+) ", (verify_ewr.__doc__ or "").split("Exit codes:")[1])
    assert {"0", "4", "13", "14", "2", "1"} <= set(words)
