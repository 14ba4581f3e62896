#!/usr/bin/env python3
"""Checks one Earwitness recording or excerpt by firmware/FORMAT.md alone. Needs Python 3.11 and `cryptography`; nothing of ours.

verify_ewr.py recording.ewr                              the seals: is every page there, and as the recorder signed it?
verify_ewr.py --key-file recording.key recording.ewr     and the inside: tags, sample count, losses, time, STOP
verify_ewr.py excerpt.ewd                                of an excerpt everything: it brings the keys of its pages
verify_ewr.py --envelope recording.ewr > envelope.age    then: age --decrypt -i identity.txt envelope.age > recording.key

It stops at the first fault and names it; the companion program goes on to say what is still proven, and decodes the sound.
Exit codes: 0 intact, complete and continuous · 4 intact, and not all of that · 13 not intact, or not of that device ·
14 no recording or excerpt of version 1 · 2 wrong use · 1 a file cannot be read.
"""

import argparse
import base64
import hashlib
import hmac
import re
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PAGE, HEADER, AUDIO, CHECKPOINT = 4096, 1, 2, 3
LISTED, LATE, MOST_LEAVES, MOST_PARTS, MOST_EVENTS = 64, 32, 1 << 20, 10_000, 50_000
CLOCK, META, MUTED, UNMUTED, STOP, SILENT = 2, 3, 5, 6, 10, 11
EVENT_BYTES = {1: 9, CLOCK: 13, 4: 13, MUTED: 8, UNMUTED: 8, 7: 2, 8: 2, 9: 33, STOP: 1, SILENT: 8, 12: 8}  # after time
YEAR_2000_US, YEAR_2201_US = 946_684_800_000_000, 7_289_654_400_000_000
NEVER = 1 << 64  # a sample that no recording has
HASH = rb"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]"  # 32 bytes in canonical base64, before its padding
ENVELOPE = rb"age-encryption\.org/v1\n(-> X25519 %b\n%b\n){1,3}--- %b\n(?s:.{64})" % (HASH, HASH, HASH)
NOTE = (
    rb"(?P<signed>earwitness/v1/checkpoint/%%b/%%b\n(?P<n>[1-9][0-9]{0,9})\n(?P<root>%b=)\nseq %%d\n"
    rb"state (?P<state>running|end|(?P<cut>recovered|damaged))\nprev %%b\n(?(cut)seen (?:0|[1-9][0-9]{0,9})\n|))"
    rb"\n\xe2\x80\x94 earwitness/%%b (?P<blob>[A-Za-z0-9+/]{90}[AEIMQUYcgkosw048]=)\n" % HASH
)
P, ORDER_8 = 2**255 - 19, 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
WEAK_KEYS = {y.to_bytes(32, "little") for y in (0, 1, ORDER_8, P - ORDER_8, P - 1, P, P + 1)}  # anybody signs by these


class Fault(Exception):
    """(what is wrong, exit code)"""


def need(holds: object, what: str, code: int = 13) -> None:
    if not holds:
        raise Fault(what, code)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def leaf_hash(page: bytes) -> bytes:
    return sha(b"\0", sha(page[:4048]), page[4048:])


def append(size: int, roots: list[bytes], *leaves: bytes) -> list[bytes]:
    """The compact range of a tree (largest subtree first) once `leaves` stand behind its `size` leaves. RFC 9162."""
    roots = [*roots]
    for index, leaf in enumerate(leaves, size):
        while index & 1:
            leaf, index = sha(b"\1", roots.pop(), leaf), index >> 1  # noqa: PLW2901
        roots.append(leaf)
    return roots


def tree_head(roots: list[bytes]) -> bytes:
    return sha(b"\1", roots[0], tree_head(roots[1:])) if roots[1:] else roots[0]


class Sound:
    """What the opened pages say, one after the other."""

    leaf = pages = samples = missing = lost = events = stops = 0  # leaf: of the page before
    stop_last, silent, clocks_agree, muted_from = False, False, True, NEVER
    mutes: tuple[tuple[int, int], ...] = ()  # first sample, sample after the last
    zero_us = astray_us = 0  # when sample 0 was due by the first page, since boot; what others differ by at most
    clock: tuple[int, int, int] | None = None  # the first: time since boot, UTC, error

    def open(self, leaf: int, page: bytes, key: bytes) -> None:
        """Tag and body of a page. Of FLAC only the first header is looked at, nothing is decoded."""
        need(mac(mac(key, b"mac"), sha(page[:4048])) == page[4048:4080], "its tag is not by this key")
        body = Cipher(algorithms.AES(mac(key, b"enc")), modes.CTR(bytes(16))).decryptor().update(page[32:4048])
        first, time_us, samples, n_events, n_audio, codec, flags, lost, zero = struct.unpack_from("<QQHHHBBII", body)
        events, audio, rest = body[32:][:n_events], body[32 + n_events :][:n_audio], body[32 + n_events + n_audio :]
        need(n_events + n_audio <= 3984 and not (flags or zero or any(rest)), "what has to be zero is not")
        at = first - lost  # samples from here on are missing
        need(at == self.samples or (at > self.samples and leaf > self.leaf + 1), "the sample count jumps")
        need(leaf > 1 or first == 0, "the sample count does not begin at 0")
        need(codec in (0, 1) and first + samples <= 1 << 32, "its codec or its count is impossible")
        need(codec or n_audio == 2 * samples, "its samples do not fill its bytes")
        need(not codec or 16 <= flac_block(audio, first) <= min(samples, 1024), "its FLAC does not begin as it has to")
        self.stop_last = False
        while events:
            need(len(events) >= 2 and 8 <= events[1] <= len(events) - 2, "an event is cut short")
            event, events = events[: 2 + events[1]], events[2 + events[1] :]
            self.take(event[0], number(event[2:10]), event[10:])
        for begin, end in sorted([*self.mutes, (self.muted_from, first)]):  # what is missing and not muted is lost
            self.lost, at = self.lost + max(min(begin, first) - at, 0), max(at, end)
        self.mutes = tuple(mute for mute in self.mutes if mute[1] > first)
        if samples and self.muted_from < first:
            self.muted_from = NEVER  # sound ends a mute whose end stands nowhere
        zero_us = time_us - first * 1_000_000 // 16_000
        self.zero_us = self.zero_us if self.pages else zero_us
        self.astray_us = max(self.astray_us, abs(zero_us - self.zero_us))
        self.leaf, self.pages, self.samples, self.missing = leaf, self.pages + 1, first + samples, self.missing + lost

    def take(self, kind: int, at_us: int, data: bytes) -> None:
        """An event; `data` is what stands behind its time."""
        need(len(data) == EVENT_BYTES.get(kind, len(data)), "an event has a wrong length")
        self.events, self.stops, self.stop_last = self.events + 1, self.stops + (kind == STOP), kind == STOP
        self.silent |= kind == SILENT
        if kind == META:
            at, texts = 52, 0  # behind two hashes and the sample rate
            while at < len(data):
                at, texts = at + 1 + data[at], texts + 1
            need(at == len(data) and texts >= 3 and number(data[48:52]) == 16_000, "META is not of the format")
        elif kind == MUTED and self.muted_from == NEVER:
            self.muted_from = number(data)
        elif kind == UNMUTED:
            mute, self.muted_from = (self.muted_from, number(data)), NEVER
            self.mutes += (mute,) if mute[0] < mute[1] else ()  # an UNMUTED without a MUTED changes nothing
        elif kind == CLOCK:  # apart from the first by both errors and 100 ppm of the time between at most
            utc_us, error_us = struct.unpack_from("<qI", data)
            if YEAR_2000_US <= utc_us < YEAR_2201_US:  # others are not believed
                self.clock = first_us, first_utc_us, first_error_us = self.clock or (at_us, utc_us, error_us)
                apart_us = abs((utc_us - first_utc_us) - (at_us - first_us))
                self.clocks_agree &= apart_us <= first_error_us + error_us + abs(at_us - first_us) * 100 // 1_000_000


def flac_block(audio: bytes, first: int) -> int:
    """Samples of the recorder's FLAC frame that begins here with the sample `first`; 0 if none does."""
    more = next(k for k in range(7) if first < 128 or (k and first < 1 << 5 * k + 6))  # as UTF-8 codes characters
    lead = 0xFF80 >> more & 0xFF if more else 0
    coded = re.escape(bytes([lead | first >> 6 * more, *(128 | first >> 6 * k & 63 for k in reversed(range(more)))]))
    found = re.match(rb"(?s:\xff\xf9(?:\x65\x08%b(.)|\x75\x08%b(..)))" % (coded, coded), audio)
    return 1 + int.from_bytes(found[1] or found[2], "big") if found else 0


class Check:
    """One file, read once: its page 0, and how far checkpoints vouch for the leaves. `place` is to be named with a Fault."""

    place, size, unproven, state = "page 0", 0, 0, "unfinished"  # checkpoints cover `size` leaves, none `unproven` more
    id = device = envelope = final = b""
    roots: list[bytes]  # of the tree of the first `size` leaves, largest subtree first

    def __init__(self, path: str | Path, key: bytes = b"") -> None:
        self.path, self.key, self.opens, self.sound, self.roots = Path(path), key, bool(key), Sound(), []

    def read(self) -> "Check":
        """All of it. Raises Fault, OSError."""
        with self.path.open("rb") as file:
            excerpt = file.read(8) == b"EWRB\1\0\0\0"
            file.seek(8 if excerpt else 0)
            first, second = file.read(PAGE), file.read(PAGE)
            known = (first[:4] == b"EWR1" and first[5:6] == b"\1") or second[:6] == b"EWR1\3\1"
            need(known, "it is no Earwitness recording or excerpt of version 1 and suite 1", 14)
            self.header(first)
            (self.excerpt if excerpt else self.recording)(first, second, file)
        need(self.size, "no checkpoint of any recorder vouches for anything in this file")
        return self

    def header(self, page: bytes) -> None:
        need(len(page) == PAGE and page[:12] == b"EWR1\1\1\0\0\0\x10\0\0", "it is no header")
        self.id, self.seq, self.prev, self.device, length = struct.unpack_from("<16sQ32s32sH", page, 12)
        envelope, self.copy = page[102 : 102 + length], page[: 102 + length] + page[4080:]
        need(re.fullmatch(ENVELOPE, envelope), "the envelope is no age file for 1 to 3 X25519 recipients")
        need(not any(page[102 + length : 4080]), "there are bytes where zeros have to be")
        need(0 < self.seq < 1 << 32, "its number is not one that a recorder gives")
        need((self.seq == 1) == (self.prev == bytes(32)), "number and link to the recording before contradict")
        need(self.device[:31] + bytes([self.device[31] & 127]) not in WEAK_KEYS, "anybody can sign by this device key")
        key, prev = sha(self.device)[:8].hex().encode(), re.escape(base64.b64encode(self.prev))
        self.name, self.key_id = f"earwitness/{key.decode()}", sha(b"earwitness/", key, b"\n\1", self.device)[:4]
        self.note_pattern = re.compile(NOTE % (key, self.id.hex().encode(), self.seq, prev, key))
        self.envelope = envelope

    def kind(self, page: bytes) -> int:
        """Header, audio or checkpoint of this recording; 0 for a stranger."""
        audio, header = page[4:5] + page[28:32] == b"\2\0\0\0\0", page[4:5] + page[8:12] == b"\1\0\x10\0\0"
        known = audio or header or page[4:5] == b"\3"
        return page[4] if known and page[:4] + page[5:8] == b"EWR1\1\0\0" and page[12:28] == self.id else 0

    def note(self, page: bytes) -> re.Match[bytes] | None:
        """A checkpoint's note, if it is written the one way, of this recording, and signed by its recorder."""
        text = page[34 : 34 + number(page[32:34])]
        found = self.note_pattern.fullmatch(text) if self.kind(page) == CHECKPOINT else None
        blob = base64.b64decode(found["blob"]) if found else b""
        if found and blob[:4] == self.key_id and int(found["n"]) <= MOST_LEAVES:
            with suppress(InvalidSignature, ValueError):  # ValueError: the device's key is no point of the curve
                Ed25519PublicKey.from_public_bytes(self.device).verify(blob[4:], found["signed"])
                return found
        return None

    def prove(self, page: bytes, note: re.Match[bytes], hashes: list[bytes]) -> None:
        """A checkpoint: every byte of it follows from its note and the hashes of the leaves behind the first `size`."""
        n, p, running = int(note["n"]), self.size, note["state"] == b"running"
        need(0 <= n - p <= LISTED and (n > p or not running), "the checkpoint does not follow the one before it")
        need(p or (n == 1 and running), "it is not checkpoint 0 that stands first")
        need(len(hashes) == n - p, "leaves that the checkpoint covers are missing")
        rebuilt = struct.pack("<4sBBHI16sIH", b"EWR1", CHECKPOINT, 1, 0, n, self.id, p, len(note[0])) + note[0]
        for leaf, wanted in enumerate(hashes, p):
            need(page.startswith(wanted, len(rebuilt)), f"leaf {leaf} is not the one that the checkpoint lists")
            rebuilt += wanted
        rebuilt += b"".join(self.roots) + (b"" if p else self.copy)
        need(page == rebuilt.ljust(PAGE, b"\0"), "the checkpoint has bytes that nothing accounts for")
        self.size, self.roots = n, append(p, self.roots, *hashes)
        need(tree_head(self.roots) == base64.b64decode(note["root"]), "the leaves do not add up to the signed root")
        if not running:
            self.state, self.final = note["state"].decode(), note[0]

    def recording(self, first: bytes, page: bytes, file: BinaryIO) -> None:
        """Page by page. If there is a key, each leaf of sound is opened once a checkpoint proves it."""
        chain = self.key and mac(mac(sha(first[:4048]), self.key), b"earwitness/v1/chain\1")  # HKDF-SHA256
        waiting = {0: first}  # leaves that no checkpoint has covered yet
        stranger, leaf_before, at = "", 0, 1  # stranger: the first bad page since the last checkpoint
        while len(page) == PAGE:
            self.place = f"page {at}"
            kind, note, leaf = self.kind(page), self.note(page), number(page[8:12])
            newest = max(waiting, default=self.size - 1)
            need(not (kind and self.final), "of this recording, behind its final note")
            need(kind != HEADER, "a second header of this recording")
            if kind == AUDIO and 1 <= leaf <= MOST_LEAVES:
                need(newest < leaf < self.size + LISTED + LATE, f"leaf {leaf} stands twice, out of order or too early")
                waiting[leaf] = page
            elif note:
                n = int(note["n"])
                torn = note["cut"] and leaf_before >= n - 1  # by the power cut
                need(torn or not stranger, f"{stranger} is not what the recorder sealed")
                late = LATE if note["state"] == b"running" and self.size else 0
                need(newest < n + late, "the checkpoint does not cover what is before it")
                proven = {i: waiting.pop(i) for i in range(self.size, n) if i in waiting}
                self.prove(page, note, [leaf_hash(page) for page in proven.values()])
                stranger = ""
                for i in filter(None, proven if chain else ()):  # leaf 0 holds no sound
                    self.place = f"leaf {i}, sealed and yet invalid"
                    self.sound.open(i, proven[i], mac(chain, b"page"))
                    chain = mac(chain, b"next")
            elif not stranger:
                stranger, leaf_before = f"{self.place} of the file", newest
            page, at = file.read(PAGE), at + 1
        self.unproven = len(waiting)

    def excerpt(self, first: bytes, seal: bytes, file: BinaryIO) -> None:
        """Leaf by leaf, disclosed or withheld. Nothing counts before all of it is read."""
        self.opens, self.place, note = True, "the checkpoint page", self.note(seal)
        if not note:
            raise Fault("the recorder of this recording has not signed it", 13)
        hashes, last, parts = [leaf_hash(first)], b"", 0
        for leaf in range(1, int(note["n"])):
            self.place = f"leaf {leaf}"
            kind, given = file.read(1), file.read(32)  # given: the hash if withheld, the key if disclosed
            need(kind in (b"\0", b"\1") and len(given) == 32, "it is cut short, or neither disclosed nor withheld")
            last, parts = kind, parts + (kind != last)
            need(parts <= MOST_PARTS, f"it is cut into more than {MOST_PARTS} parts")
            if kind == b"\1":
                page = file.read(PAGE)
                need(self.kind(page) == AUDIO and number(page[8:12]) == leaf, "another page stands for it")
                self.sound.open(leaf, page, given)
                given = leaf_hash(page)
            hashes.append(given)
        self.place = "the excerpt"
        need(not file.read(1), "bytes stand behind its end")
        self.size = number(seal[28:32])  # as if it had been read up to the checkpoint before
        self.roots = append(0, [], *hashes[: self.size])
        self.prove(seal, note, hashes[self.size :])

    def beside(self, other: "Check") -> None:
        """Two recordings of one device must not contradict each other."""
        for a, b in ((self, other), (other, self)) if self.device == other.device else ():
            same = a.id == b.id and (a.final == b.final or not a.final or not b.final)
            need(
                same or a.seq != b.seq, f"two recordings, or two ends, have number {a.seq}: a rollback or a copied key"
            )
            linked = b.prev == sha(a.final) or not a.final
            need(linked or a.seq + 1 != b.seq, f"recording {b.seq} does not follow recording {a.seq} of its device")


def answer(check: Check, device: str = "", others: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    """(exit code, what to say)."""
    try:
        check.read()
        need(device in ("", check.device.hex()), f"it is by {check.name}, not by the device expected")
        for check.place in others:
            check.beside(Check(check.place).read())
    except Fault as fault:
        return fault.args[1], [f"Not intact: {check.place}: {fault.args[0]}."]
    sound, last = check.sound, check.size - 1  # leaf 0 is no sound
    pages = sound.pages if check.opens else last
    stops = (sound.stops, sound.stop_last) == (1, True) if sound.leaf == last else not sound.stops
    said = [
        f"Intact: {pages} of {last} pages of sound are here, as {check.name} sealed them.",
        f"Device key {check.device.hex()}{'' if device else ', unknown unless you know it'}.",
        f"Recording {check.id.hex()}, number {check.seq}.",
        f"{check.unproven} more pages behind the last checkpoint are not vouched for by the recorder.",
    ]
    if check.opens:
        said.append(f"{sound.samples} samples; {sound.lost} of them lost, {sound.missing - sound.lost} off the record.")
    lacks = {
        f"it is {check.state}, the recorder has not signed an end in order": check.state != "end",
        "the one STOP is not where the signed end is": check.state == "end" and check.opens and not stops,
        f"{last - pages} pages of sound are withheld": pages < last,
        f"{sound.lost} samples were lost": sound.lost and pages == last,  # else what is withheld may say otherwise
        "its microphone gave nothing for some time": sound.silent,
        f"sound and time disagree by {sound.astray_us / 1000} ms": sound.astray_us > 5_000,
        "its clock and the time that passed disagree": not sound.clocks_agree,
        "there are more entries than any recorder writes": sound.events > MOST_EVENTS,
    }
    lacking = [f"Not complete or not continuous: {what}." for what, is_so in lacks.items() if is_so]
    whole = "Complete and continuous, from start to STOP." if check.opens else "Sealed as complete; not opened."
    return 4 if lacking else 0, said + (lacking or [whole])


def main() -> int:
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("file")
    usage.add_argument("--key-file", help="the 32 bytes that age makes of the envelope; no excerpt needs it")
    usage.add_argument("--envelope", action="store_true", help="write the envelope and do nothing else")
    usage.add_argument("--device", default="", help="64 hex digits: the device key that it has to be of")
    usage.add_argument("--beside", action="append", default=[], help="another recording, compared if of one device")
    asked = usage.parse_args()
    try:
        check = Check(asked.file, Path(asked.key_file).read_bytes() if asked.key_file else b"")
        if asked.key_file and len(check.key) != 32:
            usage.error("the key file has to hold 32 bytes: what age makes of the envelope")
        code, said = answer(check, asked.device, asked.beside)
        if asked.envelope and check.envelope:  # whatever else is wrong with the file
            sys.stdout.buffer.write(check.envelope)
            return 0
    except OSError as error:
        code, said = 1, [f"{error.filename} cannot be read: {error.strerror}."]
    print("\n".join(said))
    return code


if __name__ == "__main__":
    sys.exit(main())
