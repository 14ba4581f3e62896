"""In sequence: a recording among the other recordings of its device (FORMAT.md, "Across recordings")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from earwitness import checkpoint, note
from earwitness.errors import EarwitnessError
from earwitness.note import Note
from earwitness.page import Header
from earwitness.verdict import Answer

CONFLICT = "conflict"
_ZERO32 = bytes(32)


@dataclass(frozen=True, slots=True)
class Chain:
    """What the library knows of one device, this recording included or not.

    `recordings`: seq to the set of (recording id, prev) of every header that the device has signed for (`signed_head`);
    page 0 by itself is worth nothing, since anybody can write one. `finals`: seq to the final notes seen (whole signed
    notes, from files and from the freed notes that the device keeps), checked here; `freed`: seqs freed on the device
    after they were synced; `newest`: highest seq with a final note that the device has told of in a signed STATUS,
    `newest_hash` the hash of that note; `fresh` if that STATUS was signed just now.
    """

    recordings: Mapping[int, frozenset[tuple[bytes, bytes]]] = field(default_factory=dict)
    finals: Mapping[int, frozenset[bytes]] = field(default_factory=dict)
    freed: frozenset[int] = frozenset()
    newest: int | None = None
    newest_hash: bytes | None = None
    fresh: bool = False

    def finals_of(self, seq: int, device: bytes) -> list[Note]:
        """The final notes known for `seq`, as far as the device really signed them."""
        found: list[Note] = []
        for text in self.finals.get(seq, ()):
            try:
                parsed = note.parse(text, device)
            except EarwitnessError:
                continue
            if parsed.final and parsed.seq == seq:
                found.append(parsed)
        return found

    def told_hash(self, seq: int) -> bytes | None:
        """Hash of the final note of `seq` by the device's signed STATUS, if that is the one it was about."""
        return self.newest_hash if self.newest == seq else None


def signed_head(second: bytes, final: bytes, device: bytes, seq: int) -> tuple[bytes, bytes] | None:
    """(recording id, prev) of recording `seq`, as far as `device` has signed them in its file.

    second: the file's second page. Checkpoint 0 there carries a copy of page 0 and a signature over its leaf. Where it is
    damaged, the note of the last page (`final`, empty if there is none) names both as well.
    """
    head: Header | Note
    try:
        head = checkpoint.header_copy(second)
        device_there = head.device
    except EarwitnessError:
        try:
            head, device_there = note.parse(final, device), device
        except EarwitnessError:
            return None
    return (head.recording_id, head.prev) if (device_there, head.seq) == (device, seq) else None


def cut_short(chain: Chain | None, header: Header, final: Note | None, leaves: int) -> str:
    """Why the chain proves that more was recorded than is here, or an empty string."""
    if chain is None:
        return ""
    for other in chain.finals_of(header.seq, header.device):
        if other.recording_id == header.recording_id and other.n > leaves:
            return f"the recorder signed for {other.n - 1} pages of sound, and {max(leaves - 1, 0)} are here"
    if final is None and header.seq + 1 in chain.recordings:
        return "the recorder has closed this recording before it began the next, and that end is not here"
    if final is None and header.seq <= (chain.newest or 0):
        return "the recorder has told that it signed the end of this recording, and that end is not here"
    return ""


def in_sequence(chain: Chain | None, header: Header, final: Note | None) -> Answer:
    """Whether the neighbours in the device's chain are there and agree."""
    if chain is None:
        return Answer("not compared", None, "Not compared with the other recordings of the device.")
    seq = header.seq
    ids = {recording_id for recording_id, _ in chain.recordings.get(seq, frozenset())} | {header.recording_id}
    finals = {found.text for found in chain.finals_of(seq, header.device)} | ({final.text} if final else set())
    if len(ids) > 1 or len(finals) > 1:
        return _conflict(
            f"There are two different recordings, or two different ends, with number {seq} of this device."
        )
    told = chain.told_hash(seq)
    if told and final and final.hash != told:
        return _conflict(
            f"The recorder itself has signed another end of recording {seq} than the one that is here: one of the two"
            " was made with a copied key or an older journal."
        )
    before = chain.finals_of(seq - 1, header.device)
    told = chain.told_hash(seq - 1)
    if told and header.prev != told:
        return _conflict(f"Recording {seq} does not follow the recording {seq - 1} whose end the recorder has told of.")
    if before and not told and all(found.hash != header.prev for found in before):
        return _conflict(f"Recording {seq} does not follow the recording {seq - 1} that is known of this device.")
    after = chain.recordings.get(seq + 1, frozenset())
    if final and any(prev != final.hash for _, prev in after):
        return _conflict(f"Recording {seq + 1} of this device does not follow this recording.")
    details = [
        _neighbour(chain, header.device, seq - 1, bool(before))
        if seq > 1
        else "this is the first recording of the device"
    ]
    last = not after and (chain.newest is None or chain.newest <= seq)
    if last:
        details.append("the device says that it is its newest" if chain.fresh else "it is the last that is known")
    else:
        details.append(_neighbour(chain, header.device, seq + 1, bool(after)))
    missing = any("missing" in detail for detail in details)
    words = f"Number {seq} of its device: {'; '.join(details)}."
    return Answer("neighbour missing" if missing else "in sequence", not missing, words, tuple(details))


def _neighbour(chain: Chain, device: bytes, seq: int, proven: bool) -> str:
    ends = chain.finals_of(seq, device)
    if proven and seq in chain.recordings:
        return f"recording {seq} is here"
    if any(end.state == note.LOST for end in ends):
        return f"recording {seq} was lost with its card, and the recorder signed that it is gone"
    if proven or ends or seq in chain.freed:
        return f"recording {seq} was freed on the device; its signed end is known"
    if seq in chain.recordings:
        return f"recording {seq} is here, but not its end"
    return f"recording {seq} is missing"


def _conflict(words: str) -> Answer:
    return Answer(CONFLICT, False, words)
