"""Pairing, syncing and asking a recorder, as it is typed; at the other end runs the recorder's own link code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sealed_recording
from earwitness.commands.status import in_words
from earwitness.commands.unpair import _press
from earwitness.devices import DeviceStore
from earwitness.identity import Identity, recipient_bytes
from earwitness.keystore import Keystore
from earwitness.link.client import Recorder
from link_device import SEED, Device, Meddler
from tests.host.program import run

DECLINE = "decline\nI accept that a lost key loses every recording\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    running: list[Device] = []

    def begin(**settings: Any) -> Device:
        running.append(Device(tmp_path, **{"button": 1, **settings}))
        return running[-1]

    yield begin
    for device in running:
        device.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def pair(home: Path, device: Device, *words: str, stdin: str = DECLINE) -> Any:
    return run(home, "pair", "--port", device.url, "--no-passphrase", *words, stdin=stdin)


def public_key(home: Path) -> bytes:
    return recipient_bytes(run(home, "key", "show-public").stdout.strip())


def test_pairing_makes_a_key_and_gives_the_recorder_its_public_half(home: Path, start: Callable[..., Device]) -> None:
    device, second = start(), Identity.generate()
    done = pair(home, device, "--name", "Kitchen", "--second", second.recipient)
    assert done.returncode == 0, done.stderr
    (asked,) = device.called("pair")
    assert asked["recipients"] == [public_key(home).hex(), second.recipient_bytes.hex()]
    assert len(device.called("set_clock")) == 1, "else its first recording would have no date"
    listed = json.loads(run(home, "devices", "--json").stdout)
    assert [(one["name"], one["public_key"]) for one in listed["paired"]] == [("Kitchen", device.public.hex())]


def test_who_can_open_recordings_is_said_at_pairing_and_listed(home: Path, start: Callable[..., Device]) -> None:
    device, second = start(), Identity.generate()
    done = pair(home, device, "--second", second.recipient)
    mine = run(home, "key", "show-public").stdout.strip()
    who = f"{mine[:12]}… (yours) and {second.recipient[:12]}…"
    assert f"Whoever has one of these keys can open what it records from now on: {who}." in done.stderr
    listed = run(home, "devices")
    assert f"open with {mine[:12]}… (yours)\n" in listed.stdout
    assert f"open with {second.recipient[:12]}…\n" in listed.stdout
    assert json.loads(run(home, "devices", "--json").stdout)["paired"][0]["recipients"] == [mine, second.recipient]


def test_status_is_told_in_words_and_raw_only_as_json(home: Path, start: Callable[..., Device]) -> None:
    told = {"battery_mv": "3902", "minutes_left": "-1", "worst_write_ms": "-1", "clock_set": "1", "name": "x"}
    told |= {
        "trouble": "no card",
        "on_card": "1",
        "waiting": "0",
        "faults": "2",
        "card_free_pages": "720000",
        "something_new": "7",
    }
    lines = in_words(told)
    assert lines == [
        "Battery 3.90 V",
        "Clock set: yes",
        "Why it would not record: no card",
        "On its card: 1 recording",
        "Not synced yet: none",
        "Things that went wrong: 2",
        "Room on the card for about 50 hours of sound",
        "Something new: 7",
    ]
    assert in_words({"battery_mv": "0", "minutes_left": "75", "last_fault": ""}) == [
        "Battery left for about 1 h 15 min"
    ]
    device = start()
    pair(home, device)
    secret = json.loads((home / "state" / "recorders.json").read_text())["recorders"][0]["link_secret"]
    device = start(link_secret=secret)
    shown = run(home, "status", "--port", device.url).stdout
    assert "Newest finished recording: none" in shown and "_" not in shown and "-1" not in shown
    assert json.loads(run(home, "status", "--port", device.url, "--json").stdout)["told"]


def test_the_recorder_is_looked_for_before_a_passphrase_is_asked(home: Path) -> None:
    keep = Keystore(home / "config", lambda: None)
    (home / "config").mkdir(parents=True)
    keep.save(Identity.generate(), "passphrase", passphrase="five words make a passphrase", recovery="saved")
    done = run(home, "sync")
    assert done.returncode == 10 and "key is locked" not in done.stderr


def test_nothing_is_paired_before_the_recovery_sheet_is_settled(home: Path, start: Callable[..., Device]) -> None:
    device = start()
    done = pair(home, device, stdin="decline\nno\n")
    assert done.returncode == 2
    assert device.called("pair") == []
    assert pair(home, device).returncode == 0, "taken up again with the same key"
    assert len(device.called("pair")) == 1


def test_a_second_key_that_is_mistyped_stops_before_anything(home: Path, start: Callable[..., Device]) -> None:
    device = start()
    done = pair(home, device, "--second", Identity.generate().recipient[:-1] + "b")
    assert done.returncode == 2 and device.called("pair") == []
    assert run(home, "key", "show-public").returncode == 12, "no key was made either"


def test_sync_brings_recordings_that_list_show_and_verify_know(
    home: Path, start: Callable[..., Device], tmp_path: Path
) -> None:
    first = start()
    assert pair(home, first).returncode == 0
    secret = json.loads((home / "state" / "recorders.json").read_text())["recorders"][0]["link_secret"]
    owner, items = public_key(home), {}
    for seq in (1, 2):
        data = sealed_recording.make(SEED, owner, seq, 6)
        path = tmp_path / f"on-card-{seq}"
        path.write_bytes(data)
        items[str(seq)] = {"id": data[12:28].hex(), "pages": len(data) // 4096, "path": str(path)}
    device = start(link_secret=secret, recordings=items, newest=2, hash="ab" * 32)
    done = run(home, "sync", "--port", device.url, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [item["outcome"] for item in report["recordings"]] == ["new", "new"] and report["clock_set"]
    progress = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert {line["progress"] for line in progress} == {"recording 1", "recording 2"}
    again = run(home, "sync", "--port", device.url)
    assert again.returncode == 0 and again.stdout == "" and "Nothing new" in again.stderr
    assert "earlier pairing" not in again.stderr
    device = start(link_secret=secret, recordings=items, newest=2, hash="ab" * 32, told={"on_card": "5"})
    again = run(home, "sync", "--port", device.url)
    assert "3 recordings more on its card are of an earlier pairing" in again.stderr and "--via card" in again.stderr
    assert len(run(home, "list").stdout.splitlines()) == 2
    shown = json.loads(run(home, "show", "1", "--json").stdout)
    assert shown["verdict"]["by"]["ok"] is True, "the paired recorder is known by its key"
    assert shown["custody"]["steps"][0]["act"] == "synced"
    status = json.loads(run(home, "status", "--port", device.url, "--json").stdout)
    assert status["newest"] == 2
    assert "proved itself" in run(home, "doctor", "--device", "--port", device.url).stdout


def test_a_recorder_of_somebody_else_is_told_apart(home: Path, start: Callable[..., Device]) -> None:
    device = start(link_secret="44" * 32)
    for words in (["sync"], ["status"]):
        done = run(home, *words, "--port", device.url)
        assert done.returncode == 12 and "not paired" in done.stderr


def test_unpair_frees_the_recorder_and_keeps_its_key_and_ours(home: Path, start: Callable[..., Device]) -> None:
    device = start(button=1)
    pair(home, device, "--name", "Kitchen")
    assert run(home, "unpair", "Kitchen", "--port", device.url, stdin="Bathroom\n").returncode == 2
    assert json.loads(run(home, "devices", "--json").stdout)["paired"]
    done = run(home, "unpair", "Kitchen", "--port", device.url, stdin="Kitchen\n")
    assert done.returncode == 0, done.stderr
    assert device.called("unpair")
    assert json.loads(run(home, "devices", "--json").stdout)["paired"] == []
    assert run(home, "key", "show-public").returncode == 0, "the key stays"


def test_an_answer_to_unpair_that_is_lost_does_not_leave_a_recorder_that_nobody_owns_and_this_computer_keeps(
    home: Path, start: Callable[..., Device]
) -> None:
    device = start(button=1)
    pair(home, device, "--name", "Kitchen")
    (record,) = DeviceStore(home / "state").active()
    cable = Meddler(device.url, back=lambda number, data: b"" if number == 3 else data)  # after HELLO, CHALLENGE, PROVE
    with Recorder(cable, timeout=0.5, tries=20) as link:
        link.authenticate(record.secret, record.public)
        _press(link, record)
    assert len(device.called("unpair")) == 1


def test_settings_are_changed_and_shown(home: Path, start: Callable[..., Device]) -> None:
    device, second = start(button=1), Identity.generate()
    pair(home, device, "--name", "Kitchen")
    shown = run(home, "settings", "--port", device.url, "--light", "90", "--name", "Office", "--json")
    assert json.loads(shown.stdout) | {"device": ""} == {
        "name": "Office",
        "device": "",
        "light": 90,
        "recipients": [run(home, "key", "show-public").stdout.strip()],
    }
    done = run(home, "settings", "--recorder", "Office", "--port", device.url, "--second", second.recipient)
    assert done.returncode == 0 and second.recipient in done.stdout
    (listed,) = json.loads(run(home, "devices", "--json").stdout)["paired"]
    assert listed["name"] == "Office" and second.recipient in listed["recipients"]
    alone = run(home, "settings", "--port", device.url, "--only-mine")
    assert alone.returncode == 0 and second.recipient not in alone.stdout
    for wrong in (["--light", "7"], ["--light", "256"], ["--name", ""], ["--second", second.recipient, "--only-mine"]):
        assert run(home, "settings", "--port", device.url, *wrong).returncode == 2


def test_a_recorder_is_stopped_and_its_card_formatted(home: Path, start: Callable[..., Device]) -> None:
    device = start(button=1)
    pair(home, device, "--name", "Kitchen")
    device.order("state", "recording")
    assert "has stopped recording" in run(home, "stop", "--port", device.url).stdout and device.called("stop")
    assert "was not recording" in run(home, "stop", "--port", device.url).stdout
    assert run(home, "format", "--port", device.url, stdin="Bathroom\n").returncode == 2
    assert device.called("format") == []
    assert run(home, "format", "--port", device.url, stdin="Kitchen\n").returncode == 0
    assert run(home, "format", "--port", device.url, "--yes", "--lose-recordings").returncode == 0
    assert [call["everything"] for call in device.called("format")] == [False, True]


def test_a_lost_recorder_is_forgotten_here(home: Path, start: Callable[..., Device]) -> None:
    device = start(button=1)
    pair(home, device, "--name", "Kitchen")
    assert run(home, "unpair", "Kitchen", "--yes", "--forget").returncode == 0
    assert not device.called("unpair")
    assert json.loads(run(home, "devices", "--json").stdout)["paired"] == []
