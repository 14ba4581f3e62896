"""When it was made: which setting of the clock is believed, how exactly, and what of custody counts."""

from __future__ import annotations

import json
import random
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from earwitness import dating, moment
from earwitness.chain import Chain
from earwitness.commands._shared import check
from earwitness.custody import Custody
from earwitness.dating import Comparison
from earwitness.events import Clock
from earwitness.identity import Identity
from earwitness.keystore import Keystore
from earwitness.library import Entry, Library
from earwitness.moment import Moment
from earwitness.verdict import Answer, Verdict
from earwitness.verify import verify
from tests.host import maker
from tests.host.maker import Device, Owner, Recording
from tests.host.program import run

OWNER = Owner()
DAY_US = 86_400_000_000
UTC_US = 1_760_000_000_000_000  # 2025-10-09T08:53:20Z
BOOT = bytes(range(16)).hex()


def setting(before_us: int, utc_us: int, error_us: int, source: int = 1) -> bytes:
    """A CLOCK set `before_us` before sample 0, to a time from which the recording begins at `utc_us`."""
    return maker.event(2, maker.BOOT_US - before_us, struct.pack("<qIB", utc_us - before_us, error_us, source))


def made(*clocks: bytes, owner: Any = OWNER) -> Recording:
    recording = Recording(Device(), [owner])
    recording.sound(maker.tone(500), maker.rice, events=maker.meta() + b"".join(clocks))
    recording.finish()
    return recording


def said(tmp_path: Path, *clocks: bytes) -> Verdict:
    verdict = verify(made(*clocks).write(tmp_path / "a.ewr"), OWNER)
    json.dumps(verdict.to_json())
    return verdict


@pytest.fixture
def late_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings begin 4 days after boot."""
    monkeypatch.setattr(maker, "BOOT_US", 4 * DAY_US)


# Which setting, how exactly.


def test_the_error_grows_with_what_the_crystal_may_drift_since_the_clock_was_set(
    tmp_path: Path, late_boot: None
) -> None:
    verdict = said(tmp_path, setting(3 * DAY_US, UTC_US, 1_000))
    assert (verdict.started_us, verdict.started_error_us) == (UTC_US, 1_000 + 3 * 86_400 * 50)
    assert "2025-10-09T08:53:20Z ± 13 s (the owner's computer)" in verdict.when.reason
    assert verdict.to_json()["clock_error_s"] == 12.961


def test_time_error_and_source_are_of_one_setting_the_one_with_the_smallest_error(
    tmp_path: Path, late_boot: None
) -> None:
    old, chip = setting(3 * DAY_US, UTC_US, 1_000), setting(0, UTC_US + 2_000_000, 2_000_000, 2)
    verdict = said(tmp_path, old, chip)
    assert verdict.started_us == UTC_US + 2_000_000
    assert "08:53:22Z ± 2 s (the recorder's clock chip)" in verdict.when.reason
    assert "clock chip" in verdict.when.reason.split("it began")[0] and verdict.when.state == "device clock"
    verdict = said(tmp_path, old, setting(0, UTC_US + 2_000_000, 60_000_000, 2))
    assert verdict.started_us == UTC_US and "(the owner's computer)" in verdict.when.reason


def test_settings_that_contradict_each_other_are_told_and_all_named(tmp_path: Path, late_boot: None) -> None:
    verdict = said(tmp_path, setting(3 * DAY_US, UTC_US, 1_000), setting(0, UTC_US - 10**13, 60_000_000, 2))
    assert verdict.when.state == "clocks disagree" and verdict.when.ok is False
    assert "contradict each other" in verdict.when.reason and len(verdict.when.details) == 2


@pytest.mark.parametrize(
    ("utc_us", "error_us", "text"),
    [
        (UTC_US, 40_000, "2025-10-09T08:53:20Z ± 0.04 s"),
        (UTC_US + 931_200, 40_000, "2025-10-09T08:53:20.931Z ± 0.041 s"),
        (UTC_US + 931_200, 360_001, "2025-10-09T08:53:20.9Z ± 0.4 s"),
        (UTC_US + 999_999, 12_960_000, "2025-10-09T08:53:21Z ± 13 s"),
    ],
)
def test_no_more_digits_than_the_error_is_worth_and_the_error_is_never_rounded_down(
    utc_us: int, error_us: int, text: str
) -> None:
    assert Moment(utc_us, error_us).text == text
    at, _, error = text.removesuffix(" s").partition(" ± ")
    shown = round(datetime.fromisoformat(at).timestamp() * 1e6)
    assert abs(shown - utc_us) + error_us <= round(float(error) * 1e6)


def test_whatever_is_shown_holds_the_time_within_its_error() -> None:
    rng = random.Random(3)
    for _ in range(500):
        found = Moment(UTC_US + rng.randrange(10**13), rng.randrange(10 ** rng.randrange(1, 11)))
        at, _, error = found.text.removesuffix(" s").partition(" ± ")
        shown = round(datetime.fromisoformat(at).timestamp() * 1e6)
        assert abs(shown - found.utc_us) + found.error_us <= round(float(error) * 1e6)


# Dates that no recorder can have.


@pytest.mark.parametrize("utc_us", [2**63 - 1, 2**62, -(2**63), 0, 946_684_799_999_999, 7_289_654_400_000_000])
def test_a_clock_out_of_range_is_not_believed_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, utc_us: int
) -> None:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path))
    identity = Identity.generate()
    Keystore().save(identity, "file", recovery="declined")
    owner = Owner()
    owner.public = identity.recipient_bytes
    library = Library()
    entry = library.add(made(maker.clock(0, utc_us), owner=owner).write(tmp_path / "x.ewr"), how="card")
    verdict = verify(entry.path, identity)
    assert (verdict.started_us, verdict.clock, verdict.exit_code) == (None, "", 0)
    assert verdict.when.state == "clock out of range" and "The clock in it is out of range" in verdict.when.reason
    library.learn(entry, verdict)
    library.close()
    shown = run(tmp_path, "list")
    assert shown.returncode == 0 and "the clock in it is out of range" in shown.stdout
    shown = run(tmp_path, "show", "1")
    assert shown.returncode == 0 and shown.stdout.count("he clock in it is out of range") == 2
    assert run(tmp_path, "export", "1", "-o", str(tmp_path / "x.wav")).returncode == 0
    assert "Its date is not known." in (tmp_path / "x.moments.txt").read_text()


def test_a_date_out_of_range_that_an_earlier_version_has_kept_breaks_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path))
    library = Library()
    entry = library.add(made().write(tmp_path / "x.ewr"), how="card")
    entry = library.remember(entry, started_us=2**62, dated=dating.BY_RECORDER, duration_s=1.0)
    assert entry.started is None and not entry.origin and "out of range" in entry.undated
    library.close()
    assert run(tmp_path, "list").returncode == 0


def test_a_setting_out_of_range_beside_a_good_one_is_left_out_and_named(tmp_path: Path) -> None:
    verdict = said(tmp_path, maker.clock(0, 2**62), maker.clock(0, UTC_US))
    assert verdict.started_us == UTC_US and verdict.when.state == "device clock"
    assert verdict.when.details == ("1 setting(s) of the clock in it out of range, left out",)
    assert verdict.continuous.ok is True


def test_a_believable_setting_so_far_away_that_the_start_is_not_is_out_of_range() -> None:
    assert moment.of([Clock(0, UTC_US, 0, 1)], 2**63) == []


# Custody: only the library's own, only if it is whole and can be true.


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    return Library().add(made().write(tmp_path / "x.ewr"), how="USB")


def compared(log: Custody, utc_us: int = UTC_US, error_us: int = 1000, **other: object) -> None:
    """A line of custody; `other` replaces what it says."""
    values = {"boot": BOOT, "since_boot_us": maker.BOOT_US + 3_000_000, "error_us": error_us} | other
    log.add("clock compared", **({"utc": moment.at(utc_us + 3_000_000).isoformat()} | values))


def when(item: Entry | Path) -> Answer:
    return check(item, OWNER, Chain(), None).when


def test_a_comparison_in_the_library_dates_the_recording(entry: Entry) -> None:
    compared(entry.custody)
    found = when(entry)
    assert found.state == "dated at sync" and "2025-10-09T08:53:20Z ± 0.002 s" in found.reason


def test_a_log_that_came_with_a_file_from_elsewhere_dates_nothing(entry: Entry, tmp_path: Path) -> None:
    path = made().write(tmp_path / "sent.ewr")
    compared(Custody(path.with_suffix(".custody.jsonl")))
    assert when(path) == verify(path, OWNER).when


def test_a_log_that_was_changed_dates_nothing_and_says_so(entry: Entry) -> None:
    line = {"boot": BOOT, "since_boot_us": 8_000_000, "utc": "2019-05-05T10:00:00+00:00", "error_us": 5}
    forged = {"n": 2, "utc": "x", "act": "clock compared", "details": line, "prev": "broken"}
    with entry.custody.path.open("a") as file:
        file.write(json.dumps(forged) + "\n")
    found = when(entry)
    assert (
        found.state == "unknown" and "custody log beside it was changed" in found.reason and "2019" not in found.reason
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_us": -5},
        {"error_us": 1e3},
        {"error_us": True},
        {"error_us": 2**32},
        {"since_boot_us": float("inf")},
        {"since_boot_us": float("nan")},
        {"since_boot_us": -1},
        {"since_boot_us": 10**400},
        {"since_boot_us": 0},
        {"utc": "1970-01-01T00:00:00+00:00"},
        {"utc": "9999-12-31T23:59:59+00:00"},
        {"utc": "2019-05-05T10:00:00"},
        {"utc": None},
        {"utc": ["2019"]},
        {"boot": BOOT.upper()},
        {"boot": 7},
    ],
    ids=str,
)
def test_a_comparison_that_cannot_be_true_dates_nothing_and_breaks_nothing(
    entry: Entry, wrong: dict[str, object]
) -> None:
    compared(entry.custody, **wrong)  # type: ignore[arg-type]
    assert not entry.custody.read().faults
    assert when(entry).state == "unknown"


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"n": Infinity, "utc": 1, "act": 1, "details": {}}', b"\xff\xfe", b"9" * 5000]
)
def test_whatever_stands_in_a_custody_log_it_is_read_without_an_exception(entry: Entry, line: bytes) -> None:
    compared(entry.custody)
    with entry.custody.path.open("ab") as file:
        file.write(line + b"\n")
    assert len(entry.custody.read().faults) == 1 and when(entry).state == "unknown"


def test_comparisons_that_contradict_each_other_date_nothing_and_say_so(entry: Entry) -> None:
    compared(entry.custody)
    compared(entry.custody, UTC_US + 3_600_000_000, error_us=0)
    found = when(entry)
    assert found.state == "unknown" and "contradict each other" in found.reason


def test_comparisons_that_agree_give_the_one_with_the_smallest_error(entry: Entry) -> None:
    compared(entry.custody, UTC_US + 900_000, error_us=1_000_000)
    compared(entry.custody)
    assert "08:53:20Z ± 0.002 s" in when(entry).reason


def test_sync_keeps_no_comparison_that_would_not_count(entry: Entry, tmp_path: Path) -> None:
    library = Library()
    before = entry.custody.path.read_bytes()
    library.compared(entry, Comparison(BOOT, 1, 0, 1000))
    assert entry.custody.path.read_bytes() == before
    entry.custody.path.write_bytes(before[:-9] + b"\n")
    library.compared(entry, Comparison(BOOT, 1, UTC_US, 1000))
    assert entry.custody.path.read_bytes() == before[:-9] + b"\n"


def test_an_end_later_than_a_token_is_reckoned_with_the_error_of_the_setting_that_is_used(
    tmp_path: Path, late_boot: None
) -> None:
    """A clock set three days before may be 13 s wrong: an end 10 s behind the token contradicts nothing."""
    from earwitness import stamp

    exact = said(tmp_path, setting(0, UTC_US, 1_000))
    vague = said(tmp_path, setting(3 * DAY_US, UTC_US, 1_000))
    bound = datetime.fromtimestamp(UTC_US / 1e6, UTC) - timedelta(seconds=10)
    token = stamp.Token("x.tsr", stamp.VALID, "It says so.", bound, 0, "Somebody")
    assert stamp._joined(exact, [token]).state == "clocks disagree"
    assert stamp._joined(vague, [token]).state == "device clock, and not after"


def test_a_token_does_not_make_settings_agree_that_contradict_each_other(tmp_path: Path) -> None:
    from earwitness import stamp

    verdict = said(tmp_path, maker.clock(0, UTC_US), maker.clock(0, UTC_US - 10**13))
    token = stamp.Token("x.tsr", stamp.VALID, "It says so.", datetime(2026, 1, 1, tzinfo=UTC), 0, "Somebody")
    found = stamp._joined(verdict, [token])
    assert found.ok is False and found.state == "clocks disagree, and not after"
