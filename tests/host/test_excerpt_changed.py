"""Excerpts that somebody has changed, and bytes that are none: never proven, never heard."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.chain import Chain
from earwitness.errors import EarwitnessError, FormatError, IntegrityError
from earwitness.excerpt import Excerpt
from earwitness.excerpt_audio import ExcerptAudio
from earwitness.excerpt_verdict import ExcerptVerdict, verify_excerpt
from host import maker
from host.excerpts import BEGIN, KEPT, bundle, hear, refused
from host.maker import PAGE, Device, Owner

OWNER = Owner()
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def say(tmp_path: Path):
    def run(data: bytes, **more: object) -> ExcerptVerdict:
        path = tmp_path / "said.ewd"
        path.write_bytes(data)
        verdict = verify_excerpt(path, **more)
        json.dumps(verdict.to_json())
        return verdict

    return run


def test_what_is_wrong_makes_all_of_it_worthless(say, tmp_path):
    recording, _ = maker.normal(8)
    other, _ = maker.normal(8, device=Device(3))
    good = bundle(recording, {1, 2, 5})
    at = {1: BEGIN, 2: BEGIN + KEPT, 3: BEGIN + 2 * KEPT, 4: BEGIN + 2 * KEPT + 33, 5: BEGIN + 2 * KEPT + 66}

    def changed(place: int, new: bytes, length: int | None = None) -> str:
        size = len(new) if length is None else length
        reason = refused(say(good[:place] + new + good[place + size :]))
        with pytest.raises(IntegrityError):
            ExcerptAudio(tmp_path / "said.ewd")
        return reason

    foreign = [page for page in other.file if page[4] == 2]
    assert say(good).intact.ok
    assert "page 2 cannot be used: its tag" in changed(at[2] + 1, recording.page_keys[3]), "a wrong page key"
    assert "tag" in changed(at[2] + 1, bytes(32))
    assert "do not add up" in changed(at[3] + 1, bytes(32)), "a wrong proof"
    assert "do not add up" in changed(at[3] + 1, recording.hashes[4]), "a withheld page told twice"
    assert "do not add up" in changed(at[3], good[at[4] : at[4] + 33] + good[at[3] : at[3] + 33], 66), "out of order"
    assert "another page" in changed(at[3], good[at[5] : at[5] + KEPT], 33), "a withheld page replaced by another"
    assert "another page" in changed(at[2] + 33, foreign[1]), "a page of another recording"
    assert "neither" in changed(at[3], b"\2")
    assert "tag" in changed(at[2] + 33 + 500, b"\0\0\0\0"), "sound changed"
    assert "tag" in changed(at[2] + 33 + 4048, bytes(32)), "the tag changed"
    assert "do not add up" in changed(at[2] + 33 + 4080, bytes(16)), "the recorder's own tag changed"
    assert "another page" in changed(at[3], b"", 33), "a page left out"
    assert "bytes stand behind its end" in changed(len(good), b"\0"), "something behind"
    for cut in (BEGIN, at[1] + 1, at[2] + 40, at[3] + 5, at[5], len(good) - 1):
        assert "ends within page" in refused(say(good[:cut]))


def test_a_page_made_up_under_a_disclosed_key_is_refused(say):
    recording, _ = maker.normal(8)
    data = bytearray(bundle(recording, {1, 2, 5}))
    at = BEGIN + KEPT + 33
    data[at + 64 + 40] ^= 1  # other sound, in a page that is otherwise as it should be
    tag = maker.mac(maker.mac(recording.page_keys[2], b"mac"), maker.sha(bytes(data[at : at + 4048])))
    data[at + 4048 : at + 4080] = tag
    assert "do not add up" in refused(say(bytes(data)))


def test_what_the_recorder_signed_has_to_be_there(say):
    recording, _ = maker.normal(8)
    other, _ = maker.normal(8, seed=2, device=recording.device)
    for seal in (bytes(PAGE), other.file[-1], recording.file[3], recording.file[-1][:200] + bytes(PAGE - 200)):
        with pytest.raises(IntegrityError, match="signature"):
            say(bundle(recording, {1}, seal))
    with pytest.raises(EarwitnessError):
        say(bundle(recording, {1})[:5000])


@pytest.mark.parametrize("begin", [b"", b"EWR", b"EWR1\1\0\0\0", b"EWRB\2\0\0\0", b"EWRB\1\0\0\1", b"EWRB\1\0\0\0"])
def test_what_is_no_excerpt_of_version_1_is_an_error_of_format(say, begin):
    with pytest.raises(FormatError):
        say(begin)


def test_an_earlier_checkpoint_never_passes_for_the_end(say):
    recording, _ = maker.normal(80)
    (running,) = [page for page in recording.file if page[4] == 3 and page[8:12] == struct.pack("<I", 65)]
    told = say(bundle(recording, range(1, 65), running, 65))
    assert told.complete.state == "unfinished" and not told.complete.ok and told.final_note == b""
    told = say(bundle(recording, range(1, 60), running, 65))
    assert told.complete.state == "unfinished; an excerpt"
    assert "end" not in say(bundle(recording, (), recording.file[1], 1)).complete.state
    known = Chain(finals={1: frozenset([recording.final])})
    assert say(bundle(recording, range(1, 60), running, 65), chain=known).complete.state.startswith("cut short")


def test_a_file_that_changes_between_verifying_and_playing_is_noticed(tmp_path):
    recording, _ = maker.normal(8)
    audio, _ = hear(tmp_path / "a.ewd", bundle(recording, {1, 2, 5}))
    (tmp_path / "a.ewd").write_bytes(bundle(recording, {1, 2, 5}) + b"x")
    with pytest.raises(IntegrityError):
        list(audio.blocks())


def test_an_excerpt_in_too_many_parts_is_refused(say, monkeypatch):
    monkeypatch.setattr("earwitness.excerpt._MAX_RUNS", 5)
    recording, _ = maker.normal(8)
    assert say(bundle(recording, {1, 3})).intact.ok
    assert "more than 5 parts" in refused(say(bundle(recording, {1, 3, 5})))


def test_reading_takes_little_memory_however_much_is_withheld(tmp_path):
    import tracemalloc

    recording, _ = maker.normal(8)
    path = tmp_path / "a.ewd"
    path.write_bytes(bundle(recording, {1, 2}))
    excerpt = Excerpt(path)
    path.write_bytes(path.read_bytes()[:BEGIN] + (b"\0" + bytes(32)) * 200_000)
    object.__setattr__(excerpt.seal.note, "n", 200_001)
    tracemalloc.start()
    try:
        assert sum(1 for _ in excerpt.parts()) == 200_000
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


places = st.integers(0, BEGIN + 4 * KEPT + 6 * 33)
changes = st.one_of(
    st.tuples(st.just("flip"), places, st.integers(1, 255)),
    st.tuples(st.just("flip"), st.integers(0, 200), st.integers(1, 255)),
    st.tuples(st.just("cut"), places, places),
    st.tuples(st.just("end"), places),
    st.tuples(st.just("add"), places, st.binary(min_size=1, max_size=50)),
    st.tuples(st.just("copy"), places, places),
)


def test_whatever_the_bytes_only_what_was_recorded_is_proven_and_heard(tmp_path: Path):
    recording, samples = maker.normal(9)
    good = bundle(recording, {1, 2, 5, 10})
    hidden = {*range(800, 1400), *range(1700, 2900)}

    @QUIET
    @given(st.lists(changes, min_size=1, max_size=3))
    def check(mutations):
        data = bytearray(good)
        for name, at, *more in mutations:
            if name == "flip" and at < len(data):
                data[at] ^= more[0]
            elif name == "cut":
                del data[at : max(at, more[0])]
            elif name == "end":
                del data[at:]
            elif name == "add":
                data[at:at] = more[0]
            elif name == "copy":
                data[at : at + 33] = data[more[0] : more[0] + 33]
        path = tmp_path / "x.ewd"
        path.write_bytes(data)
        try:
            told = verify_excerpt(path)
        except (FormatError, IntegrityError):
            assert data != good
            return
        assert told.exit_code != 0
        assert bool(told.intact.ok) == (data == good)
        if told.intact.ok:
            heard = hear(path, bytes(data))[1]
            assert heard == [0 if i in hidden else value for i, value in enumerate(samples)]

    check()


@QUIET
@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_are_an_error_of_ours(tmp_path_factory, noise, magic):
    path = tmp_path_factory.getbasetemp() / "noise.ewd"
    path.write_bytes((b"EWRB\1\0\0\0" if magic else b"") + noise)
    with pytest.raises(EarwitnessError):
        verify_excerpt(path)
