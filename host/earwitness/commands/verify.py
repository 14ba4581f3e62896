"""`earwitness verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earwitness.commands import _story
from earwitness.commands._cores import on_every_core
from earwitness.commands._neighbours import Neighbours
from earwitness.commands._shared import check, learn, owner_if_at_hand, target
from earwitness.console import console
from earwitness.errors import EarwitnessError, UsageError
from earwitness.library import Entry, Library
from earwitness.places import EXCERPT_SUFFIX
from earwitness.plain import both_times, one_line
from earwitness.progress import Progress

if TYPE_CHECKING:
    from earwitness.identity import Identity
    from earwitness.verdict import Verdict

    Outcome = Verdict | EarwitnessError


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
    sizes = [_path(item).stat().st_size for item in items]
    work = _Check(identity, Neighbours(entries))
    found: dict[int, tuple[Entry | Path, Outcome]] = {}
    done, unlogged = 0, False
    with Progress("verify", sum(sizes)) as progress:
        for number, outcome in on_every_core(work, items, sizes):
            done += sizes[number]
            progress(done)
            item = items[number]
            if not isinstance(outcome, EarwitnessError):
                learn(library, item, outcome)
                if isinstance(item, Entry):
                    item = library.entry(item.path)  # its date, now known
                    state = f"{outcome.intact.state}, {outcome.complete.state}"
                    unlogged |= not _logged(item, state, identity is not None)
            found[number] = item, outcome
    told = [found[number] for number in range(len(items))]
    if console.json:
        console.result("", [_data(item, outcome) for item, outcome in told])
    else:
        console.result("\n".join(_text(item, outcome, short=all_) for item, outcome in told), None)
    if unlogged:
        console.say("That it was verified could not be written beside it: the library's folder cannot be written.")
    codes = [outcome.exit_code for _, outcome in told]
    bad = [code for code in codes if code]
    if bad:
        raise typer.Exit(bad[0] if len(codes) == 1 or len(set(codes)) == 1 else 3)


def _logged(entry: Entry, state: str, with_key: bool) -> bool:
    """Keep that it was verified, where that can be kept: the answer counts more."""
    try:
        entry.custody.add("verified", result=state, key="yes" if with_key else "no")
    except OSError:
        return False
    return True


def _path(item: Entry | Path) -> Path:
    return item.path if isinstance(item, Entry) else item


@dataclass(frozen=True)
class _Check:
    """The check of one recording, for whatever process."""

    identity: Identity | None
    around: Neighbours

    def __call__(self, item: Entry | Path) -> Outcome:
        try:
            return check(item, self.identity, *self.around.of(item), decode=True)
        except EarwitnessError as error:
            return error


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
