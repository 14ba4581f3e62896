"""Turns a sound file into the microphone's tape: 16 kHz mono 16-bit, raw. What is that already passes bit for bit."""

from __future__ import annotations

from pathlib import Path

RATE_HZ = 16_000
_BLOCK = 65_536
_RAW = ".s16"


class TapeError(ValueError):
    """What was given for the microphone is not a sound that can be read; the message says why, and what to do."""


def check_source(source: Path) -> None:
    """Refuse at once what cannot be a sound file, without decoding it. Raises TapeError."""
    try:
        with source.open("rb") as file:
            empty = not file.read(1)
    except IsADirectoryError:
        raise TapeError(f"{source} is a folder. Name a sound file in it.") from None
    except FileNotFoundError:
        raise TapeError(f"There is no file {source}. Check its name.") from None
    except (OSError, ValueError) as error:
        raise TapeError(f"{source} cannot be opened ({_why(error)}). Check who may read it.") from None
    if empty:
        raise TapeError(f"{source} is empty. Name a file with sound in it.")


def make_tape(source: Path, target: Path, *, longest: int | None = None) -> int:
    """Write the tape, at most `longest` samples of it, and return its samples.

    `source` is anything libsndfile reads, or a raw `.s16` tape. Raises TapeError; `target` is then as it was.
    """
    check_source(source)
    unfinished = target.with_name(target.name + ".part")
    try:
        written = _copy(source, unfinished, longest) if source.suffix == _RAW else _decode(source, unfinished, longest)
        if not written:
            raise TapeError(f"{source} holds no sound. Name a file with sound in it.")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _copy(source: Path, target: Path, longest: int | None) -> int:
    left = 2 * (longest if longest is not None else source.stat().st_size // 2)
    written = 0
    with source.open("rb") as sound, target.open("wb") as tape:
        while block := sound.read(min(_BLOCK, left - 2 * written)):
            tape.write(block[: len(block) & ~1])
            written += len(block) // 2
    return written


def _decode(source: Path, target: Path, longest: int | None) -> int:
    import numpy as np
    import soundfile as sf

    try:
        sound = sf.SoundFile(str(source))
    except (sf.SoundFileError, OSError):
        raise TapeError(
            f"{source} cannot be read as sound. WAV, FLAC, OGG, Opus and MP3 can; ffmpeg turns others into WAV: "
            "ffmpeg -i FILE sound.wav"
        ) from None
    written = 0
    with sound, target.open("wb") as tape:
        exact = sound.samplerate == RATE_HZ and sound.channels == 1 and sound.subtype in ("PCM_16", "PCM_S8", "PCM_U8")
        resampler = None
        if sound.samplerate != RATE_HZ:
            import soxr

            resampler = soxr.ResampleStream(sound.samplerate, RATE_HZ, 1, dtype="float32")
        last = False
        while not last and (longest is None or written < longest):
            try:
                block = sound.read(_BLOCK, dtype="int16") if exact else sound.read(_BLOCK, "float32", always_2d=True)
            except (sf.SoundFileError, OSError) as error:
                raise TapeError(
                    f"{source} is damaged: after {written / RATE_HZ:.1f} s it breaks off ({error})."
                ) from None
            last = len(block) < _BLOCK
            samples = block
            if not exact:
                block = block.mean(axis=1)
                if resampler is not None:
                    block = resampler.resample_chunk(block, last=last)
                samples = np.clip(np.nan_to_num(np.round(block * 32767.0)), -32768, 32767)
            samples = samples[: None if longest is None else longest - written]
            tape.write(samples.astype("<i2").tobytes())
            written += len(samples)
    return written
