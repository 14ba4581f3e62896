"""The vault over a flash that is cut at every program and erase: the old identity or the new one, and no third thing."""

from __future__ import annotations

from pathlib import Path

import pytest

ARGS = {"rigs": str(Path(__file__).parent / "rigs")}
PRELUDE = """
sys.path.append(ARGS["rigs"])
import storage
flash = storage.Flash().install()
from recorder.errors import IdentityFault
from recorder.store import vault
from recorder.store.vault import Identity, Vault
def key(number, epoch):
    return bytes(((number * 16 + epoch) & 255,)) * 32
def identity(epoch, recipients=2, name="Zo\\u00eb's recorder"):
    return Identity(key(1, epoch), key(2, epoch), key(3, epoch), key(4, epoch), key(5, epoch),
                    [key(6 + i, epoch) for i in range(recipients)], epoch, name)
def fields(one):
    return None if one is None else [one.seed, one.public, one.device_secret, one.link_secret, one.receipt_key,
                                     one.recipients, one.epoch, one.name]
def state():
    # What a boot finds: the epoch of a whole identity, "none", or "fault"; and the epoch that the vault tells.
    store = Vault()
    try:
        one = store.load()
    except IdentityFault:
        return "fault"
    if one is None:
        return ["none", store.epoch]
    return [one.epoch if fields(one) == fields(identity(one.epoch)) else "mixed", store.epoch]
def saved(*epochs):
    store = Vault()
    store.load()
    for epoch in epochs:
        store.save(identity(epoch))
    return store
"""


def test_never_paired(mpy) -> None:
    assert mpy(PRELUDE + "emit(state())", args=ARGS) == [["none", 0]]


def test_what_was_saved_is_loaded(mpy) -> None:
    source = (
        PRELUDE
        + """
store = Vault()
store.load()
for epoch in range(1, 6):
    for recipients, name in ((1, ""), (3, "n" * 32), (2, "Zo\\u00eb's recorder")):
        store.save(identity(epoch, recipients, name))
        emit(fields(Vault().load()) == fields(identity(epoch, recipients, name)))
emit(state())
"""
    )
    assert mpy(source, args=ARGS) == [True] * 15 + [[5, 5]]


def test_a_replaced_identity_is_gone_from_the_flash(mpy) -> None:
    source = (
        PRELUDE
        + """
saved(1, 2, 3)
emit([[epoch for number in range(1, 8) if key(number, epoch) in flash.cells] for epoch in (1, 2)])
emit(all(key(number, 3) in flash.cells for number in range(1, 8)))
store = Vault()
store.load()
store.erase()
emit([key(number, 3) in flash.cells for number in range(1, 8)])
emit(state())
saved(4)
emit(state())
"""
    )
    assert mpy(source, args=ARGS) == [[[], []], True, [False] * 7, ["none", 3], [4, 4]]


def test_an_identity_that_does_not_fit_is_refused(mpy) -> None:
    source = (
        PRELUDE
        + """
store = saved(1)
for wrong in (identity(2, 0), identity(2, 4), identity(2, 1, "n" * 33)):
    try:
        store.save(wrong)
        emit("saved")
    except ValueError:
        emit("refused")
wrong = identity(2)
wrong.seed = bytes(31)
try:
    store.save(wrong)
    emit("saved")
except ValueError:
    emit("refused")
emit(state())
"""
    )
    assert mpy(source, args=ARGS) == ["refused"] * 4 + [[1, 1]]


@pytest.mark.parametrize("torn", [0, 20, 50, 80, 99])
def test_power_cut_at_every_program_and_erase(mpy, torn: int) -> None:
    source = (
        PRELUDE
        + """
def change(kind):
    store = Vault()
    try:
        store.load()
    except IdentityFault:
        pass
    if kind == "erase":
        store.erase()
    else:
        store.save(identity(kind))
wrong = []
cuts = 0
for before, kind in (([], 1), ([1], 2), ([1, 2], 3), ([1, 2], "erase"), ([1, 2, 3], "erase")):
    flash.cells[:] = b"\\xff" * flash.SIZE
    flash.next_boot()
    saved(*before)
    start = bytes(flash.cells)
    old = state()
    flash.next_boot()
    change(kind)
    new = state()
    total = flash.works
    for first in range(1, total + 1):
        for second in range(0, 6):
            flash.cells[:] = start
            for cut in (first, second):
                flash.next_boot()
                flash.cut_at = cut
                flash.torn = ARGS["torn"]
                try:
                    change(kind)
                except storage.Cut:
                    cuts += 1
                flash.next_boot()
            found = state()
            if found not in (old, new) or state() != found:
                wrong.append([str(before), kind, first, second, found])
            # A second attempt always succeeds, and then nothing of the old one is left.
            change(kind)
            if state() != new or any(key(number, epoch) in flash.cells for number in range(1, 8) for epoch in before):
                wrong.append([str(before), kind, first, second, "again", state()])
emit([cuts > 60, wrong[:4]])
"""
    )
    assert mpy(source, args={**ARGS, "torn": torn}, heap="16M") == [[True, []]]


def test_a_damaged_identity_is_a_fault_and_never_not_paired(mpy) -> None:
    source = (
        PRELUDE
        + """
saved(1)
start = bytes(flash.cells)
found = set()
for at in list(range(0, 258, 7)) + [3, 9]:
    flash.cells[:] = start
    flash.cells[at] ^= 0x10
    found.add(str(state()))
emit(sorted(found))
flash.cells[:] = start
flash.cells[:300] = b"\\xff" * 300
emit(state())
flash.cells[:300] = bytes(300)
emit(state())
saved_over = Vault()
try:
    saved_over.load()
except IdentityFault as error:
    emit(str(error))
saved_over.save(identity(2))
emit(state())
"""
    )
    assert mpy(source, args=ARGS) == [["fault"], "fault", "fault", "identity damaged", [2, 2]]


def test_saving_leaves_no_key_in_the_heap_buffers(mpy) -> None:
    """The record that was programmed is wiped: the flash driver saw it last."""
    source = (
        PRELUDE
        + """
seen = []
real = flash.program
def program(address, data):
    seen.append(data)
    real(address, data)
flash.program = program
saved(1)
emit(any(any(data) for data in seen if len(data) > 16))
"""
    )
    assert mpy(source, args=ARGS) == [False]
