"""Every state has a shape of its own: nobody mistakes a recorder that does not record for one that does."""

from __future__ import annotations

_RUN = """
import virtual_hal
virtual_hal.setup()
from recorder import indicator
from recorder.hal import clock, light, motor
seen = []
light.set = lambda level: seen.append(["light", clock.now_us() // 1000, level])
motor.set = lambda on: seen.append(["motor", clock.now_us() // 1000, bool(on)])
show = indicator.Indicator()
"""


def test_only_recording_is_steady_and_no_two_shapes_look_alike(mpy) -> None:
    [shapes] = mpy(
        _RUN + "emit({k: getattr(indicator, k) for k in ('RECORDING MUTED WAIT SYNCING UNPAIRED NO_CARD CARD_FULL '"
        "'CARD_FAILED BATTERY_LOW SELF_TEST OFF').split()})"
    )
    assert [name for name, shape in shapes.items() if shape is None] == ["RECORDING"]
    looks = {tuple(shape) if shape is not None else "steady" for shape in shapes.values()}
    assert len(looks) == len(shapes)
    assert all(len(shape) % 2 == 0 for shape in shapes.values() if shape)


def test_a_shape_repeats_and_a_buzz_ends(mpy) -> None:
    [seen] = mpy(
        _RUN
        + """
show.show(indicator.NO_CARD)
show.buzz(indicator.STOPPED)
while clock.now_us() < 4_000_000:
    show.step()
    clock.idle(10)
emit(seen)
"""
    )
    light = [(at, level) for what, at, level in seen if what == "light"]
    flashes = [at for at, level in light if level]
    assert len(flashes) == 4  # two in each of two turns of two seconds
    assert 1900 <= flashes[2] - flashes[0] <= 2100
    motor = [on for what, _, on in seen if what == "motor"]
    assert motor == [True, False, True, False]
