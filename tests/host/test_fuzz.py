"""Whatever the bytes: an answer or an error of ours, and never "intact and complete" for what was changed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness import body, checkpoint, events, flac, note, page
from earwitness.audio import Audio
from earwitness.errors import EarwitnessError, FormatError, IntegrityError, KeyMissingError
from earwitness.verify import verify
from host import maker
from host.maker import PAGE, Device, Owner

OWNER = Owner()
GOOD = maker.normal(70)[0]
SHORT = maker.normal(3)[0]
FOREIGN = maker.normal(3, device=Device(7))[0]
HEADER = page.parse_header(GOOD.file[0])
COUNTER = itertools.count()
QUIET = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.integers(0, 1 << 20)
mutation = st.one_of(
    st.tuples(st.just("flip"), numbers, st.integers(0, PAGE - 1), st.integers(1, 255)),
    st.tuples(st.just("flip"), numbers, st.integers(0, 40), st.integers(1, 255)),
    st.tuples(st.just("zero"), numbers),
    st.tuples(st.just("drop"), numbers),
    st.tuples(st.just("twice"), numbers, numbers),
    st.tuples(st.just("swap"), numbers, numbers),
    st.tuples(st.just("foreign"), numbers, numbers),
    st.tuples(st.just("cut"), numbers),
    st.tuples(st.just("noise"), numbers, st.binary(min_size=1, max_size=100)),
)


def mutate(pages: list[bytes], what: tuple) -> None:  # type: ignore[type-arg]
    name, at = what[0], what[1] % len(pages)
    if name == "flip":
        data = bytearray(pages[at])
        data[what[2]] ^= what[3]
        pages[at] = bytes(data)
    elif name == "zero":
        pages[at] = bytes(PAGE)
    elif name == "drop" and len(pages) > 1:
        del pages[at]
    elif name == "twice":
        pages.insert(what[2] % (len(pages) + 1), pages[at])
    elif name == "swap":
        other = what[2] % len(pages)
        pages[at], pages[other] = pages[other], pages[at]
    elif name == "foreign":
        pages.insert(at, FOREIGN.file[what[2] % len(FOREIGN.file)])
    elif name == "cut":
        del pages[max(at, 1) :]
    elif name == "noise":
        pages[at] = (what[2] + pages[at])[:PAGE]


@pytest.mark.parametrize("recording", [GOOD, SHORT])
@pytest.mark.parametrize("owner", [OWNER, None])
def test_a_changed_file_is_never_intact_and_complete(tmp_path: Path, recording, owner):
    original = recording.bytes()

    @QUIET
    @given(st.lists(mutation, min_size=1, max_size=3))
    def check(changes):
        pages = list(recording.file)
        for change in changes:
            mutate(pages, change)
        data = b"".join(pages)
        if data.startswith(original):
            return  # only something behind the end: unused space is looked at elsewhere
        path = tmp_path / f"{next(COUNTER)}.ewr"
        path.write_bytes(data)
        try:
            verdict = verify(path, owner)
        except (FormatError, IntegrityError, KeyMissingError):
            return
        finally:
            path.unlink()
        assert not (verdict.intact.ok and verdict.complete.ok)
        assert verdict.exit_code != 0
        assert verdict.pages <= len(recording.hashes) - 1

    check()


def test_what_is_heard_of_a_changed_file_is_what_was_recorded(tmp_path: Path):
    recording, samples = maker.normal(5)

    @QUIET
    @given(st.lists(mutation, min_size=1, max_size=3))
    def check(changes):
        pages = list(recording.file)
        for change in changes:
            mutate(pages, change)
        path = tmp_path / f"{next(COUNTER)}.ewr"
        path.write_bytes(b"".join(pages))
        try:
            audio = Audio(path, OWNER)
            heard = [int(value) for block in audio.blocks() for value in block]
        except EarwitnessError:
            return
        finally:
            path.unlink()
        assert len(heard) == audio.samples <= len(samples)
        silent = [any(gap.sample <= i < gap.sample + gap.count for gap in audio.gaps) for i in range(len(heard))]
        assert all(
            value == 0 if gap else value == samples[i] for i, (value, gap) in enumerate(zip(heard, silent, strict=True))
        )

    check()


@QUIET
@given(st.binary(max_size=200), st.integers(0, PAGE - 200), st.sampled_from([0, 1, 2, 66]))
def test_parsers_of_pages_raise_only_errors_of_ours(noise, at, which):
    data = GOOD.file[which]
    data = data[:at] + noise + data[at + len(noise) :]
    for parse in (page.parse_header, checkpoint.header_copy, lambda d: checkpoint.parse(d, HEADER)):
        try:
            parse(data)
        except EarwitnessError:
            continue
    page.start(data)
    checkpoint.stray_note(data, HEADER)


@QUIET
@given(st.binary(max_size=300))
def test_parsers_of_small_things_raise_only_errors_of_ours(noise):
    for parse in (
        lambda d: list(events.parse(d)),
        lambda d: body.parse(d.ljust(4016, b"\0")),
        lambda d: note.parse(d, HEADER.device),
        lambda d: flac.frames(d, 0, len(d)),
        page.check_envelope,
    ):
        try:
            parse(noise)
        except EarwitnessError:
            continue


@QUIET
@given(st.integers(0, (1 << 36) - 1))
def test_sample_numbers_are_coded_as_the_second_writer_codes_them(number):
    frame = maker.constant(number, 300)
    assert frame[4:].startswith(flac.coded_number(number))
    assert flac.frames(frame, number, 300) == [(0, len(frame), number, 300)]
    assert flac.header(number, 300, 16_000) == frame[: len(flac.header(number, 300, 16_000))]
