"""The listening copy: the same moments, made audible.

The recorder stores what its microphone gave, and across a table that is near -65 dBFS. Here it is brought to about
-20 LUFS (ITU-R BS.1770-5, K-weighting), a person far from the microphone is brought nearer to one who is close, and
single loud sounds are held below the ceiling instead of clipping. Sample n of the copy is sample n of the recording: no
stage delays by more than a fraction of a millisecond, and what was lost or off the record stays exactly zero.

Two passes: the first measures (one number for every 0.1 s is kept: 3 MB for 24 h), the second streams.

Departure from BS.1770: its absolute gate of -70 LUFS is meant for finished programmes and would throw away distant
speech in a raw recording, so the gate here stands at -95; the relative gate is as published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfreqz

Floats = NDArray[np.float64]
Samples = NDArray[np.int16]
Span = tuple[int, int]  # first sample, count

RATE: Final = 16_000
TARGET_LUFS: Final = -20.0
MAX_GAIN_DB: Final = 48.0  # -65 dBFS speech needs 45; silence at the microphone's own -87 dBFS stays below -35
CEILING: Final = 10 ** (-3 / 20) * 32768  # 3 dB below full scale: room for what lies between the samples
_LEVEL_DB: Final = 12.0  # most that a span is raised or lowered against the whole
_LEVEL_SHARE: Final = 0.7
_STEP: Final = RATE // 10  # measuring step, 0.1 s
_SLICE: Final = RATE // 100  # limiter step, 10 ms
_RELEASE_DB: Final = 0.4  # a slice: 40 dB/s
_ATTACK_DB: Final = 6.0  # a slice, ahead of the peak
_LOOKAHEAD: Final = 8  # slices: 80 ms reach 48 dB
_GATE_LUFS: Final = -95.0


def _k_weighting() -> Floats:
    """BS.1770 pre-filter and RLB high-pass for 16 kHz, from the analogue prototypes behind its 48 kHz table."""
    sections = []
    for kind, frequency, quality, gain in (
        ("shelf", 1681.9744509555319, 0.7071752369554193, 3.99984385397),
        ("high", 38.13547087613982, 0.5003270373253953, 0.0),
    ):
        k = np.tan(np.pi * frequency / RATE)
        a0 = 1 + k / quality + k * k
        a = [1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]
        if kind == "shelf":
            vh = 10 ** (gain / 20)
            vb = vh**0.499666774155
            b = [(vh + vb * k / quality + k * k) / a0, 2 * (k * k - vh) / a0, (vh - vb * k / quality + k * k) / a0]
        else:
            b = [1.0, -2.0, 1.0]
        sections.append([*b, *a])
    sos = np.array(sections)
    # the table's filter has a gain of 0.691 dB at 997 Hz; hold that at our rate
    _w, response = sosfreqz(sos, worN=[997.0], fs=RATE)
    sos[0, :3] *= 10 ** (0.691 / 20) / abs(response[0])
    return np.asarray(sos, dtype=np.float64)


_K_WEIGHT: Final = _k_weighting()
_BAND: Final = np.vstack(
    [butter(4, 40, "highpass", fs=RATE, output="sos"), butter(6, 7500, "lowpass", fs=RATE, output="sos")]
)


class _Filter:
    """Second-order sections with memory from block to block."""

    def __init__(self, sos: Floats) -> None:
        self._sos = sos
        self._state = np.zeros((sos.shape[0], 2))

    def __call__(self, block: Floats) -> Floats:
        out, self._state = sosfilt(self._sos, block, zi=self._state)
        return np.asarray(out)


def _rechunk(blocks: Iterable[Samples], size: int) -> Iterator[Samples]:
    """The same samples in blocks of `size`, the last one shorter."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= size:
            joined = np.concatenate(held)
            for start in range(0, count - count % size, size):
                yield joined[start : start + size]
            held = [joined[count - count % size :]]
            count = len(held[0])
    if count:
        yield np.concatenate(held)


def _silent(start: int, count: int, spans: Sequence[Span]) -> NDArray[np.bool_]:
    """True where a block lies in a lost or muted span."""
    mask = np.zeros(count, dtype=bool)
    for first, length in spans:
        if first < start + count and first + length > start:
            mask[max(0, first - start) : max(0, first + length - start)] = True
    return mask


def loudness(power: Floats, gate: float = -70.0) -> float:
    """Integrated loudness in LUFS from mean K-weighted power of steps of 0.1 s (full scale 1); -inf if nothing."""
    if not len(power):
        return float("-inf")
    size = min(4, len(power))
    windows = np.convolve(power, np.full(size, 1 / size), "valid")  # 400 ms, overlapping by three quarters
    windows = windows[windows > 10 ** ((gate + 0.691) / 10)]
    if not len(windows):
        return float("-inf")
    kept = windows[windows > windows.mean() / 10]
    return float(-0.691 + 10 * np.log10(kept.mean()))


@dataclass(frozen=True)
class Plan:
    """What the first pass found. `gain_db` has one value for every 0.1 s of the recording."""

    source_lufs: float
    gain_db: Floats
    silent: tuple[Span, ...]


def measure(blocks: Iterable[Samples], silent: Sequence[Span] = ()) -> Plan:
    """First pass. `blocks` are mono int16 at 16 kHz; `silent` are the lost and muted spans."""
    band, weight = _Filter(_BAND), _Filter(_K_WEIGHT)
    power: list[Floats] = []
    live: list[NDArray[np.bool_]] = []
    start = 0
    for block in _rechunk(blocks, _STEP * 100):
        mask = _silent(start, len(block), silent)
        heard = weight(band(block / 32768.0)) ** 2
        heard[mask] = 0
        whole = -(-len(block) // _STEP) * _STEP
        steps = np.pad(heard, (0, whole - len(block))).reshape(-1, _STEP)
        here = np.pad(~mask, (0, whole - len(block))).reshape(-1, _STEP).sum(axis=1)
        power.append((steps.sum(axis=1) / np.maximum(here, 1)).astype(np.float32).astype(np.float64))
        live.append(here > _STEP // 2)
        start += len(block)
    if not power:
        return Plan(float("-inf"), np.zeros(0), tuple(silent))
    return _plan(np.concatenate(power), np.concatenate(live), tuple(silent))


def _plan(power: Floats, live: NDArray[np.bool_], silent: tuple[Span, ...]) -> Plan:
    power = _without_bangs(power, live)
    source = loudness(power[live], _GATE_LUFS)
    if source == float("-inf"):
        return Plan(source, np.zeros(len(power)), silent)
    base = min(MAX_GAIN_DB, TARGET_LUFS - source)
    level = _levelling(power, live, source)
    for _round in range(2):  # levelling changes the whole: come back to the target
        now = loudness((power * 10 ** ((base + level) / 10))[live], _GATE_LUFS)
        base = min(MAX_GAIN_DB, base + TARGET_LUFS - now)
    return Plan(source, np.minimum(base + level, MAX_GAIN_DB), silent)


def _without_bangs(power: Floats, live: NDArray[np.bool_]) -> Floats:
    """Hold single steps to 10 dB above the louder quarter: a slammed door has more energy than an hour of quiet words,
    and must not decide how far those are raised (the limiter takes care of the door)."""
    if not live.any():
        return power
    level = 10 * np.log10(np.maximum(power[live], 1e-14))
    sounding = level[level >= min(float(np.percentile(level, 10)) + 6, float(level.max()))]
    return np.minimum(power, 10 ** ((float(np.percentile(sounding, 75)) + 10) / 10))


def _levelling(power: Floats, live: NDArray[np.bool_], source: float) -> Floats:
    """dB by which each step is raised or lowered, slowly, and only by what is speech-like there: pauses keep the gain
    around them, so that the room's noise does not swell up between sentences."""
    shape = np.hanning(min(31, len(power)) + 2)[1:-1]
    weight = np.convolve(live.astype(float), shape, "same")
    smooth = np.convolve(np.where(live, power, 0), shape, "same") / np.maximum(weight, 1e-9)
    local = -0.691 + 10 * np.log10(np.maximum(smooth, 1e-12))
    floor = float(np.percentile(local[live], 10))
    active = np.flatnonzero(live & (local > max(floor + 6, source - 30)))
    if len(active) < 10:
        return np.zeros(len(power))
    wanted = np.clip((source - local[active]) * _LEVEL_SHARE, -_LEVEL_DB, _LEVEL_DB)
    filled = np.interp(np.arange(len(power)), active, wanted)
    edge = len(shape) // 2
    return np.asarray(np.convolve(np.pad(filled, edge, "edge"), shape / shape.sum(), "valid")[: len(power)])


class _Limiter:
    """Holds peaks below the ceiling: gain falls before the peak, comes back at 40 dB/s, never steps.

    The gain runs in straight lines between slice edges and at an edge is the lower of the two slices' gains, so inside
    a slice it never exceeds what its peak allows."""

    def __init__(self) -> None:
        self._last = 0.0
        self._edge = 0.0

    def __call__(self, allowed_db: Floats, ahead_db: Floats) -> Floats:
        """Gain in dB at the edges of these slices (one more than slices), knowing the slices that follow."""
        wanted = np.concatenate([allowed_db, ahead_db])
        for back in range(len(wanted) - 2, -1, -1):
            wanted[back] = min(wanted[back], wanted[back + 1] + _ATTACK_DB)
        for forth in range(len(wanted)):
            self_or_before = self._last if forth == 0 else wanted[forth - 1]
            wanted[forth] = min(wanted[forth], self_or_before + _RELEASE_DB)
        count = len(allowed_db)
        nxt = wanted[count] if len(wanted) > count else wanted[count - 1]
        edges = np.minimum(np.concatenate([[self._last], wanted[:count]]), np.concatenate([wanted[:count], [nxt]]))
        edges[0] = min(edges[0], self._edge) if self._edge else edges[0]
        self._last, self._edge = float(wanted[count - 1]), float(edges[-1])
        return np.asarray(edges)


def render(blocks: Callable[[], Iterable[Samples]], plan: Plan) -> Iterator[Samples]:
    """Second pass: int16 blocks of the listening copy, as many samples as came in."""
    size = _SLICE * 400  # 4 s: a whole number of measuring steps
    limiter = _Limiter()
    held: tuple[Floats, int] | None = None
    position = 0
    band = _Filter(_BAND)
    for block in _rechunk(blocks(), size):
        raised = _raise(band(block / 1.0), position, plan)
        if held is not None:
            yield _limit(limiter, held[0], raised, held[1], plan)
        held = (raised, position)
        position += len(block)
    if held is not None:
        yield _limit(limiter, held[0], np.zeros(0), held[1], plan)


def _raise(block: Floats, start: int, plan: Plan) -> Floats:
    centres = (np.arange(len(plan.gain_db)) + 0.5) * _STEP
    first = max(0, start // _STEP - 2)
    near = slice(first, (start + len(block)) // _STEP + 3)
    gain = np.interp(np.arange(start, start + len(block)), centres[near], plan.gain_db[near])
    return np.asarray(block * 10 ** (gain / 20))


def _allowed(block: Floats) -> Floats:
    """dB that each slice of 10 ms may be raised by (never above 0) to stay at the ceiling."""
    if not len(block):
        return np.zeros(0)
    whole = np.pad(np.abs(block), (0, -len(block) % _SLICE)).reshape(-1, _SLICE)
    return np.asarray(np.minimum(0.0, 20 * np.log10(CEILING / np.maximum(whole.max(axis=1), 1.0))))


def _limit(limiter: _Limiter, block: Floats, following: Floats, start: int, plan: Plan) -> Samples:
    ahead = _allowed(following[: _SLICE * _LOOKAHEAD])
    edges = limiter(_allowed(block), ahead)
    gain = np.interp(np.arange(len(block)), np.arange(len(edges)) * _SLICE, 10 ** (edges / 20))
    out = np.rint(block * gain)
    out[_silent(start, len(block), plan.silent)] = 0
    return np.clip(out, -32768, 32767).astype(np.int16)
