"""What LIST costs the recorder: with a full journal and many marks each answer still reads the log once."""

from __future__ import annotations

from pathlib import Path

ARGS = {"rigs": str(Path(__file__).parent / "rigs"), "size": 512 * 1024}
_SOURCE = """
sys.path.append(ARGS["rigs"])
import storage
from struct import pack
flash = storage.Flash(ARGS["size"]).install()
from recorder.errands import Errands
from recorder.seal import note
from recorder.store.journal import CHECKPOINT, FINAL, FREED, MARK, OPEN, RECEIPT, Journal
from recorder.store.journal_tidying import tidy

class Thing:
    pass

identity = Thing()
identity.public = bytes(range(32))
identity.epoch = 1
KEY = note.key_name(identity.public)[11:]

def name(seq):
    return pack("<QQ", seq, 7)

def final(seq):
    text = "earwitness/v1/checkpoint/%s/%s\\nseq %d\\nx\\ny\\nstate final\\n" % (KEY, name(seq).hex(), seq)
    return text.encode() + b"z" * 250

class Volume:
    def seqs(self):
        return list(range(1, 161))
    def pages(self, seq):
        return 500
    def read_page(self, seq, page, into):
        into[:4] = b"EWR1"
        into[12:28] = name(seq)
        into[68:100] = identity.public

log = Journal()
for seq in range(1, 161):
    log.append(OPEN, seq, name(seq) + bytes(64))
    for n in range(30):
        log.append(CHECKPOINT, seq, pack("<I", n + 1) + bytes(32))
    for turn in range(70 if seq > 152 else 3):
        log.append(MARK, seq, pack("<IQB", 100 + (turn ^ 5) * 3, turn * 50000, 1))
    log.append(FINAL, seq, final(seq))
    if seq < 155:
        log.append(RECEIPT, seq, pack("<I", 1) + bytes(64))
    while tidy(log):
        pass
log.append(MARK, 160, pack("<IQB", 100, 1, 1))  # as tidying leaves it when it is cut off: twice
log.append(FREED, 154, b"")
answers = Thing()
session = answers.session = Thing()
session.volume, session.journal, session.identity = Volume(), log, identity
used = sum(1 for sector in range(log.sectors) if log.generation_of(sector))

count = [0]
real = flash.read
def read(address, into):
    if len(into) == 4096:
        count[0] += 1
    real(address, into)
flash.read = read
errands = Errands(answers)
after = 0
while True:
    count[0] = 0
    told = []
    for entry in errands.recordings(after):
        told.append([entry[0], entry[3], entry[4]])
        if len(told) == 30:
            break
    after = told[-1][0]
    emit([told, count[0]])
    if after == 160:
        break
emit([used, log.kept])
"""


def test_a_list_answer_reads_the_journal_once_whatever_is_marked(mpy) -> None:
    *answers, (used, kept) = mpy(_SOURCE, args=ARGS, heap="8M")
    entries = [entry for told, _ in answers for entry in told]
    assert [seq for seq, _, _ in entries] == list(range(161 - kept - 10, 161)) and used > 20
    assert all(sectors <= used for _, sectors in answers), "the log once in each answer"
    first = [100 + 3 * turn for turn in range(64)]
    for seq, state, marks in entries:
        assert marks == (first if seq > 152 else []), seq
        assert state & 0x7F == (3 if seq == 154 else 1), seq
        if seq > 128:  # receipts of the newest 32 are kept
            assert bool(state & 0x80) == (seq < 155), seq
