"""One valid FLAC stream out of the recorder's frames, plain samples and silence.

No frame but the last may be shorter than 16 samples, yet a loss or the end of a page of plain samples may be. What is too
short waits and goes in front of what follows: plain samples and silence simply join it, and of the recorder's own frames
the next one is decoded and written again verbatim with the waiting samples before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from earwitness import flac, pcm
from earwitness.body import Body
from earwitness.pcm import Samples

_NONE = np.zeros(0, np.int16)


class Stitcher:
    """Takes a recording piece by piece and hands out frames; `number` is the sample that the next frame begins with."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._waiting: Samples = _NONE  # fewer than 16 samples
        self.number = 0
        self.least_block = 0  # block sizes so far
        self.most_block = 0

    def frames(self, body: Body) -> Iterator[bytes]:
        """A page of the recorder's own frames, as they are if nothing waits. Raises before it hands out anything."""
        frames = body.frames()
        begin = 0
        if len(self._waiting):
            head = frames.pop(0)
            begin = head.end
            yield from self._verbatim(pcm.decode(body.audio[:begin], head.size, self._rate), keep=False)
        for frame in frames:
            self._count(frame.size)
        if frames:
            yield body.audio[begin:]

    def samples(self, samples: Samples) -> Iterator[bytes]:
        """Plain samples, any number."""
        yield from self._verbatim(samples, keep=True)

    def silence(self, count: int) -> Iterator[bytes]:
        """`count` samples that are not there."""
        if len(self._waiting):
            joined = min(count, flac.MIN_BLOCK - len(self._waiting))
            count -= joined
            yield from self._verbatim(np.zeros(joined, np.int16), keep=True)
        while count >= flac.MIN_BLOCK:
            size = min(count, flac.BLOCK)
            count -= size
            yield pcm.silence(self.number, size, self._rate)
            self._count(size)
        if count:
            self._waiting = np.zeros(count, np.int16)

    def end(self) -> Iterator[bytes]:
        """What still waits: the last frame may be short."""
        if len(self._waiting):
            last, self._waiting = self._waiting, _NONE
            yield pcm.verbatim(self.number, last, self._rate)
            self.number += len(last)
            self.most_block = max(self.most_block, len(last))

    @property
    def blocks(self) -> tuple[int, int]:
        """Least and largest block size for STREAMINFO; the last block does not count for the least."""
        return max(self.least_block, flac.MIN_BLOCK), max(self.most_block, flac.MIN_BLOCK)

    def _verbatim(self, samples: Samples, keep: bool) -> Iterator[bytes]:
        """The waiting samples and these; a short rest waits if `keep`, else it is within the last block."""
        whole = np.concatenate((self._waiting, samples)) if len(self._waiting) else samples
        self._waiting = _NONE
        at = 0
        while len(whole) - at >= flac.MIN_BLOCK:
            left = len(whole) - at
            size = min(left, flac.BLOCK)
            if not keep and 0 < left - size < flac.MIN_BLOCK:
                size = left  # at most 4111
            yield pcm.verbatim(self.number, whole[at : at + size], self._rate)
            self._count(size)
            at += size
        if at < len(whole):
            self._waiting = whole[at:]

    def _count(self, size: int) -> None:
        self.number += size
        self.least_block = min(self.least_block or size, size)
        self.most_block = max(self.most_block, size)
