"""The report: what it says, what it never says, that it can be filed, and that it is the same each time."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pypdf
import pytest

from earwitness import authority_trust, report, report_pdf, stamp
from earwitness.custody import Custody, History
from earwitness.moment import Moment
from earwitness.report import Subject, length_text
from earwitness.verify import verify
from tests.host import maker
from tests.host.local_authority import NOON, LocalAuthority
from tests.host.program import RATE, Sealer, run, tone

DAY = date(2026, 11, 24)
AUTHORITY = LocalAuthority()
OWNER = maker.Owner()


def texts(pdf: bytes) -> str:
    """All that can be read in it, each run of white space as one space."""
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages))


def subject(path: Path, **more: object) -> Subject:
    verdict = more.pop("verdict", None) or verify(path, OWNER)
    settings: dict[str, object] = {
        "title": "",
        "recorder": "Red one",
        "mark_labels": {},
        "history": History((), ()),
        "tokens": (),
        "token_files": {},
        "day": DAY,
        "zone": "Europe/London",
    }
    return Subject(path, verdict, **(settings | more))  # type: ignore[arg-type]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Two marks, a mute of a second and a loss of half of one."""
    recording, _ = maker.begin()
    recording.sound(maker.tone(800), events=maker.mark(600, 3) + maker.muted(1300))
    recording.sound(maker.tone(800), lost_before=RATE, events=maker.unmuted(1300 + RATE) + maker.mark(17500, 2))
    recording.sound(maker.tone(800), lost_before=RATE // 2, events=maker.lost(18100, RATE // 2))
    recording.finish()
    return recording.write(tmp_path / "w.ewr")


def test_a_dead_microphone_stands_among_what_is_missing(tmp_path: Path) -> None:
    recording, _ = maker.begin()
    recording.pcm([0] * 1600, events=maker.silent(500) + maker.heard(2100))
    recording.finish()
    path = recording.write(tmp_path / "dead.ewr")
    said = texts(report_pdf.render(subject(path)))
    assert re.search(r"0:00:00\.0 \d\d:\d\d:\d\d 0\.10 s the microphone gave nothing", said)


def test_it_says_the_six_answers_with_their_reasons(whole: Path) -> None:
    verdict = verify(whole, OWNER)
    said = texts(report_pdf.render(subject(whole)))
    for name, question in report.QUESTIONS:
        answer = getattr(verdict, name)
        assert question in said and answer.state in said
        assert re.sub(r"\s+", " ", answer.reason[:60]) in said


def test_marks_losses_and_mutes_stand_in_it_with_the_owners_words(whole: Path) -> None:
    said = texts(report_pdf.render(subject(whole, mark_labels={2: "The plan was agreed"})))
    assert re.search(r"2 0:00:01\.1 \d\d:\d\d:\d\d disputed The plan was agreed", said)
    assert "1.00 s off the record, by the owner's button" in said
    assert "0.50 s lost by the recorder" in said


def test_it_never_says_what_is_not_its_to_say(whole: Path) -> None:
    said = texts(report_pdf.render(subject(whole))).lower()
    for word in ("lawful", "legally", "admissib", "authentic", "tamper-proof", "guarantee", "prove that"):
        assert word not in said
    assert "whether it may be used. that is a question for a solicitor and for the court" in said
    assert "not the report of an expert witness" in said


def test_the_draft_is_marked_as_one_and_can_be_left_out(whole: Path) -> None:
    said = texts(report_pdf.render(subject(whole)))
    assert "Draft, not a statement." in said and "Check every one of them, together with your solicitor" in said
    assert "[full name]" in said and "no part of the report" in said and "--without-draft" in said
    assert "[full name]" not in texts(report_pdf.render(subject(whole, draft=False)))


def test_the_draft_says_what_is_wrong_as_plainly_as_what_is_right(whole: Path) -> None:
    data = bytearray(whole.read_bytes())
    data[4096 * 3 + 99] ^= 1
    whole.write_bytes(data)
    said = texts(report_pdf.render(subject(whole)))
    assert "Damaged: page 3" in said or "Not intact" in said
    assert "[Say here what you know of how this came about, or that you do not know.]" in said


def test_the_same_inputs_and_date_give_the_same_bytes(whole: Path) -> None:
    once = report_pdf.render(subject(whole, title="A meeting"))
    assert report_pdf.render(subject(whole, title="A meeting")) == once
    assert report_pdf.render(subject(whole, title="A meeting", day=date(2026, 11, 25))) != once


def test_it_is_marked_as_pdf_a_3_and_carries_what_it_rests_on(whole: Path) -> None:
    verdict = verify(whole, OWNER)
    token = AUTHORITY.token(verdict.final_note_hash)
    judged = stamp.judge(
        token, verdict.final_note_hash, authority_trust.Trust((AUTHORITY.root,)), name="w.tsr", now=NOON
    )
    pdf = report_pdf.render(subject(whole, tokens=(judged,), token_files={"w.tsr": token}))
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    metadata = reader.trailer["/Root"]["/Metadata"].get_object().get_data()  # type: ignore[index]
    assert b"<pdfaid:part>3</pdfaid:part>" in metadata and b"<pdfaid:conformance>A</pdfaid:conformance>" in metadata
    assert b"<pdfuaid:part>1</pdfuaid:part>" in metadata
    held = {name: content for name, (content,) in reader.attachments.items()}
    assert set(held) == {"report.json", "final-note.txt", "w.tsr"}
    assert held["w.tsr"] == token
    assert hashlib.sha256(held["final-note.txt"]).digest() == verdict.final_note_hash
    data = json.loads(held["report.json"])
    assert data["verdict"] == json.loads(json.dumps(verdict.to_json()))
    assert data["file"]["sha256"] == hashlib.sha256(whole.read_bytes()).hexdigest()
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "manifest.json").read_text())
    assert data["format"] == {"container": 1, "suite": 1, "vectors": vectors["version"]}
    assert data["tokens"][0]["state"] == "valid" and data["report"]["date"] == "2026-11-24"
    said = texts(pdf)
    assert "signed on 23 November 2026, 12:00:00 UTC that the recorder's signed end" in said
    for content in held.values():
        assert hashlib.sha256(content).hexdigest() in said


def test_without_the_key_it_says_what_it_could_not_see(whole: Path) -> None:
    said = texts(report_pdf.render(subject(whole, verdict=verify(whole))))
    assert "not opened for this report; 5 sealed pages of sound" in said
    assert "marks, gaps and times are inside the encryption" in said
    assert "Length" not in said and "[date and time]" in said


def test_an_unfinished_recording_is_not_made_to_look_whole(tmp_path: Path) -> None:
    recording, _ = maker.begin()
    recording.checkpoint()
    said = texts(report_pdf.render(subject(recording.write(tmp_path / "u.ewr"))))
    assert "Unfinished: there is no signed end." in said and "as far as it is proven" in said
    assert "Somebody who opened the case could have trimmed" in said
    assert "final-note.txt" not in said and "No outside authority has signed a time" in said


def test_clock_times_are_those_of_the_place(whole: Path) -> None:
    # 9 October 2025, 08:53:20 UTC: summer time in London
    assert "9 October 2025, 09:53:20 BST" in texts(report_pdf.render(subject(whole)))
    assert "9 October 2025, 08:53:20 UTC" in texts(report_pdf.render(subject(whole, zone="UTC")))


def test_a_date_that_is_not_in_the_recording_is_told_as_such(whole: Path) -> None:
    recording = maker.Recording(maker.Device(), [OWNER])
    recording.sound(maker.tone(500), maker.rice, events=maker.meta())
    recording.finish()
    path = recording.write(whole.with_name("undated.ewr"))
    assert "Began not known" in texts(report_pdf.render(subject(path)))
    synced = Moment(1_760_000_000_000_000, 1_000_000)
    said = texts(report_pdf.render(subject(path, synced=synced)))
    assert "9 October 2025, 09:53:20 BST" in said and "not part of the recording" in said


def test_custody_is_told_with_its_faults(whole: Path) -> None:
    log = Custody(whole.with_suffix(".custody.jsonl"))
    for act in ("synced", "verified", "exported"):
        log.add(act, how="USB")
    lines = log.path.read_text().splitlines(keepends=True)
    log.path.write_text(lines[0] + lines[2])
    said = texts(report_pdf.render(subject(whole, history=log.read())))
    assert "how: USB" in said and "does not follow from the line before" in said
    assert "The report lists one copy made with the program" in said


@pytest.mark.parametrize(
    "title",
    [
        "Gespräch über Łódź, Ελληνικά, Русский",
        "会议 اجتماع 😀",
        "#let x = 1 $ * _ ` @a <b> \\ [",
        "a\x00b\x1b\u202ec\n",
    ],
)
def test_titles_of_every_kind_are_set(whole: Path, title: str) -> None:
    pdf = report_pdf.render(subject(whole, title=title, mark_labels={1: title}))
    held = pypdf.PdfReader(io.BytesIO(pdf)).attachments
    assert json.loads(held["report.json"][0])["title"] == title
    if title.isascii() and title.isprintable():
        assert title in texts(pdf)


def test_thousands_of_marks_are_listed_in_part_and_attached_in_full(tmp_path: Path) -> None:
    recording, _ = maker.begin()
    for _ in range(30):
        sample = recording.sample
        recording.sound(maker.tone(100), events=b"".join(maker.mark(sample) for _ in range(30)))
    recording.finish()
    pdf = report_pdf.render(subject(recording.write(tmp_path / "m.ewr")))
    assert "and 500 more" in texts(pdf)
    held = json.loads(pypdf.PdfReader(io.BytesIO(pdf)).attachments["report.json"][0])
    assert len(held["verdict"]["marks"]) == 900


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 01 s"), (3723.9, "1 h 02 min 03 s")]
)
def test_lengths_in_words(seconds: float, words: str) -> None:
    assert length_text(seconds) == words


# The command.


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a recording, stamped by an authority that its owner believes."""
    from earwitness.identity import Identity
    from earwitness.keystore import Keystore
    from earwitness.library import Library

    home = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARWITNESS_HOME", str(home))
        identity = Identity.generate()
        Keystore().save(identity, "file", recovery="saved")
        library = Library()
        Sealer(identity.recipient).record(home / "new.ewr", tone(4), marks=((2 * RATE, 1),))
        entry = library.add(home / "new.ewr", how="card")
        library.annotate(entry, "label", "School meeting")
        library.annotate(entry, "note", "What my solicitor told me")
        authority_trust.roots_folder().mkdir()
        (authority_trust.roots_folder() / "local.pem").write_bytes(AUTHORITY.root_pem)
        stamp.keep(entry.path, AUTHORITY.token(verify(entry.path).final_note_hash))
        library.close()
    yield home


@pytest.fixture
def home(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "home")
    return tmp_path / "home"


def test_the_command_makes_one_file_the_same_each_time(home: Path, tmp_path: Path) -> None:
    words = ("report", "1", "--date", "2026-11-24", "-o")
    done = run(home, *words, str(tmp_path / "a.pdf"), "--json")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "a.pdf").read_bytes()
    data = json.loads(done.stdout)
    assert data["sha256"] == hashlib.sha256(made).hexdigest() and data["date"] == "2026-11-24"
    assert run(home, *words, str(tmp_path / "b.pdf")).returncode == 0
    assert (tmp_path / "b.pdf").read_bytes() == made
    said = texts(made)
    assert "School meeting" in said and "Not after 2026-11-23T12:00:00Z ± 1 s, by Test Time Unit 1" in said
    assert "my solicitor told me" not in said + str(pypdf.PdfReader(io.BytesIO(made)).attachments["report.json"])


def test_an_expired_authority_is_judged_from_the_date_of_the_report(home: Path, tmp_path: Path) -> None:
    for day, expired in (("2026-11-24", False), ("2040-01-01", True)):
        path = tmp_path / f"{day}.pdf"
        assert run(home, "report", "1", "--date", day, "-o", str(path)).returncode == 0
        assert ("has expired since (2026-12-08)" in texts(path.read_bytes())) is expired


def test_nothing_is_replaced_unasked_and_words_that_make_no_sense_are_named(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_text("mine")
    assert run(home, "report", "1", "-o", str(path)).returncode == 2
    assert path.read_text() == "mine"
    assert run(home, "report", "1", "-o", str(path), "--force", "--without-draft").returncode == 0
    for wrong in (
        ("-o", "a.doc"),
        ("-o", str(tmp_path / "b.pdf"), "--date", "soon"),
        ("-o", str(tmp_path / "b.pdf"), "--time-zone", "Mars"),
    ):
        assert run(home, "report", "1", *wrong).returncode == 2
    assert not (tmp_path / "b.pdf").exists()


def test_a_recording_that_is_not_intact_is_reported_as_that(home: Path, tmp_path: Path) -> None:
    (path,) = (home / "library").glob("*.ewr")
    data = bytearray(path.read_bytes())
    data[4096 * 5 + 99] ^= 1
    path.write_bytes(data)
    done = run(home, "report", "1", "-o", str(tmp_path / "a.pdf"))
    assert done.returncode == 0 and "not all well: damaged" in done.stderr
    assert "Damaged" in texts((tmp_path / "a.pdf").read_bytes())
