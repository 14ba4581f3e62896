"""The firmware's pin module, from the plan's pins."""

from __future__ import annotations

from tools.blueprint.plan import Plan

_HEAD = '''"""Pins of the board: GPIO numbers, and the blocks that serve them.

Made by tools/hardware.py from hardware/device.toml: change that one.
"""

from micropython import const

'''


def pin_module(plan: Plan) -> str:
    """The text of firmware/recorder/hal/pins.py."""
    lines = [f"{name} = const({number})  # block" for name, number in plan.blocks.items()]
    for pin in plan.pins.values():
        lines.append(f"{pin.name} = const({pin.gpio})" + (f"  # {pin.means}" if pin.means else ""))
    return _HEAD + "\n".join(lines) + "\n"
