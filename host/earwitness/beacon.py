"""Not before: something public and fresh that a recording carries inside, because the recorder was given it beforehand.

At sync the recorder gets the SHA-256 of the newest time token here (stamp.py), and every later recording holds it in its
first page (BEACON, kind 1). Nobody could know that hash before the authority had signed the token, so the recording was not
made before the token's time. The token itself is kept beside the recording: without it the hash says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwitness import authority_trust, events, moment, places, stamp
from earwitness.atomic import replacing
from earwitness.errors import EarwitnessError
from earwitness.verdict import Answer, Verdict

if TYPE_CHECKING:
    from earwitness.authority_trust import Trust
    from earwitness.library import Library
    from earwitness.stamp import Token

TIME_TOKEN: Final = 1  # kind of a BEACON event
_SLACK: Final = timedelta(seconds=2)


def offer(library: Library) -> bytes | None:
    """The hash of the newest token in the library that counts, to be given to the recorder; the token is kept at hand."""
    kept = [file for entry in library.entries() for file in stamp.files(entry.path)]
    kept.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    trust = authority_trust.trust()
    for file in kept:
        token = stamp.read(file)
        if _judge(token, trust, file.name).valid:
            digest = sha256(token).digest()
            _write(_at_hand(digest), token)
            return digest
    return None


def keep_beside(path: Path, verdict: Verdict) -> None:
    """Put the token that the recording in `path` carries the hash of beside it, if it is at hand."""
    for digest in _digests(verdict):
        source = _at_hand(digest)
        if source.is_file():
            _write(_beside(path), stamp.read(source))


def joined(path: Path, verdict: Verdict, *, now: datetime | None = None) -> Verdict:
    """The verdict with what a beacon adds to its `when`."""
    digests = list(_digests(verdict))
    if not digests:
        return verdict
    found = [token for digest in digests if (token := _find(path, digest)) is not None]
    if not found:
        return verdict
    try:
        trust = authority_trust.trust()
    except EarwitnessError as error:  # settings that cannot be read: the recording is not the worse for it
        details = (*verdict.when.details, f"beacon not checked: {error.message}")
        return replace(verdict, when=replace(verdict.when, details=details))
    return replace(verdict, when=_with(verdict, [_judge(token, trust, "its beacon", now) for token in found]))


def _with(verdict: Verdict, found: list[Token]) -> Answer:
    when = verdict.when
    details = (*when.details, *(token.reason for token in found))
    valid = [token for token in found if token.valid and token.time]
    if not valid:
        return replace(when, details=details)
    best = max(valid, key=lambda token: token.time or datetime.min.replace(tzinfo=UTC))
    assert best.time is not None
    earliest = best.time - timedelta(seconds=best.accuracy_s)
    words = (
        f"Not before {earliest:%Y-%m-%dT%H:%M:%SZ}: it carries the hash of a token that {best.authority} signed then."
    )
    if verdict.started_us is not None:
        began = moment.at(verdict.started_us + verdict.started_error_us)
        if began + _SLACK < earliest:
            words += " The recorder's clock says that it began before that: the clock was wrong."
            return Answer("clocks disagree", False, f"{when.reason} {words}", details)
    state = "not before" if when.ok is None else f"{when.state}, and not before"
    return Answer(state, when.ok if when.ok is False else True, f"{when.reason} {words}", details)


def _judge(token: bytes, trust: Trust, name: str, now: datetime | None = None) -> Token:
    """What the token says of its own time; what it was made over does not matter here."""
    return stamp.judge(token, stamp.imprint(token), trust, name=name, now=now)


def _digests(verdict: Verdict) -> Iterable[bytes]:
    for event in verdict.events:
        if event.type == events.BEACON and event.data[0] == TIME_TOKEN:
            yield event.data[1:]


def _find(path: Path, digest: bytes) -> bytes | None:
    for place in (_beside(path), _at_hand(digest)):
        if place.is_file():
            token = stamp.read(place)
            if sha256(token).digest() == digest:
                return token
    return None


def _beside(path: Path) -> Path:
    return path.with_suffix(".beacon.tsr")


def _at_hand(digest: bytes) -> Path:
    return places.state_dir() / "beacons" / f"{digest.hex()}.tsr"


def _write(place: Path, token: bytes) -> None:
    if not place.exists():
        place.parent.mkdir(mode=0o700, exist_ok=True)
        with replacing(place, mode=0o600) as file:
            file.write(token)
