"""The master: `flac` itself says that the stream is valid and holds every sample."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earwitness.audio import Audio
from earwitness.errors import IntegrityError
from earwitness.master import write_master_flac, write_master_wav
from host import maker
from host.maker import Device, Owner, Recording

OWNER = Owner()
FLAC = shutil.which("flac")


class Pipe(io.BytesIO):
    """A file that cannot seek, as standard output."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_args: int) -> int:
        raise OSError("a pipe")


def export(recording: Recording, folder: Path, pipe: bool = False) -> tuple[Audio, list[int]]:
    """Write the master and let libsndfile, and the flac program where it is installed, read it back."""
    audio = Audio(recording.write(folder / "a.ewr"), OWNER)
    path = folder / "a.flac"
    if pipe:
        out = Pipe()
        write_master_flac(audio, out)
        path.write_bytes(out.getvalue())
    else:
        with path.open("wb") as file:
            write_master_flac(audio, file)
    if FLAC:
        tested = subprocess.run([FLAC, "-t", "-w", str(path)], capture_output=True, text=True, check=False)
        assert tested.returncode == 0, tested.stderr
        raw = folder / "a.raw"
        done = subprocess.run(
            [
                FLAC,
                "-d",
                "-f",
                "-w",
                "--force-raw-format",
                "--endian=little",
                "--sign=signed",
                "-o",
                str(raw),
                str(path),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = np.fromfile(raw, "<i2").tolist()
    else:
        found = soundfile.read(path, dtype="int16")[0].tolist()
    assert len(found) == audio.samples
    return audio, found


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("pages", [1, 100])
def test_a_whole_recording(tmp_path, pages, pipe):
    recording, samples = maker.normal(pages)
    assert export(recording, tmp_path, pipe)[1] == samples


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 1992])
def test_a_recording_of_a_few_samples(tmp_path, count):
    recording = Recording(Device(), [OWNER])
    recording.pcm(maker.tone(count))
    recording.finish()
    assert export(recording, tmp_path)[1] == maker.tone(count)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 4096, 4097, 4111, 70_000])
def test_a_loss_of_any_length_between_two_pages(tmp_path, count):
    recording, samples = maker.begin()
    recording.sound(maker.tone(100, 7), maker.rice, lost_before=count)
    recording.finish()
    assert export(recording, tmp_path)[1] == samples + [0] * count + maker.tone(100, 7)


@pytest.mark.parametrize("count", [1, 15, 16, 5000])
def test_a_loss_at_the_end(tmp_path, count):
    recording, samples = maker.begin()
    recording.page(lost_before=count)
    recording.finish()
    assert export(recording, tmp_path)[1] == samples + [0] * count


def test_short_pages_one_after_another(tmp_path):
    recording, samples = maker.begin()
    for number, count in enumerate([1, 3, 15, 1, 400, 2, 16, 5]):
        part = maker.tone(count, number)
        if number % 3 == 2:
            recording.pcm(part, lost_before=number)
            samples += [0] * number
        else:
            recording.pcm(part)
        samples += part
    recording.page(
        maker.rice(recording.sample, maker.tone(900)) + maker.constant(recording.sample + 900, 500, -3), 1400
    )
    samples += maker.tone(900) + [-3] * 500
    recording.pcm(maker.tone(9))
    samples += maker.tone(9)
    recording.finish()
    assert export(recording, tmp_path)[1] == samples


def test_the_recorders_own_frames_are_kept(tmp_path):
    recording, _ = maker.begin()
    own = maker.rice(500, maker.tone(600))
    recording.page(own, 600)
    recording.finish()
    export(recording, tmp_path)
    assert own in (tmp_path / "a.flac").read_bytes()


def test_silence_costs_next_to_nothing(tmp_path):
    recording, _ = maker.begin()
    recording.sound(maker.tone(100), events=maker.muted(600))
    recording.page(lost_before=16_000 * 3600)
    recording.pcm(maker.tone(20), events=maker.unmuted(recording.sample))
    recording.finish()
    export(recording, tmp_path)
    assert (tmp_path / "a.flac").stat().st_size < 300_000


def test_wav(tmp_path):
    recording, samples = maker.normal()
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        write_master_wav(Audio(recording.write(tmp_path / "a.ewr"), OWNER), file)
    with wave.open(str(path)) as found:
        assert (found.getnchannels(), found.getsampwidth(), found.getframerate()) == (1, 2, 16_000)
        assert np.frombuffer(found.readframes(found.getnframes()), "<i2").tolist() == samples


def test_wav_beyond_4_gib_is_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr("earwitness.master._WAV_LIMIT", 100)
    recording, samples = maker.normal()
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        write_master_wav(Audio(recording.write(tmp_path / "a.ewr"), OWNER), file)
    assert path.read_bytes()[:4] == b"RF64"
    assert soundfile.read(path, dtype="int16")[0].tolist() == samples


def test_a_page_that_does_not_decode_stops_the_export(tmp_path):
    recording, _ = maker.begin()
    frame = bytearray(maker.verbatim(500, maker.tone(100)))
    frame[60] ^= 1
    recording.page(bytes(frame), 100)
    recording.finish()
    with pytest.raises(IntegrityError):
        export(recording, tmp_path)
