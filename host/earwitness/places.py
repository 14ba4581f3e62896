"""Where things live on this computer.

`EARWITNESS_HOME` moves everything below one folder (config/, state/, library/): for a stick, a demo or a test.
Otherwise the platform's own places are used, and recordings go to the person's documents, where a backup finds them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_APP = "earwitness"
EXCERPT_SUFFIX: Final = ".ewd"
ENDS: Final = "ends"  # in the library: final notes of recordings that are on no card any more


def home_override() -> Path | None:
    """The folder named by `EARWITNESS_HOME`, if any."""
    value = os.environ.get("EARWITNESS_HOME", "").strip()
    return Path(value).expanduser().resolve() if value else None


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _standard(kind: str) -> Path:
    from platformdirs import PlatformDirs

    return Path(getattr(PlatformDirs(_APP, appauthor=False), f"user_{kind}_dir"))


def library_dir() -> Path:
    """Recordings and what belongs to each of them."""
    home = home_override()
    return _private(home / "library" if home else _standard("documents") / "Earwitness")


def config_dir() -> Path:
    """The owner's key (unless a keyring holds it) and settings."""
    home = home_override()
    return _private(home / "config" if home else _standard("config"))


def state_dir() -> Path:
    """Paired recorders, the index, the record of the last fault: nothing that a person would copy by hand."""
    home = home_override()
    return _private(home / "state" if home else _standard("state"))
