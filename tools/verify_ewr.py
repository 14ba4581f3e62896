#!/usr/bin/env python3
"""Checks one Earwitness recording or excerpt by firmware/FORMAT.md alone. Needs Python 3.11 and `cryptography`; nothing of ours.

verify_ewr.py recording.ewr                              the seals: is every page there, and as the recorder signed it?
verify_ewr.py --key-file recording.key recording.ewr     and the inside: tags, sample count, STOP
verify_ewr.py excerpt.ewd                                of an excerpt everything: it brings the keys of its pages
verify_ewr.py --envelope recording.ewr > envelope.age    then: age --decrypt -i identity.txt envelope.age > recording.key

It stops at the first fault and names it; the companion program goes on and says what is still proven.
Exit codes: 0 intact and complete · 4 intact, not complete or partly withheld · 13 not intact, or not of that device ·
14 no recording or excerpt of version 1 · 2 wrong use · 1 a file cannot be read.
"""

import argparse
import base64
import hashlib
import hmac
import os
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

EXCERPT = b"EWRB\1\0\0\0"  # magic and version
PAGE, HEADER, AUDIO, CHECKPOINT, LISTED, LATE = 4096, 1, 2, 3, 64, 32
BASE64 = rb"[A-Za-z0-9+/]{43}"
ENVELOPE = rb"age-encryption\.org/v1\n(-> X25519 %s\n%s\n){1,3}--- %s\n(?s:.{64})" % (BASE64, BASE64, BASE64)
NOTE = (
    rb"([1-9][0-9]{0,9})\n(%s=)\nseq %d\nstate (running|end|recovered|damaged)\nprev %s\n(seen (0|[1-9][0-9]{0,9})\n)?"
)
P = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
WEAK_KEYS = {
    y.to_bytes(32, "little") for y in (0, 1, ORDER_8, P - ORDER_8, P - 1, P, P + 1)
}  # anybody signs with these
EVENT_BYTES = {1: 9, 2: 13, 4: 13, 5: 8, 6: 8, 7: 2, 8: 2, 9: 33, 10: 1}  # behind the time; 3 is checked by itself


Leaf = tuple[int, int, bytes]  # number, page of the file, page
Checkpoint = tuple[int, int, str, list[bytes], list[bytes], bytes]


class Fault(Exception):
    """Not intact: the message says what, and in which page of the file."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Fault(what)


def match(pattern: bytes, data: bytes, what: str) -> re.Match[bytes]:
    found = re.fullmatch(pattern, data)
    if found is None:
        raise Fault(what)
    return found


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def leaf_hash(page: bytes) -> bytes:
    return sha(b"\0", sha(page[:4048]), page[4048:])


def append(size: int, roots: Iterable[bytes], leaves: Iterable[bytes]) -> list[bytes]:
    """The compact range of a tree (largest subtree first) once `leaves` stand behind its `size` leaves. RFC 9162."""
    roots = list(roots)
    for number, leaf in enumerate(leaves, size):
        while number & 1:
            leaf, number = sha(b"\1", roots.pop(), leaf), number >> 1  # noqa: PLW2901
        roots.append(leaf)
    return roots


def tree_head(roots: Sequence[bytes]) -> bytes:
    head = roots[-1] if roots else sha()
    for left in reversed(roots[:-1]):
        head = sha(b"\1", left, head)
    return head


class Recording:
    def __init__(self, page: bytes) -> None:
        need(len(page) == PAGE and page[28:36] != bytes(8), "page 0: it is no header")
        size, self.id, self.seq, self.prev, self.device, length = struct.unpack_from("<I16sQ32s32sH", page, 8)
        need(page[:8] == b"EWR1\1\1\0\0" and size == PAGE, "page 0: it is no header")
        self.page, self.envelope, self.end = page, page[102 : 102 + length], 102 + length
        match(ENVELOPE, self.envelope, "page 0: the envelope is no age file for 1 to 3 X25519 recipients")
        need(not any(page[self.end : 4080]), "page 0: there are bytes where zeros have to be")
        need(self.seq < 1 << 32, "page 0: the number is higher than any recorder counts")
        need((self.seq == 1) == (self.prev == bytes(32)), "page 0: number and link to the recording before contradict")
        need(self.device[:31] + bytes([self.device[31] & 127]) not in WEAK_KEYS, "page 0: anybody can sign by this key")
        self.name = "earwitness/" + sha(self.device)[:8].hex()
        self.leaves, self.final, self.state = 0, b"", "unfinished"
        self.roots: list[bytes] = []  # compact range of the leaves that are proven
        self.waiting: list[Leaf] = []  # leaves that no checkpoint has listed yet

    def note(self, text: bytes) -> tuple[int, bytes, str]:
        """(leaves, root, state) of a signed note; a Fault unless it is this recording's and written the one right way."""
        body, _, line = text.rpartition(b"\n\n")
        first = f"earwitness/v1/checkpoint/{self.name[11:]}/{self.id.hex()}\n".encode()
        pattern = NOTE % (BASE64, self.seq, re.escape(base64.b64encode(self.prev)))
        need(body.startswith(first), "the note is not this recording's")
        found = match(pattern, body[len(first) :] + b"\n", "the note is not this recording's, or not of the format")
        need(bool(found[4]) == (found[3] in (b"recovered", b"damaged")), "the note has 'seen' where it may not")
        root = base64.b64decode(found[2])
        signed = rb"\xe2\x80\x94 %s ([A-Za-z0-9+/]{91}=)\n" % self.name.encode()
        signature = match(signed, line, "the note is not signed by the device in the header")
        blob = base64.b64decode(signature[1])
        need((base64.b64encode(root), base64.b64encode(blob)) == (found[2], signature[1]), "base64 is not canonical")
        need(blob[:4] == sha(self.name.encode(), b"\n\1", self.device)[:4], "the note is signed by another key")
        try:
            Ed25519PublicKey.from_public_bytes(self.device).verify(blob[4:], body + b"\n")
        except (InvalidSignature, ValueError):
            raise Fault("the signature does not fit") from None
        return int(found[1]), root, found[3].decode()

    def checkpoint(self, page: bytes) -> Checkpoint:
        """(n, p, state, listed leaf hashes, range before them, note) of a checkpoint page, all its bytes accounted for."""
        n, _, p, length = struct.unpack_from("<I16sIH", page, 8)
        text = page[34 : 34 + length]
        covered, root, state = self.note(text)
        need(covered == n <= 1 << 20 and 0 <= n - p <= LISTED, "the counts contradict each other")
        need((n == 1 and state == "running") if p == 0 else (n > p or state != "running"), "the counts are impossible")
        at = 34 + length
        cut = [page[i : i + 32] for i in range(at, at + 32 * (n - p + p.bit_count()), 32)]
        listed, before = cut[: n - p], cut[n - p :]
        copy = self.page[: self.end] + self.page[4080:] if p == 0 else b""
        need((page[:34] + text + b"".join(cut) + copy).ljust(PAGE, b"\0") == page, "bytes that nothing accounts for")
        need(tree_head(append(p, before, listed)) == root, "its hashes do not add up to the signed root")
        return n, p, state, listed, before, text

    def walk(self, pages: Iterable[bytes]) -> Iterator[Leaf]:
        """Check all pages behind the header; yields (leaf, file page, page) of the leaves of sound that are proven."""
        self.waiting, junk, last = [(0, 0, self.page)], None, 0
        for at, page in enumerate(pages, 1):
            kind, number = page[4], int.from_bytes(page[8:12], "little")
            ours = page[:4] == b"EWR1" and page[5:8] == b"\1\0\0" and 1 <= kind <= 3 and page[12:28] == self.id
            ours = ours and (kind != AUDIO or page[28:32] == bytes(4))
            if self.final:
                need(not ours, f"page {at}: of this recording, behind its final note")
            elif not ours or (kind == AUDIO and not 1 <= number <= 1 << 20):
                junk = junk or (at, f"page {at}: damaged, it is no page of this recording")
            elif kind == HEADER:
                raise Fault(f"page {at}: a second header of this recording")
            elif kind == AUDIO:
                need(last < number, f"page {at}: leaf {number} stands twice or out of order")
                need(number < self.leaves + LISTED + LATE, f"page {at}: over 96 leaves without a checkpoint, or a gap")
                self.waiting.append((number, at, page))
                last = number
            else:
                try:
                    found = self.checkpoint(page)
                except Fault as fault:
                    why = f"page {at}: damaged checkpoint, {fault}"
                    self.torn(page, why)
                    junk = junk or (at, why)
                    continue
                yield from self.prove(at, junk, found)
                junk = None
        need(self.leaves, "no checkpoint of any recorder vouches for anything in this file")

    def prove(self, at: int, junk: tuple[int, str] | None, found: Checkpoint) -> Iterator[Leaf]:
        n, p, state, listed, before, text = found
        spoilt = junk[1] if junk else f"page {at}: the checkpoint does not follow the one before it"
        need((p, before) == (self.leaves, self.roots), spoilt)
        here, self.waiting = self.waiting[: n - p], self.waiting[n - p :]
        missing = junk[1] if junk else f"page {at}: leaves that the checkpoint lists are missing"
        need([i for i, _, _ in here] == list(range(p, n)), missing)
        for (i, place, page), wanted in zip(here, listed, strict=True):
            need(leaf_hash(page) == wanted, f"page {place}: leaf {i} is not what the recorder sealed")
        late = LATE if state == "running" and p else 0
        need(
            all(i < n + late for i, _, _ in self.waiting), f"page {at}: the checkpoint does not cover what is before it"
        )
        end = here[-1][1] if here else 0
        torn = junk and state in ("recovered", "damaged") and junk[0] > end  # by the power cut, behind the last leaf
        need(not junk or torn, spoilt)
        self.leaves, self.roots = n, append(p, before, listed)
        if state != "running":
            self.final, self.state = text, state
        yield from here[1:] if p == 0 else here

    def torn(self, page: bytes, fault: str) -> None:
        """A checkpoint that is torn may stand at the end; one whose signed note holds, and fits the leaves, was damaged."""
        try:
            n, root, _ = self.note(page[34 : 34 + (page[32] | page[33] << 8)])
        except Fault:
            return
        leaves = [leaf_hash(leaf) for i, _, leaf in self.waiting if i < n]
        need(len(leaves) != n - self.leaves or tree_head(append(self.leaves, self.roots, leaves)) != root, fault)


def page_keys(key: bytes, recording: Recording) -> Iterator[bytes]:
    """K_1, K_2 and so on."""
    chain = mac(mac(sha(recording.page[:4048]), key), b"earwitness/v1/chain\1")  # HKDF-SHA256, one block
    while True:
        yield mac(chain, b"page")
        chain = mac(chain, b"next")


class Inside:
    """What the page keys show, leaf by leaf. Sound is not decoded here."""

    def __init__(self) -> None:
        self.leaf = self.pages = self.samples = self.missing = self.stops = 0
        self.stop_last = False

    def take(self, leaf: int, page: bytes, key: bytes) -> None:
        tag = mac(mac(key, b"mac"), sha(page[:4048]))
        need(hmac.compare_digest(tag, page[4048:4080]), "its tag is not by this key")
        body = Cipher(algorithms.AES(mac(key, b"enc")), modes.CTR(bytes(16))).decryptor().update(page[32:4048])
        first, _, samples, n_events, n_audio, codec, flags, lost, zero = struct.unpack_from("<QQHHHBBII", body)
        used = 32 + n_events + n_audio
        need(not flags and not zero and used <= 4016 and not any(body[used:]), "what has to be zero is not")
        hidden = first - lost - self.samples  # by the leaves that are withheld before this one
        need(hidden == 0 or (hidden > 0 and leaf > self.leaf + 1), "the sample count jumps")
        need(leaf > 1 or first == 0, "the sample count does not begin at 0")
        need(codec in (0, 1) and first + samples <= 1 << 32, "its codec or its count is impossible")
        need(codec or n_audio == 2 * samples, "its samples do not fill its bytes")
        self.leaf, self.pages = leaf, self.pages + 1
        self.samples, self.missing, self.stop_last = first + samples, self.missing + lost, False
        data = body[32 : 32 + n_events]
        while data:
            need(len(data) >= 2 and 8 <= data[1] <= len(data) - 2, "an event is cut short")
            kind, rest, data = data[0], data[1] - 8, data[2 + data[1] :]
            need(rest == EVENT_BYTES.get(kind, rest) and (kind != 3 or rest >= 55), "an event has a wrong length")
            self.stops, self.stop_last = self.stops + (kind == 10), kind == 10


def verify(path: str | os.PathLike[str], key: bytes | None = None) -> tuple[Recording, Inside | None, str]:
    """(recording, what is inside, why it is not complete or an empty string); a Fault if it is not intact."""
    with open(path, "rb") as file:  # noqa: PTH123
        excerpt = file.read(len(EXCERPT)) == EXCERPT
        file.seek(len(EXCERPT) if excerpt else 0)
        recording = Recording(file.read(PAGE))
        if excerpt:
            opened = disclosed(file, recording)
            return recording, opened, lacking(recording, opened)
        inside, keys = (Inside(), page_keys(key, recording)) if key else (None, iter(()))
        pages = iter(lambda: file.read(PAGE), b"")
        for leaf, at, page in recording.walk(page for page in pages if len(page) == PAGE):
            try:
                if inside:
                    inside.take(leaf, page, next(keys))
            except Fault as fault:
                raise Fault(f"page {at}: leaf {leaf} is sealed and yet invalid: {fault}") from None
    return recording, inside, lacking(recording, inside)


def lacking(recording: Recording, inside: Inside | None) -> str:
    """Why it is not complete, or an empty string."""
    if recording.state != "end":
        return f"it is {recording.state}, the recorder has not signed it as ended in order"
    if inside and inside.pages < recording.leaves - 1:
        return "pages of sound are withheld"
    stopped = not inside or (inside.stops == 1 and inside.stop_last)
    return "" if stopped else "the last page does not end with the one STOP of the recorder"


def disclosed(file: BinaryIO, recording: Recording) -> Inside:
    """What an excerpt discloses, from its checkpoint page on; nothing counts before all of it is read."""
    page, inside = file.read(PAGE), Inside()
    ours = len(page) == PAGE and page[:8] == b"EWR1\3\1\0\0" and page[12:28] == recording.id
    need(ours, "page 1: it is no checkpoint of this recording")
    try:
        n, p, state, listed, before, text = recording.checkpoint(page)
    except Fault as fault:
        raise Fault(f"page 1: damaged checkpoint, {fault}") from None

    def hashes() -> Iterator[bytes]:
        yield leaf_hash(recording.page)
        for leaf in range(1, n):
            kind, given = file.read(1), file.read(32)  # given: the hash if withheld, the key if disclosed
            sound = file.read(PAGE) if kind == b"\1" else b""
            whole = kind in (b"\0", b"\1") and len(given) == 32 and len(sound) == PAGE * kind[0]
            need(whole, f"leaf {leaf}: it is cut short, or neither disclosed nor withheld")
            if sound:
                start = b"EWR1\2\1\0\0" + leaf.to_bytes(4, "little") + recording.id + bytes(4)
                need(sound[:32] == start, f"leaf {leaf}: another page stands for it")
                try:
                    inside.take(leaf, sound, given)
                except Fault as fault:
                    raise Fault(f"leaf {leaf}: {fault}") from None
            yield leaf_hash(sound) if sound else given

    need(append(0, [], hashes()) == append(p, before, listed), "its pages and hashes are not what the recorder signed")
    need(not file.read(1), "bytes stand behind its end")
    recording.leaves = n
    if state != "running":
        recording.final, recording.state = text, state
    return inside


def beside(recording: Recording, other: Recording) -> None:
    """Two recordings of one device must not contradict each other."""
    if other.device == recording.device:
        ends = {recording.final, other.final} - {b""}
        twice = other.seq == recording.seq and (other.id != recording.id or len(ends) > 1)
        need(not twice, f"two recordings, or two ends, have number {recording.seq}: a rollback or a copied key")
        for a, b in ((recording, other), (other, recording)):
            follows = a.seq + 1 != b.seq or not a.final or b.prev == sha(a.final)
            need(follows, f"recording {b.seq} does not follow recording {a.seq} of its device")


def known(begin: bytes, second: bytes) -> bool:
    """Whether it is of this version; where the header is spoilt, checkpoint 0 tells."""
    return (begin[:4] == b"EWR1" and begin[5:6] == b"\1") or second[:6] == b"EWR1\3\1"


def run(options: argparse.Namespace) -> int:
    with open(options.recording, "rb") as file:  # noqa: PTH123
        excerpt = file.read(len(EXCERPT)) == EXCERPT
        file.seek(len(EXCERPT) if excerpt else 0)
        begin, second = file.read(PAGE), file.read(PAGE)
    if not known(begin, second):
        print("This is no Earwitness recording or excerpt of version 1 and suite 1.")
        return 14
    if options.envelope:
        sys.stdout.buffer.write(Recording(begin).envelope)
        return 0
    key = None
    if options.key_file:
        with open(options.key_file, "rb") as file:  # noqa: PTH123
            key = file.read(33)
        if len(key) != 32:
            print("The key file has to hold 32 bytes: what age makes of the envelope.")
            return 2
    recording, inside, why = verify(options.recording, key)
    need(options.device in (None, recording.device.hex()), f"it is by {recording.name}, not by the device expected")
    for path in options.beside:
        beside(recording, verify(path)[0])
    whose = "" if options.device else ", an unknown device unless you know its key"
    pages = inside.pages if inside else recording.leaves - 1
    withheld = recording.leaves - 1 - pages
    print(f"Intact: {pages} pages of sound are as {recording.name} sealed them{whose}.")
    print(f"Device key {recording.device.hex()}, recording {recording.id.hex()}, number {recording.seq}.")
    if recording.waiting:
        print(f"{len(recording.waiting)} more pages behind the last checkpoint are not vouched for by the recorder.")
    if excerpt:
        print(f"An excerpt: {pages} pages of sound are disclosed, {withheld} are withheld.")
    if inside and not withheld:
        print(f"{inside.samples} samples, of which {inside.missing} were lost or off the record and are not stored.")
    whole = "Complete, from start to STOP." if inside else "Sealed as complete; not opened, so STOP is not checked."
    print(f"Not complete: {why}." if why else whole)
    return 4 if why else 0


def main() -> int:
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("recording")
    usage.add_argument("--key-file", help="the 32 bytes that age makes of the envelope; no excerpt needs it")
    usage.add_argument("--envelope", action="store_true", help="write the envelope and do nothing else")
    usage.add_argument("--device", help="64 hex digits: the device key that it has to be of")
    usage.add_argument("--beside", action="append", default=[], help="another recording, compared if of one device")
    try:
        return run(usage.parse_args())
    except Fault as fault:
        print(f"Not intact: {fault}.")
        return 13
    except OSError as error:
        print(f"{error.filename} cannot be read: {error.strerror}.")
        return 1


if __name__ == "__main__":
    sys.exit(main())
