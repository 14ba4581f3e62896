#!/usr/bin/env python3
"""Makes .venv at the top of the project, with every dependency pinned by hash, and the Debian packages that tests use.

Runs on any Python from 3.11 with nothing installed. A second run does nothing unless a lock has changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
TYPINGS = VENV / "typings"  # the chip's stubs, apart from what this Python imports
_LOCKS = (ROOT / "tools" / "requirements.lock", ROOT / "tools" / "stubs.lock")
_STAMP = VENV / "locks.sha256"
_MINIMUM = (3, 11)
_TELL_S = 10.0

# command -> Debian package, and what is skipped without it
_PACKAGES = {
    "flac": ("flac", "checks of FLAC files by the reference decoder"),
    "age": ("age", "checks of envelopes by the reference program"),
    "fsck.vfat": ("dosfstools", "checks of the card's file system"),
    "mcopy": ("mtools", "cards that are filled or read by another program"),
    "espeak-ng": ("espeak-ng", "the check that the spoken sample can be made again"),
    "sox": ("sox", "comparisons of sound by another program"),
    "openssl": ("openssl", "checks of time tokens by another program"),
    "dot": ("graphviz", "the wiring diagram"),
    "openscad": ("openscad", "the case"),
    "dbus-daemon": ("dbus", "Bluetooth by the real client, on a bus of its own"),
    "arecord": ("alsa-utils", "recording from a real microphone"),
}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _wanted() -> str:
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for lock in (*_LOCKS, ROOT / "pyproject.toml"):
        digest.update(lock.read_bytes())
    return digest.hexdigest()


def _pip(*arguments: str) -> None:
    subprocess.run(
        [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "-qq", *arguments],
        check=True,
        cwd=ROOT,
        stdout=sys.stderr,
    )


def _install_lock(lock: Path) -> None:
    """The long step: now and then a line says how far it is."""
    total = sum(1 for line in lock.read_text().splitlines() if line[:1].isalnum())
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    seen, told = 0, time.monotonic()
    with subprocess.Popen(
        [*command, "--require-hashes", "-r", str(lock)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            seen += line.startswith("Collecting ")
            if line.startswith("Installing collected"):
                _say(f"environment:   unpacking {total} packages")
            elif line.startswith(("Collecting ", "Downloading ")) and time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                _say(f"environment:   package {seen} of {total}")
    if pip.returncode:
        raise subprocess.CalledProcessError(pip.returncode, command)


def _has_pip() -> bool:
    """A first run that was interrupted can leave a Python without it."""
    return (
        PYTHON.exists()
        and not subprocess.run([PYTHON, "-m", "pip", "--version"], check=False, capture_output=True).returncode
    )


def make_venv() -> None:
    """Bring .venv in line with the locks. Raises subprocess.CalledProcessError."""
    wanted = _wanted()
    if _STAMP.exists() and _STAMP.read_text() == wanted and PYTHON.exists():
        return
    _say(f"environment: installing into {VENV} (some minutes, once)")
    if not _has_pip():
        if importlib.util.find_spec("ensurepip") is None:  # Debian keeps it in a package of its own
            _install("python3-venv")
            if subprocess.run([sys.executable, "-c", "import ensurepip"], check=False, capture_output=True).returncode:
                sys.exit("environment: this Python has no venv. On Debian or Ubuntu: sudo apt install python3-venv")
        _say("environment: 1 of 4, a Python of its own")
        venv.create(VENV, with_pip=True, clear=True)
    _say("environment: 2 of 4, the packages it needs")
    _install_lock(_LOCKS[0])
    _say("environment: 3 of 4, descriptions of the chip for checks")
    shutil.rmtree(TYPINGS, ignore_errors=True)
    _pip("install", "--require-hashes", "--no-deps", "--target", str(TYPINGS), "-r", str(_LOCKS[1]))
    _say("environment: 4 of 4, earwitness itself")
    _pip("install", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    _STAMP.write_text(wanted)


def find_tool(name: str) -> str | None:
    """A program on the path or in the places of the administrator's programs."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))


def _install(*packages: str) -> bool:
    """Install Debian packages; False where this is not Debian or we are not root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    _say(f"environment: installing {', '.join(packages)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["update", "-qq"], *(["install", "-y", "-qq", "--no-install-recommends", one] for one in packages)):
        subprocess.run(
            ["apt-get", *command], check=False, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
    return True


def install_packages() -> None:
    """Install missing Debian packages where that is possible, otherwise say what is missing and what it is for."""
    missing = {name: about for name, about in _PACKAGES.items() if find_tool(name) is None}
    if missing and _install(*(package for package, _ in missing.values())):
        missing = {name: about for name, about in missing.items() if find_tool(name) is None}
    for name, (package, purpose) in missing.items():
        _say(f"environment: no `{name}` (Debian package {package}): {purpose} will be skipped")


def use_environment() -> None:
    """Go on in .venv's Python, made first if need be, unless this Python has the dependencies already."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    if os.environ.get("EARWITNESS_ENVIRONMENT") == "own" and _has_dependencies():
        return
    ensure_venv()
    os.environ["PATH"] = str(BIN) + os.pathsep + os.environ.get("PATH", "")
    command = [str(PYTHON), *sys.argv]
    if os.name == "nt":
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)


def ensure_venv() -> None:
    """`make_venv`, or the end of this program with a sentence."""
    _check_python()
    try:
        make_venv()
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"environment: installing failed ({error.returncode}), see above. With a network and 1 GB of room, run it again."
        )


def _has_dependencies() -> bool:
    return all(importlib.util.find_spec(name) for name in ("soundfile", "soxr", "pyrage", "serial", "pytest"))


def _check_python() -> None:
    if sys.version_info < _MINIMUM:
        sys.exit(
            f"environment: Python {_MINIMUM[0]}.{_MINIMUM[1]} or later is needed, this is {sys.version.split()[0]}"
        )


def main() -> int:
    ensure_venv()
    install_packages()
    return 0


if __name__ == "__main__":
    sys.exit(main())
