"""Bringing recordings home: nothing is lost by a cut at any moment, nothing unverified appears, nothing is taken twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import sealed_recording
from earwitness import freeing
from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import DeviceBusyError, EarwitnessError, IntegrityError
from earwitness.identity import Identity
from earwitness.item import DAMAGED, FAILED, GONE, NEW, PRESENT, SKIPPED, UNOPENED, Progress
from earwitness.library import Library
from earwitness.link.client import LinkLostError, Recorder
from earwitness.link.connect import connect
from earwitness.link.messages import short_key
from earwitness.link.transport import SocketTransport
from earwitness.sync import SyncReport, sync
from link_device import SECRET, SEED, Device, Meddler

OWNER = Identity.generate()
RECORDINGS = {
    seq: sealed_recording.make(SEED, OWNER.recipient_bytes, seq, leaves) for seq, leaves in ((1, 100), (2, 6))
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    opened = Library()
    yield opened
    opened.close()


@pytest.fixture
def store(home: Path) -> DeviceStore:
    return DeviceStore()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    running: list[Device] = []

    def begin(files: dict[int, bytes], **settings: Any) -> Device:
        items = {}
        for seq, data in files.items():
            path = tmp_path / f"{len(running)}-{seq}"
            path.write_bytes(data)
            items[str(seq)] = {"id": data[12:28].hex(), "pages": len(data) // 4096, "path": str(path)}
            items[str(seq)].update(settings.pop(f"item{seq}", {}))
        device = Device(
            tmp_path, link_secret=SECRET.hex(), recordings=items, **{"newest": 2, "hash": "ab" * 32, **settings}
        )
        running.append(device)
        return device

    yield begin
    for device in running:
        device.stop()


def record_of(device: Device) -> DeviceRecord:
    return DeviceRecord(
        device.public.hex(), SECRET.hex(), "11" * 32, "Recorder", (OWNER.recipient_bytes.hex(),), 1, "", ""
    )


def run(
    device: Device,
    library: Library,
    store: DeviceStore,
    *,
    identity: Identity | None = OWNER,
    cable: SocketTransport | None = None,
    progress: Callable[[Progress], None] | None = None,
    tries: int = 10,
) -> SyncReport:
    recorder = Recorder(cable or SocketTransport(device.url), timeout=0.3, tries=tries)
    with recorder:
        recorder.authenticate(SECRET, device.public)
        return sync(recorder, record_of(device), library, store, identity=identity, progress=progress)


def parts(library: Library) -> list[Path]:
    return sorted(library.root.glob(".*.part"))


def test_everything_new_comes_home_verified_and_only_once(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    device = start(RECORDINGS)
    told: list[Progress] = []
    report = run(device, library, store, progress=told.append)
    assert [item.outcome for item in report.items] == [NEW, NEW] and report.ok
    for item, data in zip(report.items, RECORDINGS.values(), strict=True):
        assert item.path is not None and item.path.read_bytes() == data
        assert item.path.name == f"{short_key(device.public)}-{item.seq:06d}.ewr"
        assert item.verdict is not None and item.verdict.opened and item.verdict.complete.ok
    assert parts(library) == []
    assert report.status is not None and report.clock is not None
    assert len(device.called("add_entropy")) == 1 and len(device.called("set_clock")) == 1
    reading = [step for step in told if step.phase == "reading" and step.seq == 1]
    assert reading[-1].done == reading[-1].total == len(RECORDINGS[1]) and reading[-1].rate > 0
    assert [item.outcome for item in run(device, library, store).items] == [PRESENT, PRESENT]


def test_without_the_identity_it_is_sealed_and_taken(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    report = run(start(RECORDINGS), library, store, identity=None)
    assert [item.outcome for item in report.items] == [NEW, NEW]


def test_an_identity_that_does_not_open_it_is_told(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    report = run(start(RECORDINGS), library, store, identity=Identity.generate())
    assert [item.outcome for item in report.items] == [UNOPENED, UNOPENED]
    assert report.items[0].path is not None and report.items[0].path.exists()


@pytest.mark.parametrize("cut", [4, 6, 9, 30, 80, 104])
def test_a_cut_loses_nothing_and_the_next_run_resumes(
    start: Callable[..., Device], library: Library, store: DeviceStore, cut: int
) -> None:
    """From the `cut`th frame of the recorder on, nothing arrives any more."""
    device = start({1: RECORDINGS[1]})
    broken = Meddler(device.url, back=lambda n, data: b"" if n >= cut else data)
    with pytest.raises(LinkLostError):
        run(device, library, store, cable=broken)
    assert library.entries() == []
    had = sum(path.stat().st_size for path in parts(library)) // 4096
    assert had == sum(len(raw) > 4000 for raw in broken.received[:cut])
    cable = Meddler(device.url)
    report = run(device, library, store, cable=cable)
    assert report.items[0].outcome == NEW and parts(library) == []
    assert report.items[0].path is not None and report.items[0].path.read_bytes() == RECORDINGS[1]
    pages = [raw for raw in cable.received if len(raw) > 4000]
    assert len(pages) == len(RECORDINGS[1]) // 4096 - had


def test_a_cable_that_is_pulled_leaves_what_came(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    device = start({1: RECORDINGS[1]})
    cable = Meddler(device.url)

    def pull(step: Progress) -> None:
        if step.done >= 48 * 4096:
            cable.close()

    with pytest.raises(EarwitnessError) as caught:
        run(device, library, store, cable=cable, progress=pull)
    assert caught.value.exit_code == 10
    assert parts(library)[0].stat().st_size >= 48 * 4096
    # it takes the recorder a second to believe that nobody reads any more
    assert run(device, library, store, tries=30).items[0].outcome == NEW


def test_a_part_of_another_recording_is_begun_again(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    data = RECORDINGS[2]
    part = library.root / f".{data[12:28].hex()}.part"
    part.write_bytes(RECORDINGS[1][: 4096 * 4])
    report = run(start({2: data}), library, store)
    assert report.items[0].outcome == NEW
    assert report.items[0].path is not None and report.items[0].path.read_bytes() == data


def test_a_torn_or_spoilt_part_is_read_once_more_whole(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    """What a crash of the computer leaves may be zeros in the middle, or half a page at the end."""
    data = RECORDINGS[1]
    part = library.root / f".{data[12:28].hex()}.part"
    part.write_bytes(data[: 4096 * 9] + bytes(4096) + data[4096 * 10 : 4096 * 50 + 77])
    report = run(start({1: data}), library, store)
    assert report.items[0].outcome == NEW
    assert report.items[0].path is not None and report.items[0].path.read_bytes() == data


def test_a_longer_part_than_the_recording_is_cut(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    data = RECORDINGS[2]
    (library.root / f".{data[12:28].hex()}.part").write_bytes(data + bytes(8192))
    report = run(start({2: data}), library, store)
    assert report.items[0].outcome == NEW
    assert report.items[0].path is not None and report.items[0].path.read_bytes() == data


def test_a_page_that_the_card_cannot_read_is_told_and_the_rest_kept(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    report = run(start({1: RECORDINGS[1]}, item1={"bad": [40]}), library, store)
    (item,) = report.items
    assert item.outcome == DAMAGED and not report.ok
    assert item.path is not None
    want = RECORDINGS[1][: 40 * 4096] + bytes(4096) + RECORDINGS[1][41 * 4096 :]
    assert item.path.read_bytes() == want


def test_a_page_changed_on_the_cable_never_passes_as_whole(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    """Audio pages travel as they are, their CRC can be made anew: verification must see it."""
    from earwitness.link import frames

    def forge(_: int, data: bytes) -> bytes:
        (frame,) = frames.Receiver().feed(data)
        if frame.kind != 0x11 or frame.payload[:1] != b"\x14":
            return data
        payload = bytearray(frame.payload)
        payload[2000] ^= 1
        return frames.encode(frame.kind, frame.request, bytes(payload))

    device = start({1: RECORDINGS[1]})
    report = run(device, library, store, cable=Meddler(device.url, back=forge))
    assert report.items[0].outcome == DAMAGED


def test_a_file_that_is_not_the_listed_recording_is_refused(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    report = run(start(RECORDINGS, item2={"id": "77" * 16}), library, store)
    assert [item.outcome for item in report.items] == [NEW, FAILED]
    assert "another" in report.items[1].reason and len(library.entries()) == 1


def test_a_recording_by_another_key_is_not_taken_as_this_recorders(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    foreign = sealed_recording.make(bytes(32), OWNER.recipient_bytes, 1, 6)
    report = run(start({1: foreign}), library, store)
    assert report.items[0].outcome == DAMAGED
    assert report.items[0].verdict is not None and report.items[0].verdict.by.ok is False


def test_reading_ends_at_the_final_note_of_a_file_that_is_allocated_ahead(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    device = start({1: RECORDINGS[1] + bytes(4096 * 500), 2: RECORDINGS[2] + bytes(4096 * 9)})
    cable = Meddler(device.url)
    report = run(device, library, store, cable=cable)
    assert [item.outcome for item in report.items] == [NEW, NEW]
    for item, data in zip(report.items, RECORDINGS.values(), strict=True):
        assert item.path is not None and item.path.read_bytes() == data
    assert sum(len(raw) > 4000 for raw in cable.received) < 200


def test_a_copy_that_was_complete_and_not_yet_verified_is_not_read_again(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    data = RECORDINGS[1]
    (library.root / f".{data[12:28].hex()}.part").write_bytes(data)
    device = start({1: data + bytes(4096 * 50)})
    cable = Meddler(device.url)
    assert run(device, library, store, cable=cable).items[0].outcome == NEW
    assert not any(len(raw) > 4000 for raw in cable.received)


def test_freed_and_open_ones_are_left_alone(start: Callable[..., Device], library: Library, store: DeviceStore) -> None:
    report = run(start(RECORDINGS, item1={"state": 3}, item2={"state": 2}), library, store)
    assert [item.outcome for item in report.items] == [GONE, SKIPPED]


def test_an_unfinished_copy_is_replaced_by_the_finished_one(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    unfinished = RECORDINGS[1][: 4096 * 40]
    assert run(start({1: unfinished}), library, store).items[0].outcome == NEW
    report = run(start({1: RECORDINGS[1]}), library, store)
    assert report.items[0].outcome == NEW
    assert report.items[0].path is not None and report.items[0].path.read_bytes() == RECORDINGS[1]
    assert len(library.entries()) == 1


def test_a_recorder_that_records_is_not_disturbed(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    with pytest.raises(DeviceBusyError):
        run(start(RECORDINGS, state="recording"), library, store)


@pytest.mark.parametrize("now", [{"newest": 1}, {"newest": 2, "hash": "cd" * 32}, {"newest": 0}])
def test_a_rollback_or_a_copied_key_stops_everything(
    start: Callable[..., Device], library: Library, store: DeviceStore, now: dict[str, Any]
) -> None:
    run(start({2: RECORDINGS[2]}), library, store)
    with pytest.raises(IntegrityError, match="ollback"):
        run(start(RECORDINGS, **now), library, store)
    assert [entry.seq for entry in library.entries()] == [2]


def test_a_higher_status_is_remembered(start: Callable[..., Device], library: Library, store: DeviceStore) -> None:
    run(start({2: RECORDINGS[2]}), library, store)
    run(start({}, newest=5, hash="cd" * 32), library, store)
    (record,) = store.all()
    assert (record.newest, record.newest_hash) == (5, "cd" * 32)


@pytest.mark.parametrize(
    ("direction", "step"),
    [("back", 13), ("out", 5), *(pytest.param(way, 1, marks=pytest.mark.long) for way in ("back", "out"))],
)
def test_a_sync_that_frees_survives_the_loss_of_any_frame_and_repeats_at_most_a_window(
    start: Callable[..., Device],
    store: DeviceStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    direction: str,
    step: int,
) -> None:
    """Each frame of a whole session lost in turn; what comes home is the same, and it is freed only then."""
    data = RECORDINGS[1]
    monkeypatch.setattr("earwitness.link.client._FREE_TIMEOUT_S", 0.3)
    final = data[-4096:][34 : 34 + int.from_bytes(data[-4096:][32:34], "little")]
    note_hash = sha256(final).hexdigest()

    def once(lost: int) -> int:
        device = start({1: data}, item1={"hash": note_hash})
        cable = Meddler(device.url, **{direction: lambda number, raw: b"" if number == lost else raw})
        own = Library(tmp_path / f"library{lost}")
        try:
            with Recorder(cable, timeout=0.15, tries=20) as recorder:
                recorder.authenticate(SECRET, device.public)
                report = sync(recorder, record_of(device), own, store, identity=OWNER, free_synced=True)
        finally:
            own.close()
        assert [item.outcome for item in report.items] == [NEW] and [item.reason for item in report.freed] == [""]
        assert report.items[0].path is not None and report.items[0].path.read_bytes() == data
        assert device.called("free") and device.called("receipt")
        pages = sum(len(raw) > 4000 for raw in cable.received)
        assert pages <= len(data) // 4096 + 64
        device.stop()
        return len(cable.sent if direction == "out" else cable.received)

    total = once(-1)
    for lost in range(0, total, step):
        once(lost)


def test_what_is_damaged_on_the_recorder_is_not_read_from_end_to_end_at_each_sync(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    def pages(again: bool = False, **how: Any) -> tuple[str, int]:
        device = start({1: RECORDINGS[1]}, **how)
        cable = Meddler(device.url)
        with Recorder(cable, timeout=0.5) as recorder:
            recorder.authenticate(SECRET, device.public)
            (item,) = sync(recorder, record_of(device), library, store, identity=OWNER, again=again).items
        return item.outcome, sum(len(raw) > 4000 for raw in cable.received)

    whole = len(RECORDINGS[1]) // 4096
    bad = {"item1": {"bad": [40]}}
    assert pages(**bad) == (DAMAGED, whole - 1)
    for _ in range(2):
        outcome, read = pages(**bad)
        assert outcome == PRESENT and read < 10, "the damaged page and what no leaf is"
    assert pages(again=True, **bad)[1] == whole - 1
    outcome, read = pages()
    assert outcome == NEW and whole < read < whole + 10, "as soon as it can be read, all of it is"
    assert pages() == (PRESENT, 0)


def test_connect_finds_the_right_secret_among_several(
    start: Callable[..., Device], library: Library, store: DeviceStore
) -> None:
    device = start({})
    record = record_of(device)
    store.put(dataclasses.replace(record, public_key="22" * 32, link_secret="33" * 32, name="other"))
    store.put(record)
    recorder, found = connect(store, device.url)
    recorder.close()
    assert found.public == device.public


def test_connect_says_when_it_is_not_paired_here(start: Callable[..., Device], store: DeviceStore) -> None:
    device = start({})
    with pytest.raises(EarwitnessError) as caught:
        connect(store, device.url)
    assert caught.value.exit_code == 12


def test_a_receipt_that_the_recorder_let_go_of_is_given_again_without_verifying_all_of_it(
    start: Callable[..., Device], library: Library, store: DeviceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps those of its newest recordings only. Where it tells of another end, the copy is verified all the same."""
    end = RECORDINGS[1][-4096:]
    final = end[34 : 34 + int.from_bytes(end[32:34], "little")]
    verified = []
    verify_here = freeing.verify_here

    def watch(*what: Any) -> Any:
        verified.append(what)
        return verify_here(*what)

    monkeypatch.setattr(freeing, "verify_here", watch)
    item = {"hash": sha256(final).hexdigest()}
    for note, expected in ((final, 0), (final, 0), (b"another", 1)):
        device = start({1: RECORDINGS[1]}, item1=dict(item), notes={"1": note.decode()})
        run(device, library, store)
        assert len(device.called("receipt")) == 1 and len(verified) == expected
