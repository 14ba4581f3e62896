"""The firmware's pin module, from the plan's pins."""

from __future__ import annotations

from typing import Any

_HEAD = '''"""Pins of the board: GPIO numbers, and the blocks that serve them.

Made by tools/hardware.py from hardware/device.toml: change that one.
"""

from micropython import const

'''


def pin_module(plan: dict[str, Any]) -> str:
    """The text of firmware/recorder/hal/pins.py."""
    lines = [f"{name} = const({number})  # block" for name, number in plan["blocks"].items()]
    for name, level in plan["levels"].items():
        lines.append(f"{name} = const({level['level']})  # {level['means']}")
    for name, pin in plan["pins"].items():
        comment = f"  # {pin['means']}" if pin["means"] else ""
        lines.append(f"{name} = const({pin['gpio']}){comment}")
    return _HEAD + "\n".join(lines) + "\n"
