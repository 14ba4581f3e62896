"""Time tokens beside a recording: which count, which do not, and what is said of each."""

from __future__ import annotations

import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from earwitness import authority_trust, dating, stamp
from earwitness.authority_trust import Trust
from earwitness.custody import Custody
from earwitness.verdict import Answer, Verdict
from earwitness.verify import verify
from tests.host import maker
from tests.host.local_authority import NOON, LocalAuthority

AUTHORITY = LocalAuthority()
STRANGER = LocalAuthority(name="Stranger Time")
OWNER = maker.Owner()
TRUST = Trust((AUTHORITY.root,))
DIGEST = bytes(range(32))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose owner believes `AUTHORITY`."""
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    folder = authority_trust.roots_folder()
    folder.mkdir()
    (folder / "local.pem").write_bytes(AUTHORITY.root_pem)
    return tmp_path


@pytest.fixture
def recording(home: Path) -> Path:
    """Recorded on 9 October 2025 by the device's clock."""
    return maker.normal()[0].write(home / "r.ewr")


def put(path: Path, token: bytes) -> Verdict:
    """Keep this token beside it, and what is said of it then."""
    stamp.keep(path, token)
    return stamp.times(path, verify(path, OWNER), now=NOON)


def final_hash(path: Path) -> bytes:
    return verify(path).final_note_hash


def judge(token: bytes, trust: Trust = TRUST, now: datetime = NOON) -> stamp.Token:
    return stamp.judge(token, DIGEST, trust, name="x.tsr", now=now)


def test_a_token_says_not_after_and_by_whom(recording: Path) -> None:
    when = put(recording, AUTHORITY.token(final_hash(recording))).when
    assert when.ok is True and when.state == "device clock, and not after"
    assert "Not after 2026-11-23T12:00:00Z ± 1 s, by Test Time Unit 1 (Local Time Ltd)." in when.reason
    assert any("root: Test Time Root" in detail for detail in when.details)


def test_a_token_needs_no_key_of_the_owner(recording: Path) -> None:
    stamp.keep(recording, AUTHORITY.token(final_hash(recording)))
    when = stamp.times(recording, verify(recording), now=NOON).when
    assert when.ok is True and when.state == "not after, by an outside authority"


def test_nothing_else_of_the_verdict_changes_and_without_a_token_nothing_at_all(recording: Path) -> None:
    before = verify(recording, OWNER)
    assert stamp.times(recording, before) is before
    after = put(recording, AUTHORITY.token(final_hash(recording))).to_json()
    assert {name for name, value in before.to_json().items() if value != after[name]} == {"when"}


def test_the_imprint_is_the_hash_that_the_next_recording_names(home: Path) -> None:
    device = maker.Device()
    first = maker.normal(device=device)[0].write(home / "1.ewr")
    second = maker.normal(device=device, seed=2)[0].write(home / "2.ewr")
    assert final_hash(first) == verify(second).prev


def test_the_earliest_of_several_counts_and_all_are_named(recording: Path) -> None:
    digest = final_hash(recording)
    stamp.keep(recording, AUTHORITY.token(digest, when=NOON + timedelta(days=1)))
    stamp.keep(recording, STRANGER.token(digest, when=NOON - timedelta(days=2)))
    when = put(recording, AUTHORITY.token(digest)).when
    assert [path.name for path in stamp.files(recording)] == ["r.tsr", "r.2.tsr", "r.3.tsr"]
    assert "Not after 2026-11-23T12:00:00Z" in when.reason and "Stranger" not in when.reason
    assert len([detail for detail in when.details if "Time Unit 1" in detail]) == 3


def test_a_token_older_than_the_device_clock_allows_shows_that_the_clock_was_wrong(recording: Path) -> None:
    old = LocalAuthority(begins=NOON - timedelta(days=900), ends=NOON)
    (authority_trust.roots_folder() / "old.pem").write_bytes(old.root_pem)
    when = put(recording, old.token(final_hash(recording), when=datetime(2025, 10, 9, 8, tzinfo=UTC))).when
    assert when.ok is False and when.state == "clocks disagree" and "The recorder's date is wrong." in when.reason


def test_a_date_from_sync_is_held_against_the_token_as_well(home: Path) -> None:
    recording = maker.Recording(maker.Device(), [OWNER])
    recording.sound(maker.tone(500), maker.rice, events=maker.meta())
    recording.finish()
    path = recording.write(home / "undated.ewr")
    stamp.keep(path, AUTHORITY.token(final_hash(path)))
    log = Custody(path.with_suffix(".custody.jsonl"))

    def when(utc: datetime) -> Answer:
        elapsed = timedelta(microseconds=3_000_000)
        microseconds = (utc + elapsed - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        dating.keep(log, dating.Comparison(bytes(range(16)).hex(), maker.BOOT_US + 3_000_000, microseconds, 1000))
        return stamp.times(path, dating.joined(log, verify(path, OWNER)), now=NOON).when

    assert when(NOON - timedelta(hours=1)).state == "dated at sync, and not after"
    log.path.unlink()
    assert when(NOON + timedelta(hours=1)).state == "clocks disagree"


def test_an_unfinished_recording_is_stamped_by_no_token(home: Path) -> None:
    recording, _ = maker.begin()
    path = recording.write(home / "u.ewr")
    when = put(path, AUTHORITY.token(maker.sha(b"something"))).when
    assert when.ok is None and "other bytes" in when.reason


def test_a_truncated_token_is_named_as_such_at_every_length() -> None:
    whole = AUTHORITY.token(DIGEST)
    assert judge(whole).state == stamp.VALID
    for length in range(0, len(whole), 7):
        found = judge(whole[:length])
        assert found.state == stamp.BROKEN and "cut short" in found.reason


def test_a_token_over_other_bytes_does_not_count() -> None:
    found = judge(AUTHORITY.token(maker.sha(b"another recording")))
    assert found.state == stamp.OTHER_BYTES and "other bytes" in found.reason


def test_a_token_of_somebody_who_is_not_believed_does_not_count_and_says_who_it_was(recording: Path) -> None:
    found = judge(STRANGER.token(DIGEST))
    assert found.state == stamp.UNTRUSTED and "Stranger Time Unit 1" in found.reason
    when = put(recording, STRANGER.token(final_hash(recording))).when
    assert when.ok is None and "does not count" in when.reason and "not among those trusted" in when.reason


def test_an_expired_certificate_that_was_valid_at_the_time_counts_and_is_mentioned() -> None:
    token = AUTHORITY.token(DIGEST)
    assert "expired" not in judge(token).reason
    later = judge(token, now=NOON + timedelta(days=900))
    assert later.state == stamp.VALID and "expired since (2026-12-08)" in later.reason


@pytest.mark.parametrize("days", [-90, 90])
def test_a_certificate_that_was_not_valid_at_the_time_does_not_count(days: int) -> None:
    found = judge(AUTHORITY.token(DIGEST, when=NOON + timedelta(days=days)))
    assert found.state == stamp.NOT_VALID_THEN and "2026-11-08 to 2026-12-08" in found.reason


def test_a_certificate_for_another_purpose_does_not_count() -> None:
    code = LocalAuthority(stamps=False)
    assert judge(code.token(DIGEST), Trust((code.root,))).state == stamp.BROKEN


def test_a_changed_time_is_seen() -> None:
    token = AUTHORITY.token(DIGEST)
    assert token.count(b"20261123120000Z") == 1
    found = judge(token.replace(b"20261123120000Z", b"20251123120000Z"))
    assert found.state in (stamp.BROKEN, stamp.NOT_VALID_THEN) and not found.valid
    found = judge(token.replace(b"20261123120000Z", b"20261122120000Z"))
    assert found.state == stamp.BROKEN and "changed or forged" in found.reason


def test_no_flipped_bit_makes_a_token_say_something_else() -> None:
    token, rng = AUTHORITY.token(DIGEST), random.Random(3)
    good = judge(token)
    for _ in range(300):
        spoilt = bytearray(token)
        spoilt[rng.randrange(len(token))] ^= 1 << rng.randrange(8)
        found = judge(bytes(spoilt))
        assert not found.valid or found == good


@pytest.mark.parametrize("junk", [b"", b"\x30\x80", b"PDF", bytes(1 << 17), b"\x30\x03\x02\x01\x00"])
def test_what_is_no_token_is_told_without_a_fault(junk: bytes) -> None:
    assert judge(junk).state == stamp.BROKEN


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
def test_another_program_agrees_from_the_same_bytes(recording: Path) -> None:
    """The command that the guide and the report give."""
    digest = final_hash(recording)
    file, root = stamp.keep(recording, AUTHORITY.token(digest)), recording.with_name("root.pem")
    root.write_bytes(AUTHORITY.root_pem)
    words = ["openssl", "ts", "-verify", "-digest", digest.hex(), "-in", str(file), "-CAfile", str(root)]
    at = ["-attime", str(int(NOON.timestamp()))]
    assert subprocess.run(words + at, capture_output=True, check=False).returncode == 0
    words[4] = DIGEST.hex()
    assert subprocess.run(words + at, capture_output=True, check=False).returncode != 0


def test_the_roots_that_come_along_are_the_ones_they_are_said_to_be(home: Path) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256

    text = authority_trust._SHIPPED.read_text()
    shipped = authority_trust.trust().roots[:-1]
    assert len(shipped) == 2
    for root in shipped:
        assert f"SHA-256 {root.fingerprint(SHA256()).hex()}" in text
        assert root.issuer == root.subject and root.not_valid_after_utc.year >= 2034


def test_the_settings_decide_who_is_believed(home: Path) -> None:
    authority_trust.settings_path().write_text("shipped_roots = false\n")
    (authority_trust.roots_folder() / "broken.crt").write_text("hello")
    (authority_trust.roots_folder() / "notes.txt").write_text("hello")
    found = authority_trust.trust()
    assert found.roots == (AUTHORITY.root,)
    assert len(found.faults) == 1 and "broken.crt" in found.faults[0]


def test_settings_that_cannot_be_read_do_not_stop_a_verification(recording: Path) -> None:
    stamp.keep(recording, AUTHORITY.token(final_hash(recording)))
    authority_trust.settings_path().write_text("wanted = 'many'")
    verdict = stamp.times(recording, verify(recording, OWNER))
    assert verdict.exit_code == 0 and "not checked" in verdict.when.details[-1]


def test_a_tenth_token_is_refused(recording: Path) -> None:
    for _ in range(stamp.MOST):
        stamp.keep(recording, b"x")
    with pytest.raises(stamp.UsageError, match="9 time tokens"):
        stamp.keep(recording, b"x")
