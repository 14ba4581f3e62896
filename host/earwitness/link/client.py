"""A recorder on the other end of a transport: prove, ask, read (LINK.md). What is lost is asked for again."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from earwitness.errors import (
    DeviceBusyError,
    EarwitnessError,
    FormatError,
    IntegrityError,
    KeyMissingError,
    NoDeviceError,
)
from earwitness.link import frames, messages
from earwitness.link.channel import Channel
from earwitness.link.messages import PAGE_BYTES, WINDOW_PAGES, Recording, Status
from earwitness.link.transport import Transport

_TIMEOUT_S: Final = 2.0
_TRIES: Final = 4
_CLOCK_PROBES: Final = 4
_PAIR_TIMEOUT_S: Final = 15.0  # keys, flash and a signature, on the chip


class LinkLostError(NoDeviceError):
    """The recorder does not answer any more."""


class AlreadyPairedError(KeyMissingError):
    """The recorder belongs to somebody, perhaps to this person from another computer."""


class ButtonError(EarwitnessError):
    """The recorder wants a hand on its button."""

    exit_code = 12


class NotFoundError(EarwitnessError):
    """The recorder has no such recording or page."""


class DeniedError(KeyMissingError):
    """The recorder does not accept this link secret: paired with another computer, or never."""


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


_REFUSALS: Final[dict[int, tuple[type[EarwitnessError], str, str]]] = {
    messages.BUSY: (DeviceBusyError, "The recorder is recording.", "Slide it off, then run the same again."),
    messages.DENIED: (
        DeniedError,
        "The recorder is not paired with this computer.",
        "Use the computer that it was paired with, or read its card in a card reader.",
    ),
    messages.BUTTON: (ButtonError, "The recorder waits for its button.", "Hold the button down while this runs."),
    messages.PAIRED: (
        AlreadyPairedError,
        "The recorder is already paired.",
        "Unpair it first, on the computer it belongs to.",
    ),
    messages.NOT_FOUND: (NotFoundError, "The recorder has no such page ({}).", ""),
    messages.CARD: (EarwitnessError, "The recorder cannot read its card: {}.", "Push the card in until it clicks."),
    messages.UNKNOWN: (FormatError, "The recorder does not do what it was asked: {}.", "Update its firmware."),
    messages.MALFORMED: (FormatError, "The recorder does not understand what it was asked: {}.", "Update earwitness."),
}


def _refusal(payload: bytes) -> EarwitnessError:
    text = payload[1:].decode("utf-8", "replace")
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)[:120]
    kind, message, hint = _REFUSALS.get(
        payload[0] if payload else 0,
        (EarwitnessError, "The recorder reports a fault: {}.", "Run 'earwitness doctor --device'."),
    )
    return kind(message.format(clean), hint)


class Recorder:
    """A session with one recorder. `timeout` is for one answer; it is asked up to `tries` times."""

    def __init__(self, transport: Transport, *, timeout: float = _TIMEOUT_S, tries: int = _TRIES) -> None:
        self._transport = transport
        self._timeout = timeout
        self._tries = tries
        self._receiver = frames.Receiver()
        self._waiting: list[frames.Frame] = []
        self._request = secrets.randbelow(256)
        self._versions: bytes | None = None
        self._channel: Channel | None = None
        self._public: bytes | None = None
        self.bytes_read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The port's name."""
        return self._transport.name

    def close(self) -> None:
        """Give the port back; the recorder forgets the session at the next HELLO."""
        self._transport.close()

    # ---- one frame out, its answer in

    def _next_request(self) -> int:
        self._request = (self._request + 1) & 0xFF
        return self._request

    def _frame(self, deadline: float) -> frames.Frame | None:
        while not self._waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            data = self._transport.read(left)
            self.bytes_read += len(data)
            self._waiting.extend(self._receiver.feed(data))
        return self._waiting.pop(0)

    def _ask(self, kind: int, payload: bytes, *, timeout: float | None = None, tries: int | None = None) -> bytes:
        """Send in the clear; returns the payload of the answer. Raises what a refusal means, or LinkLostError."""
        for _ in range(tries or self._tries):
            request = self._next_request()
            self._transport.write(frames.encode(kind, request, payload))
            deadline = time.monotonic() + (timeout or self._timeout)
            while (frame := self._frame(deadline)) is not None:
                if frame.request != request:
                    continue
                if frame.kind == kind | messages.ANSWER:
                    return frame.payload
                if frame.kind == messages.REFUSED:
                    raise _refusal(frame.payload)
        raise LinkLostError(
            f"Nothing that speaks like a recorder answers at {self.name}.", "Unplug it, plug it in again, and retry."
        )

    def _send(self, command: int, payload: bytes) -> int:
        if self._channel is None:
            raise LinkLostError("There is no session with the recorder.")
        request = self._next_request()
        head = bytes((messages.SEALED, request))
        sealed = self._channel.seal(head, bytes((command,)) + payload)
        self._transport.write(frames.encode(messages.SEALED, request, sealed))
        return request

    def _receive(self, request: int, deadline: float) -> tuple[int, bytes] | None:
        """The next thing that answers `request`: (inner command, payload); PAGE stands for an open page."""
        while (frame := self._frame(deadline)) is not None:
            if frame.kind == messages.SEALED and self._channel is not None:
                text = self._channel.unseal(frame)
                if text is None or frame.request != request:
                    continue
                if text[0] == messages.REFUSED:
                    raise _refusal(text[1:])
                return text[0], text[1:]
            if frame.kind == messages.PAGE and frame.request == request:
                return messages.PAGE, frame.payload
        return None

    def _command(self, command: int, payload: bytes = b"", *, tries: int | None = None) -> bytes:
        for _ in range(tries or self._tries):
            request = self._send(command, payload)
            deadline = time.monotonic() + self._timeout
            while (found := self._receive(request, deadline)) is not None:
                if found[0] == command | messages.ANSWER:
                    return found[1]
        raise LinkLostError("The recorder stopped answering.", "Check the cable; running the same again resumes.")

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
                    "Do not use it. If it looks like yours, somebody may have exchanged it.",
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
        """All recordings with a number above `after`, in order."""
        found: list[Recording] = []
        more = True
        while more:
            payload = self._command(messages.LIST, struct.pack("<Q", after))
            entries, more = messages.parse_list(payload, after)
            found += entries
            if entries:
                after = entries[-1].seq
        return found

    def read(self, recording: Recording, first: int = 0) -> Iterator[Page]:
        """Pages of a recording's file from `first` to its last, in order; lost ones are asked for again."""
        page = first
        fruitless = 0
        while page < recording.pages:
            before = page
            for item in self._window(recording, page, min(WINDOW_PAGES, recording.pages - page)):
                page += 1
                yield item
            fruitless = 0 if page > before else fruitless + 1
            if fruitless >= self._tries:
                raise LinkLostError("The recorder stopped answering.", "Running the same again resumes.")

    def _window(self, recording: Recording, first: int, count: int) -> Iterator[Page]:
        request = self._send(messages.READ, struct.pack("<QIH", recording.seq, first, count))
        page = first
        while (found := self._receive(request, time.monotonic() + self._timeout)) is not None:
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

    def identify(self) -> None:
        """Have it pulse its motor, so that one knows which one this is."""
        self._command(messages.IDENTIFY)
