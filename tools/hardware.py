#!/usr/bin/env python3
"""Makes everything that is written twice about the hardware, out of hardware/device.toml.

python3 tools/hardware.py            regenerate
python3 tools/hardware.py --check    say what is not as device.toml has it, change nothing
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.blueprint.pins import pin_module  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="compare, change nothing; exit code 1 where something differs"
    )
    arguments = parser.parse_args()
    plan = tomllib.loads((ROOT / "hardware/device.toml").read_text(encoding="utf-8"))
    target = ROOT / "firmware/recorder/hal/pins.py"
    text = pin_module(plan)
    if arguments.check:
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            print(
                f"{target.relative_to(ROOT)} is not what hardware/device.toml says: run python3 tools/hardware.py",
                file=sys.stderr,
            )
            return 1
        return 0
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
