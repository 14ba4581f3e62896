"""One conversation with a recorder: a frame out, its answer in, in the clear or sealed (LINK.md). What is lost is asked for
again; what is refused becomes an error that a person can be told."""

from __future__ import annotations

import secrets
import time
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
from earwitness.link.transport import Transport

TIMEOUT_S: Final = 2.0
TRIES: Final = 4


class LinkLostError(NoDeviceError):
    """The recorder does not answer any more."""


class AlreadyPairedError(KeyMissingError):
    """The recorder belongs to somebody, perhaps to this person from another computer."""


class ButtonError(EarwitnessError):
    """The recorder wants a hand on its button."""

    exit_code = 12


class UnsyncedError(EarwitnessError):
    """The card still holds what this computer has not."""


class NotFoundError(EarwitnessError):
    """The recorder has no such recording or page."""


class DeniedError(KeyMissingError):
    """The recorder does not accept this link secret: paired with another computer, or never."""


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
    messages.NO_RECEIPT: (
        IntegrityError,
        "The recorder keeps it: it holds no receipt of this computer.",
        "Sync first.",
    ),
    messages.UNSYNCED: (
        UnsyncedError,
        "The recorder's card holds recordings that are not on this computer yet.",
        "Run 'earwitness sync' first. What it made for an earlier owner, or another recorder made, is copied in a card reader.",
    ),
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


class Conversation:
    """What both ends say to each other over one transport. `timeout` is for one answer; it is asked up to `tries` times."""

    def __init__(self, transport: Transport, *, timeout: float = TIMEOUT_S, tries: int = TRIES) -> None:
        self._transport = transport
        self._timeout = timeout
        self._tries = tries
        self.until: float | None = None  # by time.monotonic(): nothing is waited for after that, whatever comes
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

    @property
    def is_open(self) -> bool:
        """Both ends have proved themselves."""
        return self._channel is not None

    def close(self) -> None:
        """Give the port back; the recorder forgets the session at the next HELLO."""
        self._transport.close()

    # ---- one frame out, its answer in

    def _next_request(self) -> int:
        self._request = (self._request + 1) & 0xFF
        return self._request

    def _frame(self, deadline: float) -> frames.Frame | None:
        if self.until is not None:
            deadline = min(deadline, self.until)
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
            f"Nothing that speaks like a recorder answers at {self.name}.",
            "Unplug it, plug it in again, and try again. A board that is new gets its firmware by 'earwitness install'.",
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

    def _command(
        self, command: int, payload: bytes = b"", *, timeout: float | None = None, tries: int | None = None
    ) -> bytes:
        for _ in range(tries or self._tries):
            request = self._send(command, payload)
            deadline = time.monotonic() + max(timeout or 0, self._timeout)
            while (found := self._receive(request, deadline)) is not None:
                if found[0] == command | messages.ANSWER:
                    return found[1]
        raise LinkLostError(
            "The recorder stopped answering.", "Check the cable, or stay near; running the same again resumes."
        )
