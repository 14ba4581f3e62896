"""The firmware's functions run from flash on the emulated chip, and the memory that this saves is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator import install

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long

_LEAST_HEAP = 68_000
_MOST_IN_RAM = 0.05  # of the functions: lambdas and others that a module keeps where no import finds them

_IN_PLACE = """
import bundle
bundle.mount()
from recorder import starting
from recorder.session import Session
session = Session()
import gc, sys
from machine import mem32
kinds = (type(lambda: 0), type((lambda: (yield))))
def of(things):
    for thing in things:
        if type(thing) is type:
            yield from of(thing.__dict__.values())
        elif type(thing) in kinds:
            yield thing
flash = ram = 0
left = []
for name, module in sys.modules.items():
    if getattr(module, "__file__", "").startswith(bundle.MOUNT):
        for function in of(list(module.__dict__.values())):
            if mem32[id(function) + 12] < 0x20000000:
                flash += 1
            else:
                ram += 1
                left.append(name + "." + str(function).split()[1])
long = [thing for module in sys.modules.values() for thing in module.__dict__.values() if type(thing) is bytes]
long = sum(len(thing) for thing in long if len(thing) >= 64 and mem32[id(thing) + 12] < 0x20000000)
own = mem32[id(bundle.mount) + 12] < 0x20000000
del module, function, kinds, of, name
gc.collect()
print(flash, ram, long, own, gc.mem_free(), *left)
"""


def test_functions_run_where_they_lie_and_leave_the_memory_to_recordings(make_board: Callable[..., Board]) -> None:
    board = make_board(files=install.without_starters())
    board.boot()
    flash, ram, constants, bundle, free, *left = board.execute(_IN_PLACE).split()
    assert int(flash) > 300
    assert int(ram) <= _MOST_IN_RAM * (int(flash) + int(ram)), left
    assert int(constants) >= 2000, "bytes of constants that are used where they lie"
    assert bundle == "True", "what finds the others is found itself"
    assert int(free) >= _LEAST_HEAP
