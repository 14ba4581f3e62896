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
from collections.abc import Sequence
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
OPEN = 1 << 64  # end of a mute that goes on
LAST = rb"[AEIMQUYcgkosw048]"  # before the padding of canonical base64: the lowest bits are 0
HASH, COUNT = rb"[A-Za-z0-9+/]{42}" + LAST, rb"(?:0|[1-9][0-9]{0,9})"
ENVELOPE = rb"age-encryption\.org/v1\n(-> X25519 %b\n%b\n){1,3}--- %b\n(?s:.{64})" % (HASH, HASH, HASH)
NOTE = (
    rb"(earwitness/v1/checkpoint/%b/%b\n(%b)\n(%b=)\nseq %d\n"
    rb"state (?:(running|end)\nprev %b\n|(recovered|damaged)\nprev %b\nseen %b\n))"
    rb"\n\xe2\x80\x94 earwitness/%b ([A-Za-z0-9+/]{90}%b=)\n"
)
P, ORDER_8 = 2**255 - 19, 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
WEAK_KEYS = {y.to_bytes(32, "little") for y in (0, 1, ORDER_8, P - ORDER_8, P - 1, P, P + 1)}  # anybody signs by these

Leaf = tuple[int, int, bytes]  # number, page of the file, page
Seal = tuple[int, int, str, list[bytes], list[bytes], bytes]  # n, p, state, listed hashes, range before them, note


class Fault(Exception):
    """(what is wrong, exit code: not intact, or not ours)"""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Fault(what, 13)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def leaf_hash(page: bytes) -> bytes:
    return sha(b"\0", sha(page[:4048]), page[4048:])


def append(size: int, roots: list[bytes], leaves: list[bytes]) -> list[bytes]:
    """The compact range of a tree (largest subtree first) once `leaves` stand behind its `size` leaves. RFC 9162."""
    roots = [*roots]
    for number, leaf in enumerate(leaves, size):
        while number & 1:
            leaf, number = sha(b"\1", roots.pop(), leaf), number >> 1  # noqa: PLW2901
        roots.append(leaf)
    return roots


def tree_head(roots: list[bytes]) -> bytes:
    return sha(b"\1", roots[0], tree_head(roots[1:])) if roots[1:] else (roots or [sha()])[0]


def flac_block(audio: bytes, first: int) -> int:
    """Samples of the frame of a recorder that begins here with the sample `first`; 0 if none does."""
    more = next(k for k in range(7) if first < 128 or (k and first >> 5 * k + 6 == 0))  # as UTF-8 codes characters
    lead = 0xFF80 >> more & 0xFF if more else 0
    coded = bytes([lead | first >> 6 * more, *(128 | first >> 6 * k & 63 for k in reversed(range(more)))])
    wide = {b"\xff\xf9\x65\x08": 1, b"\xff\xf9\x75\x08": 2}.get(audio[:4], 0)  # bytes of the block size
    size = audio[4 + len(coded) :][:wide]
    return 1 + int.from_bytes(size, "big") if wide and audio.startswith(coded, 4) and len(size) == wide else 0


class Check:
    """One file. `place` is where it reads, to be named with a Fault."""

    def __init__(self, path: str | Path, key: bytes | None = None) -> None:
        self.path, self.key, self.inside, self.place = Path(path), key, bool(key), "page 0"
        self.leaves, self.state, self.final, self.envelope = 0, "unfinished", b"", b""
        self.roots: list[bytes] = []  # compact range of these leaves
        self.waiting: list[Leaf] = []  # that no checkpoint has listed yet
        self.stranger: tuple[int, str] | None = None  # first bad page since the last checkpoint, and what is wrong
        self.leaf = self.opened = self.events = self.stops = self.dead = 0  # leaf: the last that was opened
        self.samples = self.missing = self.lost = self.astray_us = 0
        self.stop_last, self.clocks_agree = False, True
        self.mutes: list[tuple[int, int]] = []  # first sample, sample after the last or OPEN
        self.zero_us: int | None = None  # when sample 0 was due by the first page, since boot
        self.clock: tuple[int, int, int] | None = None  # the first: time since boot, UTC, error

    def read(self) -> "Check":
        """The whole file. Raises Fault, OSError."""
        with self.path.open("rb") as file:
            excerpt = file.read(8) == b"EWRB\1\0\0\0"
            file.seek(8 if excerpt else 0)
            first, second = file.read(PAGE), file.read(PAGE)
            if not ((first[:4] == b"EWR1" and first[5:6] == b"\1") or second[:6] == b"EWR1\3\1"):
                raise Fault("it is no Earwitness recording or excerpt of version 1 and suite 1", 14)
            self.header(first)
            if excerpt:
                self.excerpt(second, file)
                return self
            chain = self.key and mac(mac(sha(first[:4048]), self.key), b"earwitness/v1/chain\1")  # HKDF-SHA256
            page, at = second, 1
            while len(page) == PAGE:
                for leaf, place, sound in self.page(at, page):
                    if chain:
                        self.place = f"page {place}, leaf {leaf}, sealed and yet invalid"
                        self.open(leaf, sound, mac(chain, b"page"))
                        chain = mac(chain, b"next")
                page, at = file.read(PAGE), at + 1
        need(self.leaves, "no checkpoint of any recorder vouches for anything in this file")
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
        self.pattern = NOTE % (key, self.id.hex().encode(), COUNT, HASH, self.seq, prev, prev, COUNT, key, LAST)
        self.waiting, self.envelope = [(0, 0, page)], envelope

    def note(self, text: bytes) -> tuple[int, bytes, str]:
        """(leaves, root, state) of a signed note; a Fault unless it is this recording's and written the one right way."""
        found = re.fullmatch(self.pattern, text)
        if found is None:
            raise Fault("the note is not of the format, or not of this recording and device", 13)
        blob = base64.b64decode(found[6])
        need(blob[:4] == self.key_id, "the note is signed by another key")
        try:
            Ed25519PublicKey.from_public_bytes(self.device).verify(blob[4:], found[1])
        except (InvalidSignature, ValueError):
            raise Fault("the signature does not fit", 13) from None
        return int(found[2]), base64.b64decode(found[3]), (found[4] or found[5]).decode()

    def checkpoint(self, page: bytes) -> Seal:
        """What a checkpoint page says, all its bytes accounted for."""
        n, _, p, length = struct.unpack_from("<I16sIH", page, 8)
        text = page[34 : 34 + length]
        covered, root, state = self.note(text)
        need(covered == n <= MOST_LEAVES and 0 <= n - p <= LISTED, "the counts contradict each other")
        need((n, state) == (1, "running") if p == 0 else n > p or state != "running", "the counts are impossible")
        end = 34 + length + 32 * (n - p + p.bit_count())
        hashes = [page[i : i + 32] for i in range(34 + length, end, 32)]
        listed, before = hashes[: n - p], hashes[n - p :]
        rest = (self.copy if p == 0 else b"").ljust(PAGE - end, b"\0")
        need(page[end:] == rest, "bytes that nothing accounts for")
        need(tree_head(append(p, before, listed)) == root, "its hashes do not add up to the signed root")
        return n, p, state, listed, before, text

    def page(self, at: int, page: bytes) -> list[Leaf]:
        """The next page of the file. Returns the leaves of sound that it proves."""
        self.place, kind, leaf = f"page {at}", page[4], int.from_bytes(page[8:12], "little")
        ours = page[:4] + page[5:8] == b"EWR1\1\0\0" and HEADER <= kind <= CHECKPOINT and page[12:28] == self.id
        ours = ours and (kind != AUDIO or page[28:32] == bytes(4))
        need(not (ours and self.final), "of this recording, behind its final note")
        need(not (ours and kind == HEADER), "a second header of this recording")
        if ours and kind == AUDIO and 1 <= leaf <= MOST_LEAVES:
            newest = self.waiting[-1][0] if self.waiting else self.leaves - 1
            need(newest < leaf < self.leaves + LISTED + LATE, f"leaf {leaf} stands twice, out of order or too early")
            self.waiting.append((leaf, at, page))
        elif ours and kind == CHECKPOINT:
            try:
                seal = self.checkpoint(page)
            except Fault as fault:
                need(not self.fits(page), f"damaged checkpoint, {fault.args[0]}")
                self.stranger = self.stranger or (at, f"damaged checkpoint, {fault.args[0]}")
            else:
                return self.prove(at, seal)
        else:
            self.stranger = self.stranger or (at, "damaged, it is no page of this recording")
        return []

    def fits(self, page: bytes) -> bool:
        """Whether the signed note of a bad checkpoint page fits the leaves: then it was damaged, else a cut tore it."""
        try:
            n, root, _ = self.note(page[34 : 34 + int.from_bytes(page[32:34], "little")])
        except Fault:
            return False
        leaves = [leaf_hash(leaf) for i, _, leaf in self.waiting if i < n]
        return len(leaves) == n - self.leaves and tree_head(append(self.leaves, self.roots, leaves)) == root

    def prove(self, at: int, seal: Seal) -> list[Leaf]:
        """A good checkpoint: it follows the one before, and the leaves that it lists stand before it."""
        n, p, state, listed, before, text = seal
        here, self.waiting = self.waiting[: n - p], self.waiting[n - p :]
        if self.stranger:
            self.place = f"page {self.stranger[0]}"
            behind = self.stranger[0] > max((place for _, place, _ in here), default=0)
            need(behind and state in ("recovered", "damaged"), self.stranger[1])  # a power cut tears what is behind
            self.place, self.stranger = f"page {at}", None
        need((p, before) == (self.leaves, self.roots), "the checkpoint does not follow the one before it")
        need([i for i, _, _ in here] == list(range(p, n)), "leaves that the checkpoint lists are missing")
        late = LATE if state == "running" and p else 0
        need(all(i < n + late for i, _, _ in self.waiting), "the checkpoint does not cover what is before it")
        for (i, place, page), wanted in zip(here, listed, strict=True):
            self.place = f"page {place}"
            need(leaf_hash(page) == wanted, f"leaf {i} is not what the recorder sealed")
        self.leaves, self.roots = n, append(p, before, listed)
        if state != "running":
            self.state, self.final = state, text
        return here[1:] if p == 0 else here

    def excerpt(self, page: bytes, file: BinaryIO) -> None:
        """An excerpt, from its checkpoint page on; nothing counts before all of it is read."""
        self.place, self.inside = "the checkpoint page", True
        need(len(page) == PAGE and page[:8] == b"EWR1\3\1\0\0" and page[12:28] == self.id, "it is of another recording")
        n, p, state, listed, before, text = self.checkpoint(page)
        roots, last, parts = [leaf_hash(self.waiting.pop()[2])], b"", 0
        for leaf in range(1, n):
            self.place = f"leaf {leaf}"
            kind, given = file.read(1), file.read(32)  # given: the hash if withheld, the key if disclosed
            need(kind in (b"\0", b"\1") and len(given) == 32, "it is cut short, or neither disclosed nor withheld")
            last, parts = kind, parts + (kind != last)
            need(parts <= MOST_PARTS, f"it is cut into more than {MOST_PARTS} parts")
            if kind == b"\1":
                key, sound = given, file.read(PAGE)
                begin = b"EWR1\2\1\0\0" + leaf.to_bytes(4, "little") + self.id + bytes(4)
                need(len(sound) == PAGE and sound[:32] == begin, "it is cut short, or another page stands for it")
                self.open(leaf, sound, key)
                given = leaf_hash(sound)
            roots = append(leaf, roots, [given])
        self.place = "the excerpt"
        need(roots == append(p, before, listed), "its pages and hashes are not what the recorder signed")
        need(not file.read(1), "bytes stand behind its end")
        self.leaves, self.state, self.final = n, *((state, text) if state != "running" else (self.state, self.final))

    def open(self, leaf: int, page: bytes, key: bytes) -> None:
        """Tag and body of a page. Of FLAC only the first header is looked at, nothing is decoded."""
        need(mac(mac(key, b"mac"), sha(page[:4048])) == page[4048:4080], "its tag is not by this key")
        body = Cipher(algorithms.AES(mac(key, b"enc")), modes.CTR(bytes(16))).decryptor().update(page[32:4048])
        first, mono, samples, n_events, n_audio, codec, flags, lost, zero = struct.unpack_from("<QQHHHBBII", body)
        at, audio, used = first - lost, 32 + n_events, 32 + n_events + n_audio
        need(not flags and not zero and used <= 4016 and not any(body[used:]), "what has to be zero is not")
        need(at == self.samples or (at > self.samples and leaf > self.leaf + 1), "the sample count jumps")
        need(leaf > 1 or first == 0, "the sample count does not begin at 0")
        need(codec in (0, 1) and first + samples <= 1 << 32, "its codec or its count is impossible")
        need(codec or n_audio == 2 * samples, "its samples do not fill its bytes")
        block = flac_block(body[audio:used], first) if codec else 0
        need(not codec or 16 <= block <= min(samples, 1024), "its FLAC does not begin with its first sample")
        self.stop_last = False
        self.entries(body[32:audio])
        for low, high in sorted(self.mutes):  # what is missing and not muted is lost
            if at < high > low:
                self.lost, at = self.lost + max(min(low, first) - at, 0), high
        self.lost, self.missing = self.lost + max(first - at, 0), self.missing + lost
        on = [(low, first if high == OPEN and samples and low < first else high) for low, high in self.mutes]
        self.mutes = [mute for mute in on if mute[1] > first]  # sound ends a mute whose end stands nowhere
        zero_us = mono - first * 1_000_000 // 16_000
        self.zero_us = zero_us if self.zero_us is None else self.zero_us
        self.astray_us = max(self.astray_us, abs(zero_us - self.zero_us))
        self.leaf, self.opened, self.samples = leaf, self.opened + 1, first + samples

    def entries(self, data: bytes) -> None:
        """The events of a page."""
        while data:
            need(len(data) >= 2 and 8 <= data[1] <= len(data) - 2, "an event is cut short")
            kind, _, at_us = struct.unpack_from("<BBQ", data)
            rest, data = data[10 : 2 + data[1]], data[2 + data[1] :]
            need(len(rest) == EVENT_BYTES.get(kind, len(rest)), "an event has a wrong length")
            self.events, self.stops, self.stop_last = self.events + 1, self.stops + (kind == STOP), kind == STOP
            self.dead |= kind == SILENT
            muted = bool(self.mutes) and self.mutes[-1][1] == OPEN
            if kind == META:
                at, texts = 52, 0
                while at < len(rest):
                    at, texts = at + 1 + rest[at], texts + 1
                fits = at == len(rest) and texts >= 3
                need(fits and rest[48:52] == (16_000).to_bytes(4, "little"), "META is not of the format")
            elif kind == MUTED and not muted:
                self.mutes.append((int.from_bytes(rest, "little"), OPEN))
            elif kind == UNMUTED and muted:
                self.mutes[-1] = (self.mutes[-1][0], int.from_bytes(rest, "little"))
            elif kind == CLOCK:
                utc_us, error_us = struct.unpack_from("<qI", rest)
                if YEAR_2000_US <= utc_us < YEAR_2201_US:
                    self.clock = was_us, was_utc_us, was_error_us = self.clock or (at_us, utc_us, error_us)
                    apart_us = abs((utc_us - was_utc_us) - (at_us - was_us))
                    self.clocks_agree &= apart_us <= was_error_us + error_us + abs(at_us - was_us) * 100 // 1_000_000

    def beside(self, other: "Check") -> None:
        """Two recordings of one device must not contradict each other."""
        if other.device == self.device:
            twice = other.seq == self.seq and (other.id != self.id or len({self.final, other.final} - {b""}) > 1)
            need(not twice, f"two recordings, or two ends, have number {self.seq}: a rollback or a copied key")
            for a, b in ((self, other), (other, self)):
                follows = a.seq + 1 != b.seq or not a.final or b.prev == sha(a.final)
                need(follows, f"recording {b.seq} does not follow recording {a.seq} of its device")

    def lacking(self) -> list[str]:
        """Why it is not complete and continuous; empty if it is."""
        withheld = self.leaves - 1 - self.opened
        ends = self.leaf == self.leaves - 1  # the last page is here, and STOP has to be in it
        stops = (self.stops, self.stop_last) == (1, True) if ends else not self.stops
        found = [
            (self.state != "end", f"it is {self.state}, the recorder has not signed an end in order"),
            (withheld, f"{withheld} pages of sound are withheld"),
            (self.state == "end" and not stops, "the one STOP of the recorder is not where its signed end is"),
            (self.lost and not withheld, f"{self.lost} samples were lost"),  # else what is withheld may say otherwise
            (self.dead, "its microphone gave nothing for some time"),
            (self.astray_us > 5_000, f"sound and time disagree by {self.astray_us / 1000} ms"),
            (not self.clocks_agree, "its clock and the time that passed disagree"),
            (self.events > MOST_EVENTS, "there are more entries than any recorder writes"),
        ]
        return [what for wrong, what in (found if self.inside else found[:1]) if wrong]


def answer(check: Check, device: str | None = None, others: Sequence[str] = ()) -> tuple[int, list[str]]:
    """(exit code, what to say)."""
    try:
        check.read()
        need(device in (None, check.device.hex()), f"it is by {check.name}, not by the device expected")
        for other in others:
            check.place = other
            check.beside(Check(other).read())
    except Fault as fault:
        return fault.args[1], [f"Not intact: {check.place}: {fault.args[0]}."]
    pages = check.opened if check.inside else check.leaves - 1
    why = [f"Not complete or not continuous: {what}." for what in check.lacking()]
    whole = "Complete and continuous, from start to STOP." if check.inside else "Sealed as complete; not opened."
    said = [
        f"Intact: {pages} of {check.leaves - 1} pages of sound are here, as {check.name} sealed them.",
        f"Device key {check.device.hex()}{'' if device else ', unknown unless you know it'}.",
        f"Recording {check.id.hex()}, number {check.seq}.",
    ]
    if check.waiting:
        said.append(f"{len(check.waiting)} more pages behind the last checkpoint are not vouched for by the recorder.")
    if check.inside:
        said.append(f"{check.samples} samples; {check.lost} of them lost, {check.missing - check.lost} off the record.")
    return 4 if why else 0, said + (why or [whole])


def main() -> int:
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("recording")
    usage.add_argument("--key-file", help="the 32 bytes that age makes of the envelope; no excerpt needs it")
    usage.add_argument("--envelope", action="store_true", help="write the envelope and do nothing else")
    usage.add_argument("--device", help="64 hex digits: the device key that it has to be of")
    usage.add_argument("--beside", action="append", default=[], help="another recording, compared if of one device")
    asked = usage.parse_args()
    check = Check(asked.recording)
    try:
        if asked.key_file:
            check = Check(asked.recording, Path(asked.key_file).read_bytes())
            if len(check.key or b"") != 32:
                usage.error("the key file has to hold 32 bytes: what age makes of the envelope")
        code, said = answer(check, asked.device, asked.beside)
    except OSError as error:
        code, said = 1, [f"{error.filename} cannot be read: {error.strerror}."]
    if asked.envelope and check.envelope:  # whatever else is wrong with the file
        sys.stdout.buffer.write(check.envelope)
        return 0
    print("\n".join(said))
    return code


if __name__ == "__main__":
    sys.exit(main())
