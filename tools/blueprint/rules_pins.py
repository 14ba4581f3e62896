"""Rules for the chip's pins: what the RP2040's blocks and the Pico W allow."""

from __future__ import annotations

from collections.abc import Iterator

from tools.blueprint import rp2040
from tools.blueprint.plan import Pin, Plan


def _legal(plan: Plan, pin: Pin) -> str:
    """Why the pin cannot serve its block; empty where it can."""
    if pin.gpio not in rp2040.PADS and pin.gpio not in rp2040.RADIO:
        return "is on no pad of the Pico W"
    if pin.block in ("SPI", "I2C"):
        wanted = plan.blocks["CARD_SPI" if pin.block == "SPI" else "I2C"], pin.signal
        found = (rp2040.spi if pin.block == "SPI" else rp2040.i2c)(pin.gpio)
        if found != wanted:
            return f"carries {pin.block}{found[0]} {found[1]}, not {pin.block}{wanted[0]} {wanted[1]}"
    if pin.block == "ADC" and pin.gpio not in rp2040.ADC:
        return "has no analogue input"
    if pin.block not in ("PIO", "SPI", "I2C", "PWM", "ADC", "GPIO"):
        return f"has no block {pin.block}"
    return ""


def legal_pins(plan: Plan) -> Iterator[str]:
    """Every pin can do what its block asks of it."""
    for pin in plan.pins.values():
        why = _legal(plan, pin)
        if why:
            yield f"{pin.name}: GPIO {pin.gpio} {why}"


def word_select_next_to_clock(plan: Plan) -> Iterator[str]:
    """The state machine sets both with one side-set, which takes consecutive pins, clock first."""
    clock, select = plan.pins["MIC_CLOCK"].gpio, plan.pins["MIC_WORD_SELECT"].gpio
    if select != clock + 1:
        yield f"MIC_WORD_SELECT is GPIO {select}; next to MIC_CLOCK (GPIO {clock}) it must be GPIO {clock + 1}"


def no_radio_pin(plan: Plan) -> Iterator[str]:
    """GPIO 23, 24, 25 and 29 are the radio's on a Pico W."""
    for pin in plan.pins.values():
        if pin.gpio in rp2040.RADIO:
            yield f"{pin.name}: GPIO {pin.gpio} belongs to the radio"


def nothing_twice(plan: Plan) -> Iterator[str]:
    """No GPIO has two names, no PWM channel two pins, no address two chips, no wire is there twice."""
    gpios: dict[int, str] = {}
    channels: dict[tuple[int, str], str] = {}
    for pin in plan.pins.values():
        if pin.gpio in gpios:
            yield f"GPIO {pin.gpio} is both {gpios[pin.gpio]} and {pin.name}"
        gpios.setdefault(pin.gpio, pin.name)
        if pin.block == "PWM" and channels.setdefault(rp2040.pwm(pin.gpio), pin.name) != pin.name:
            yield f"{pin.name} and {channels[rp2040.pwm(pin.gpio)]} share a PWM channel"
    addresses: dict[int, str] = {}
    for part in plan.parts.values():
        if part.address and addresses.setdefault(part.address, part.id) != part.id:
            yield f"{part.id} and {addresses[part.address]} both answer at {part.address:#x}"
    seen: set[frozenset[str]] = set()
    for wire in plan.wires:
        ends = frozenset((wire.start, wire.end))
        if ends in seen:
            yield f"the wire from {wire.start} to {wire.end} is there twice"
        seen.add(ends)
