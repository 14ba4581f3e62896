"""The listening copy is audible, never clips, and keeps every moment where it was."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.signal import butter, resample_poly, sosfilt, sosfreqz

from earwitness import listening
from earwitness.listening import RATE, Samples

# The 48 kHz coefficients printed in ITU-R BS.1770-5, tables 1 and 2.
_PUBLISHED = np.array(
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)


def speech(seconds: float, dbfs: float, seed: int = 1) -> np.ndarray:
    """Noise in the band of a voice, in syllables and sentences, at this level while it sounds."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    voice = sosfilt(butter(2, [150, 3500], "bandpass", fs=RATE, output="sos"), rng.standard_normal(count))
    time = np.arange(count) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 4 * time) + 0.3, 0, None) * (np.sin(2 * np.pi * time / 5) > -0.5)
    voice = voice * syllables
    return voice / np.sqrt(np.mean(voice[syllables > 0] ** 2)) * 10 ** (dbfs / 20) * 32768


def room(seconds: float, dbfs: float = -87.0) -> np.ndarray:
    return np.random.default_rng(9).standard_normal(int(seconds * RATE)) * 10 ** (dbfs / 20) * 32768


def pieces(samples: np.ndarray, size: int = 7001) -> Iterator[Samples]:
    whole = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def listen(samples: np.ndarray, silent: tuple[tuple[int, int], ...] = ()) -> np.ndarray:
    plan = listening.measure(pieces(samples), silent)
    return np.concatenate(list(listening.render(lambda: pieces(samples), plan)))


def lufs(samples: np.ndarray) -> float:
    heard = sosfilt(_PUBLISHED, resample_poly(samples / 32768, 3, 1)) ** 2
    steps = heard[: len(heard) // 4800 * 4800].reshape(-1, 4800).mean(axis=1)
    return listening.loudness(steps)


def rms_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean((samples / 32768.0) ** 2)))


def test_k_weighting_at_16_khz_follows_the_published_filter() -> None:
    at = [60.0, 100.0, 250.0, 500.0, 997.0, 2000.0, 4000.0, 5500.0]
    ours = sosfreqz(listening._K_WEIGHT, worN=at, fs=RATE)[1]
    theirs = sosfreqz(_PUBLISHED, worN=at, fs=48_000)[1]
    assert np.abs(20 * np.log10(np.abs(ours) / np.abs(theirs))).max() < 0.25


def test_speech_across_a_table_becomes_clearly_audible() -> None:
    quiet = speech(30, -65) + room(30)
    assert rms_db(quiet) < -64
    assert lufs(listen(quiet)) == pytest.approx(-20, abs=1)


def test_a_loud_recording_comes_to_the_same_loudness() -> None:
    assert lufs(listen(speech(30, -12))) == pytest.approx(-20, abs=1.5)


def test_a_distant_person_is_brought_nearer_to_one_who_is_close() -> None:
    near, far = speech(20, -40), speech(20, -60, seed=2)
    heard = listen(np.concatenate([near, far, near, far]) + room(80))
    parts = [rms_db(heard[index * 20 * RATE : (index + 1) * 20 * RATE]) for index in range(4)]
    assert parts[0] - parts[1] < 10
    assert parts[3] > -33


def test_noise_alone_is_not_blown_up() -> None:
    heard = listen(room(20))
    assert rms_db(heard) < -35


def test_a_slammed_door_over_quiet_speech_never_clips() -> None:
    sound = speech(30, -65) + room(30)
    for second in (3.003, 11.5, 21.999):
        start = int(second * RATE)
        sound[start : start + 2000] += np.random.default_rng(3).standard_normal(2000) * 6000
    heard = listen(sound)
    assert np.abs(heard.astype(int)).max() <= listening.CEILING + 1
    assert np.abs(resample_poly(heard.astype(float), 4, 1)).max() < 32768, "clips between the samples"
    assert rms_db(heard[13 * RATE : 20 * RATE]) > -28, "the words after the door must still be heard"


def test_the_gain_never_jumps_at_a_block_edge() -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(30 * RATE) / RATE) * 20
    tone[int(3.98 * RATE) : int(4.02 * RATE)] *= 300
    heard = listen(tone).astype(float)
    assert np.abs(np.diff(heard)).max() < listening.CEILING * 2 * np.pi * 200 / RATE * 1.3


def test_every_moment_stays_where_it_was() -> None:
    sound = room(12, -80)
    clicks = [20_000, 64_000, 64_001 + 16_000, 150_123]
    for at in clicks:
        sound[at - 8 : at + 8] += np.hanning(16) * 3000
    heard = listen(sound)
    assert len(heard) == len(sound)
    for at in clicks:
        near = np.abs(heard[at - 800 : at + 800].astype(float))
        assert abs(int(near.argmax()) - 800) <= 16, "more than a millisecond away"


def test_lost_and_muted_spans_are_exact_silence() -> None:
    sound = speech(20, -50) + room(20)
    spans = ((40_000, 12_345), (199_990, 40))
    for start, count in spans:
        sound[start : start + count] = 0
    heard = listen(sound, spans)
    for start, count in spans:
        assert not heard[start : start + count].any()
    assert heard[39_000:40_000].any() and heard[52_345:53_345].any()


def test_silence_does_not_make_the_rest_louder() -> None:
    sound = speech(20, -50) + room(20)
    alone = listen(sound)
    gap = np.zeros(60 * RATE)
    with_gap = listen(np.concatenate([sound, gap]), ((20 * RATE, 60 * RATE),))
    assert rms_db(with_gap[: 20 * RATE]) == pytest.approx(rms_db(alone), abs=0.6)


@pytest.mark.parametrize("count", [0, 1, 15, 1600, 1601, 64_000, 64_001])
def test_any_length_comes_out_as_it_went_in(count: int) -> None:
    sound = room(5, -40)[:count]
    heard = list(listening.render(lambda: pieces(sound), listening.measure(pieces(sound))))
    assert sum(len(block) for block in heard) == count


def test_memory_does_not_grow_with_the_recording() -> None:
    block = np.clip(speech(4, -50), -32768, 32767).astype(np.int16)

    def many(times: int) -> Iterator[Samples]:
        return iter(block for _ in range(times))

    def peak(times: int) -> int:
        tracemalloc.start()
        plan = listening.measure(many(times))
        for _heard in listening.render(lambda: many(times), plan):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(200) - peak(50) < 2_000_000
