"""`python -m earwitness`, and the command `earwitness`: to stop it is a wish from the first moment on."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def _stop_at_once(_number: int, _frame: Any) -> None:
    # Nothing has begun. An exception could end in a module that is just imported, and come out as another.
    os.write(2, b"earwitness: Stopped. Nothing is left half-written.\n")
    os._exit(130)


def main() -> int:
    """Run one command; returns the exit code. While its modules are imported, Ctrl-C ends the program at once."""
    signal.signal(signal.SIGTERM, _stop_at_once)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stop_at_once)
    from earwitness import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
