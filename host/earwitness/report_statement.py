"""Draft paragraphs for a witness statement, England and Wales: facts from the file, and brackets for what only the
person knows. They claim nothing that the file does not show, and never that a recording may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from earwitness import __version__
from earwitness.chapters import clock, seconds_text

if TYPE_CHECKING:
    from earwitness.report import Subject

_LISTED: Final = 6


def paragraphs(subject: Subject) -> list[str]:
    """Each one paragraph; `[…]` is for the person to complete or strike out."""
    found = [*_opening(subject), _notice(subject), *_contents(subject), *_silence(subject), *_marks(subject)]
    return [*found, _time(subject), _custody(subject), *_closing()]


def _opening(subject: Subject) -> list[str]:
    from earwitness.report import long_date

    start = subject.at(0)
    day = "date and time"
    if start:
        day = f"{long_date(start.date())}, at about {start:%H:%M}: check this against your own diary"
    return [
        "I am [full name] of [address, or: an address known to the court]. I am [who you are in this matter].",
        "I make this statement about a sound recording, which I produce as exhibit [XX/1]. What I say is within my own"
        " knowledge, except where I say that it comes from the report of the computer program Earwitness, version"
        f" {__version__}, dated {long_date(subject.day)}, which I produce as exhibit [XX/2].",
        f"On [{day}], at [place], I recorded [what: for example, a meeting about"
        " what] with a pocket recorder [which belongs to me]. Present were [names, and what each was there as].",
    ]


def _notice(subject: Subject) -> str:
    marks = [mark for mark in subject.verdict.marks if mark.kind == "notice given"]
    if marks:
        return (
            f"The report shows that {_at(subject, marks[0].sample)} a button was held on the recorder, which marks"
            " “notice given”. [I held it when I had told those present that I was recording. What I said, and what was"
            " answered.]"
        )
    return (
        "[I told those present that I was recording: when, in what words, and what was answered. Or: I did not tell"
        " them, because …]"
    )


def _contents(subject: Subject) -> list[str]:
    from earwitness.report import length_text

    verdict = subject.verdict
    lasts = f"that the recording lasts {length_text(verdict.duration_s)}, and " if verdict.samples else ""
    answers = (verdict.intact, verdict.complete, verdict.continuous)
    said = " ".join(f"({letter}) “{answer.reason}”" for letter, answer in zip("abc", answers, strict=True))
    if verdict.intact.ok is not True or verdict.complete.ok is not True or verdict.continuous.ok is False:
        said += " [Say here what you know of how this came about, or that you do not know.]"
    return [f"The report says {lasts}of the file: {said}"]


def _silence(subject: Subject) -> list[str]:
    found = []
    for reason, words, ask in (
        ("muted", "was put off the record by its button", "[Who asked for it, or why I did it.]"),
        ("lost", "lost sound", "[What I remember of what was said then, if anything.]"),
        (
            "silent",
            "has stretches in which the microphone gave nothing",
            "[What I remember of what was said then, if anything.]",
        ),
        ("damaged", "is damaged", "[What I know of how it was damaged, or that I do not know.]"),
    ):
        gaps = [gap for gap in subject.verdict.unheard if gap.reason == reason]
        if gaps:
            places = "; ".join(f"{_at(subject, gap.sample)}, for {seconds_text(gap.count)}" for gap in gaps[:_LISTED])
            more = f", and in {len(gaps) - _LISTED} more places listed there" if len(gaps) > _LISTED else ""
            found.append(f"The report says that the recording {words}: {places}{more}. {ask}")
    return found


def _marks(subject: Subject) -> list[str]:
    marks = [(n, mark) for n, mark in enumerate(subject.verdict.marks, 1) if mark.kind != "notice given"]
    if not marks:
        return []
    times = "once" if len(marks) == 1 else f"{len(marks)} times"
    labels = [
        f"mark {number}, {_at(subject, mark.sample)}: [{subject.mark_labels.get(number) or 'what is said there'}]"
        for number, mark in marks[:_LISTED]
    ]
    more = " The report lists the others." if len(marks) > _LISTED else ""
    return [
        f"While it was recording, the button that marks a moment was pressed {times}. [I pressed it, when something was"
        f" said that matters.] The places that I refer to are: {'; '.join(labels)}.{more}"
    ]


def _time(subject: Subject) -> str:
    from earwitness.report import long_time

    start = subject.at(0)
    clock_words = (
        f"According to the report the recording began on {long_time(start)} ({subject.dated}, which [I had set with my"
        " computer])."
        if start and not subject.synced
        else f"According to the report the recording began on {long_time(start)} ({subject.dated})."
        if start
        else "The report does not say when the recording began."
    )
    valid = [token for token in subject.tokens if token.valid]
    if not valid:
        return f"{clock_words} [I know the date and time also from: diary, letter, message.]"
    best = min(valid, key=lambda token: token.bound)
    assert best.time
    return (
        f"{clock_words} The report says that {best.authority} [, with which I have no connection,] signed"
        f" on {long_time(best.time)} that the recorder's signed end of this recording existed by then."
    )


def _custody(subject: Subject) -> str:
    from earwitness.report import long_date

    steps = subject.history.steps
    synced = next((step for step in steps if step.act == "synced"), None)
    copies = sum(step.act in ("exported", "disclosed") for step in steps)
    came = "[When and how I copied it to my computer.]"
    if synced:
        from datetime import datetime

        day = long_date(datetime.fromisoformat(synced.utc).date())
        how = f" by {synced.details['how']}" if synced.details.get("how") else ""
        came = f"According to the report it was copied from the recorder to [my] computer on {day}{how}."
    given = "no copy" if not copies else "one copy" if copies == 1 else f"{copies} copies"
    return (
        f"{came} [Where the recorder was until then, and who could reach it.] The encrypted file has been kept [where, and"
        f" who else can use that computer] since. The report lists {given} made with the program. [To whom I have given"
        " which copy, and when.]"
    )


def _closing() -> list[str]:
    return [
        "[I have not altered the recording, and I do not know of anybody who has. Only if that is so.]",
        "[The voices that I recognise, and how I know them. The language spoken. Who made the transcript, exhibit [XX/3],"
        " and who has compared it with the sound.]",
        "I understand from the report that it does not show who is speaking, nor that what could be heard in the room was"
        " genuine.",
    ]


def _at(subject: Subject, sample: int) -> str:
    time = subject.time(sample)
    return f"at {clock(sample)} of the recording" + (f" ({time})" if time else "")
