#!/usr/bin/env python3
"""Checks hardware/device.toml against the rules, and makes everything out of it that is written twice.

python3 tools/hardware.py            check, and write what changed
python3 tools/hardware.py --check    check, and say which files are not as device.toml has them; change nothing
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.blueprint import products  # noqa: E402
from tools.blueprint.errors import PlanError  # noqa: E402
from tools.blueprint.plan import read_plan  # noqa: E402
from tools.blueprint.rules import RULES, faults  # noqa: E402
from tools.environment import use_environment  # noqa: E402


def _say(text: str) -> None:
    print(f"hardware: {text}", file=sys.stderr)


def _check(root: Path) -> int:
    plan = read_plan(root / "hardware/device.toml")
    found = products.stale(root, plan)
    for name in found:
        _say(f"{name} is not what hardware/device.toml makes: run python3 tools/hardware.py")
    return 1 if found else 0


def _make(root: Path) -> int:
    use_environment()  # WireViz and typst are there
    for name in products.make(root, read_plan(root / "hardware/device.toml")):
        _say(f"wrote {name}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only; exit code 1 where something is wrong")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder, if not this one")
    arguments = parser.parse_args()
    try:
        broken = faults(read_plan(arguments.root / "hardware/device.toml"))
        for fault in broken:
            _say(fault)
        if broken:
            return 1
        result = (_check if arguments.check else _make)(arguments.root)
    except (PlanError, OSError) as error:
        _say(str(error))
        return 1
    except subprocess.CalledProcessError as error:
        _say(f"WireViz failed (is graphviz installed?): {error.stderr.decode(errors='replace')[-500:]}")
        return 1
    if not result:
        _say(f"{len(RULES)} rules hold, every file is as device.toml has it")
    return result


if __name__ == "__main__":
    sys.exit(main())
