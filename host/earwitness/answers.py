"""The wording of the answers, from what the walks have found."""

from __future__ import annotations

from dataclasses import dataclass

from earwitness import events, moment, note
from earwitness.checkpoint import MAX_UNPROVEN
from earwitness.findings import Survey
from earwitness.page import Header
from earwitness.timeline import TOLERANCE_US, Timeline
from earwitness.verdict import Answer

_DRIFT_PPM = 100  # crystals of recorder and computer, cheap ones, cold ones: together well below this
_LISTED = 20
_BY = {
    1: "By the device clock, set by the owner's computer,",
    2: "By the clock chip of the device, which its owner set,",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the answers are made from. `timeline` is None if the recording was not opened."""

    header: Header
    survey: Survey
    timeline: Timeline | None
    known_device: bool
    cut_short: str  # why the device's chain proves that there is more, or empty

    @property
    def whose(self) -> str:
        """Said with both answers unless the device is known: anyone can make a whole recording under a new key."""
        return "" if self.known_device else ", by an unknown device"

    @property
    def lacking(self) -> int:
        """Pages that the recorder signed for and that are not here, or not as sealed."""
        return self.survey.proven_to - self.survey.proven


def intact(found: Found) -> Answer:
    """Is every byte as it was sealed?"""
    survey, findings = found.survey, found.survey.findings
    details = (*findings.named(), *survey.debris)
    if survey.unproven:
        details += (f"{_pages(survey.unproven)} behind the last checkpoint not vouched for by the recorder",)
    if findings.failure_count:
        reason = f"Not intact: {findings.failures[0]}."
        if not survey.proven_to:
            reason = "Not intact: no checkpoint of any recorder vouches for it."
        return Answer("not intact", False, reason, details)
    if findings.damage_count:
        proven = max(survey.proven - 1, 0)
        reason = f"Damaged: {findings.damages[0]}. The other {_pages_are(proven)} proven as recorded{found.whose}."
        return Answer("damaged", False, reason, details)
    if found.timeline is None:
        return Answer("sealed", True, f"Sealed as recorded{found.whose}; not opened.", details)
    until = " up to the last checkpoint" if survey.final is None else ""
    return Answer("intact", True, f"Every page{until} is as it was recorded{found.whose}.", details)


def complete(found: Found) -> Answer:
    """Is this the whole recording, from switch on to switch off?"""
    survey, final = found.survey, found.survey.final
    if found.cut_short:
        return Answer("cut short", False, f"Cut short: {found.cut_short}.")
    if not survey.proven_to:
        return Answer("not complete", False, "Nothing is sealed, so nothing shows that it is whole.")
    if survey.findings.gone_count and final:
        return Answer(
            "cut short",
            False,
            f"Cut short: the recorder signed for {_pages(final.n - 1)} of sound, and {found.lacking} are not here.",
        )
    if final is None:
        return Answer("unfinished", False, _unfinished(survey))
    if final.state == note.RECOVERED:
        return Answer(
            "recovered", False, f"Recovered after a power cut: whole up to there{found.whose}, the end is missing."
        )
    if final.state != note.END:
        return Answer(
            "damaged",
            False,
            f"After a power cut the recorder found {_pages(final.n - 1)} of sound, where it had sealed"
            f" {_pages(max((final.seen or 0) - 1, 0))}: fewer, or not the same.",
        )
    faults = _incomplete(found)
    if faults:
        return Answer("not complete", False, f"Not complete: {faults[0]}.", tuple(faults))
    if found.timeline is None:
        return Answer("sealed as complete", True, f"Sealed as complete{found.whose}; start and STOP not checked.")
    return Answer("complete", True, f"Whole, from start to stop ({found.timeline.stop_reason}){found.whose}.")


def _unfinished(survey: Survey) -> str:
    words = "Unfinished: there is no signed end."
    if survey.unproven:
        words += (
            f" The last {_pages(survey.unproven)} of sound are not vouched for by the recorder"
            f" (up to {MAX_UNPROVEN} may be so)."
        )
    return words


def _incomplete(found: Found) -> list[str]:
    survey, timeline = found.survey, found.timeline
    faults = []
    if not survey.begins_sealed:
        faults.append("the checkpoint that belongs right behind the header is damaged or missing")
    if not survey.final_whole:
        faults.append("the page of the recorder's signed end is damaged")
    if found.lacking:
        faults.append(f"{_pages_are(found.lacking)} damaged")
    if survey.findings.failure_count:
        faults.append("the file is not intact")
    if timeline and timeline.first_index != 1:
        faults.append("the first page of sound is not here")
    if timeline and not (timeline.stops == 1 and timeline.stop_is_last):
        faults.append("the last page does not end with the one STOP of the recorder")
    return faults


def continuous(found: Found) -> Answer:
    """Does the sound run through, as time did?"""
    timeline = found.timeline
    if timeline is None:
        return Answer("not opened", None, "Not opened: gaps and time inside cannot be seen without the owner's key.")
    if not timeline.index:
        return Answer("empty", None, "There is no proven sound in it.")
    losses, mutes, silences = timeline.losses, timeline.mutes, timeline.silences
    damaged = tuple(gap for gap in timeline.gaps if gap.reason == "damaged")
    missing = sorted((*timeline.gaps, *silences), key=lambda gap: gap.sample)
    details = [f"{gap.reason}: {gap.seconds:.3f} s at {clock_time(gap.sample / gap.rate)}" for gap in missing]
    if len(details) > _LISTED:
        details[_LISTED:] = [f"and {len(details) - _LISTED} more"]
    lost = sum(gap.count for gap in losses)
    if lost != timeline.told_lost:
        details.append(f"the recorder's own entries account for {timeline.told_lost} of {lost} lost samples")
    drift = _drift(timeline)
    if drift:
        details.append(drift[1])
    faults = []
    if losses:
        faults.append(f"{lost / timeline.rate:.3f} s lost in {_places(len(losses))}")
    if damaged:
        faults.append(f"{sum(gap.seconds for gap in damaged):.3f} s damaged in {_places(len(damaged))}")
    if silences:
        seconds = sum(gap.seconds for gap in silences)
        faults.append(f"the microphone gave nothing for {seconds:.3f} s in {_places(len(silences))}")
    if timeline.left_out:  # what is not looked at vouches for nothing
        faults.append("more entries than any recorder writes")
    if timeline.worst_us > TOLERANCE_US:
        faults.append(f"sound and time disagree by {timeline.worst_us / 1000:.1f} ms")
    if drift and not drift[0]:
        faults.append("sound and clock disagree")
    muted = (
        f" Off the record by button: {sum(gap.seconds for gap in mutes):.1f} s in {_places(len(mutes))}."
        if mutes
        else ""
    )
    if faults:
        return Answer("not continuous", False, f"Not continuous: {'; '.join(faults)}.{muted}", tuple(details))
    return Answer("continuous", True, f"Without a gap that was not wanted, within 5 ms of time.{muted}", tuple(details))


def _drift(timeline: Timeline) -> tuple[bool, str] | None:
    """Crystal against the clock, over the settings inside: (within bounds, words)."""
    clocks = [clock for clock in timeline.clocks if moment.believable(clock.utc_us)]
    if len(clocks) < 2:
        return None
    first = clocks[0]
    found = []
    for clock in clocks[1:]:
        apart = abs((clock.utc_us - first.utc_us) - (clock.mono_us - first.mono_us))
        bound = first.error_us + clock.error_us + abs(clock.mono_us - first.mono_us) * _DRIFT_PPM // 1_000_000
        found.append((apart, bound))
    worst, allowed = max(found, key=lambda pair: pair[0] - pair[1])
    words = (
        f"against the clock: at most {worst / 1000:.1f} ms apart, {allowed / 1000:.1f} ms allowed ({_DRIFT_PPM} ppm)"
    )
    return worst <= allowed, words


def when(found: Found) -> Answer:
    """When was it made? A device's clock is set by its owner: it says, it does not prove."""
    timeline = found.timeline
    if timeline is None:
        return Answer("not opened", None, "Not opened: the recorder's clock is inside.")
    details = []
    beacons = sum(event.type == events.BEACON for event in timeline.events)
    if beacons:
        details.append(f"{beacons} beacon(s) inside: with the source object at hand they show what came before it")
    starts = timeline.moments(0)
    start = moment.best(starts)
    if start is None and timeline.clocks:
        words = "The clock in it is out of range, years 2000 to 2200, and is not believed."
        return Answer("clock out of range", None, words, tuple(details))
    if start is None:
        words = (
            "The recorder's clock was not set." if timeline.index else "No sound in it is proven, nor the time of any."
        )
        return Answer("unknown", None, words, tuple(details))
    if len(starts) < len(timeline.clocks):
        details.append(f"{len(timeline.clocks) - len(starts)} setting(s) of the clock in it out of range, left out")
    by_whom = _BY.get(start.source, "By the device clock")
    words = f"{by_whom} it began {start.text} ({moment.source_name(start.source)}). That is not proof from outside."
    if not moment.contradict(starts):
        return Answer("device clock", None, words, tuple(details))
    details += [f"{moment.source_name(one.source)}: it began {one.text}" for one in starts[:_LISTED]]
    details += [f"and {len(starts) - _LISTED} more"] if len(starts) > _LISTED else []
    words += " But the settings of its clock contradict each other by more than their errors: at least one is wrong."
    return Answer("clocks disagree", False, words, tuple(details))


def by(found: Found, pinned: bytes | None) -> Answer:
    """Which device made it?"""
    name = note.key_name(found.header.device)
    if pinned is None:
        return Answer("unknown", None, f"By the device {name}, which is not one of those paired here.")
    if pinned == found.header.device:
        return Answer("paired", True, f"By the device {name}, paired here.")
    return Answer("another device", False, f"By the device {name}, and not by the one it was expected of.")


def clock_time(seconds: float) -> str:
    """h:mm:ss within the recording."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _pages(count: int) -> str:
    return "1 page" if count == 1 else f"{count} pages"


def _pages_are(count: int) -> str:
    return f"{_pages(count)} of sound {'is' if count == 1 else 'are'}"


def _places(count: int) -> str:
    return "1 place" if count == 1 else f"{count} places"
