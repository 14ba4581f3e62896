"""`earwitness verify`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earwitness.commands import _story
from earwitness.commands._neighbours import Neighbours
from earwitness.commands._shared import check, learn, owner_if_at_hand, target
from earwitness.console import console
from earwitness.errors import EarwitnessError, UsageError
from earwitness.library import Entry, Library
from earwitness.places import EXCERPT_SUFFIX
from earwitness.plain import both_times, one_line
from earwitness.progress import Progress

if TYPE_CHECKING:
    from earwitness.chain import Chain
    from earwitness.identity import Identity
    from earwitness.verdict import Verdict

    Outcome = Verdict | EarwitnessError

_WORTH_STARTING_BYTES: Final = 64 << 20  # below this, other processes take longer to start than to help


def verify(
    recordings: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|FILE]...", help="Numbers, names, or .ewr or .ewd files.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything in the library, on every core.")] = False,
    keyless: Annotated[bool, typer.Option("--keyless", help="As a stranger would, without your key.")] = False,
) -> None:
    """Check that recordings are whole, unedited and, with your key, playable, and say what follows from what."""
    if bool(recordings) == all_:
        raise UsageError("Say which recordings to verify.", "Numbers or files, or --all.")
    library = Library()
    entries = library.entries()
    items: list[Entry | Path] = list(entries) if all_ else [target(library, text) for text in recordings or []]
    sealed = any(_path(item).suffix != EXCERPT_SUFFIX for item in items)
    identity = owner_if_at_hand() if sealed and not keyless else None
    total = sum(_path(item).stat().st_size for item in items)
    codes, data, blocks, done = [], [], [], 0
    with Progress("verify", total) as progress:
        for item, outcome in _outcomes(items, identity, Neighbours(entries)):
            done += _path(item).stat().st_size
            progress(done)
            codes.append(outcome.exit_code)
            data.append(_data(item, outcome))
            if not isinstance(outcome, EarwitnessError):
                learn(library, item, outcome)
                if isinstance(item, Entry):
                    item = library.entry(item.path)  # noqa: PLW2901  # its date, now known
                    state = f"{outcome.intact.state}, {outcome.complete.state}"
                    item.custody.add("verified", result=state, key="no" if identity is None else "yes")
            blocks.append(_text(item, outcome, short=all_))
    console.result("\n".join(blocks), data)
    bad = [code for code in codes if code]
    if bad:
        raise typer.Exit(bad[0] if len(codes) == 1 or len(set(codes)) == 1 else 3)


def _path(item: Entry | Path) -> Path:
    return item.path if isinstance(item, Entry) else item


def _check(job: tuple[Entry | Path, Identity | None, Chain, bytes | None]) -> Outcome:
    try:
        return check(*job, decode=True)
    except EarwitnessError as error:
        return error


def _outcomes(
    items: list[Entry | Path], identity: Identity | None, around: Neighbours
) -> Iterator[tuple[Entry | Path, Outcome]]:
    jobs = ((item, identity, *around.of(item)) for item in items)
    workers = min(len(items), os.cpu_count() or 1)
    if workers < 2 or sum(_path(item).stat().st_size for item in items) < _WORTH_STARTING_BYTES:
        yield from zip(items, map(_check, jobs), strict=True)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from zip(items, pool.map(_check, jobs), strict=True)


def _name(item: Entry | Path) -> str:
    return f"Recording {item.seq}" if isinstance(item, Entry) else item.name


def _text(item: Entry | Path, outcome: Outcome, *, short: bool) -> str:
    if isinstance(outcome, EarwitnessError):
        return f"{_name(item)}: {console.paint(outcome.message, 'bad')}"
    if short:
        style = "good" if outcome.exit_code == 0 else "bad" if outcome.exit_code == 13 else "unsure"
        return f"{_name(item)}: {console.paint(f'{outcome.intact.state}, {outcome.complete.state}', style)}"
    head = [console.paint(_name(item), "bold")]
    if isinstance(item, Entry) and item.row.label:
        head.append(f"  titled by the owner: {one_line(item.row.label)}")
    if isinstance(item, Entry) and item.started:
        head.append(f"  {both_times(item.started)}, {item.origin}")
    return "\n".join([*head, *_story.answers(outcome, details=True)])


def _data(item: Entry | Path, outcome: Outcome) -> dict[str, object]:
    data: dict[str, object] = {"path": str(_path(item)), "exit_code": outcome.exit_code}
    if isinstance(outcome, EarwitnessError):
        return data | {"verdict": None, "error": outcome.message}
    return data | {"verdict": outcome.to_json()}
