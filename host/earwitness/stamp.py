"""Outside time: RFC 3161 tokens over the recorder's signed end, kept beside the recording and checked without a network.

A token says that somebody else's clock had passed no further than its time when the final note was already there: "not
after". Its message imprint is the very hash that the next recording's `prev` holds (FORMAT.md), so that no other program
is needed to connect the two. A token counts only if its signature leads to a root that is believed about time
(authority_trust.py) and the certificates were valid at the token's own time; whether one was revoked is not looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earwitness import authority_trust, moment
from earwitness.atomic import replacing
from earwitness.authority_trust import Trust
from earwitness.errors import EarwitnessError, UsageError
from earwitness.verdict import Answer, Verdict

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

VALID, OTHER_BYTES, UNTRUSTED, NOT_VALID_THEN, BROKEN = "valid", "other bytes", "untrusted", "not valid then", "broken"
MOST: Final = 9  # tokens beside one recording: a fixed number of names, so that nothing is searched among thousands
MAX_BYTES: Final = 1 << 16  # real ones have 3 to 8 kB

_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_NO_DATE: Final = ("unknown", "not opened", "clock out of range")  # states of `when` in answers.py
_GRANTED: Final = 0  # RFC 3161, PKIStatus
_DRIFT: Final = 1e-4  # of a device clock over a recording, as in answers.py
_SLACK: Final = timedelta(seconds=2)


@dataclass(frozen=True)
class Token:
    """What one token is worth. `time`, UTC, is what it says even where it does not count; None if it says nothing."""

    name: str
    state: str
    reason: str  # a sentence
    time: datetime | None = None
    accuracy_s: float = 0
    authority: str = ""

    @property
    def valid(self) -> bool:
        """It counts."""
        return self.state == VALID

    @property
    def bound(self) -> datetime:
        """The latest moment at which what it stamps can have come into being. Only for tokens that say a time."""
        assert self.time is not None
        return self.time + timedelta(seconds=self.accuracy_s)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        time = self.time.isoformat() if self.time else None
        return {
            "file": self.name,
            "state": self.state,
            "reason": self.reason,
            "time": time,
            "accuracy_s": self.accuracy_s,
            "authority": self.authority,
        }


def places(path: Path) -> list[Path]:
    """Where tokens of the recording in `path` may lie: `name.tsr`, `name.2.tsr`, …"""
    return [path.with_suffix(".tsr" if number == 1 else f".{number}.tsr") for number in range(1, MOST + 1)]


def files(path: Path) -> list[Path]:
    """The tokens that are there."""
    return [place for place in places(path) if place.is_file()]


def keep(path: Path, token: bytes) -> Path:
    """Put a token beside the recording in `path`. Raises UsageError if there are too many."""
    for place in places(path):
        if not place.exists():
            with replacing(place, mode=0o600, overwrite=False) as file:
                file.write(token)
            return place
    raise UsageError(f"{path.name} has {MOST} time tokens already.", "Move some that are not needed elsewhere.")


def tokens(path: Path, digest: bytes, *, now: datetime | None = None) -> list[Token]:
    """Every token beside the recording in `path`, held against `digest`, the hash of its final note."""
    found = files(path)
    if not found:
        return []
    trust = authority_trust.trust()
    return [judge(read(file), digest, trust, name=file.name, now=now) for file in found]


def read(path: Path) -> bytes:
    """A token file, never more than one byte beyond what `judge` takes."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def imprint(token: bytes) -> bytes:
    """The hash that a token was made over; empty where that cannot be read (then `judge` says why)."""
    from rfc3161_client import decode_timestamp_response

    try:
        return bytes(decode_timestamp_response(token[: MAX_BYTES + 1]).tst_info.message_imprint.message)
    except Exception:  # ASN.1 from a file: whatever its readers raise
        return b""


def judge(token: bytes, digest: bytes, trust: Trust, *, name: str, now: datetime | None = None) -> Token:
    """What this TimeStampResp is worth as a statement about `digest`. Never raises for what is in the token."""
    from cryptography import x509
    from rfc3161_client import decode_timestamp_response

    if len(token) > MAX_BYTES:
        return Token(name, BROKEN, f"{name} is far too long to be a time token.")
    try:
        response = decode_timestamp_response(token)
        if response.status != _GRANTED:
            return Token(name, BROKEN, f"{name} is an authority's refusal: {_words(response.status_string)}.")
        info = response.tst_info
        imprint = info.message_imprint
        time, accuracy = info.gen_time.astimezone(UTC), _seconds(info.accuracy)
        chain = _chain(response)
        said = Token(name, VALID, "", time, accuracy, _name(chain[0]) if chain else "")
        if imprint.hash_algorithm != x509.ObjectIdentifier(_SHA256) or imprint.message != digest:
            words = f"{name} is a time token over other bytes than the recorder's signed end of this recording."
            return replace(said, state=OTHER_BYTES, reason=words)
    except Exception as error:  # ASN.1 from a file: whatever its readers raise
        return Token(name, BROKEN, f"{name} is cut short or is no time token ({_short(error)}).")
    if not chain:
        return replace(said, state=BROKEN, reason=f"{name} does not say who signed it.")
    try:
        return _trusted(said, response, chain, digest, trust, now or datetime.now(UTC))
    except Exception as error:
        return replace(said, state=BROKEN, reason=f"{name} cannot be checked ({_short(error)}).")


def _trusted(
    said: Token, response: Any, chain: Sequence[Certificate], digest: bytes, trust: Trust, now: datetime
) -> Token:
    from rfc3161_client import VerificationError, VerifierBuilder

    assert said.time
    top = chain[-1]
    root = next((root for root in trust.roots if root == top or _issued(top, root)), None)
    root = root or next((root for root in trust.roots for link in chain if root == link or _issued(link, root)), None)
    if root is None:
        words = (
            f"{said.name} is signed by {said.authority}, and nothing here shows that this authority is to be believed:"
            " its root certificate is not among those trusted on this computer."
        )
        return replace(said, state=UNTRUSTED, reason=" ".join([words, *(f"{fault}." for fault in trust.faults)]))
    try:
        VerifierBuilder(roots=list(trust.roots)).build().verify(response, digest)
    except (VerificationError, ValueError):
        outside = [
            link for link in (*chain, root) if not link.not_valid_before_utc <= said.time <= link.not_valid_after_utc
        ]
        if outside:
            words = (
                f"{said.name} says {_utc(said.time)}, when the certificate of {_name(outside[0])} was not valid"
                f" ({outside[0].not_valid_before_utc:%Y-%m-%d} to {outside[0].not_valid_after_utc:%Y-%m-%d})."
            )
            return replace(said, state=NOT_VALID_THEN, reason=words)
        words = f"{said.name} was changed or forged: its signature is not one of {said.authority} for signing time."
        return replace(said, state=BROKEN, reason=words)
    words = f"{said.authority} signed that it existed at {_utc(said.time)}{_margin(said)}; root: {_name(root)}."
    ends = min(link.not_valid_after_utc for link in chain)
    if ends < now:
        words += f" Its certificate has expired since ({ends:%Y-%m-%d}); at the token's time it was valid."
    return replace(said, reason=words)


def _chain(response: Any) -> list[Certificate]:
    """The signer's certificate, its issuer's and so on, as far as the token holds them."""
    from cryptography import x509

    signed = response.signed_data
    held = [x509.load_der_x509_certificate(data) for data in signed.certificates]
    (signer,) = signed.signer_infos
    links = [link for link in held if link.issuer == signer.issuer and link.serial_number == signer.serial_number][:1]
    while links and len(links) <= len(held):
        above = next((link for link in held if link not in links and _issued(links[-1], link)), None)
        if above is None:
            break
        links.append(above)
    return links


def _issued(link: Certificate, issuer: Certificate) -> bool:
    try:
        link.verify_directly_issued_by(issuer)
    except Exception:  # other name, other key, a kind of key that it does not know
        return False
    return True


def _name(certificate: Certificate) -> str:
    from cryptography.x509.oid import NameOID

    def part(oid: Any) -> str:
        values = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]
        return _printable(values[0]) if values else ""

    common, organisation = part(NameOID.COMMON_NAME), part(NameOID.ORGANIZATION_NAME)
    if common and organisation and organisation not in common:
        return f"{common} ({organisation})"
    return common or organisation or "an authority without a name"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:100]


def _words(lines: Sequence[str]) -> str:
    return _printable(" ".join(lines)).rstrip(".") or "no reason given"


def _short(error: Exception) -> str:
    return _printable(str(error))[:60].split(" {", maxsplit=1)[0].rstrip(".,: ") or type(error).__name__


def _seconds(accuracy: Any) -> float:
    if accuracy is None:
        return 0.0
    return float((accuracy.seconds or 0) + (accuracy.millis or 0) / 1e3 + (accuracy.micros or 0) / 1e6)


def _utc(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _margin(token: Token) -> str:
    return f" ± {token.accuracy_s:g} s" if token.accuracy_s else ""


def times(path: Path, verdict: Verdict, *, now: datetime | None = None) -> Verdict:
    """The verdict with what the tokens beside the recording in `path` add to its `when`.

    `now` (UTC) only decides whether an expired certificate is mentioned.
    """
    if not files(path):
        return verdict
    try:
        found = tokens(path, verdict.final_note_hash, now=now)
    except EarwitnessError as error:  # settings that cannot be read: the recording is not the worse for it
        details = (*verdict.when.details, f"time tokens not checked: {error.message}")
        return replace(verdict, when=replace(verdict.when, details=details))
    return replace(verdict, when=_joined(verdict, found))


def _joined(verdict: Verdict, found: Sequence[Token]) -> Answer:
    when = verdict.when
    details = (*when.details, *(token.reason for token in found))
    valid = sorted((token for token in found if token.valid), key=lambda token: token.bound)
    if not valid:
        words = "The time token beside it does not count" if len(found) == 1 else "No time token beside it counts"
        return replace(when, reason=f"{when.reason} {words}: {found[0].reason}", details=details)
    best = valid[0]
    assert best.time
    outside = f"Not after {_utc(best.time)}{_margin(best)}, by {best.authority}."
    ended = _ended(verdict)
    if ended and ended > best.bound:
        words = (
            f"The two disagree: by the recorder's date it ended at {_utc(ended)} or later,"
            f" and {best.authority} had signed the end of it at {_utc(best.time)}. The recorder's date is wrong."
        )
        return Answer("clocks disagree", False, f"{when.reason} {outside} {words}", details)
    state = "not after, by an outside authority" if when.state in _NO_DATE else f"{when.state}, and not after"
    return Answer(state, when.ok is not False, f"{when.reason} From outside: {outside}", details)


def _ended(verdict: Verdict) -> datetime | None:
    """The earliest end that the device's clock allows, or the date from sync, within its stated error."""
    if verdict.started_us is not None:
        earliest_us = verdict.started_us - verdict.started_error_us
    elif verdict.synced:
        earliest_us = verdict.synced.utc_us - verdict.synced.error_us
    else:
        return None
    return moment.at(earliest_us) + timedelta(seconds=verdict.duration_s * (1 - _DRIFT)) - _SLACK
