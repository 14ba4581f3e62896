"""For the tests of excerpts: a second writer of them, from the specification, sharing no code with the program."""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path

from earwitness.excerpt_audio import ExcerptAudio
from earwitness.excerpt_verdict import ExcerptVerdict
from host.maker import PAGE, Recording

BEGIN = 8 + 2 * PAGE  # magic, version, header, checkpoint
KEPT = 1 + 32 + PAGE


def bundle(recording: Recording, keep: Collection[int], seal: bytes | None = None, n: int | None = None) -> bytes:
    """The excerpt with these pages disclosed: the first `n` leaves under the checkpoint `seal`, or all under the last."""
    sound = [page for page in recording.file if page[4] == 2]
    parts = [b"EWRB" + struct.pack("<I", 1), recording.file[0], seal or recording.file[-1]]
    for i in range(1, n or len(recording.hashes)):
        parts += [b"\1", recording.page_keys[i], sound[i - 1]] if i in keep else [b"\0", recording.hashes[i]]
    return b"".join(parts)


def hear(path: Path, data: bytes) -> tuple[ExcerptAudio, list[int]]:
    path.write_bytes(data)
    audio = ExcerptAudio(path)
    return audio, [int(value) for block in audio.blocks() for value in block]


def refused(verdict: ExcerptVerdict) -> str:
    """A verdict under which nothing of the excerpt counts; returns why."""
    assert verdict.intact.ok is False and verdict.complete.ok is False and verdict.exit_code == 13
    assert not (verdict.samples or verdict.events or verdict.gaps or verdict.runs or verdict.pages)
    return verdict.intact.reason
