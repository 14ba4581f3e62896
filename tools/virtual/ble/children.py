"""Child processes that end with their parent, however it ends.

Run as a program it becomes the program that it is given: python children.py PROGRAM ARGUMENT ...
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """From now on this process is killed when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program that is killed when we end."""
    # not of the terminal's group: Ctrl-C is for the one who started it, who then ends it in order
    return subprocess.Popen([sys.executable, "-S", __file__, *command], start_new_session=True, **options)


if __name__ == "__main__":
    end_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
