"""Arithmetic modulo 2**255 - 19 against Python's integers, with the operands at which carries go wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Mpy = Callable[..., list[Any]]

_P = 2**255 - 19
_EDGES = [0, 1, 2, 18, 19, 37, 38, 39, _P - 1, _P, _P + 1, 2 * _P - 1, 2 * _P, 2 * _P + 1, 2**255 - 1, 2**255]
_EDGES += [2**256 - 1, 2**256 - 37, 2**256 - 38, 2**256 - 39, 2**256 - 2**16, 2**16 - 1, 2**16, 2**240 - 1]

_ARITHMETIC = """
from recorder.seal import field25519 as field
registers = bytearray(32 * 10)
view = memoryview(registers)
def put(number, value):
    registers[32 * number : 32 * number + 32] = bytes.fromhex(value)
program = bytes((field.MUL, 4, 2, 3, field.ADD, 5, 2, 3, field.SUB, 6, 2, 3, field.SQR, 7, 2, 3, field.MUL, 8, 2, field.TABLE))
for x, y in ARGS["pairs"]:
    put(2, x)
    put(3, y)
    field.run(0, len(program), registers, program, view[96:])
    emit([bytes(view[32 * i : 32 * i + 32]).hex() for i in (4, 5, 6, 7, 8)])
"""


def test_operations_agree_with_integers_at_the_edges_and_on_random_operands(mpy: Mpy) -> None:
    rng = random.Random(25519)
    values = [*_EDGES, *(rng.getrandbits(256) for _ in range(10))]
    pairs = [(x, y) for x in values for y in values]
    encoded = [(x.to_bytes(32, "little").hex(), y.to_bytes(32, "little").hex()) for x, y in pairs]
    got = mpy(_ARITHMETIC, args={"pairs": encoded})
    for (x, y), results in zip(pairs, got, strict=True):
        numbers = [int.from_bytes(bytes.fromhex(result), "little") % _P for result in results]
        assert numbers == [x * y % _P, (x + y) % _P, (x - y) % _P, pow(x, 8, _P), x * y % _P], (x, y)


def test_freeze_gives_the_one_representative_below_p(mpy: Mpy) -> None:
    source = """
        from recorder.seal import field25519 as field
        for value in ARGS["values"]:
            register = bytearray(bytes.fromhex(value))
            field.freeze(register)
            emit(register.hex())
    """
    values = [*_EDGES, *range(_P - 40, _P + 40), *range(2 * _P - 40, 2 * _P + 38)]
    got = mpy(source, args={"values": [value.to_bytes(32, "little").hex() for value in values]})
    assert got == [(value % _P).to_bytes(32, "little").hex() for value in values]


def test_invert_gives_the_inverse_in_slices_too(mpy: Mpy) -> None:
    source = """
        from recorder.seal import field25519 as field
        for value in ARGS["values"]:
            registers = bytearray(32 * 10)
            registers[128:160] = bytes.fromhex(value)
            cuts = field.INVERT_CUTS
            for i in range(len(cuts) - 1):
                field.run(cuts[i], cuts[i + 1], registers, field.INVERT, registers)
            emit(bytes(registers[128:160]).hex())
        emit([cuts[0], cuts[-1] == len(field.INVERT)])
    """
    rng = random.Random(1)
    values = [1, 2, _P - 1, 2**256 - 1, *(rng.getrandbits(256) for _ in range(10)), 0]
    *got, ends = mpy(source, args={"values": [value.to_bytes(32, "little").hex() for value in values]})
    inverses = [int.from_bytes(bytes.fromhex(result), "little") % _P for result in got]
    assert inverses == [pow(value, _P - 2, _P) for value in values]
    assert ends == [0, True]
