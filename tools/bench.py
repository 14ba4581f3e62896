#!/usr/bin/env python3
"""Measures what the project promises, each figure beside a peer's in the same run, and prints a table, or JSON with --json.

A benchmark is a function in tools/benchmarks that takes a Bench and yields rows; to add one, write it and name it here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "host")]

from tools.benchmarks.common import Bench, Row  # noqa: E402
from tools.environment import install_packages, use_environment  # noqa: E402

HUMAN_SPEECH = Path("/usr/share/sounds/alsa")  # package alsa-utils; where it is missing, the demo's made-up voices do
MADE_UP_SPEECH = ROOT / "tools" / "speech" / "meeting.flac"
NAMES = ("coder", "container", "proof", "memory", "listing", "shelf")


def _benchmarks() -> dict[str, Callable[[Bench], Iterator[Row]]]:
    from tools.benchmarks import coder, host

    return {
        "coder": coder.coder,
        "container": host.container,
        "proof": host.proof,
        "memory": host.memory,
        "listing": host.listing,
        "shelf": host.shelf,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)} (all)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--long", action="store_true", help="recordings of 8 and 24 hours too (some minutes)")
    parser.add_argument("--sound", type=Path, action="append", default=[], help="speech to use, a file that sox reads")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    use_environment()
    install_packages()
    missing = [program for program in ("micropython", "flac", "sox", "age") if not shutil.which(program)]
    if missing:
        parser.error(f"not installed: {', '.join(missing)}")
    human = sorted(path for path in HUMAN_SPEECH.glob("*.wav") if path.name != "Noise.wav")
    sounds = asked.sound or human or [MADE_UP_SPEECH]
    print(f"bench: speech from {sounds[0].parent if human and not asked.sound else sounds[0]}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), sounds, asked.long)
        chosen = {name: made for name, made in _benchmarks().items() if name in (asked.names or NAMES)}
        rows = [row for made in chosen.values() for row in made(bench)]
    if asked.json:
        print(json.dumps([{**asdict(row), "kept": row.kept} for row in rows], indent=2))
    else:
        for row in rows:
            bound = "at least" if row.at_least else "at most"
            promise = "" if row.limit is None else f"  ({bound} {row.limit:g}: {'kept' if row.kept else 'BROKEN'})"
            print(f"{row.benchmark:9} {row.case:22} {row.figure:44} {row.value:10.3f} {row.unit:4}{promise}".rstrip())
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
