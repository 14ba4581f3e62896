"""What a computer has a recorder do, over its cable: free what is here, settings, self-test, format, the way to the prompt."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import DeviceBusyError, EarwitnessError, FormatError, IntegrityError, NoDeviceError
from earwitness.fat32 import Fat32
from earwitness.identity import Identity
from earwitness.library import Library
from earwitness.link.client import (
    AlreadyPairedError,
    ButtonError,
    LinkLostError,
    NotFoundError,
    Recorder,
    UnsyncedError,
)
from earwitness.link.connect import connect, to_prompt
from earwitness.link.messages import ELSEWHERE, FINAL, FREED, Recording
from earwitness.link.transport import open_port
from earwitness.note import parse
from earwitness.pairing import change_recipients, pair
from earwitness.places import ENDS
from earwitness.sync import SyncReport, sync
from earwitness.verify import verify
from tests.host.program import run
from tools.virtual.device import VirtualRecorder

from .kit import READY_S, Paired, speech

PAGE = 4096


@pytest.fixture(scope="module")
def recorded(paired: Paired, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flash and card with two short recordings."""
    folder = tmp_path_factory.mktemp("recorded")
    with paired.recorder(folder, speech(10), card_size=40 << 20) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 2}:off {READY_S + 6}:on {READY_S + 8}:off", settle=3)
    return folder / "recorder"


@pytest.fixture
def recorder(paired: Paired, recorded: Path, tmp_path: Path) -> Iterator[VirtualRecorder]:
    """With two short recordings, switched on, on a cable."""
    with paired.recorder(tmp_path, speech(10), port="tcp:0", card_size=40 << 20) as recorder:
        for name in ("flash.bin", "card.img"):
            shutil.copyfile(recorded / name, tmp_path / "recorder" / name)
        recorder.run("0:wait", settle=READY_S)
        yield recorder


@pytest.fixture
def home(paired: Paired, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = paired.computer(tmp_path / "home")
    monkeypatch.setenv("EARWITNESS_HOME", str(home))
    return home


@contextmanager
def talking(recorder: VirtualRecorder) -> Iterator[tuple[Recorder, DeviceRecord]]:
    link, record = connect(DeviceStore(), recorder.port)
    with link:
        yield link, record


def synced(recorder: VirtualRecorder, paired: Paired, **how: Any) -> SyncReport:
    library = Library()
    try:
        with talking(recorder) as (link, record):
            return sync(link, record, library, DeviceStore(), identity=paired.owners[0], **how)
    finally:
        library.close()


def on_card(recorder: VirtualRecorder) -> list[str]:
    with recorder.card.open("rb") as file:
        return sorted(entry.name for entry in Fat32(file).files() if entry.size > PAGE)


def listed(recorder: VirtualRecorder) -> list[Recording]:
    with talking(recorder) as (link, _):
        return link.list()


# ---- receipts and freeing


def test_what_was_synced_is_freed_on_demand_and_its_end_stays_provable(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    first = synced(recorder, paired)
    assert [item.outcome for item in first.items] == ["new", "new"] and first.freed == []
    kept = listed(recorder)
    assert [(item.state, item.receipt) for item in kept] == [(FINAL, True)] * 2
    with talking(recorder) as (link, _):
        assert link.status().told["waiting"] == "0" and link.status().told["on_card"] == "2"
    second = synced(recorder, paired, free_synced=True)
    assert [(item.seq, item.reason) for item in second.freed] == [(1, ""), (2, "")] and second.ok
    assert [(item.state, item.pages) for item in listed(recorder)] == [(FREED, 0)] * 2
    third = synced(recorder, paired, free_synced=True)
    assert [item.outcome for item in third.items] == ["present", "present"] and third.freed == []
    # the chain: each final note is still told, signed, and is that of the copy here
    public = paired.record.public
    notes = [parse(path.read_bytes(), public) for path in sorted((home / "library" / ENDS).glob("*.note"))]
    assert [note.seq for note in notes] == [1, 2] and notes[1].prev == notes[0].hash
    for path, note in zip(sorted((home / "library").glob("*.ewr")), notes, strict=True):
        verdict = verify(path, paired.owners[0], pinned=public)
        assert verdict.exit_code == 0 and verdict.final_note == note.text
        acts = [json.loads(line)["act"] for line in path.with_suffix(".custody.jsonl").read_text().splitlines()]
        assert [act for act in acts if act != "clock compared"] == ["synced", "receipt", "freed"]
    # what was freed is known even where the copy here is gone
    sorted((home / "library").glob("*.ewr"))[0].unlink()
    shown = run(home, "show", "2").stdout
    assert "recording 1 was freed on the device; its signed end is known" in shown
    # numbers go on behind what was freed, and the next recording follows it
    recorder.run("1:on 3:off", settle=3)
    assert [item.seq for item in listed(recorder) if item.state == FINAL] == [3]
    third_recording = synced(recorder, paired).items[-1]
    assert "in sequence" in run(home, "show", "3").stdout
    assert third_recording.verdict is not None and third_recording.verdict.prev == notes[1].hash


def test_nothing_is_freed_that_is_not_here_whole_opened_and_receipted(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    (one, two) = listed(recorder)
    library = Library()
    with talking(recorder) as (link, record):
        with pytest.raises(NotFoundError):
            link.free(1, one.recording_id, bytes(32))
        note = parse(link.final_note(1), record.public)
        with pytest.raises(IntegrityError, match="no receipt"):
            link.free(1, one.recording_id, note.hash)
        with pytest.raises(NotFoundError):
            link.receipt(1, two.recording_id, note.hash, bytes(64))
        with pytest.raises(NotFoundError):
            link.receipt(1, one.recording_id, bytes(32), bytes(64))
        with pytest.raises(NotFoundError):
            link.receipt(7, one.recording_id, note.hash, bytes(64))
        # without the key nobody can tell whether the copy opens
        report = sync(link, record, library, DeviceStore(), identity=None, free_synced=True)
        assert [item.outcome for item in report.items] == ["new", "new"]
        assert ["key is not at hand" in item.reason for item in report.freed] == [True, True]
        assert not any(item.receipt for item in link.list())
        report = sync(link, record, library, DeviceStore(), identity=paired.owners[0])
        assert all(item.receipt for item in link.list())
        # a copy that was spoilt on this computer since
        path = sorted((home / "library").glob("*.ewr"))[0]
        data = bytearray(path.read_bytes())
        data[3 * PAGE + 100] ^= 1
        path.write_bytes(data)
        library._index.change(path.name, whole=1)  # even if the index says that it is whole
        report = sync(link, record, library, DeviceStore(), identity=paired.owners[0], free_synced=True)
        states = {item.seq: item.state for item in link.list()}
        assert states[2] == FREED
        assert states[1] == FINAL or path.read_bytes() != bytes(data), "freed only if it came home whole again"
    library.close()
    whole = sorted((home / "library").glob("*.ewr"))[0]
    if states[1] == FREED:
        assert verify(whole, paired.owners[0], pinned=paired.record.public).exit_code == 0


def test_a_receipt_of_an_earlier_pairing_frees_nothing(recorder: VirtualRecorder, paired: Paired, home: Path) -> None:
    synced(recorder, paired)
    (one, _) = listed(recorder)
    with talking(recorder) as (link, record):
        note_hash = parse(link.final_note(1), record.public).hash
        press(recorder)
        link.unpair()
    again = DeviceStore(home / "other")
    from earwitness.pairing import open_recorder, pair

    with open_recorder(recorder.port) as link:
        new = pair(link, [Identity.generate().recipient_bytes], again, name="New owner")
        link.authenticate(new.secret, new.public)
        recorder.play("0:release")
        assert link.list() == [], "recordings of an earlier pairing are not listed"
        for ask in (link.free, lambda *what: link.receipt(*what, bytes(64))):
            with pytest.raises(NotFoundError):
                ask(1, one.recording_id, note_hash)
    assert len(on_card(recorder)) >= 2


def test_another_card_frees_nothing_and_says_where_recordings_are_not(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    from tools.virtual.fat import make_card

    synced(recorder, paired)
    recorder.power_off()
    own = recorder.card.rename(recorder.card.with_name("own.img"))
    make_card(recorder.card, 40 << 20)
    recorder.run("0:wait", settle=READY_S)
    with talking(recorder) as (link, record):
        found = link.list()
        assert [(item.state, item.pages) for item in found] == [(ELSEWHERE, 0)] * 2
        with pytest.raises(NotFoundError, match="not on this card"):
            link.free(1, found[0].recording_id, parse(link.final_note(1), record.public).hash)
    report = synced(recorder, paired, free_synced=True)
    assert [item.outcome for item in report.items] == ["present", "present"] and report.freed == []
    recorder.power_off()
    own.rename(recorder.card)
    recorder.run("0:wait", settle=READY_S)
    assert [item.state for item in listed(recorder)] == [FINAL, FINAL]


def test_a_recording_that_was_lost_with_its_card_is_accounted_for(paired: Paired, tmp_path: Path, home: Path) -> None:
    from tools.virtual.fat import make_card

    with paired.recorder(tmp_path, speech(10), port="tcp:0", card_size=40 << 20) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + 2}:cut {READY_S + 3}:off")
        recorder.card.unlink()
        make_card(recorder.card, 40 << 20)
        recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=3)
        report = synced(recorder, paired)
    assert [item.outcome for item in report.items] == ["gone", "new"] and "lost with its card" in report.items[0].reason
    assert "recording 1 was lost with its card, and the recorder signed" in run(home, "show", "2").stdout


# ---- settings


def test_the_light_is_as_bright_as_it_was_set_also_after_a_power_cut_and_never_dark(
    recorder: VirtualRecorder, home: Path
) -> None:
    def brightness(since: float) -> set[int]:
        return {e["value"] for e in recorder.events() if e["what"] == "light" and e["value"] and e["t"] > since}

    assert brightness(0) <= {40}
    assert run(home, "settings", "--port", recorder.port, "--light", "200").returncode == 0
    began = recorder.events()[-1]["t"]
    recorder.run("1:on 3:off", settle=3)
    assert brightness(began + 1) == {200}
    recorder.power_off()
    recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=2)
    assert brightness(recorder.events()[-1]["t"] - 4) == {200}
    with talking(recorder) as (link, _):
        for dark in (0, 7):
            with pytest.raises(FormatError):
                link.settings(light=dark)
    done = run(home, "settings", "--port", recorder.port, "--light", "0")
    assert done.returncode == 2 and "8" in done.stderr


def test_the_light_is_set_and_a_recording_stopped_while_it_runs(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    with talking(recorder) as (link, _):
        recorder.play("0:on")
        until(lambda: link.status().told["state"] == "recording")
        assert link.settings(light=99).light == 99
        with pytest.raises(DeviceBusyError):
            link.settings(name="other")
        with pytest.raises(DeviceBusyError):
            link.free(1, bytes(16), bytes(32))
        time.sleep(1.5)
        link.stop()
        until(lambda: link.status().told["state"] not in ("recording", "muted"))
        time.sleep(1)
        assert link.status().told["state"] not in ("recording", "muted"), "not before it was slid off and on again"
    recorder.play("0:off")
    until(lambda: recorder.lever("switch") == 0)
    last = synced(recorder, paired).items[-1]
    assert last.verdict is not None and last.verdict.exit_code == 0 and "computer" in last.verdict.stop_reason
    assert 99 in {e["value"] for e in recorder.events() if e["what"] == "light"}


def test_a_second_key_is_added_with_a_hand_on_the_button_and_opens_what_comes_after(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    second = Identity.generate()
    keys = [paired.owners[0].recipient_bytes, second.recipient_bytes]
    store = DeviceStore()
    with talking(recorder) as (link, record):
        with pytest.raises(ButtonError):
            change_recipients(link, record, keys, store)
        assert link.settings().recipients == (keys[0],)
        press(recorder)
        changed = change_recipients(link, record, keys, store)
        recorder.play("0:release")
        until(lambda: recorder.lever("button") == 0)
        assert changed.recipients == tuple(key.hex() for key in keys) and store.all() == [changed]
        assert change_recipients(link, changed, keys, store) == changed, "repeated: answered without the button"
        assert link.settings(name="Küche").name == "Küche"
        with pytest.raises(FormatError):
            link.set_recipients([bytes(32)])
    recorder.power_off()
    recorder.run(f"{READY_S}:on {READY_S + 2}:off", settle=3)
    items = synced(recorder, paired).items
    opened = [verify(item.path, second, pinned=record.public).opened for item in items[2:] if item.path]
    assert opened == [True] and items[2].verdict is not None and items[2].verdict.meta is not None
    assert items[2].verdict.meta.recorder == "Küche"
    for item in items[:2]:
        assert item.path is not None
        with pytest.raises(EarwitnessError):
            verify(item.path, second, pinned=record.public)


# ---- self-test


def verdicts(recorder: VirtualRecorder) -> dict[str, str]:
    with talking(recorder) as (link, _):
        return {part.name: part.verdict for part in link.selftest()}


def test_a_sound_recorder_passes_its_self_test_and_records_on(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    found = verdicts(recorder)
    assert set(found) == {
        *("card", "microphone", "clock", "battery", "button", "switch", "light", "motor", "radio", "entropy", "memory")
    }
    assert {name for name, verdict in found.items() if verdict != "ok"} == {"clock"}  # it has no clock chip
    done = run(home, "doctor", "--device", "--port", recorder.port)
    assert done.returncode == 0 and re.search(r"ok +its microphone: 1[56]\d\d\d Hz", done.stdout)
    recorder.run("1:on 3:off", settle=3)
    assert [item.outcome for item in synced(recorder, paired).items] == ["new"] * 3


@pytest.mark.parametrize(
    ("settings", "script", "part", "verdict"),
    [
        ({"mic_fault": "silent"}, "", "microphone", "bad"),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in (
                ({"mic_fault": "slow"}, "", "microphone", "bad"),
                ({"read_only": True}, "", "card", "bad"),
                ({"radio_stuck": True}, "", "radio", "bad"),
                ({}, "0:pull", "card", "bad"),
                ({}, "0:dark", "light", "bad"),
                ({}, "0:numb", "motor", "bad"),
                ({}, "0:battery=3000", "battery", "bad"),
                ({}, "0:battery=0", "battery", "care"),
                ({}, "3:hold", "button", "care"),
            )
        ),
    ],
)
def test_each_fault_is_found_and_where_to_look_is_said(
    paired: Paired, tmp_path: Path, home: Path, settings: dict[str, Any], script: str, part: str, verdict: str
) -> None:
    with paired.recorder(tmp_path, speech(5), port="tcp:0", settings=settings) as recorder:
        recorder.run(f"0:wait {script}", settle=READY_S)
        assert verdicts(recorder)[part] == verdict
        done = run(home, "doctor", "--device", "--port", recorder.port)
    lines = done.stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if f"its {part}:" in line)
    assert lines[at].startswith(verdict) and lines[at + 1].startswith("      ")
    assert done.returncode == (1 if verdict == "bad" else done.returncode)


def test_on_the_cable_its_voltage_is_no_fault_of_the_battery(paired: Paired, tmp_path: Path, home: Path) -> None:
    """Without a fuel gauge a recorder on a cable measures the cable."""
    with paired.recorder(tmp_path, speech(5), port="tcp:0") as recorder:
        recorder.run("0:wait 0:usb 0:battery=4700", settle=READY_S)
        assert verdicts(recorder)["battery"] == "ok"


def test_several_faults_are_found_at_once(paired: Paired, tmp_path: Path, home: Path) -> None:
    settings = {"mic_fault": "slow", "read_only": True, "radio_stuck": True}
    with paired.recorder(tmp_path, speech(5), port="tcp:0", settings=settings) as recorder:
        recorder.run("0:dark 0:numb 0:battery=3000 3:hold", settle=READY_S)
        found = verdicts(recorder)
    bad = {"microphone", "card", "light", "motor", "battery"}  # the press switched the radio on: it is not tried then
    assert {name for name, verdict in found.items() if verdict == "bad"} == bad and found["button"] == "care"


@pytest.mark.long
def test_a_random_source_that_died_is_found(paired: Paired, tmp_path: Path, home: Path) -> None:
    with paired.recorder(tmp_path, speech(5), port="tcp:0", settings={"entropy": "stuck"}) as recorder:
        recorder.run("0:wait", settle=READY_S)
        assert verdicts(recorder)["entropy"] == "bad"


# ---- format


def test_a_card_is_formatted_with_a_hand_on_the_button_and_not_before_all_is_here(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    with talking(recorder) as (link, _):
        with pytest.raises(ButtonError):
            link.format()
        press(recorder)
        with pytest.raises(UnsyncedError):
            link.format()
        assert len(on_card(recorder)) >= 2
    synced(recorder, paired)
    with talking(recorder) as (link, _):
        link.format()
        recorder.play("0:release")
    with recorder.card.open("rb") as file:
        assert file.read(512)[450] == 0x0C, "one FAT32 partition"
    assert not [name for name in on_card(recorder) if not name.startswith("EW000003")]
    recorder.run("4:on 6:off", settle=3)
    assert [item.state for item in listed(recorder)] == [ELSEWHERE, ELSEWHERE, FINAL]
    assert [item.outcome for item in synced(recorder, paired).items] == ["present", "present", "new"]


def test_a_card_is_not_formatted_while_it_holds_recordings_of_an_earlier_pairing(
    recorder: VirtualRecorder, paired: Paired, home: Path, tmp_path: Path
) -> None:
    """The new owner's computer cannot sync them, nor know of them but by this; and formatting leaves a trace."""
    with talking(recorder) as (link, _):
        press(recorder)
        link.unpair()
    (tmp_path / "new").mkdir()
    store = DeviceStore(tmp_path / "new")
    with Recorder(open_port(recorder.port)) as link:
        pair(link, [Identity.generate().recipient_bytes], store, name="New owner")
    recorder.run("0:wait", settle=2)
    before = on_card(recorder)
    link, _ = connect(store, recorder.port)
    with link:
        assert link.list() == []
        with pytest.raises(UnsyncedError):
            link.format()
        assert [name for name in before if name in on_card(recorder)] == before
        link.format(everything=True)
        recorder.play("0:release")
        assert "card formatted" in [fault.text for fault in link.faults()]


@pytest.mark.parametrize("cut", [80, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 40, 70, 79))])
def test_a_card_whose_formatting_was_cut_off_is_told_and_mended(
    paired: Paired, tmp_path: Path, home: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its first write, at a later one, and at the last: FATs and head of this card take 73, and the last one counts."""
    monkeypatch.setattr("earwitness.link.client._FORMAT_TIMEOUT_S", 2.5)  # the cable's other end does not go away here
    with paired.recorder(tmp_path, speech(5), port="tcp:0", card_size=36 << 20) as recorder:
        recorder.faults = {"cut_at_card_write": cut, "faults_after_us": (READY_S + 2) * 1_000_000}
        recorder.run("0:wait", settle=READY_S + 3)
        with pytest.raises((LinkLostError, NoDeviceError)), talking(recorder) as (link, _):
            press(recorder)
            link.format()
        until(lambda: not recorder.powered)
        recorder.power_off()  # and nobody presses the button while it starts again: held for ten seconds that unpairs it
        recorder.run("0:wait", settle=READY_S)
        with talking(recorder) as (link, _):
            assert link.status().told["trouble"] == ("" if cut == 1 else "card not FAT32"), "cut 1 changed nothing yet"
            press(recorder)
            link.format()
        recorder.play("0:release")
        recorder.run("4:on 6:off", settle=3)
        (tmp_path / "card").mkdir()
        (item,) = paired.items(recorder, tmp_path / "card")
        assert item.verdict is not None and item.verdict.exit_code == 0


# ---- the prompt


def test_the_prompt_is_given_with_a_hand_on_the_button_once_and_logged(
    recorder: VirtualRecorder, paired: Paired, home: Path
) -> None:
    with pytest.raises(ButtonError):
        to_prompt(DeviceStore(), recorder.port)
    assert not said(recorder, "prompt")
    press(recorder)
    boots = len(said(recorder, "boot"))
    to_prompt(DeviceStore(), recorder.port)
    until(lambda: not recorder.powered or bool(said(recorder, "prompt")))
    recorder.play("0:release")
    recorder.run("0:wait", settle=1)  # the reset was a new start
    assert said(recorder, "prompt") and len(said(recorder, "boot")) == boots + 1
    with Recorder(open_port(recorder.port), timeout=0.3, tries=1) as link, pytest.raises(LinkLostError):
        link.hello()
    recorder.power_off()
    recorder.run("0:wait", settle=READY_S)
    with talking(recorder) as (link, _):
        assert "maintenance" in [fault.text for fault in link.faults()]


def test_a_recorder_of_somebody_else_gives_no_prompt(recorder: VirtualRecorder, tmp_path: Path) -> None:
    press(recorder)
    with pytest.raises(AlreadyPairedError):
        to_prompt(DeviceStore(tmp_path / "stranger"), recorder.port)
    assert not said(recorder, "prompt")


def press(recorder: VirtualRecorder) -> None:
    """Hold the button: from the start of a power-up on, that would unpair it."""
    recorder.play("0:hold")
    until(lambda: recorder.lever("button") == 1)


def said(recorder: VirtualRecorder, what: str) -> list[dict[str, Any]]:
    return [event for event in recorder.events() if event["what"] == what]


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)
