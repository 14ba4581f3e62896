"""`earwitness stamp` as a person runs it, with an authority on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earwitness.authority_trust import DEFAULTS, Settings, settings
from earwitness.identity import Identity
from earwitness.keystore import Keystore
from earwitness.library import Library
from tests.host.local_authority import NOON, REFUSAL, LocalAuthority
from tests.host.program import Sealer, run, tone


@pytest.fixture(scope="module")
def authority() -> Iterator[LocalAuthority]:
    with LocalAuthority().serving() as serving:
        yield serving


@pytest.fixture
def home(tmp_path: Path, authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three recordings, the second without an end; the local authority is asked and believed."""
    authority.answer = None
    authority.requests.clear()
    home = tmp_path / "home"
    monkeypatch.setenv("EARWITNESS_HOME", str(home))
    identity = Identity.generate()
    Keystore().save(identity, "file", recovery="saved")
    sealer, library = Sealer(identity.recipient), Library()
    for number in range(3):
        sealer.record(home / "new.ewr", tone(2), final=number != 1)
        library.add(home / "new.ewr", how="card")
        (home / "new.ewr").unlink()
    library.close()
    ask(home, authority.url)
    (home / "config" / "time-roots").mkdir()
    (home / "config" / "time-roots" / "local.pem").write_bytes(authority.root_pem)
    return home


def ask(home: Path, *urls: str, wanted: int = 1) -> None:
    text = f"wanted = {wanted}\ntimeout = 5\n"
    text += "".join(f'[[authority]]\nname = "No {number}"\nurl = "{url}"\n' for number, url in enumerate(urls, 1))
    (home / "config" / "stamp.toml").write_text(text)


def tokens(home: Path) -> list[str]:
    return sorted(path.name[-10:] for path in (home / "library").glob("*.tsr"))


def test_a_stamp_is_kept_told_and_shown_by_verify_and_show(home: Path, authority: LocalAuthority) -> None:
    done = run(home, "stamp", "1")
    assert done.returncode == 0, done.stderr
    assert "Test Time Unit 1 (Local Time Ltd) signed that it existed at 2026-11-23T12:00:00Z ± 1 s" in done.stdout
    assert tokens(home) == ["000001.tsr"]
    for command in ("verify", "show"):
        assert "Not after 2026-11-23T12:00:00Z" in run(home, command, "1").stdout
    assert "stamped by Test Time Unit 1" in run(home, "show", "1").stdout


def test_only_a_hash_is_sent(home: Path, authority: LocalAuthority) -> None:
    run(home, "stamp", "1")
    (request,) = authority.requests
    assert len(request) < 90
    verdict = json.loads(run(home, "verify", "1", "--json").stdout)[0]["verdict"]
    assert bytes.fromhex(verdict["final_note_hash"]) in request
    assert bytes.fromhex(verdict["recording_id"]) not in request


def test_a_second_run_asks_nobody_unless_told_whom(home: Path, authority: LocalAuthority) -> None:
    run(home, "stamp", "1")
    again = run(home, "stamp", "1", "--json")
    assert json.loads(again.stdout)[0]["outcome"] == "present" and len(authority.requests) == 1
    assert run(home, "stamp", "1", "--authority", "no 1").returncode == 0
    assert tokens(home) == ["000001.tsr", "0001.2.tsr"]


def test_all_stamps_what_has_an_end_and_names_what_has_none(home: Path) -> None:
    done = run(home, "stamp", "--all", "--json")
    assert [item["outcome"] for item in json.loads(done.stdout)] == ["stamped", "no end", "stamped"]
    assert "nothing to stamp" in json.loads(done.stdout)[1]["reason"]
    assert done.returncode == 3
    assert run(home, "stamp", "2").returncode == 4


def test_where_one_authority_does_not_answer_the_next_is_asked(home: Path, authority: LocalAuthority) -> None:
    ask(home, "http://127.0.0.1:9/none", authority.url)
    done = run(home, "stamp", "1")
    assert done.returncode == 0 and "No 1 cannot be reached" in done.stderr
    assert tokens(home) == ["000001.tsr"]


def test_as_many_as_are_wanted(home: Path, authority: LocalAuthority) -> None:
    ask(home, authority.url, authority.url, authority.url, wanted=2)
    assert run(home, "stamp", "1").returncode == 0
    assert len(tokens(home)) == 2


def test_somebody_who_is_not_believed_is_kept_and_said_so(home: Path) -> None:
    (home / "config" / "time-roots" / "local.pem").unlink()
    done = run(home, "stamp", "1", "--json")
    (item,) = json.loads(done.stdout)
    assert done.returncode == 0 and item["outcome"] == "untrusted" and "time-roots" in item["reason"]
    assert "does not count" in run(home, "verify", "1").stdout


ANSWERS: list[tuple[str, Callable[[LocalAuthority, bytes], tuple[int, bytes]]]] = [
    ("refused: Out of service", lambda _, request: (200, REFUSAL)),
    ("HTTP status 503", lambda _, request: (503, b"")),
    ("did not answer with a time token", lambda _, request: (200, b"<html>")),
    ("did not answer with a time token", lambda one, request: (200, one.respond(request)[:-9])),
    ("far more", lambda _, request: (200, bytes(100_000))),
    ("something else", lambda one, request: (200, one.token(bytes(32)))),
    ("something else", lambda one, request: (200, one.token(request[-64:-32], nonce=1))),
]


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_an_answer_that_is_none_is_refused_and_nothing_is_kept(
    home: Path, authority: LocalAuthority, number: int
) -> None:
    words, answer = ANSWERS[number]
    authority.answer = lambda request: answer(authority, request)
    done = run(home, "stamp", "1")
    assert done.returncode in (1, 13) and words in done.stdout + done.stderr
    assert tokens(home) == []


def test_a_changed_signature_is_not_kept(home: Path, authority: LocalAuthority) -> None:
    def spoilt(request: bytes) -> tuple[int, bytes]:
        reply = authority.respond(request)
        return 200, reply[:-1] + bytes([reply[-1] ^ 1])

    authority.answer = spoilt
    done = run(home, "stamp", "1")
    assert done.returncode != 0 and "changed or forged" in done.stderr and tokens(home) == []


def test_the_settings_are_written_with_their_reasons_at_first(home: Path) -> None:
    (home / "config" / "stamp.toml").unlink()
    found = settings()
    assert [one.name for one in found.authorities] == ["DigiCert", "GlobalSign"] and found.wanted == 1
    done = run(home, "stamp", "1", "--authority", "nobody")
    assert done.returncode == 2 and "names DigiCert, GlobalSign" in done.stderr
    assert (home / "config" / "stamp.toml").read_text() == DEFAULTS
    assert settings() == found and isinstance(found, Settings)


@pytest.mark.parametrize(
    "text",
    ["wanted = 0", "want = 1", "timeout = 'x'", "shipped_roots = 1", "authority = 3", "[[authority]]\nname = 'x'", "="],
)
def test_settings_that_make_no_sense_are_named(home: Path, text: str) -> None:
    (home / "config" / "stamp.toml").write_text(text)
    done = run(home, "stamp", "1")
    assert done.returncode == 2 and "stamp.toml" in done.stderr


def test_which_recordings_has_to_be_said(home: Path) -> None:
    assert run(home, "stamp").returncode == 2
    assert run(home, "stamp", "1", "--all").returncode == 2
    assert NOON.year == 2026
