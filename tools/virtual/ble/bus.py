"""A D-Bus of our own, so that nothing of this computer's real Bluetooth is touched."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .children import start

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    {denied}
  </policy>
</busconfig>
"""


class BusError(RuntimeError):
    """There is no dbus-daemon here, or it does not start."""


def start_bus(folder: Path, name: str, denied: str = "") -> tuple[subprocess.Popen[bytes], str]:
    """Start a dbus-daemon; returns the process and its address. `denied`: the name of a service that nobody may call."""
    program = shutil.which("dbus-daemon")
    if program is None:
        raise BusError("There is no dbus-daemon on this computer: install the package 'dbus'.")
    path = folder / f"{name}.bus"
    config = folder / f"{name}.conf"
    config.write_text(_CONFIG.format(path=path, denied=f'<deny send_destination="{denied}"/>' if denied else ""))
    daemon = start(
        [program, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert daemon.stdout is not None
    line = daemon.stdout.readline().decode().strip()
    if not line:
        raise BusError("The dbus-daemon did not start.")
    return daemon, f"unix:path={path}"
