"""`earwitness stamp`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earwitness.console import console
from earwitness.errors import EarwitnessError, UsageError
from earwitness.library import Entry, Library

if TYPE_CHECKING:
    from earwitness.authority_trust import Authority, Settings, Trust
    from earwitness.stamp import Token


@dataclass(frozen=True)
class Outcome:
    """What became of one recording: `stamped`, `present`, `untrusted` (kept all the same), `no end` or `failed`."""

    entry: Entry
    outcome: str
    text: str
    tokens: tuple[Token, ...] = ()
    exit_code: int = 0


def stamp(
    recordings: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Numbers, or 'last'.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything that has no token yet.")] = False,
    authority: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask this one of stamp.toml, even if there is a token.")
    ] = None,
) -> None:
    """Have an outside authority sign that a recording existed by now. Only a hash of its end is sent."""
    from earwitness import authority_trust

    if bool(recordings) == all_:
        raise UsageError("Say which recordings to stamp.", "Numbers, or --all.")
    if authority_trust.write_defaults():
        console.say(f"Who is asked, and who is believed, stands in {authority_trust.settings_path()}.")
    settings = authority_trust.settings()
    asked = _authorities(settings, authority)
    trust = authority_trust.trust()
    for fault in trust.faults:
        console.say(f"{fault}.")
    library = Library()
    entries = library.entries() if all_ else [library.find(text) for text in recordings or []]
    done = []
    for entry in entries:
        done.append(_stamp(entry, asked, settings, trust, again=authority is not None))
        console.detail(done[-1].text)
    console.result("\n".join(outcome.text for outcome in done), [_data(outcome) for outcome in done])
    bad = {outcome.exit_code for outcome in done} - {0}
    if bad:
        raise typer.Exit(bad.pop() if len(done) == 1 else 3)


def _authorities(settings: Settings, name: str | None) -> tuple[Authority, ...]:
    from earwitness.authority_trust import settings_path

    chosen = tuple(one for one in settings.authorities if name is None or one.name.lower() == name.lower())
    if not chosen:
        known = ", ".join(one.name for one in settings.authorities) or "nobody"
        raise UsageError(
            f"There is no authority {name} in the settings." if name else "The settings name no authority.",
            f"{settings_path()} names {known}.",
        )
    return chosen


def _stamp(entry: Entry, asked: tuple[Authority, ...], settings: Settings, trust: Trust, *, again: bool) -> Outcome:
    from earwitness import stamp as times
    from earwitness.authority_trust import roots_folder
    from earwitness.stamp_request import ask
    from earwitness.verify import verify

    name = f"Recording {entry.seq}"
    try:
        verdict = verify(entry.path)
        if not verdict.final_note:
            words = "it has no end signed by the recorder, so there is nothing to stamp"
            return Outcome(entry, "no end", f"{name}: {words}.", exit_code=0 if again else 4)
        digest = verdict.final_note_hash
        present = [token for token in times.tokens(entry.path, digest) if token.valid]
    except EarwitnessError as error:
        return Outcome(entry, "failed", f"{name}: {error.message}", exit_code=error.exit_code)
    if len(present) >= settings.wanted and not again:
        return Outcome(entry, "present", f"{name}: {present[0].reason}", tuple(present))
    missing = len(asked) if again else settings.wanted - len(present)
    got: list[Token] = []
    failure: EarwitnessError | None = None
    for authority in asked:
        if len(got) >= missing:
            break
        try:
            reply = ask(authority, verdict.final_note, timeout_s=settings.timeout_s)
            token = times.judge(reply, digest, trust, name=authority.name)
            if token.state not in (times.VALID, times.UNTRUSTED):
                raise EarwitnessError(f"What {authority.name} answered is not kept. {token.reason}")
            file = times.keep(entry.path, reply)
        except EarwitnessError as error:
            console.say(f"{name}: {error.message}")
            failure = error
            continue
        entry.custody.add("stamped", by=token.authority, time=f"{token.time:%Y-%m-%dT%H:%M:%SZ}", file=file.name)
        got.append(times.judge(reply, digest, trust, name=file.name))
    if failure and not got:
        return Outcome(entry, "failed", f"{name}: no authority gave a token. {failure.message}", (), failure.exit_code)
    valid = any(token.valid for token in got)
    text = " ".join(token.reason for token in got)
    if not valid:
        text += f" Kept. Put that root certificate in {roots_folder()} once you have checked it."
    return Outcome(entry, "stamped" if valid else "untrusted", f"{name}: {text}", tuple(got))


def _data(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.entry.recording_id,
        "seq": outcome.entry.seq,
        "outcome": outcome.outcome,
        "reason": outcome.text,
        "tokens": [token.to_json() for token in outcome.tokens],
    }
