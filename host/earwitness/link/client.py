"""A recorder on the other end of a transport: prove, then every command (LINK.md). What is lost is asked for again."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from earwitness.errors import FormatError, IntegrityError
from earwitness.link import messages
from earwitness.link.channel import Channel
from earwitness.link.conversation import (
    AlreadyPairedError,
    ButtonError,
    Conversation,
    DeniedError,
    LinkLostError,
    NotFoundError,
    UnsyncedError,
)
from earwitness.link.messages import PAGE_BYTES, WINDOW_PAGES, Recording, Status

_CLOCK_PROBES: Final = 4
_MOST_RECORDINGS: Final = 65_536  # a folder of FAT32 holds no more files
_LIST_TIMEOUTS: Final = 60  # for all of LIST: two minutes by cable
_READ_TIMEOUTS: Final = 30  # to begin with; each page may take one,
_PAGES_A_TIMEOUT: Final = 2  # but on average they have to come as fast as this
_PAIR_TIMEOUT_S: Final = 15.0  # keys, flash and a signature, on the chip
_SELFTEST_TIMEOUT_S: Final = 20.0
_FREE_TIMEOUT_S: Final = 20.0  # giving a long file's space back walks its chain
_FORMAT_TIMEOUT_S: Final = 180.0  # a large card's allocation tables are zeroed
_STRANGE: Final = "Do not use it. If it looks like yours, somebody may have exchanged it."

__all__ = [
    "AlreadyPairedError",
    "ButtonError",
    "ClockSet",
    "DeniedError",
    "LinkLostError",
    "NotFoundError",
    "Page",
    "Recorder",
    "UnsyncedError",
]

_Faults = list[messages.Fault]  # before a method takes the name
_Parts = list[messages.Part]


@dataclass(frozen=True)
class Page:
    """One page of a file. `data` is None where the card could not read it."""

    number: int
    data: bytes | None


@dataclass(frozen=True)
class ClockSet:
    """What the recorder was told: its monotonic time, UTC at that time, and how far off that may be."""

    mono_us: int
    utc_us: int
    error_us: int


class Recorder(Conversation):
    """A session with one recorder."""

    # ---- sessions

    def hello(self) -> tuple[int, int]:
        """Begin anew; returns the lowest and highest version that it speaks. Raises FormatError if ours is not among them."""
        self._channel = None
        ours = bytes((messages.VERSION, messages.VERSION))
        answer = self._ask(messages.HELLO, messages.MAGIC + ours)
        if len(answer) != 6 or answer[:4] != messages.MAGIC:
            raise FormatError(f"What answers at {self.name} is no recorder.")
        low, high = answer[4], answer[5]
        if not low <= messages.VERSION <= high:
            newer = low > messages.VERSION
            raise FormatError(
                f"The recorder speaks version {low} to {high} of the link, this program {messages.VERSION}.",
                "Update earwitness." if newer else "Update the recorder's firmware ('earwitness install').",
            )
        self._versions = ours + answer[4:6]
        return low, high

    def authenticate(self, link_secret: bytes, public_key: bytes) -> None:
        """Prove the link secret and have the recorder prove it. `public_key` is what its notes are checked with.

        A lost frame leaves the two ends at different steps, so all of it is done again, from HELLO on.
        """
        lost: LinkLostError | None = None
        for _ in range(self._tries):
            self.hello()
            assert self._versions is not None
            nonce = secrets.token_bytes(32)
            try:
                answer = self._ask(messages.CHALLENGE, nonce, tries=1)
                if len(answer) != 32:
                    raise FormatError("The recorder's challenge has the wrong length.")
                channel = Channel(link_secret, self._versions, nonce, answer)
                proof = self._ask(messages.PROVE, channel.proof, tries=1)
            except LinkLostError as error:
                lost = error
                continue
            if not channel.is_recorder(proof):
                raise IntegrityError(
                    "What answers is not the recorder that was paired: it cannot prove itself.",
                    _STRANGE,
                )
            self._channel = channel
            self._public = public_key
            return
        assert lost is not None
        raise lost

    def pair(
        self, *, entropy: bytes, recipients: list[bytes], link_secret: bytes, receipt_key: bytes, name: str
    ) -> tuple[bytes, int, bytes]:
        """Pair over the cable, its button held; returns (public key, epoch, pairing note), checked."""
        label = name.encode()
        if not (32 <= len(entropy) <= 64 and 1 <= len(recipients) <= 3 and len(label) <= 32):
            raise ValueError("pairing request out of bounds")
        payload = b"".join(
            (
                bytes((len(entropy),)),
                entropy,
                bytes((len(recipients),)),
                *recipients,
                link_secret,
                receipt_key,
                bytes((len(label),)),
                label,
            )
        )
        lost: LinkLostError | None = None
        for _ in range(self._tries):
            self.hello()
            try:
                # The recorder knows a repeated request again, so a lost answer is harmless.
                answer = self._ask(messages.PAIR, payload, timeout=max(self._timeout, _PAIR_TIMEOUT_S), tries=1)
            except LinkLostError as error:
                lost = error
                continue
            return messages.parse_pairing(answer, link_secret, receipt_key, name, recipients)
        assert lost is not None
        raise lost

    # ---- commands

    def status(self) -> Status:
        """A STATUS over a fresh nonce, its signature checked with the pinned key."""
        nonce = secrets.token_bytes(32)
        payload = self._command(messages.STATUS, nonce)
        assert self._public is not None
        return messages.parse_status(payload, self._public, nonce)

    def list(self, after: int = 0) -> list[Recording]:
        """All recordings with a number above `after`, in order. Raises FormatError for a list that does not end or hold
        together."""
        found: dict[bytes, Recording] = {}
        end = time.monotonic() + _LIST_TIMEOUTS * self._timeout
        more = True
        while more:
            payload = self._command(messages.LIST, struct.pack("<Q", after))
            entries, more = messages.parse_list(payload, after)
            count = len(found) + len(entries)
            found |= {entry.recording_id: entry for entry in entries}
            if len(found) < count:
                raise FormatError("The recorder's list names a recording twice.", _STRANGE)
            if more and (count > _MOST_RECORDINGS or time.monotonic() > end):
                raise FormatError("The recorder's list does not end.", _STRANGE)
            if entries:
                after = entries[-1].seq
        return list(found.values())

    def read(self, recording: Recording, first: int = 0, stop: int | None = None) -> Iterator[Page]:
        """Pages of a recording's file from `first` on, in order, to `stop` (not with it) or to its last; lost ones are asked
        for again. Raises LinkLostError where none come any more, or so slowly that there is no end to it."""
        page = first
        end = recording.pages if stop is None else min(stop, recording.pages)
        fruitless = 0
        began = time.monotonic()
        while page < end:
            before = page
            for item in self._window(recording, page, min(WINDOW_PAGES, end - page)):
                page += 1
                yield item
            fruitless = 0 if page > before else fruitless + 1
            if fruitless >= self._tries:
                raise LinkLostError("The recorder stopped answering.", "Running the same again resumes.")
            took = time.monotonic() - began
            if took > self._timeout * (_READ_TIMEOUTS + (page - first) / _PAGES_A_TIMEOUT):
                raise LinkLostError(
                    f"The recorder sends so slowly that there is no end to it: {page - first} pages in {took:.0f} s.",
                    "Bring it close, or try another cable; running the same again resumes.",
                )

    def _window(self, recording: Recording, first: int, count: int) -> Iterator[Page]:
        """What comes of one READ. The next page has to come in time, whatever else does."""
        request = self._send(messages.READ, struct.pack("<QIH", recording.seq, first, count))
        page = first
        deadline = time.monotonic() + self._timeout
        while (found := self._receive(request, deadline)) is not None:
            kind, payload = found
            if kind == messages.READ | messages.ANSWER:
                return
            number = int.from_bytes(payload[:4], "little")
            if number > page:
                return  # one was lost: ask again from there
            if number < page or page >= first + count:
                continue  # repeated
            if kind == messages.MISSING and len(payload) == 4:
                yield Page(page, None)
            elif kind in (messages.PAGE, messages.SEALED_PAGE) and len(payload) == 4 + PAGE_BYTES:
                data = payload[4:]
                if kind == messages.PAGE and data[4:5] != b"\x02":
                    continue  # only audio pages may come in the clear
                yield Page(page, data)
            else:
                continue
            page += 1
            if page == first + count:
                return
            deadline = time.monotonic() + self._timeout

    def set_clock(self) -> ClockSet:
        """Tell the recorder the time. Its error bound is half the shortest of a few round trips, plus a millisecond."""
        best: tuple[int, int, int] | None = None
        for _ in range(_CLOCK_PROBES):
            before, before_mono = time.time_ns(), time.monotonic_ns()
            payload = self._command(messages.CLOCK)
            trip = time.monotonic_ns() - before_mono
            if len(payload) != 8:
                raise FormatError("The recorder's clock answer has the wrong length.")
            if best is None or trip < best[0]:
                best = (trip, before, int.from_bytes(payload, "little"))
        assert best is not None
        trip, before, mono_us = best
        utc_us = (before + trip // 2) // 1000
        error_us = min(trip // 2000 + 1000, 0xFFFFFFFF)
        self._command(messages.CLOCK, struct.pack("<QqI", mono_us, utc_us, error_us))
        return ClockSet(mono_us, utc_us, error_us)

    def entropy(self, data: bytes | None = None) -> None:
        """Give the recorder's generator 32 bytes of ours: it has no true source of its own."""
        self._command(messages.ENTROPY, data or secrets.token_bytes(32))

    def beacon(self, kind: int, data: bytes) -> None:
        """Give it 32 bytes that nobody knew before a certain time; recordings from now on carry them in page 1."""
        if len(data) != 32:
            raise ValueError("a beacon has 32 bytes")
        self._command(messages.BEACON, bytes((kind,)) + data)

    def unpair(self) -> None:
        """Have it forget its owner, its button held (ButtonError if not). The session is over then."""
        self._command(messages.UNPAIR)

    def stop(self) -> None:
        """End the recording in progress, if there is one. The switch goes off before the next."""
        self._command(messages.STOP)

    def receipt(self, seq: int, recording_id: bytes, note_hash: bytes, signature: bytes) -> None:
        """Have it keep that this computer holds a recording (messages.receipt_text is what was signed)."""
        self._command(messages.RECEIPT, struct.pack("<Q", seq) + recording_id + note_hash + signature)

    def free(self, seq: int, recording_id: bytes, note_hash: bytes) -> None:
        """Have it delete a recording that it holds a receipt for. Its final note stays with it."""
        payload = struct.pack("<Q", seq) + recording_id + note_hash
        self._command(messages.FREE, payload, timeout=_FREE_TIMEOUT_S)

    def final_note(self, seq: int) -> bytes:
        """The signed final note of a recording, also of one that was freed or lost; unchecked."""
        return self._command(messages.NOTE, struct.pack("<Q", seq))

    def settings(self, light: int | None = None, name: str | None = None) -> messages.Settings:
        """Its settings, after setting some. While it records only the light can be set, and alone."""
        payload = b"" if light is None else bytes((messages.LIGHT, 1, light))
        if name is not None:
            text = name.encode()
            payload += bytes((messages.NAME, len(text))) + text
        return messages.parse_settings(self._command(messages.SETTINGS, payload))

    def set_recipients(self, keys: Sequence[bytes]) -> bytes:
        """For whom it seals from now on, its button held (ButtonError if not); returns the new pairing note, unchecked."""
        return self._command(messages.RECIPIENTS, b"".join(keys))

    def faults(self) -> _Faults:
        """The newest things that went wrong on it, oldest first."""
        return messages.parse_faults(self._command(messages.FAULTS))

    def selftest(self) -> _Parts:
        """Have it try each of its parts; takes a few seconds, its light and motor show."""
        return messages.parse_selftest(self._command(messages.SELFTEST, timeout=_SELFTEST_TIMEOUT_S))

    def format(self, *, everything: bool = False) -> None:
        """Have it make its card an empty FAT32 volume, its button held. UnsyncedError if recordings would be lost that no
        receipt covers, unless `everything`."""
        self._command(messages.FORMAT, bytes((everything,)), timeout=_FORMAT_TIMEOUT_S, tries=1)

    def maintenance(self) -> None:
        """Have it start again into MicroPython's prompt, its button held (ButtonError if not). The port goes away for a
        moment and comes back; the next start after that is an ordinary one. Without a session: of an unpaired recorder."""
        if self._channel is not None:
            self._command(messages.MAINTENANCE)
        else:
            self._ask(messages.PROMPT, b"")

    def identify(self) -> None:
        """Have it pulse its motor, so that one knows which one this is."""
        self._command(messages.IDENTIFY)
