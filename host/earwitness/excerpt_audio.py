"""The sound of an excerpt: what is withheld is silence, of exact length where that is known."""

from __future__ import annotations

import os
from collections.abc import Iterator

from earwitness.audio import Audio
from earwitness.body import Body
from earwitness.excerpt import Excerpt, Walk
from earwitness.excerpt_verdict import ExcerptVerdict, verify_excerpt
from earwitness.timeline import Gap, Timeline


class ExcerptAudio(Audio):
    """An excerpt as sound; no key is needed. Ends with the last disclosed page.

    Raises IntegrityError unless everything disclosed is what a recorder sealed.
    """

    def __init__(self, path: str | os.PathLike[str], *, pinned: bytes | None = None) -> None:
        self._excerpt = Excerpt(path)
        self._allow = False
        self.told: ExcerptVerdict = verify_excerpt(path, pinned=pinned)
        self._rely_on(self.told)

    def _pieces(self, timeline: Timeline) -> Iterator[Gap | Body]:
        yield from Walk(self._excerpt, timeline).pieces()
