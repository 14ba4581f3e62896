"""The microphone's PIO program, cycle by cycle, against the timing of Philips I2S.

The program is assembled here from its source and run on a model of a state machine; opposite stands a transmitter that
keeps the I2S bus specification to the letter (data and word select change with the falling clock, are taken with the rising
one, the first bit one clock after word select) and goes silent or lies wherever the specification leaves it free.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

MIC = Path(__file__).resolve().parent.parent.parent / "firmware" / "recorder" / "hal" / "mic.py"

_RATE_HZ = 16_000
_CYCLES = 128  # a sample
_SIDE_PINS = 2
_SYNCHRONISER_CYCLES = 2  # RP2040 datasheet 3.5.6.3: what a program sees of a pin is two system clocks old


@dataclass
class Instruction:
    """One PIO instruction, as far as the program uses them. RP2040 datasheet 3.4."""

    kind: str
    count: int = 0
    target: str = ""
    sides: int = -1

    def side(self, value: int) -> Instruction:
        assert 0 <= value < 1 << _SIDE_PINS
        self.sides = value
        return self

    def encode(self, labels: dict[str, int], offset: int) -> int:
        assert self.sides >= 0, "each instruction sets the clocks, so that none can drift"
        side = self.sides << 13 - _SIDE_PINS
        if self.kind == "nop":
            return 0xA042 | side
        if self.kind == "set x":
            assert 0 <= self.count < 32
            return 0xE020 | side | self.count
        if self.kind == "in pins":
            return 0x4000 | side | self.count
        assert self.kind == "jmp x--"
        return 0x0040 | side | labels[self.target] + offset


@dataclass
class Program:
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    wrap: tuple[int, int] = (0, 31)
    settings: dict[str, Any] = field(default_factory=dict)

    def words(self, offset: int) -> list[int]:
        return [instruction.encode(self.labels, offset) for instruction in self.instructions]


def assemble(source: str) -> Program:
    """What rp2.asm_pio makes of the one program in `source`: only what it uses is known here, the rest is an error."""
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    (function,) = [node for node in functions if any("asm_pio" in ast.unparse(each) for each in node.decorator_list)]
    program = Program()

    def put(instruction: Instruction) -> Instruction:
        program.instructions.append(instruction)
        return instruction

    def jump(condition: str, target: str) -> Instruction:
        assert condition == "x--"
        return put(Instruction("jmp x--", target=target))

    def load(register: str, count: int) -> Instruction:
        assert register == "x"
        return put(Instruction("set x", count))

    def shift(where: str, count: int) -> Instruction:
        assert where == "pins"
        return put(Instruction("in pins", count))

    def wrap_target() -> None:
        program.wrap = (len(program.instructions), program.wrap[1])

    def wrap() -> None:
        program.wrap = (program.wrap[0], len(program.instructions) - 1)

    words: dict[str, Any] = {
        "x": "x",
        "x_dec": "x--",
        "pins": "pins",
        "nop": lambda: put(Instruction("nop")),
        "set": load,
        "in_": shift,
        "jmp": jump,
        "label": lambda name: program.labels.setdefault(name, len(program.instructions)),
        "wrap_target": wrap_target,
        "wrap": wrap,
    }
    (decorator,) = function.decorator_list
    assert isinstance(decorator, ast.Call)
    program.settings = {keyword.arg or "": ast.unparse(keyword.value) for keyword in decorator.keywords}
    function.decorator_list = []
    exec(compile(ast.Module([function], []), str(MIC), "exec"), words)
    words[function.name]()
    return program


class Transmitter:
    """A microphone on the left channel by the I2S bus specification; `sample(k)` are its 24 bits of frame k."""

    def __init__(self, sample: Callable[[int], int], delay_cycles: int, rest: Callable[[], int]) -> None:
        self._sample = sample
        self._delay = delay_cycles  # from the falling clock to the valid bit
        self._rest = rest  # what the line shows where nobody drives it
        self.clock = self.select = 0
        self._taken: int | None = None  # word select as of the last rising clock
        self._bit = 64
        self._left = False
        self._word = 0
        self.frames = -1
        self.data = 0
        self._coming: tuple[int, int] | None = None
        self.falls: list[int] = []
        self.rises: list[int] = []
        self.select_changes: list[tuple[int, int]] = []  # (cycle, clock level after)

    def drive(self, cycle: int, clock: int, select: int) -> None:
        """The levels of the two clocks in this system clock cycle."""
        if self._coming is not None and cycle >= self._coming[0]:
            self.data = self._coming[1]
            self._coming = None
        if select != self.select:
            self.select_changes.append((cycle, clock))
            self.select = select
        if clock == self.clock:
            return
        self.clock = clock
        if clock:
            self.rises.append(cycle)
            if self.select != self._taken:
                self._taken = self.select
                self._bit = 0
                self._left = not self.select
                if self._left:
                    self.frames += 1
                    self._word = self._sample(self.frames)
        else:
            self.falls.append(cycle)
            ours = self._left and self._bit < 24
            level = self._word >> 23 - self._bit & 1 if ours else self._rest()
            self.data = self._rest()  # between the old bit and the new one the line may show anything
            self._coming = (cycle + self._delay, level)
            self._bit += 1


@dataclass
class Run:
    words: list[int]
    microphone: Transmitter
    cycles_a_frame: list[float]


def run(program: Program, hz: int, samples: int, delay_ns: float, seed: int = 0) -> Run:
    """Run the program at a system clock of `hz` until it has pushed `samples` words."""
    randomness = random.Random(seed)
    values = [randomness.getrandbits(24) for _ in range(samples + 4)]
    microphone = Transmitter(values.__getitem__, max(1, round(delay_ns * hz / 1e9)), lambda: randomness.getrandbits(1))
    divider = round(hz * 256 / (_CYCLES * _RATE_HZ))
    bottom, top = program.wrap
    x = register = bits = 0
    at, due = 0, 0  # instruction; when it runs, in 1/256 cycles
    cycle, words, frames = 0, [], []
    seen = [0] * (_SYNCHRONISER_CYCLES + 1)
    clock = select = 0
    while len(words) < samples:
        if cycle << 8 >= due:
            due += divider
            instruction = program.instructions[at]
            if at == bottom:
                frames.append(cycle)
            clock, select = instruction.sides & 1, instruction.sides >> 1
            following = bottom if at == top else at + 1
            if instruction.kind == "set x":
                x = instruction.count
            elif instruction.kind == "jmp x--":
                following = program.labels[instruction.target] if x else following
                x = (x - 1) & 0xFFFFFFFF
            elif instruction.kind == "in pins":
                register = (register << 1 | seen[0]) & 0xFFFFFFFF
                bits += 1
                if bits == 16:
                    words.append(register & 0xFFFF)
                    register = bits = 0
            at = following
        microphone.drive(cycle, clock, select)
        seen = [*seen[1:], microphone.data]
        cycle += 1
    expected = [value >> 8 for value in values[:samples]]
    lengths = [float(later - earlier) for earlier, later in pairwise(frames)]
    result = Run(words, microphone, lengths)
    assert words == expected
    return result


@pytest.fixture(scope="module")
def program() -> Program:
    return assemble(MIC.read_text())


@pytest.mark.parametrize("hz", [125_000_000, 64_000_000, 48_000_000])
@pytest.mark.parametrize("delay_ns", [8, 40, 200])  # of the ICS-43434 at most 18, of the INMP441 at most 180
def test_every_bit_is_the_transmitters(program: Program, hz: int, delay_ns: float) -> None:
    run(program, hz, 40, delay_ns)


def test_clocks_are_those_of_the_bus(program: Program) -> None:
    done = run(program, 125_000_000, 6, 20)
    bus = done.microphone
    periods = [later - earlier for earlier, later in pairwise(bus.falls)]
    assert set(periods) <= {122, 123}  # 976.6 ns: 1.024 MHz, in the ICS-43434's low-power range
    highs = [min(fall for fall in bus.falls if fall > rise) - rise for rise in bus.rises[:-1]]
    assert all(60 <= high <= 62 for high in highs)
    assert all(level == 0 for _, level in bus.select_changes), "word select changes while the clock is low"
    apart = [later[0] - earlier[0] for earlier, later in pairwise(bus.select_changes)]
    assert apart and all(abs(each - 32 * 125_000_000 / 1_024_000) < 2 for each in apart), "32 clocks a slot"


@pytest.mark.parametrize(("hz", "divider"), [(125_000_000, 61 + 9 / 256), (64_000_000, 31.25), (48_000_000, 23.4375)])
def test_the_rate_is_exact(program: Program, hz: int, divider: float) -> None:
    assert hz / (_CYCLES * _RATE_HZ) == divider
    assert divider * 256 == int(divider * 256), "the divider has eight bits of fraction"
    lengths = run(program, hz, 20, 20).cycles_a_frame
    assert abs(sum(lengths) / len(lengths) - hz / _RATE_HZ) < 1


def test_the_program_is_what_the_state_machine_is_set_up_for(program: Program) -> None:
    assert len(program.instructions) == 12
    assert program.wrap == (0, 11)
    assert program.settings == {
        "sideset_init": "(rp2.PIO.OUT_LOW, rp2.PIO.OUT_LOW)",
        "in_shiftdir": "rp2.PIO.SHIFT_LEFT",
        "autopush": "True",
        "push_thresh": "16",
        "fifo_join": "rp2.PIO.JOIN_RX",
    }


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("set(x, 14)", "set(x, 13)"),  # one bit less: the next one's first is taken for it
        ("    nop().side(0b00)  # clock 1", "    in_(pins, 1).side(0b00)  # clock 1"),  # one bit early
        ("set(x, 31)", "set(x, 30)"),  # a slot of 31 clocks
        ("in_(pins, 1).side(0b01)\n    jmp", "in_(pins, 1).side(0b00)\n    jmp"),  # no clock
    ],
)
def test_a_program_that_is_off_by_one_is_caught(was: str, now: str) -> None:
    source = MIC.read_text()
    assert was in source
    wrong = assemble(source.replace(was, now))
    with pytest.raises((AssertionError, IndexError)):
        test_every_bit_is_the_transmitters(wrong, 125_000_000, 20)
        test_clocks_are_those_of_the_bus(wrong)
