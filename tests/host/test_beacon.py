"""A recording that carries the hash of a time token was not made before that token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from earwitness import authority_trust, beacon, events, stamp
from earwitness.events import Event
from earwitness.library import Library
from earwitness.verdict import Verdict
from earwitness.verify import verify
from tests.host import maker
from tests.host.local_authority import NOON, LocalAuthority

AUTHORITY = LocalAuthority()
STRANGER = LocalAuthority(name="Stranger Time")
OWNER = maker.Owner()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A home whose owner believes `AUTHORITY`."""
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    folder = authority_trust.roots_folder()
    folder.mkdir()
    (folder / "local.pem").write_bytes(AUTHORITY.root_pem)
    opened = Library()
    yield opened
    opened.close()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return maker.normal()[0].write(tmp_path / "r.ewr")


def carrying(path: Path, token: bytes, kind: int = beacon.TIME_TOKEN) -> Verdict:
    """What is said of the recording if its first page held the hash of `token`."""
    verdict = verify(path, OWNER)
    event = Event(events.BEACON, 1, bytes((kind,)) + sha256(token).digest())
    return replace(verdict, events=(*verdict.events, event), started_us=None, clock="")


def test_not_before_the_token_and_by_whom(library: Library, recording: Path) -> None:
    token = AUTHORITY.token(bytes(32))
    recording.with_suffix(".beacon.tsr").write_bytes(token)
    when = beacon.joined(recording, carrying(recording, token), now=NOON).when
    assert "not before" in when.state and when.ok is True
    assert f"Not before {NOON:%Y-%m-%d}" in when.reason and "Local" in when.reason


def test_without_the_token_the_hash_says_nothing(library: Library, recording: Path) -> None:
    verdict = carrying(recording, AUTHORITY.token(bytes(32)))
    assert beacon.joined(recording, verdict, now=NOON).when == verdict.when


@pytest.mark.parametrize("how", ["other token", "stranger", "cut short", "other kind"])
def test_what_does_not_prove_it_does_not_count(library: Library, recording: Path, how: str) -> None:
    token = (STRANGER if how == "stranger" else AUTHORITY).token(bytes(32))
    if how == "cut short":
        token = token[:-20]
    beside = AUTHORITY.token(bytes(31) + b"\1") if how == "other token" else token
    recording.with_suffix(".beacon.tsr").write_bytes(beside)
    verdict = carrying(recording, token, kind=7 if how == "other kind" else beacon.TIME_TOKEN)
    when = beacon.joined(recording, verdict, now=NOON).when
    assert "not before" not in when.state and when.ok == verdict.when.ok


def test_a_clock_that_was_wrong_is_told(library: Library, recording: Path) -> None:
    token = AUTHORITY.token(bytes(32))
    recording.with_suffix(".beacon.tsr").write_bytes(token)
    early = NOON - timedelta(days=2)
    verdict = replace(carrying(recording, token), started_us=int(early.timestamp() * 1e6))
    when = beacon.joined(recording, verdict, now=NOON).when
    assert when.state == "clocks disagree" and when.ok is False


def test_the_newest_token_that_counts_is_offered_and_comes_back_beside_the_next(
    library: Library, recording: Path, tmp_path: Path
) -> None:
    assert beacon.offer(library) is None
    entry = library.add(recording, how="test")
    good, bad = AUTHORITY.token(bytes(32)), STRANGER.token(bytes(32))
    stamp.keep(entry.path, good)
    stamp.keep(entry.path, bad)
    assert beacon.offer(library) == sha256(good).digest()
    following = tmp_path / "next.ewr"
    beacon.keep_beside(following, carrying(recording, good))
    assert following.with_suffix(".beacon.tsr").read_bytes() == good
