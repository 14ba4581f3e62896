"""The recorder's end of the link over one transport: who may speak, and what is answered. LINK.md, "States of the recorder".

Resident while recording: this module, frames, channel and status. What else may be asked (commands.py and what it
imports) comes when it is first asked for, and `release()` lets go of it before a recording starts.
"""

from micropython import const

from recorder.errors import LinkError
from recorder.hal import clock, entropy
from recorder.link import frames
from recorder.link.channel import Channel
from recorder.link.status import Status
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Protocol

    class Transport(Protocol):
        """recorder.hal.usb, for one. Carries bytes and knows nothing of them."""

        def read(self, into: bytearray) -> int:
            """Take what is there, at most len(into); 0 if nothing."""

        def write(self, data: "bytes | bytearray | memoryview") -> int:
            """Send; the number of bytes taken. Never waits longer than 100 ms."""


_HELLO_ANSWER = b"EWLK\x01\x01"  # and the lowest and the highest version that this recorder speaks
_VERSION = const(1)

# Frame types
_HELLO = const(0x01)
_CHALLENGE = const(0x02)
_PROVE = const(0x03)
_PAIR = const(0x04)
_PROMPT = const(0x05)
_SEALED = const(0x10)
_REFUSED = const(0x7F)
_ANSWER = const(0x80)  # added to what is answered

# Commands that are answered while recording, too
_STATUS = const(0x01)
_STOP = const(0x07)
_SETTINGS = const(0x0B)
_LIGHT = const(1)  # the setting that may be changed then
_LIGHT_LEAST = const(8)  # of 255: a light that nobody sees would be a setting for secret recording

# Refusals
_MALFORMED = const(2)
_BUSY = const(3)
_DENIED = const(4)
_BUTTON = const(5)
_FAULT = const(9)

# LINK.md "Limits"
_MAX_SMALL_BYTES = const(1024)  # a frame that carries no page, with its CRC
_AUTH_MS = const(5000)  # a session that has not proved itself by then is dropped
_SILENT_MS = const(600_000)  # an open session that says nothing for so long is over: the cable is gone
_TEXT_BYTES = const(120)
_BUSY_MS = const(3000)
_CHUNK_BYTES = const(64)  # one USB packet
_POLL_BYTES = const(512)  # taken at most in one poll, so that noise cannot hold the main loop
_PATIENCE = const(10)  # writes that take nothing (100 ms each) before an idle recorder calls the host gone
_AT = const(7)  # where a payload goes in `raw`: type, request id, counter 4, command

# States
_FRESH = const(0)
_GREETED = const(1)
_OPEN = const(2)


class Link:
    """`poll()` is called from the main loop, also while recording; it does one bounded piece of work.

    `host` is what the session lets the link ask while recording (answers.Answers); `host.errands()` gives what it lets
    it ask when idle (errands.Errands). `cable`: pairing and the prompt may be asked for here.
    """

    def __init__(self, host: "Any", transport: "Transport", cable: bool = True) -> None:
        self.host = host
        self.cable = cable
        self.channel = Channel()
        self.dead = False  # the host stopped reading: nothing is sent until its next valid frame
        self.raw = bytearray(_MAX_SMALL_BYTES)
        self._transport = transport
        self._state = _FRESH
        self._since = self._heard = 0
        self._versions = b""
        self._whose: "Any" = None  # the identity that an open session was proved to
        self._receiver = frames.Receiver()
        self._chunk = bytearray(_CHUNK_BYTES)
        self._at = self._end = 0
        self._wire = bytearray(frames.encoded_bytes(_MAX_SMALL_BYTES))
        self._out: "bytearray | None" = None  # a frame on its way, from _out_at to _out_end
        self._out_at = self._out_end = self._stalls = 0
        self._status: "Status | None" = None  # a STATUS being signed in slices
        self.commands: "Any" = None  # commands.Commands, while idle

    # ---- the main loop's side

    def poll(self) -> bool:
        """One piece of work; True if there was any. Never raises for what a host sends."""
        state = self._state
        if (state == _GREETED and clock.since_ms(self._since) >= _AUTH_MS) or (
            state == _OPEN and clock.since_ms(self._heard) >= _SILENT_MS
        ):
            self.close()
        worked = self._receive()
        if self._out is not None:
            self._flush()
        elif self._status is not None:
            self._step_status(self._status)
        elif self.commands is not None and self.commands.streaming:
            self.commands.stream()
            if self._out is None and self.commands.streaming:  # gone at once: the main loop can wait for another
                self.commands.stream()
        else:
            return worked
        return True

    def release(self) -> None:
        """Give back what only an idle recorder needs: called before a recording starts. The session stays."""
        if self.commands is not None:
            self.commands.cancel(_BUSY, "busy: recording")
            self.commands = None

    @property
    def is_busy(self) -> bool:
        """A host that has proved itself was heard within the last seconds: the light shows it."""
        return self._state == _OPEN and clock.since_ms(self._heard) < _BUSY_MS

    @property
    def is_open(self) -> bool:
        """A host has proved itself and has not been dropped since."""
        return self._state == _OPEN

    def close(self) -> None:
        """Forget the session."""
        self.channel.close()
        self._state = _FRESH
        self._status = None
        if self.commands is not None:
            self.commands.streaming = False

    # ---- sending

    def send(self, raw: "bytearray | memoryview", count: int, wire: bytearray) -> bool:
        """Send the frame raw[0:count]; False when the host does not read. What the transport does not take at once goes
        out with the next polls, so that a host that dawdles does not hold the main loop."""
        self.drain()
        if not self.dead:
            self._out_end = frames.encode(raw, count, wire)
            self._out_at = 0
            self._out = wire
            self._flush()
        return not self.dead

    def drain(self) -> None:
        """Have the frame that is on its way taken, or the host written off."""
        while self._out is not None:
            self._flush()

    def _flush(self) -> None:
        """One write of what is left to send. No second try is made while recording, nor for a stranger in the air."""
        out = self._out
        if out is None:
            return
        taken = self._transport.write(memoryview(out)[self._out_at : self._out_end])
        self._out_at += taken
        self._stalls = 0 if taken else self._stalls + 1
        if self._out_at < self._out_end:
            if (
                self._stalls <= (_PATIENCE if self.cable or self._state == _OPEN else 0)
                and not self.host.is_recording()
            ):
                return
            self.dead = True
        self._out = None
        self._stalls = 0

    def reply(self, request: int, kind: int, count: int) -> bool:
        """Send raw[7 : 7 + count] under a type, or, once the session is open, sealed under a command."""
        raw = self.raw
        if self._state != _OPEN:
            clear = memoryview(raw)[_AT - 2 :]
            clear[0] = kind
            clear[1] = request
            return self.send(clear, 2 + count, self._wire)
        raw[0] = _SEALED
        raw[1] = request
        raw[_AT - 1] = kind
        try:
            end = self.channel.seal(raw, _AT + count)
        except ValueError:
            self.close()
            return False
        return self.send(raw, end, self._wire)

    def refuse(self, request: int, code: int, text: str) -> None:
        """Answer with a refusal: its code and a sentence."""
        words = text.encode()[:_TEXT_BYTES]
        self.raw[_AT] = code
        self.raw[_AT + 1 : _AT + 1 + len(words)] = words
        self.reply(request, _REFUSED, 1 + len(words))

    # ---- receiving

    def _receive(self) -> bool:
        """Take bytes until one valid frame was handled, none are there, or the bound is reached."""
        for turn in range(_POLL_BYTES):
            if self._at == self._end:
                self._at = 0
                self._end = self._transport.read(self._chunk)
                if not self._end:
                    return turn > 0
            self._at += 1
            if self._receiver.push(self._chunk[self._at - 1]):  # bound beforehand it would be an object a turn
                self.dead = False
                self._heard = clock.ticks_ms()
                self._handle(self._receiver.raw, self._receiver.count)
                break
        return True

    def _handle(self, frame: bytearray, count: int) -> None:
        kind = frame[0]
        request = frame[1]
        payload = memoryview(frame)[2:count]
        if kind == _HELLO:
            self._hello(request, payload)
        elif kind == _SEALED:
            if self._state == _OPEN and self.host.identity is not self._whose:
                self.close()  # it belongs to nobody, or to somebody else, since
            text = self.channel.unseal(frame, count)  # None, too, unless the session is open
            if text is not None:
                self._command(request, text[0], text[1:])
                wipe(text)  # entropy, for one
        elif self._state != _GREETED:
            return  # nothing but HELLO is answered
        elif kind in (_CHALLENGE, _PROVE) and count == 34:
            if kind == _PROVE:
                self._prove(request, payload)
                return
            # The nonce is no secret: before pairing, when no generator stands, the chip's own will do.
            drbg = self.host.drbg
            nonce = drbg.generate(32) if drbg is not None else entropy.system(32)
            self.channel.challenge(payload, nonce, self._versions)
            self.raw[_AT : _AT + 32] = nonce
            self.reply(request, _CHALLENGE | _ANSWER, 32)
        elif kind in (_PAIR, _PROMPT) and self.cable:
            # The button comes first: without a hand on it nobody learns whether this recorder is paired.
            if self.host.is_recording() or not self.host.button_is_held():
                self.refuse(request, _BUTTON, "hold the button")
            else:
                self._command(request, kind, payload)
            wipe(payload)  # the link secret came in it

    def _hello(self, request: int, payload: memoryview) -> None:
        """The only thing that a stranger is told: which versions this recorder speaks."""
        if len(payload) == 6 and bytes(payload[:4]) == _HELLO_ANSWER[:4] and payload[4] <= payload[5]:
            self.close()
            self._versions = bytes(payload[4:]) + _HELLO_ANSWER[4:]
            if payload[4] <= _VERSION <= payload[5]:
                self._state = _GREETED
                self._since = clock.ticks_ms()
            self.raw[_AT : _AT + 6] = _HELLO_ANSWER
            self.reply(request, _HELLO | _ANSWER, 6)

    def _prove(self, request: int, proof: memoryview) -> None:
        # Never paired looks like a wrong proof, and takes as long: a stranger is not told which.
        identity = self.host.identity
        secret = bytes(32) if identity is None else identity.link_secret
        if self.channel.prove(secret, proof, memoryview(self.raw)[_AT : _AT + 32]) and identity is not None:
            self.reply(request, _PROVE | _ANSWER, 32)
            self._state = _OPEN
            self._whose = identity
        else:
            self.close()
            self.refuse(request, _DENIED, "denied")

    def _command(self, request: int, command: int, payload: memoryview) -> None:
        """Answer a command of an open session, or, in a greeted one, a type that only the cable carries."""
        host = self.host
        count = len(payload)
        try:
            if self._state == _OPEN:
                if command == _STATUS:
                    if count != 32:
                        raise LinkError(_MALFORMED, "STATUS malformed")
                    self._status = Status(host, request, payload)
                    return
                if command == _STOP and not count:
                    host.stop()
                    self.reply(request, _STOP | _ANSWER, 0)
                    return
                if command == _SETTINGS and (
                    not count
                    or (count == 3 and payload[0] == _LIGHT and payload[1] == 1 and payload[2] >= _LIGHT_LEAST)
                ):
                    if count:
                        host.set_light(payload[2])
                    values = host.settings()
                    self.raw[_AT : _AT + len(values)] = values
                    self.reply(request, _SETTINGS | _ANSWER, len(values))
                    return
                if host.is_recording():
                    raise LinkError(_BUSY, "busy: recording")
            try:
                self._errand(request, command, payload)
            except MemoryError:
                self.release()
                host.make_room()
                self._errand(request, command, payload)
        except LinkError as error:
            self.refuse(request, error.code, str(error))
        except Exception as error:  # told as such; the class name carries no secret, and the main loop goes on
            self.refuse(request, _FAULT, "fault: " + type(error).__name__)

    def _errand(self, request: int, command: int, payload: memoryview) -> None:
        """What an idle recorder is asked for."""
        if self.commands is None:
            from recorder.link.commands import Commands

            self.commands = Commands(self)
        self.commands.handle(request, command, payload, self._state == _OPEN)

    def _step_status(self, status: Status) -> None:
        try:
            if status.step():
                self._status = None
                try:
                    size = status.write(self.raw, _AT)
                except MemoryError:
                    self.release()
                    self.host.make_room()
                    size = status.write(self.raw, _AT)
                self.reply(status.request, _STATUS | _ANSWER, size)
        except Exception as error:  # of what the session says of itself: the recording must not end with it
            self._status = None
            self.refuse(status.request, _FAULT, "fault: " + type(error).__name__)
