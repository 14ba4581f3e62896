"""Where recordings come from: a recorder on the link, or (import_card.py) its card in a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from earwitness.link.client import Page, Recorder
from earwitness.link.messages import Recording


class Source(Protocol):
    """Where recordings come from."""

    how: str  # for the custody log
    to_the_end: bool  # read past the final note: whatever stands behind it on a card is evidence too, and costs little

    def recordings(self) -> list[Recording]:
        """What there is; `pages` may count unused space at a file's end."""

    def read(self, recording: Recording, first: int, stop: int | None = None) -> Iterator[Page]:
        """The file's pages from `first` on, in order, to `stop` (not with it) or to its end."""


class RecorderSource:
    """A recorder on the link. Its files may be allocated far ahead, and only the final note says where they end."""

    to_the_end = False

    def __init__(self, recorder: Recorder, how: str = "USB") -> None:
        self.how = how
        self._recorder = recorder
        self._listed: list[Recording] | None = None

    def recordings(self) -> list[Recording]:
        if self._listed is None:
            self._listed = self._recorder.list()
        return self._listed

    def read(self, recording: Recording, first: int, stop: int | None = None) -> Iterator[Page]:
        return self._recorder.read(recording, first, stop)
