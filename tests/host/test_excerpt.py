"""Excerpts: what is disclosed is proven without a key, what is withheld is not there and is said to be missing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.disclosing import Wanted, disclose
from earwitness.errors import IntegrityError, KeyMissingError, UsageError
from earwitness.excerpt_verdict import ExcerptVerdict, verify_excerpt
from host import maker
from host.excerpts import BEGIN, KEPT, bundle, hear
from host.maker import PAGE, Device, Owner, Recording

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


@pytest.fixture
def make(tmp_path: Path):
    def run(recording: Recording, **spans: tuple[tuple[int, int | None], ...]) -> tuple[bytes, ExcerptVerdict]:
        target = tmp_path / "made.ewd"
        told = disclose(recording.write(tmp_path / "a.ewr"), OWNER, target, Wanted(**spans), overwrite=True)
        return target.read_bytes(), told

    return run


# normal(): page 1 holds samples 0 to 500, page i from 2 on 300 each, the last page the STOP.


def test_an_excerpt_is_byte_for_byte_what_the_specification_says(make):
    recording, _ = maker.normal(70)
    data, _ = make(recording, hide=((500, 1100), (5000, 5001)))
    assert data == bundle(recording, set(range(1, 72)) - {2, 3, 17})


def test_the_receiver_hears_what_is_disclosed_and_exact_silence_elsewhere(make, tmp_path):
    recording, samples = maker.normal(20)
    data, _ = make(recording, hide=((1000, 1500), (3000, 3100)))
    audio, heard = hear(tmp_path / "a.ewd", data)
    hidden = [*range(800, 1700), *range(2900, 3200)]
    assert heard == [0 if i in hidden else value for i, value in enumerate(samples)]
    assert [(gap.sample, gap.count, gap.reason) for gap in audio.gaps] == [
        (800, 900, "withheld"),
        (2900, 300, "withheld"),
    ]


def test_an_excerpt_is_never_complete_and_says_so_with_every_reason(make):
    recording, _ = maker.normal(20)
    _, told = make(recording, hide=((1000, 1100),))
    assert told.complete.state == "sealed as end; an excerpt" and told.complete.ok is False
    assert "20 of 21 pages" in told.complete.reason and "an unknown device" in told.complete.reason
    assert told.intact.ok and told.continuous.ok and told.by.ok is None and told.exit_code == 4
    assert told.stop_reason == "switch"


def test_a_withheld_middle_has_its_length_and_a_withheld_end_its_pages(make):
    recording, samples = maker.normal(20)
    _, told = make(recording, keep=((500, 1100), (2000, 3000)))
    assert [(run.withheld, run.first_page, run.pages, run.sample, run.count) for run in told.runs] == [
        (True, 1, 1, 0, 500),
        (False, 2, 2, 500, 600),
        (True, 4, 3, 1100, 900),
        (False, 7, 3, 2000, 900),
        (True, 10, 12, 2900, None),
    ]
    assert told.samples == 2900 < len(samples)
    assert "12 pages at the end, of unknown length" in told.complete.reason
    assert any("withheld: 12 pages" in line for line in told.complete.details)


def test_with_nothing_withheld_the_whole_is_complete_for_whoever_has_no_key(make, tmp_path):
    recording, samples = maker.normal(20)
    data, told = make(recording, keep=((0, None),))
    assert told.complete.state == "complete" and told.exit_code == 0 and told.withheld_pages == 0
    assert hear(tmp_path / "a.ewd", data)[1] == samples


def test_the_paired_recorder_is_named_and_another_one_refused(say):
    recording, _ = maker.normal(5)
    data = bundle(recording, {1, 2})
    assert say(data, pinned=recording.device.public).by.state == "paired"
    assert "unknown device" not in say(data, pinned=recording.device.public).complete.reason
    assert say(data, pinned=Device(2).public).exit_code == 13


def test_of_withheld_pages_nothing_is_in_the_file(make):
    recording, samples = maker.normal(12)
    chain = recording.chain
    data, _ = make(recording, hide=((1100, 1700),))
    hidden = (4, 5)
    sealed = [page for page in recording.file if page[4] == 2]
    for i in hidden:
        assert not any(sealed[i - 1][at : at + 16] in data for at in range(32, 4080, 16)), "sealed bytes"
        for secret in (recording.page_keys[i], maker.mac(recording.page_keys[i], b"enc")):
            assert secret not in data
        first = 500 + 300 * (i - 2)
        assert maker.rice(first, samples[first : first + 300])[16:64] not in data
    assert chain not in data
    kept = [recording.page_keys[i] for i in range(1, 14) if i not in hidden]
    assert all(key in data for key in kept)
    assert len(data) == BEGIN + 11 * KEPT + 2 * 33, "no room for anything else"


def test_no_key_of_the_chain_is_disclosed(make, tmp_path):
    recording, _ = maker.normal(8)
    data, _ = make(recording, hide=((600, 700),))
    key = OWNER.open_envelope(recording.envelope)
    chain = maker.hkdf(key, maker.sha(recording.file[0][:4048]), b"earwitness/v1/chain")
    for _ in range(10):
        assert key not in data and chain not in data
        chain = maker.mac(chain, b"next")


def test_an_hour_withheld_costs_a_quarter_of_a_megabyte(make):
    recording, _ = maker.normal(40)
    small, large = (len(make(recording, hide=((500, 500 + 300 * pages),))[0]) for pages in (30, 10))
    a_page = (small - large) / 20 + KEPT
    assert a_page * 3600 / 0.5 < 250_000


def test_a_recovered_recording_can_be_disclosed_and_says_that_it_was(make):
    recording, _ = maker.begin()
    recording.sound(maker.tone(300))
    recording.checkpoint("recovered", seen=3)
    _, told = make(recording, keep=((0, 500),))
    assert told.complete.state == "recovered; an excerpt" and told.intact.ok


def test_an_unfinished_recording_is_disclosed_as_far_as_the_recorder_vouches_for_it(make):
    recording, _ = maker.begin()
    for _ in range(63 + 3):
        recording.sound(maker.tone(300))
    _, told = make(recording, keep=((0, None),))
    assert told.complete.state == "unfinished" and told.pages == 64 and told.samples == 500 + 63 * 300


def test_damaged_pages_are_withheld_with_the_hash_that_was_signed(make):
    recording, _ = maker.normal(70)
    whole = bundle(recording, set(range(1, 72)) - {10, 40})
    for page in (11, 41):  # of the file: checkpoint 0 stands before
        recording.file[page] = bytes(PAGE)
    data, told = make(recording, keep=((0, None),))
    assert data == whole and told.complete.state == "sealed as end; an excerpt"


def test_a_damaged_header_is_taken_from_its_copy(make):
    recording, _ = maker.normal(5)
    whole = bundle(recording, {1, 2})
    recording.file[0] = recording.file[0][:2000] + b"\1" + recording.file[0][2001:]
    assert make(recording, keep=((0, 900),))[0] == whole


def test_what_does_not_verify_is_not_disclosed_and_nothing_is_written(make, tmp_path):
    recording, _ = maker.normal(5)
    recording.file.insert(4, recording.file[3])
    with pytest.raises(IntegrityError):
        make(recording, keep=((0, 900),))
    with pytest.raises(KeyMissingError):
        path = maker.normal(5)[0].write(tmp_path / "b.ewr")
        disclose(path, Owner(9), tmp_path / "made.ewd", Wanted(keep=((0, 900),)))
    with pytest.raises(UsageError):
        make(maker.normal(5)[0], keep=((510, 790),))
    assert not list(tmp_path.glob("*.ewd")) and not list(tmp_path.glob(".*"))


def test_the_first_page_tells_name_and_time_and_withholding_it_withholds_them(make):
    recording, _ = maker.normal(8)
    _, told = make(recording, keep=((0, 1000),))
    assert told.meta is not None and told.meta.recorder == "red" and told.clock
    _, told = make(recording, hide=((0, 1),))
    assert told.meta is None and not told.clock and told.started_us is None
    assert told.when.state == "not disclosed" and "not set" in told.when.reason


def test_marks_in_withheld_pages_stay_hidden(make):
    recording, _ = maker.begin()
    recording.sound(maker.tone(300), events=maker.mark(600))
    recording.sound(maker.tone(300), events=maker.mark(900, 2))
    recording.finish()
    _, told = make(recording, hide=((600, 601),))
    assert [(mark.sample, mark.kind) for mark in told.marks] == [(900, "disputed")]


def test_a_mute_or_loss_beside_what_is_withheld_is_not_called_what_it_may_not_be(say):
    recording, _ = maker.begin()  # 500 samples
    recording.sound(maker.tone(100), events=maker.muted(600))
    recording.page(lost_before=480_000)
    recording.sound(maker.tone(50), lost_before=1000, events=maker.unmuted(481_600))
    recording.sound(maker.tone(50), lost_before=70, events=maker.lost(481_650, 70))
    recording.finish()
    gaps = [(600, 481_000, "muted"), (481_650, 70, "lost")]

    def told(*keep: int) -> list[tuple[int, int, str]]:
        return [(gap.sample, gap.count, gap.reason) for gap in say(bundle(recording, keep)).gaps]

    assert told(1, 2, 3, 4, 5, 6) == gaps
    assert told(1, 4, 5) == [(500, 480_100, "withheld"), (480_600, 1000, "muted"), (481_650, 70, "lost")]
    assert told(1, 3) == [(500, 100, "withheld"), (600, 480_000, "not recorded")]
    assert told(1, 2, 4) == [(600, 480_000, "withheld"), (480_600, 1000, "muted")]
    assert told(5) == [(0, 481_650, "withheld"), (481_650, 70, "lost")]
    assert say(bundle(recording, {5})).continuous.state == "not continuous where disclosed"


def test_a_mute_that_began_in_what_is_withheld_is_never_called_a_loss(say):
    recording, _ = maker.begin()  # 500 samples
    recording.sound(maker.tone(100), events=maker.muted(600))
    for _ in range(3):
        recording.page(lost_before=480_000)
    recording.sound(maker.tone(50), lost_before=1000, events=maker.unmuted(1_441_600))
    recording.sound(maker.tone(50), lost_before=70)
    recording.finish()

    def told(*keep: int) -> list[tuple[int, int, str]]:
        return [(gap.sample, gap.count, gap.reason) for gap in say(bundle(recording, keep)).gaps]

    muted = (1_440_600, 1000, "muted")
    assert told(1, 3, 4, 5) == [(500, 100, "withheld"), (600, 3 * 480_000, "not recorded")]
    assert told(1, 3, 6) == [
        (500, 100, "withheld"),
        (600, 480_000, "not recorded"),
        (480_600, 960_000, "withheld"),
        muted,
    ]
    assert told(1, 5, 6, 7) == [
        (500, 960_100, "withheld"),
        (960_600, 480_000, "not recorded"),
        muted,
        (1_441_650, 70, "lost"),
    ]
    assert say(bundle(recording, {1, 3})).continuous.ok, "what is withheld is no loss"


def test_an_end_without_the_recorders_stop_is_not_taken_for_one(say):
    recording, _ = maker.begin()
    recording.sound(maker.tone(300))
    recording.checkpoint("end")
    assert say(bundle(recording, {2})).complete.state == "not complete"
    recording, _ = maker.begin()
    recording.page(events=maker.stop(500))
    recording.sound(maker.tone(300))
    recording.checkpoint("end")
    assert say(bundle(recording, {1, 2})).complete.state == "not complete"


def test_with_everything_withheld_there_is_nothing_to_hear_and_no_claim(say, tmp_path):
    recording, _ = maker.normal(5)
    told = say(bundle(recording, ()))
    assert (told.intact.state, told.complete.state) == ("sealed", "sealed as end; an excerpt")
    assert told.samples == 0 and hear(tmp_path / "a.ewd", bundle(recording, ()))[1] == []


spans = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(1, 900)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=4
)


@QUIET
@given(spans, spans)
def test_no_sample_is_disclosed_that_was_not_to_be(keep, hide):
    wanted = Wanted(tuple(keep), tuple(hide))
    asked = np.zeros(6000, bool) if keep else np.ones(6000, bool)
    for low, high in keep:
        asked[low:high] = True
    for low, high in hide:
        asked[low:high] = False
    for first, end in itertools.pairwise([0, 500, *range(800, 5300, 300)]):
        assert wanted.allows(first, end) == bool(asked[first:end].all())
