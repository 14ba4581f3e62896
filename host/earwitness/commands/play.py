"""`earwitness play`."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from earwitness.commands._heard import hear
from earwitness.commands._shared import mark_sample
from earwitness.commands._times import time_of
from earwitness.console import console
from earwitness.errors import EarwitnessError, UsageError

if TYPE_CHECKING:
    from earwitness.listening import Samples

RATE: Final = 16_000
_BEFORE_S: Final = 30.0
# Players that take WAV from stdin: the sound never touches the disk.
_PIPED: Final = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error", "-i", "-"),
    ("mpv", "--no-terminal", "--no-video", "-"),
    ("pw-play", "-"),
    ("aplay", "-q", "-"),
)
_FROM_FILE: Final = (
    ("afplay", "{}"),
    ("paplay", "{}"),
    ("powershell", "-NoProfile", "-Command", "(New-Object Media.SoundPlayer '{}').PlaySync()"),
)


def play(
    recording: Annotated[
        str, typer.Argument(metavar="ID", help="Its number, or more of its name, or 'last', or an .ewd file.")
    ],
    mark: Annotated[int | None, typer.Option(min=1, metavar="N", help="From before mark N.")] = None,
    before: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help=f"How long before the mark; {_BEFORE_S:.0f} unless told."),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this time, e.g. 1:02:03.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to this time.")] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Also what nothing vouches for; else it is refused, or silence.")
    ] = False,
) -> None:
    """Play a recording, made audible, through this computer's sound."""
    from earwitness.chapters import clock
    from earwitness.exports import listening_blocks, nothing_there

    if mark is not None and start is not None:
        raise UsageError("--mark and --from contradict each other.")
    if mark is None and before is not None:
        raise UsageError("--before goes with --mark.", "Add --mark N, or say from when with --from.")
    player, piped = _player()
    heard = hear(recording, unverified=unverified)
    audio = heard.audio
    first = round(time_of(start) * RATE) if start else 0
    if mark is not None:
        first = max(0, mark_sample(audio, mark) - round((_BEFORE_S if before is None else before) * RATE))
    wanted = round(time_of(end) * RATE) if end else audio.samples
    last = min(wanted, audio.samples)
    if first >= last:
        raise nothing_there(first, audio.samples)
    if wanted > last:
        console.say(f"The recording ends at {clock(last)}.")
    span = f"{clock(first)} to {clock(last)}"
    console.say(f"{heard.name}, {span}, made louder for listening. Ctrl-C stops.")
    blocks = listening_blocks(audio, first, last)
    (_through_pipe if piped else _through_file)(player, blocks, last - first)
    heard.note("played", part=span)
    console.result("", {"id": heard.recording_id, "from_s": first / RATE, "to_s": last / RATE, "player": player[0]})


def _player() -> tuple[tuple[str, ...], bool]:
    for commands, piped in ((_PIPED, True), (_FROM_FILE, False)):
        for line in commands:
            if shutil.which(line[0]):
                return line, piped
    raise EarwitnessError(
        "There is no player on this computer that earwitness knows.",
        "Install ffmpeg or mpv, or make a copy that any program plays: earwitness export ID -o copy.wav",
    )


def _wav(out: IO[bytes], blocks: Iterable[Samples], samples: int) -> None:
    size = samples * 2
    out.write(struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16))
    out.write(struct.pack("<4sI", b"data", size))
    for block in blocks:
        out.write(block.astype("<i2").tobytes())


def _ended(code: int, name: str) -> None:
    if code:
        raise EarwitnessError(
            f"The player {name} stopped with an error.", "Is there a sound output? Try another player."
        )


def _through_pipe(player: tuple[str, ...], blocks: Iterable[Samples], samples: int) -> None:
    with subprocess.Popen(player, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=_stderr()) as process:
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                _wav(process.stdin, blocks, samples)
            code = process.wait()
        except BaseException:
            process.kill()
            raise
    _ended(code, player[0])


def _through_file(player: tuple[str, ...], blocks: Iterable[Samples], samples: int) -> None:
    with tempfile.TemporaryDirectory(prefix="earwitness-") as folder:
        path = Path(folder) / "listening.wav"
        with path.open("wb") as file:
            _wav(file, blocks, samples)
        done = subprocess.run(
            [word.format(path) for word in player], stdout=subprocess.DEVNULL, stderr=_stderr(), check=False
        )
    _ended(done.returncode, player[0])


def _stderr() -> int | None:
    return None if console.verbose and sys.stderr.isatty() else subprocess.DEVNULL
