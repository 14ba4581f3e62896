"""What is heard: samples exact, gaps silent and of exact length, nothing unproven without asking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earwitness.audio import Audio
from earwitness.errors import IntegrityError, KeyMissingError
from host import maker
from host.maker import Owner, Recording
from host.test_verify import flip, unfinished

OWNER = Owner()


def audio(recording: Recording, folder: Path, **more: object) -> Audio:
    return Audio(recording.write(folder / "a.ewr"), OWNER, **more)  # type: ignore[arg-type]


def heard(sound: Audio) -> list[int]:
    blocks = list(sound.blocks())
    assert all(block.dtype == np.int16 for block in blocks)
    whole = [int(value) for block in blocks for value in block]
    assert len(whole) == sound.samples
    return whole


@pytest.fixture(params=[64 << 20, 0], ids=["read once", "read twice"], autouse=True)
def kept_bytes(request, monkeypatch):
    monkeypatch.setattr("earwitness.audio._KEPT_BYTES", request.param)


def test_every_sample_comes_back(tmp_path):
    recording, samples = maker.normal(100)
    assert heard(audio(recording, tmp_path)) == samples


@pytest.mark.parametrize(("first", "end"), [(0, 1), (499, 501), (500, 1100), (20_000, 20_003), (3, None)])
def test_a_span_comes_back(tmp_path, first, end):
    recording, samples = maker.normal(100)
    found = [int(v) for block in audio(recording, tmp_path).blocks(first, end) for v in block]
    assert found == samples[first:end]


def test_lost_and_muted_spans_are_silence_of_exact_length(tmp_path):
    recording, samples = maker.begin()
    recording.sound(maker.tone(100, 1), lost_before=777)
    recording.pcm(maker.tone(33, 2), events=maker.muted(500 + 777 + 133))
    recording.page(lost_before=100_000)
    recording.pcm(maker.tone(5, 3), lost_before=50, events=maker.unmuted(101_460))
    recording.finish()
    sound = audio(recording, tmp_path)
    silence = [0] * 100_050
    assert heard(sound) == samples + [0] * 777 + maker.tone(100, 1) + maker.tone(33, 2) + silence + maker.tone(5, 3)
    assert [(gap.sample, gap.count, gap.reason) for gap in sound.gaps] == [
        (500, 777, "lost"),
        (1410, 100_050, "muted"),
    ]


def test_a_damaged_page_is_a_gap_of_exact_length(tmp_path):
    recording, samples = maker.normal(100)
    flip(recording, 50, 2000)
    index = int.from_bytes(recording.file[50][8:12], "little")
    first = 500 + 300 * (index - 2)
    sound = audio(recording, tmp_path)
    assert heard(sound) == samples[:first] + [0] * 300 + samples[first + 300 :]
    assert [(gap.sample, gap.count, gap.reason) for gap in sound.gaps] == [(first, 300, "damaged")]


def test_unproven_pages_are_heard_only_when_asked_for(tmp_path):
    recording = unfinished()
    assert audio(recording, tmp_path).samples == 530
    asked = audio(recording, tmp_path, allow_unverified=True)
    assert asked.samples == 530 + 5 * 30
    assert heard(asked)[530:560] == maker.tone(30, 0)


def test_a_tampered_recording_is_not_played_unless_asked_for(tmp_path):
    recording, samples = maker.normal()
    recording.file.insert(4, recording.file[3])
    with pytest.raises(IntegrityError):
        audio(recording, tmp_path)
    assert heard(audio(recording, tmp_path, allow_unverified=True)) == samples


def test_another_device_than_the_pinned_is_not_played(tmp_path):
    with pytest.raises(IntegrityError):
        audio(maker.normal()[0], tmp_path, pinned=maker.Device(2).public)


def test_a_stranger_hears_nothing(tmp_path):
    path = maker.normal()[0].write(tmp_path / "a.ewr")
    with pytest.raises(KeyMissingError):
        Audio(path, Owner(9))


def test_sound_that_does_not_decode_is_an_error_and_silence_when_asked_for(tmp_path):
    recording, samples = maker.begin()
    frame = bytearray(maker.verbatim(500, maker.tone(100)))
    frame[60] ^= 1
    recording.page(bytes(frame), 100)
    recording.sound(maker.tone(40))
    recording.finish()
    with pytest.raises(IntegrityError):
        list(audio(recording, tmp_path).blocks())
    assert heard(audio(recording, tmp_path, allow_unverified=True)) == samples + [0] * 100 + maker.tone(40)


def test_a_file_that_changes_between_verifying_and_playing_is_noticed(tmp_path, monkeypatch):
    recording, _ = maker.normal()
    monkeypatch.setattr("earwitness.audio._KEPT_BYTES", 0)
    sound = audio(recording, tmp_path)
    recording.file.insert(4, recording.file[3])
    recording.write(tmp_path / "a.ewr")
    with pytest.raises(IntegrityError):
        list(sound.blocks())


def test_of_a_short_recording_that_is_heard_which_was_verified(tmp_path, monkeypatch):
    recording, samples = maker.normal()
    monkeypatch.setattr("earwitness.audio._KEPT_BYTES", 64 << 20)
    sound = audio(recording, tmp_path)
    (tmp_path / "a.ewr").write_bytes(maker.normal(7)[0].bytes())
    assert heard(sound) == samples


def test_a_recording_is_kept_up_to_its_length_and_only_if_all_of_it_is_to_be_relied_on(tmp_path, monkeypatch):
    recording, _ = maker.normal()
    monkeypatch.setattr("earwitness.audio._KEPT_BYTES", len(recording.bytes()))
    assert audio(recording, tmp_path)._kept and audio(recording, tmp_path, allow_unverified=True)._kept is None
    monkeypatch.setattr("earwitness.audio._KEPT_BYTES", len(recording.bytes()) - 1)
    assert audio(recording, tmp_path)._kept is None


def test_a_recording_without_sound(tmp_path):
    recording = Recording(maker.Device(), [OWNER])
    recording.finish()
    sound = audio(recording, tmp_path)
    assert heard(sound) == [] and list(sound.flac_frames()) == []
