"""Rules for the nets: what is meant to be connected is, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from tools.blueprint.plan import Pin, Plan


def _connections(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """(what, end, end) of everything that conducts."""
    for number, wire in enumerate(plan.wires, 1):
        yield f"wire {number}, {wire.start} to {wire.end},", wire.start, wire.end
    for _, pairs in plan.joints:
        for start, end in pairs:
            yield f"the joint of {start} and {end}", start, end
    for leg, strip in plan.strips():
        yield f"the leg {leg}", leg, strip


def every_part_in_a_net(plan: Plan) -> Iterator[str]:
    """Every part with wires has pins in nets, and whatever is named in a net, wire or joint is in the list of parts."""
    for part in plan.parts.values():
        if part.kind not in ("board", "loose") and not part.pins:
            yield f"{part.id} is in no net"
    for what, *ends in _connections(plan):
        for end in ends:
            if plan.net_of(end) is None:
                yield f"{what} ends at {end}, which no part has"
    for supply in plan.supplies.values():
        if plan.net_of(supply.source_pin) is None:
            yield f"{supply.net} comes from {supply.source_pin}, which no part has"
    for part_id in plan.board.column:
        if part_id not in plan.parts:
            yield f"{part_id} stands on the board, but is no part"


def no_wire_between_nets(plan: Plan) -> Iterator[str]:
    """Both ends of whatever conducts belong to the same net."""
    for what, start, end in _connections(plan):
        nets = plan.net_of(start), plan.net_of(end)
        if None not in nets and nets[0] != nets[1]:
            yield f"{what} joins {nets[0]} and {nets[1]}"


def every_net_holds_together(plan: Plan) -> Iterator[str]:
    """From every pin of a net, wires, strips and joints lead to every other one."""
    near: dict[str, set[str]] = {}
    for _, start, end in _connections(plan):
        near.setdefault(start, set()).add(end)
        near.setdefault(end, set()).add(start)
    for net, pins in plan.members().items():
        if len(pins) < 2:
            yield f"{net} has only {pins[0]} in it"
            continue
        source = plan.supplies[net].source_pin if net in plan.supplies else pins[0]
        reached, todo = {source}, [source]
        while todo:
            for end in near.get(todo.pop(), set()) - reached:
                reached.add(end)
                todo.append(end)
        for pin in pins:
            if pin not in reached:
                yield f"{net}: nothing connects {pin} to {source}"


def _resistors(plan: Plan, net: str) -> Iterator[tuple[str, str, float]]:
    """(part, the net at its other end, ohms) of every resistor on the net."""
    for part in plan.parts.values():
        nets = list(part.pins.values())
        if part.ohms and len(nets) == 2 and net in nets:
            yield part.id, nets[1 - nets.index(net)], part.ohms


def _brought_pull(plan: Plan, net: str) -> bool:
    return any(part.pins.get(pin) == net for part in plan.parts.values() for pin in part.pulls)


def _divider(plan: Plan, net: str) -> tuple[str, float, float] | None:
    """(supply, ohms to it, ohms to ground) where a supply above 3.3 V reaches the net over resistors."""
    found = list(_resistors(plan, net))
    for _, other, ohms in found:
        if other in plan.supplies and plan.supplies[other].volts > 3.3:
            return other, ohms, next((low for _, to, low in found if to == "GND"), 0.0)
    return None


def _why_floats(plan: Plan, pin: Pin) -> str:
    to_supply = [part for part, other, ohms in _resistors(plan, pin.name) if other == "3V3" and ohms <= 10_000]
    if pin.block == "I2C":
        return "" if to_supply else "I2C needs a resistor of at most 10 kΩ to 3V3 (the chip's own pull is too weak)"
    brought = bool(to_supply) or _brought_pull(plan, pin.name)
    if pin.boot_pull:
        return "" if brought else f"floats while the chip starts: it needs a resistor that pulls it {pin.boot_pull}"
    if pin.way == "in" and pin.block != "ADC" and not _divider(plan, pin.name):
        return "" if brought or pin.pull in ("up", "down") else "nothing pulls it while nothing drives it"
    return ""


def pulls_where_needed(plan: Plan) -> Iterator[str]:
    """I2C, contacts to ground, the card's lines and the microphone's tri-state output never float."""
    for pin in plan.pins.values():
        why = _why_floats(plan, pin)
        if why:
            yield f"{pin.name}: {why}"


def dividers_fit_the_pin(plan: Plan) -> Iterator[str]:
    """What comes from more than 3.3 V is divided to what a pin bears and reads, and the pin's own pull is off."""
    for pin in plan.pins.values():
        divider = _divider(plan, pin.name)
        if divider is None:
            continue
        supply, high, low = divider
        volts = plan.supplies[supply].volts * low / (high + low) if low else plan.supplies[supply].volts
        if volts > 3.3:
            yield f"{pin.name} gets {volts:.1f} V from {supply}: more than 3.3 V"
        elif pin.block != "ADC" and volts < 2.0:
            yield f"{pin.name} gets {volts:.1f} V from {supply}: less than the 2.0 V that read as high"
        if pin.pull in ("up", "down"):
            yield f"{pin.name}: the chip's pull-{pin.pull} would spoil the divider"


def pins_drive_no_load(plan: Plan) -> Iterator[str]:
    """A pin gives 12 mA at most: LED, motor and transistor hang on it over a resistor. A coil has its diode."""
    for net in plan.pins:
        for member in plan.members()[net][1:]:
            part = plan.parts[member.partition(".")[0]]
            bare = part.kind == "lead" and not part.ohms and not part.id.startswith("C")
            if part.kind == "load" or bare:
                yield f"{member} is on {net} without a resistor"
    for part in plan.parts.values():
        low = part.pins.get(part.kicks)
        for supply in (net for pin, net in part.pins.items() if low and pin != part.kicks):
            if not any(d.pins.get("A") == low and d.pins.get("K") == supply for d in plan.parts.values()):
                yield f"{part.id}: no diode from {low} (A) to {supply} (K) takes its kick"
