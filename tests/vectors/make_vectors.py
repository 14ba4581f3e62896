#!/usr/bin/env python3
"""Makes the test vectors of the container, manifest.json and the worked example in firmware/FORMAT.md.

python3 tests/vectors/make_vectors.py            write them
python3 tests/vectors/make_vectors.py --check    compare with what is here; exit code 1 and names if anything differs

All keys and all randomness are fixed, so that the same bytes come out everywhere. One fault a file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "tests")]

from host.maker import Device
from vectors import catalogue, example
from vectors.workshop import OWNER

MANIFEST = HERE / "manifest.json"
FORMAT = ROOT / "firmware" / "FORMAT.md"


def files() -> dict[Path, bytes]:
    """Every file that this script writes, with its bytes."""
    made = catalogue.vectors()
    head = {
        "about": "Vectors of the container, FORMAT.md. Made by make_vectors.py; one fault a file.",
        "version": 2,  # the reports of the program name it: raised whenever a vector changes its meaning
        "identity": OWNER.text,
        "device": Device().public.hex(),
        "vectors": [vector.entry() for vector in made],
    }
    found = {HERE / f"{vector.name}.{vector.suffix}": vector.data for vector in made}
    assert len(found) == len(made)
    found[MANIFEST] = (json.dumps(head, indent=1, ensure_ascii=False) + "\n").encode()
    key = next(vector.key for vector in made if vector.name == "ok-short")
    text = FORMAT.read_text("utf-8")
    found[FORMAT] = example.inserted(text, found[HERE / "ok-short.ewr"], key, Device().secret).encode()
    return found


def main() -> int:
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("--check", action="store_true", help="write nothing")
    check = usage.parse_args().check
    wanted = files()
    changed = [path for path, data in wanted.items() if not path.exists() or path.read_bytes() != data]
    stale = [path for path in HERE.glob("*.ew[rd]") if path not in wanted]
    for path in changed + stale:
        print(f"{path.relative_to(ROOT)}: {'differs' if path in wanted else 'is no vector any more'}")
        if not check:
            path.write_bytes(wanted[path]) if path in wanted else path.unlink()
    return 1 if check and changed + stale else 0


if __name__ == "__main__":
    sys.exit(main())
