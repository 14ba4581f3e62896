"""The recorder's end of the link: who may speak, and what is answered. LINK.md, "States of the recorder".

Resident while recording: this module, frames, channel and status. `commands` and `pairing` are imported when first
asked for and dropped by `release()` before a recording starts.
"""

import sys

from micropython import const

from recorder.errors import LinkError
from recorder.hal import clock, entropy, usb
from recorder.link import frames
from recorder.link.channel import NONCE_BYTES, PROOF_BYTES, Channel
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

VERSION = const(1)
_MAGIC = b"EWLK"

# Frame types
HELLO = const(0x01)
CHALLENGE = const(0x02)
PROVE = const(0x03)
PAIR = const(0x04)
SEALED = const(0x10)
PAGE = const(0x11)
REFUSED = const(0x7F)
ANSWER = const(0x80)  # added to what is answered

# Commands inside sealed frames
STATUS = const(0x01)
LIST = const(0x02)
READ = const(0x03)

# Refusals
UNKNOWN = const(1)
MALFORMED = const(2)
BUSY = const(3)
DENIED = const(4)
BUTTON = const(5)
PAIRED = const(6)
NOT_FOUND = const(7)
CARD = const(8)
FAULT = const(9)

_AUTH_MS = const(5000)  # LINK.md "Limits": a session that has not proved itself by then is dropped
_SILENT_MS = const(600_000)  # an open session that says nothing for so long is over: the cable is gone
_BUSY_MS = const(3000)
_CHUNK_BYTES = const(64)  # one USB packet
_POLL_BYTES = const(512)  # taken at most in one poll, so that noise cannot hold the main loop
_PATIENCE = const(10)  # writes that take nothing (100 ms each) before an idle recorder calls the host gone
_SEALED_START = const(6)  # of the text in a sealed frame: head 2, counter 4

# States
_FRESH = const(0)
_GREETED = const(1)
_OPEN = const(2)


class Link:
    """`poll()` is called from the main loop, also while recording; it does one bounded piece of work.

    `host` is the session. What is asked of it:

        identity            vault.Identity or None (never paired): .seed .public .link_secret .receipt_key .recipients
                            .epoch .name
        boot_id             16 bytes, random at each boot
        drbg                drbg.Drbg, or None before pairing: .generate(n)
        journal             journal.Journal: .newest_seq .open .prev_hash()
        volume              volume: .read_page(seq, page, into) fills 4096 bytes; raises CardError or OSError
        state_name()        "idle" "primed" "recording" "muted" "syncing" "fault" "wait"
        status_fields()     dict of str to int or str: battery_mv, minutes_left, card_free_pages, waiting, faults ...
        recordings(after)   iterator in order of (seq, id 16 bytes, file pages, state, marks) with seq > after; state
                            1 final, 2 open, 3 freed; marks: sequence of file page numbers; pages up to and with the
                            final checkpoint (of an open one: as far as written)
        button_is_held()    bool
        set_clock(utc_us, error_us, source)   UTC now; source 1 = host
        set_beacon(data)      kind and 32 bytes, for the first page of the recordings from now on
        add_entropy(data)   stirs 32 to 64 bytes into the generator before it returns: they are wiped then
        pair(request)       -> Identity: makes and stores it; request: pairing.Request. Raises RecorderError
        unpair()                      erases the identity, never recordings
        identify()          pulses the motor
    """

    def __init__(self, host: "Any") -> None:
        self.host = host
        self.channel = Channel()
        self.dead = False  # the host stopped reading: nothing is sent until its next valid frame
        self._state = _FRESH
        self._since = 0
        self._heard = 0
        self._versions = bytearray(4)
        self._receiver = frames.Receiver()
        self._chunk = bytearray(_CHUNK_BYTES)
        self._at = 0
        self._end = 0
        self.raw = bytearray(frames.MAX_SMALL_BYTES)
        self._wire = bytearray(frames.encoded_bytes(frames.MAX_SMALL_BYTES))
        self._out: "bytearray | None" = None  # a frame on its way, from _out_at to _out_end
        self._out_at = 0
        self._out_end = 0
        self._stalls = 0
        self._status: "Any" = None  # a STATUS being signed in slices
        self._commands: "Any" = None  # commands.Commands, while idle

    # ---- the main loop's side

    def poll(self) -> bool:
        """One piece of work; True if there was any. Never raises for what a host sends."""
        late = self._state == _GREETED and clock.since_ms(self._since) >= _AUTH_MS
        if late or (self._state == _OPEN and clock.since_ms(self._heard) >= _SILENT_MS):
            self._drop()
        worked = self._receive()
        if self._out is not None:
            self._flush()
            return True
        if self._status is not None:
            self._step_status()
            return True
        if self._commands is not None and self._commands.streaming:
            if self.is_recording():
                self._commands.cancel(BUSY, "busy: recording")
            else:
                self._stream()
            return True
        return worked

    def _stream(self) -> None:
        try:
            self._commands.stream()
        except Exception as error:  # whatever the card holds, the main loop goes on
            self._commands.cancel(FAULT, "fault: " + type(error).__name__)

    def release(self) -> None:
        """Give back the memory of the idle set: called before a recording starts. The session stays."""
        if self._commands is not None and self._commands.streaming:
            self._commands.cancel(BUSY, "busy: recording")
        self._commands = None
        for name in ("commands", "pairing"):
            sys.modules.pop("recorder.link." + name, None)
            package = sys.modules.get("recorder.link")
            if package is not None and hasattr(package, name):
                delattr(package, name)

    @property
    def is_busy(self) -> bool:
        """A host that has proved itself was heard within the last seconds: the light shows it."""
        return self._state == _OPEN and clock.since_ms(self._heard) < _BUSY_MS

    @property
    def is_open(self) -> bool:
        """A host has proved itself and has not been dropped since."""
        return self._state == _OPEN

    def close(self) -> None:
        """Forget the session (unpaired, or the cable went)."""
        self._drop()

    def is_recording(self) -> bool:
        """True while only HELLO, the proof and STATUS are answered."""
        return self.host.state_name() in ("recording", "muted")

    # ---- sending

    def send(self, raw: bytearray, count: int, wire: bytearray) -> bool:
        """Send the frame raw[0:count]; False when the host does not read. What the cable does not take at once goes out
        with the next polls, so that a host that dawdles does not hold the main loop."""
        while self._out is not None:
            self._flush()
        if self.dead:
            return False
        self._out_end = frames.encode(raw, count, wire)
        self._out_at = 0
        self._out = wire
        self._flush()
        return not self.dead

    def _flush(self) -> None:
        """One write of what is left to send. While recording no second try is made."""
        out = self._out
        if out is None:
            return
        taken = usb.write(memoryview(out)[self._out_at : self._out_end])
        self._out_at += taken
        if self._out_at >= self._out_end:
            self._out = None
            self._stalls = 0
            return
        self._stalls = 0 if taken else self._stalls + 1
        if self._stalls > _PATIENCE or self.is_recording():
            self.dead = True
            self._out = None
            self._stalls = 0

    def answer(self, request: int, command: int, count: int) -> bool:
        """Seal and send the answer to a command; its payload, `count` bytes, already stands at raw[7:]."""
        return self.send_sealed(request, command | ANSWER, count)

    def send_sealed(self, request: int, command: int, count: int) -> bool:
        """Seal and send raw[7 : 7 + count] under an inner command byte."""
        self.raw[0] = SEALED
        self.raw[1] = request
        self.raw[_SEALED_START] = command
        try:
            end = self.channel.seal(self.raw, 2, 1 + count)
        except ValueError:
            self._drop()
            return False
        return self.send(self.raw, end, self._wire)

    def refuse(self, request: int, code: int, text: str, sealed: bool = True) -> None:
        """Answer with a refusal: its code and a sentence."""
        words = text.encode()[:120]  # LINK.md "Limits"
        start = 7 if sealed else 2
        self.raw[start] = code
        self.raw[start + 1 : start + 1 + len(words)] = words
        if sealed:
            self.send_sealed(request, REFUSED, 1 + len(words))
        else:
            self.send_clear(request, REFUSED, 1 + len(words))

    def send_clear(self, request: int, kind: int, count: int) -> bool:
        """Send raw[2 : 2 + count] in the clear."""
        self.raw[0] = kind
        self.raw[1] = request
        return self.send(self.raw, 2 + count, self._wire)

    # ---- receiving

    def _receive(self) -> bool:
        """Take bytes until one valid frame was handled, none are there, or the bound is reached."""
        worked = False
        budget = _POLL_BYTES
        while budget > 0:
            if self._at == self._end:
                self._at = 0
                self._end = usb.read(self._chunk)
                if self._end <= 0:
                    self._end = 0
                    return worked
                worked = True
            while self._at < self._end:
                byte = self._chunk[self._at]
                self._at += 1
                budget -= 1
                if self._receiver.push(byte):
                    self.dead = False
                    self._heard = clock.ticks_ms()
                    self._handle(self._receiver.raw, self._receiver.count)
                    return True
        return worked

    def _handle(self, frame: bytearray, count: int) -> None:
        kind = frame[0]
        request = frame[1]
        if kind == HELLO:
            self._hello(request, frame, count)
        elif kind == SEALED and self._state == _OPEN:
            text = self.channel.unseal(frame, 2, count)
            if text is not None:
                self._command(request, text)
                wipe(text)  # entropy, for one
        elif self._state != _GREETED:
            return  # nothing but HELLO is answered
        elif kind == CHALLENGE and count == 2 + NONCE_BYTES:
            self._challenge(request, memoryview(frame)[2:count])
        elif kind == PROVE and count == 2 + PROOF_BYTES:
            self._prove(request, memoryview(frame)[2:count])
        elif kind == PAIR:
            payload = memoryview(frame)[2:count]
            self._pair(request, payload)
            wipe(payload)  # the link secret came in it

    def _drop(self) -> None:
        self.channel.close()
        self._state = _FRESH
        self._status = None
        if self._commands is not None:
            self._commands.streaming = False

    def _hello(self, request: int, frame: bytearray, count: int) -> None:
        """The only thing that a stranger is told: which versions this recorder speaks."""
        if count != 8 or bytes(frame[2:6]) != _MAGIC or frame[6] > frame[7]:
            return
        self._drop()
        self._versions[0] = frame[6]
        self._versions[1] = frame[7]
        self._versions[2] = VERSION
        self._versions[3] = VERSION
        if frame[6] <= VERSION <= frame[7]:
            self._state = _GREETED
            self._since = clock.ticks_ms()
        self.raw[2:6] = _MAGIC
        self.raw[6] = VERSION
        self.raw[7] = VERSION
        self.send_clear(request, HELLO | ANSWER, 6)

    def _challenge(self, request: int, host_nonce: memoryview) -> None:
        # The nonce is no secret: before pairing, when no generator stands, the chip's own will do.
        drbg = self.host.drbg
        nonce = drbg.generate(NONCE_BYTES) if drbg is not None else entropy.system(NONCE_BYTES)
        self.channel.challenge(host_nonce, nonce, self._versions)
        self.raw[2 : 2 + NONCE_BYTES] = nonce
        self.send_clear(request, CHALLENGE | ANSWER, NONCE_BYTES)

    def _prove(self, request: int, proof: memoryview) -> None:
        identity = self.host.identity
        answer = memoryview(self.raw)[2 : 2 + PROOF_BYTES]
        # Never paired looks like a wrong proof: a stranger is not told which.
        # Never paired takes as long, too.
        secret = bytes(32) if identity is None else identity.link_secret
        if not self.channel.prove(secret, proof, answer) or identity is None:
            self._drop()
            self.refuse(request, DENIED, "denied", sealed=False)
            return
        self._state = _OPEN
        self.send_clear(request, PROVE | ANSWER, PROOF_BYTES)

    def _pair(self, request: int, payload: memoryview) -> None:
        # The button comes first: without a hand on it nobody learns whether this recorder is paired.
        if self.is_recording() or not self.host.button_is_held():
            self.refuse(request, BUTTON, "hold the button", sealed=False)
            return
        from recorder.link import pairing

        try:
            count = pairing.pair(self.host, payload, self.raw)
        except LinkError as error:
            self.refuse(request, error.code, str(error), sealed=False)
            return
        except Exception as error:
            # A fault of flash or generator, told as such; the class name carries no secret.
            self.refuse(request, FAULT, "fault: " + type(error).__name__, sealed=False)
            return
        self.send_clear(request, PAIR | ANSWER, count)

    def _command(self, request: int, text: memoryview) -> None:
        command = text[0]
        if command == STATUS:
            if len(text) != 33:
                self.refuse(request, MALFORMED, "STATUS malformed")
                return
            from recorder.link.status import Status

            try:
                self._status = Status(self.host, request, text[1:33])
            except Exception as error:
                self.refuse(request, FAULT, "fault: " + type(error).__name__)
        elif self.is_recording():
            self.refuse(request, BUSY, "busy: recording")
        else:
            try:
                if self._commands is None:
                    from recorder.link.commands import Commands

                    self._commands = Commands(self)
                self._commands.handle(request, command, text[1:])
            except LinkError as error:
                self.refuse(request, error.code, str(error))
            except Exception as error:
                self.refuse(request, FAULT, "fault: " + type(error).__name__)

    def _step_status(self) -> None:
        status = self._status
        try:
            if not status.step():
                return
            count = status.write(self.raw, 7)
        except Exception as error:  # of what the session says of itself: the recording must not end with it
            self._status = None
            self.refuse(status.request, FAULT, "fault: " + type(error).__name__)
            return
        self._status = None
        self.answer(status.request, STATUS, count)
