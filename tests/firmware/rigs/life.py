"""One recording made as the session makes it, page by page, over the card and flash of `storage`."""

from struct import pack, pack_into

from recorder.seal.log import LEAVES, Log
from recorder.seal.mac import sha256
from recorder.seal.page import device_tag_key, finish_leaf
from recorder.store.journal import CHECKPOINT, FINAL, OPEN
from recorder.store.preparing import prepare
from recorder.store.vault import Identity

SEED = bytes(range(32))


def identity(seed=SEED):
    from recorder.seal.ed25519 import public_key

    return Identity(seed, public_key(seed), sha256(seed, b"device"), bytes(32), bytes(32), [bytes(32)], 1, "test")


def header(who, seq, prev):
    """(recording id, page 0, its leaf) with an envelope of the right form and nothing in it."""
    recording_id = sha256(who.seed, b"id", pack("<I", seq))[:16]
    page = bytearray(4096)
    pack_into("<4sBBHI16sQ", page, 0, b"EWR1", 1, 1, 0, 4096, recording_id, seq)
    page[36:68] = prev
    page[68:100] = who.public
    some = b"A" * 43
    envelope = b"age-encryption.org/v1\n-> X25519 " + some + b"\n" + some + b"\n--- " + some + b"\n" + bytes(64)
    pack_into("<H", page, 100, len(envelope))
    page[102 : 102 + len(envelope)] = envelope
    leaf = bytearray(32)
    finish_leaf(page, None, device_tag_key(who.device_secret, recording_id), leaf)
    return recording_id, page, leaf


def audio(who, recording_id, number):
    """(page, leaf) of an audio page, its body noise."""
    page = bytearray(sha256(recording_id, pack("<I", number)) * 128)
    pack_into("<4sBBHI16sI", page, 0, b"EWR1", 2, 1, 0, number, recording_id, 0)
    leaf = bytearray(32)
    finish_leaf(page, sha256(b"mac", page[:64]), device_tag_key(who.device_secret, recording_id), leaf)
    return page, leaf


class Life:
    """`write` audio pages, then `end`, or have the power cut anywhere. `late`: leaves that go before a checkpoint's page."""

    def __init__(self, volume, journal, who, late=3):
        self.volume = volume
        self.journal = journal
        self.who = who
        self.late = late
        self.seq = journal.newest_seq + 1
        prev = journal.prev_hash()
        self.id, self.page, leaf = header(who, self.seq, prev)
        self.log = Log(who, self.id, self.seq, prev)
        self.log.add(leaf)
        self.log.begin("running", self.page)
        self._signed()
        self.first = self.log.page()
        self.file = prepare(volume, self.seq)
        self.waiting = 0
        self.number = 1

    def begin(self):
        self.journal.append(OPEN, self.seq, self.id + sha256(self.page) + self.log._prev)
        self.file.begin(self.page, self.first)

    def write(self, count):
        for _ in range(count):
            page, leaf = audio(self.who, self.id, self.number)
            self.number += 1
            self.file.append(page)
            self.log.add(leaf)
            if self.log.busy():
                self.waiting -= 1
                if self.waiting <= 0:
                    self._put()
            elif self.log.pending >= LEAVES:
                self.log.begin("running")
                self.waiting = self.late

    def _signed(self):
        while not self.log.step():
            pass

    def _put(self):
        self._signed()
        self.journal.append(CHECKPOINT, self.seq, pack("<I", self.log.n) + self.log.root)
        self.file.append(self.log.page())

    def end(self):
        if self.log.busy():
            self._put()
        while self.log.pending > LEAVES:
            self.log.begin("running")
            self._put()
        self.log.begin("end")
        self._signed()
        self.journal.append(FINAL, self.seq, self.log.note)
        self.file.append(self.log.page())
        self.file.close()
