"""The journal over a flash that is cut at every program and erase: what was known stays known, no number is used twice."""

from __future__ import annotations

from pathlib import Path

import pytest

ARGS = {"rigs": str(Path(__file__).parent / "rigs")}
PRELUDE = """
sys.path.append(ARGS["rigs"])
import storage
from struct import pack
from hashlib import sha256
flash = storage.Flash(ARGS.get("size", 65536)).install()
from recorder.errors import RecorderError
from recorder.store import journal
from recorder.store.journal import BEACON, CHECKPOINT, FAULT, FINAL, FREED, MARK, OPEN, Journal
from recorder.store.journal_reading import faults
from recorder.store.receipts import receipts
from recorder.store.journal_tidying import tidy
def marks(log, seq):
    found = {}
    receipts(log, found)
    return found.get(seq, [])
def note(seq):
    return b"note %d\\n" % seq + bytes((seq & 127,)) * 330
def opening(seq):
    return bytes((seq & 255,)) * 16 + bytes((1,)) * 32 + bytes((2,)) * 32
def root(n):
    return bytes((n & 255,)) * 32
def begin(log, seq):
    log.append(OPEN, seq, opening(seq))
def check(log, seq, n):
    log.append(CHECKPOINT, seq, pack("<I", n) + root(n))
def record(log, seq, checkpoints=3):
    begin(log, seq)
    for turn in range(checkpoints):
        check(log, seq, 1 + 64 * turn)
    log.append(FINAL, seq, note(seq))
def what(log):
    o = log.open
    return [log.newest_seq, log.newest_final, None if o is None else [o.seq, o.n, o.root == (root(o.n) if o.n else b"")],
            [seq for seq in range(1, log.newest_seq + 1) if log.final_note(seq) == note(seq)],
            [seq for seq in range(1, log.newest_seq + 1) if log.is_freed(seq)]]
"""


def test_blank_flash_is_an_empty_journal(mpy) -> None:
    source = PRELUDE + "log = Journal()\nemit([what(log), log.prev_hash().hex(), marks(log, 1), faults(log)])"
    assert mpy(source, args=ARGS) == [[[0, 0, None, [], []], "00" * 32, [], []]]


def test_what_was_written_is_known_in_the_next_boot(mpy) -> None:
    source = (
        PRELUDE
        + """
log = Journal()
record(log, 1)
begin(log, 2)
emit(what(Journal()))
check(log, 2, 1)
check(log, 2, 65)
log.append(MARK, 2, pack("<IQB", 12, 100000, 1))
log.append(MARK, 2, pack("<IQB", 30, 300000, 2))
log.append(FAULT, 2, b"card failed")
log.append(BEACON, 0, bytes(33))
again = Journal()
emit(what(again))
emit([again.open.id == opening(2)[:16], again.open.header_hash == opening(2)[16:48], again.open.prev == opening(2)[48:]])
emit(again.prev_hash() == sha256(note(1)).digest())
emit([marks(again, 2), marks(again, 1)])
emit([[seq, text.decode()] for seq, text in faults(again)])
emit(what(log) == what(again))
again.append(FINAL, 2, note(2))
again.append(FREED, 1, b"")
emit(what(Journal()))
"""
    )
    assert mpy(source, args=ARGS) == [
        [2, 1, [2, 0, True], [1], []],
        [2, 1, [2, 65, True], [1], []],
        [True, True, True],
        True,
        [[12, 30], []],
        [[2, "card failed"]],
        True,
        [2, 2, None, [1, 2], [1]],
    ]


def test_it_goes_round_for_years(mpy) -> None:
    """Four hundred recordings in 64 KB: numbers, the newest notes and the freed ones survive every round."""
    source = (
        PRELUDE
        + """
log = Journal()
wrong = []
for seq in range(1, 401):
    record(log, seq, 40)
    if seq > 2:
        log.append(FREED, seq - 2, b"")
    steps = 0
    while tidy(log):
        steps += 1
    if seq % 7 == 0:
        log = Journal()
    state = what(log)
    kept = list(range(max(1, seq - 7), seq + 1))
    if state[:3] != [seq, seq, None] or state[3][-8:] != kept or state[4][-6:] != kept[:-2][-6:] or steps > 12:
        wrong.append([seq, state, steps])
emit(wrong[:3])
emit(len(flash.erases) < 400 * 4)
emit(max(flash.erases) < 16 and min(flash.erases) >= 4)
"""
    )
    assert mpy(source, args=ARGS, heap="16M") == [[], True, True]


def test_every_note_that_is_kept_is_kept_at_full_size(mpy) -> None:
    """Half a megabyte: the newest 150 notes and 72 hours of checkpoints, one each half minute, side by side."""
    source = (
        PRELUDE
        + """
log = Journal()
for seq in range(1, 201):
    record(log, seq, 8)
    log.append(MARK, seq, pack("<IQB", seq, seq, 1))
    if seq > 100:
        log.append(FREED, seq, b"")
while tidy(log):
    pass
log = Journal()
state = what(log)
emit([state[3] == list(range(51, 201)), state[4] == list(range(101, 201))])
emit([log.room() >= 72 * 120, log.room()])
begin(log, 201)
for turn in range(72 * 120):
    check(log, 201, turn)
emit(log.room() >= 0)
log = Journal()
emit([log.open.seq, log.open.n])
log.append(FINAL, 201, note(201))
while tidy(log):
    pass
emit([log.room() >= 72 * 120, log.final_note(201) == note(201), log.final_note(52) == note(52), log.final_note(51)])
"""
    )
    found = mpy(source, args={**ARGS, "size": 524288}, heap="16M")
    assert found[0] == [True, True]
    assert found[1][0], found[1]
    assert found[2:] == [True, [201, 72 * 120 - 1], [True, True, True, None]]


def test_a_full_journal_still_takes_the_end_of_a_recording(mpy) -> None:
    source = (
        PRELUDE
        + """
log = Journal()
record(log, 1)
begin(log, 2)
room = log.room()
n = 0
try:
    while True:
        check(log, 2, n)
        n += 1
except RecorderError as error:
    emit([str(error), n >= room, log.room()])
log.append(FAULT, 2, b"left out")
log.append(MARK, 2, pack("<IQB", 1, 1, 1))
log.append(FINAL, 2, note(2))
emit(what(Journal()))
log = Journal()
record(log, 3)
emit(what(Journal()))
for seq in range(4, 60):
    record(log, seq, 30)
emit(what(Journal())[0])
"""
    )
    found = mpy(source, args=ARGS)
    assert found[0] == ["journal full", True, 0]
    assert found[1] == [2, 2, None, [1, 2], []]
    assert found[2] == [3, 3, None, [1, 2, 3], []]
    assert found[3] == 59


def test_marks_of_one_recording_are_bounded(mpy) -> None:
    source = (
        PRELUDE
        + """
log = Journal()
begin(log, 1)
before = log.room()
for turn in range(5000):
    log.append(MARK, 1, pack("<IQB", turn, turn, 1))
emit([len(marks(log, 1)), before - log.room() < 20])
"""
    )
    assert mpy(source, args=ARGS) == [[12, True]]


@pytest.mark.parametrize("torn", [0, 30, 50, 99])
def test_power_cut_at_every_program_and_erase(mpy, torn: int) -> None:
    """A script of appends and tidying, cut everywhere: the next boot knows the state before the append or after it."""
    source = (
        PRELUDE
        + """
def steps(log):
    # Each yields before and after something that may be cut.
    for seq in range(20, 24):
        begin(log, seq)
        yield
        for turn in range(14):
            check(log, seq, turn + 1)
            yield
            if turn == 7:
                log.append(MARK, seq, pack("<IQB", turn, turn, 1))
                yield
                while tidy(log):
                    yield
        log.append(FINAL, seq, note(seq))
        yield
        log.append(FREED, seq - 1, b"")
        yield
        while tidy(log):
            yield
log = Journal()
for seq in range(1, 20):
    record(log, seq, 30)
    log.append(FREED, max(1, seq - 3), b"")
start = bytes(flash.cells)
flash.next_boot()
log = Journal()
states = [what(log)]
for _ in steps(log):
    states.append(what(log))
total = flash.works
wrong = []
for cut in range(1, total + 1):
    flash.cells[:] = start
    flash.next_boot()
    flash.cut_at = cut
    flash.torn = ARGS["torn"]
    log = Journal()
    done = 0
    try:
        for _ in steps(log):
            done += 1
    except storage.Cut:
        pass
    flash.next_boot()
    log = Journal()
    found = what(log)
    def near(expected):
        # Notes beyond the kept ones may have gone by tidying already; the newest eight never.
        return found[:3] == expected[:3] and found[3][-8:] == expected[3][-8:] and found[4][-5:] == expected[4][-5:]
    if not near(states[done]) and not (done + 1 < len(states) and near(states[done + 1])):
        wrong.append([cut, done, found, states[done]])
    # And it works on as if nothing had been.
    if log.open is not None:
        log.append(FINAL, log.open.seq, note(log.open.seq))
    seq = log.newest_seq + 1
    record(log, seq, 20)
    while tidy(log):
        pass
    log = Journal()
    if what(log)[:3] != [seq, seq, None] or what(log)[3][-3:] != [seq - 2, seq - 1, seq] or log.room() < 85:
        wrong.append([cut, "after", what(log), log.room()])
emit([total > 80, wrong[:3]])
"""
    )
    found = mpy(source, args={**ARGS, "torn": torn}, heap="16M")
    assert found == [[True, []]]


def test_an_entry_behind_a_torn_one_is_read(mpy) -> None:
    source = (
        PRELUDE
        + """
wrong = []
log = Journal()
record(log, 1)
start = bytes(flash.cells)
for torn in range(0, 100, 3):
    flash.cells[:] = start
    flash.next_boot()
    flash.torn = torn
    flash.cut_at = 1
    log = Journal()
    try:
        begin(log, 2)
    except storage.Cut:
        pass
    flash.next_boot()
    log = Journal()
    if log.newest_seq != 1 and torn < 92 * 100 // 96:  # of 96 bytes, the last four are padding
        wrong.append(torn)
    begin(log, 2)
    check(log, 2, 9)
    log = Journal()
    if log.open.n != 9 or log.open.id != opening(2)[:16]:
        wrong.append(torn)
emit(wrong)
"""
    )
    assert mpy(source, args=ARGS) == [[]]


def test_a_check_value_that_ends_in_ff_is_not_written_over(mpy) -> None:
    """The next append goes behind the last entry, also where that ends in a byte that looks blank."""
    source = (
        PRELUDE
        + """
from binascii import crc32
wrong = []
tried = 0
for value in range(4000):
    # A FAULT of 5 bytes: its CRC ends at byte 17 of 32, alone in the second half.
    text = b"%05d" % value
    if crc32(b"\\xe5\\x06\\x05\\x00" + pack("<I", 1) + text) >> 24 == 0xFF:
        tried += 1
        flash.cells[:] = b"\\xff" * flash.SIZE
        Journal().append(FAULT, 1, text)
        Journal().append(FAULT, 1, b"next")
        if [fault[1] for fault in faults(Journal())] != [text, b"next"]:
            wrong.append(value)
emit([tried > 3, wrong])
"""
    )
    assert mpy(source, args=ARGS) == [[True, []]]


def test_flash_of_noise_is_an_empty_journal_that_works(mpy) -> None:
    source = (
        PRELUDE
        + """
import random
random.seed(3)
for at in range(flash.SIZE):
    flash.cells[at] = random.getrandbits(8)
log = Journal()
emit(what(log)[:3])
while tidy(log):
    pass
record(log, 1)
emit(what(Journal()))
"""
    )
    assert mpy(source, args=ARGS) == [[0, 0, None], [1, 1, None, [1], []]]
