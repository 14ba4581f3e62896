#!/usr/bin/env python3
"""A recorder without the hardware: the real firmware with a sound file as microphone and a file as card.

Without a script it runs in real time and takes keys, and shows what a person would see and feel:

  python3 tools/virtual_recorder.py --mic speech.flac --state out/mine
  earwitness pair --port out/mine/port     # in another terminal, after pressing b (its button held)

With --ble it has Bluetooth, too: for a minute after its switch went off (r) or its button was pressed (m).

With a script it runs as fast as it goes, or at --speed, and ends, unless told to --stay:

  python3 tools/virtual_recorder.py --mic speech.flac --script "0:on 3.5:mark 12:mark2 20:mute 25:unmute 30:off"
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import select
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.environment import use_environment  # noqa: E402
from tools.virtual.fat import parse_size  # noqa: E402
from tools.virtual.script import ScriptError, parse  # noqa: E402
from tools.virtual.tape import TapeError, check_source  # noqa: E402

_KEYS = """keys: r switch · m mark · d disputed · n notice given · o off the record / on again · b hold or let go the button
      c pull or insert the card · x cut the power · p power on · q quit"""
_GESTURES = {"m": "0:mark", "d": "0:mark2", "n": "0:notice", "o": "0:mute", "x": "0:cut"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"virtual_recorder: {message}\n")


def _mic(text: str) -> Path:
    try:
        check_source(Path(text))
    except TapeError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _utc_us(text: str) -> int:
    from datetime import datetime, timezone

    try:
        shown = datetime.fromisoformat(text)
        shown = shown if shown.tzinfo else shown.replace(tzinfo=timezone.utc)  # noqa: UP017 - an old Python is told so
        return round(shown.timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time. Write it like 2026-01-05T10:00:00.") from None


def _script(text: str) -> str:
    try:
        parse(text)
    except ScriptError as error:
        raise argparse.ArgumentTypeError(f"{error}. Write it like '0:on 3.5:mark 30:off'.") from None
    return text


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on.")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on.")
    return int(text)


def _stall(text: str) -> tuple[int, int]:
    number, _, ms = text.partition("=")
    try:
        return _count(number), _count(ms)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WRITE=MILLISECONDS, e.g. 20=300.") from None


def _arguments() -> argparse.Namespace:
    parser = _Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument(
        "--mic", type=_mic, help="sound file on the microphone's tape (any format; 16 kHz mono 16 bit stays exact)"
    )
    parser.add_argument("--card", type=Path, help="card image; made if missing (default: in the state folder)")
    parser.add_argument("--card-size", type=_size, default="64M", help="size of a new card (default 64M)")
    parser.add_argument(
        "--state",
        type=Path,
        help="folder for flash, card, events.jsonl and `port`; kept, with a plain copy of the sound in mic.s16 "
        "(default: a temporary one)",
    )
    parser.add_argument(
        "--script", type=_script, help='what a person does, e.g. "0:on 3.5:mark 12:mark2 20:mute 25:unmute 30:off"'
    )
    parser.add_argument("--until", type=_number, help="take the power away at this second")
    parser.add_argument(
        "--speed", type=_number, help="times real time; 0 as fast as it goes (default: 0 with a script, else 1)"
    )
    parser.add_argument("--port", default="pty", help="what a computer opens: pty, none or tcp:NUMBER (default pty)")
    parser.add_argument(
        "--ble",
        action="store_true",
        help="Bluetooth too, on a bus of its own: what a program has to be told to use it is printed",
    )
    parser.add_argument("--stay", action="store_true", help="stay on after the script, for a computer to connect")
    parser.add_argument(
        "--rtc",
        type=_utc_us,
        metavar="UTC",
        help="has a clock chip that shows this time at second 0, e.g. 2026-01-05T10:00:00",
    )
    parser.add_argument("--events", action="store_true", help="print events as JSON lines on stdout")
    faults = parser.add_argument_group("faults, at the n-th write since power on")
    faults.add_argument("--cut-at-write", type=_count, metavar="N", help="power goes in a write of card or flash")
    faults.add_argument("--cut-at-card-write", type=_count, metavar="N")
    faults.add_argument("--cut-at-flash-write", type=_count, metavar="N")
    faults.add_argument("--torn", action="store_true", help="the cut write tears a block")
    faults.add_argument(
        "--stall", type=_stall, action="append", default=[], metavar="N=MS", help="this write of the card takes longer"
    )
    faults.add_argument("--fail-write", action="append", default=[], type=_count, metavar="N")
    faults.add_argument("--fail-read", action="append", default=[], type=_count, metavar="N")
    faults.add_argument("--pull-at-write", type=_count, metavar="N", help="the card is pulled out in this write")
    faults.add_argument("--read-only", action="store_true", help="the card takes no writes")
    return parser.parse_args()


def _faults(arguments: argparse.Namespace) -> dict[str, Any]:
    faults: dict[str, Any] = {
        "cut_at_write": arguments.cut_at_write,
        "cut_at_card_write": arguments.cut_at_card_write,
        "cut_at_flash_write": arguments.cut_at_flash_write,
        "torn": arguments.torn,
        "stall_at_write": dict(arguments.stall),
        "fail_writes": arguments.fail_write,
        "fail_reads": arguments.fail_read,
        "pull_at_write": arguments.pull_at_write,
        "read_only": arguments.read_only,
    }
    return {name: value for name, value in faults.items() if value}


def in_words(error: Exception) -> str:
    """An error of the operating system without its number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}. Name another place."
    return str(error)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Single keys from the terminal, put back as it was at the end."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _press(recorder: Any, key: str) -> bool:
    """Carry out one key; False for quit."""
    if key == "q":
        return False
    if key == "p" and not recorder.powered:
        recorder.power_on()
    elif key == "r":
        recorder.play("0:off" if recorder.lever("switch") else "0:on")
    elif key == "b":
        recorder.play("0:release" if recorder.lever("button") else "0:press")
    elif key == "c":
        recorder.play("0:pull" if recorder.lever("card") else "0:insert")
    elif key in _GESTURES:
        recorder.play(_GESTURES[key])
    return True


def _live(recorder: Any, interactive: bool) -> None:
    """Stay until Ctrl-C or `q`, telling what a person would see and feel."""
    shown = len(recorder.events())
    keyboard = sys.stdin.fileno() if interactive else -1
    while interactive or recorder.powered:
        for event in recorder.events()[shown:]:
            shown += 1
            _say(f"{event['t']:9.3f} s  {event['what']} {event.get('value', '')}")
        if not interactive:
            time.sleep(0.1)
        elif select.select([keyboard], [], [], 0.1)[0]:
            keys = os.read(keyboard, 64).decode("ascii", "ignore")
            if not keys or not all(_press(recorder, key) for key in keys):
                return


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two recorders on one card would spoil it."""
    import fcntl

    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"A virtual recorder runs in {state} already. End it, or name another folder.") from None
        yield


def _play(arguments: argparse.Namespace, state: Path) -> int:
    interactive = arguments.script is None and arguments.until is None and sys.stdin.isatty()
    speed = arguments.speed if arguments.speed is not None else (0 if arguments.script else 1)
    settings: dict[str, Any] = {"utc_us": arguments.rtc} if arguments.rtc is not None else {}
    with contextlib.ExitStack() as stack:
        if arguments.ble:
            from tools.virtual.ble.rig import BUS_VARIABLE, Rig

            rig = stack.enter_context(Rig())
            settings["ble"] = rig.recorder_socket
            _say(f"bluetooth: {BUS_VARIABLE}={rig.environment[BUS_VARIABLE]} earwitness sync --via ble")
        return _run(arguments, state, settings, interactive, speed)


def _run(arguments: argparse.Namespace, state: Path, settings: dict[str, Any], interactive: bool, speed: float) -> int:
    from tools.virtual.device import VirtualRecorder

    with VirtualRecorder(
        state,
        mic=arguments.mic,
        card=arguments.card,
        card_size=arguments.card_size,
        speed=speed,
        port=arguments.port,
        settings=settings,
        faults=_faults(arguments),
    ) as recorder:
        port = recorder.port_link if arguments.state and recorder.port_link else recorder.port
        _say(f"card {recorder.card}" + (f"\nport {port}" if port else ""))
        ended = "done"
        script = arguments.script or ""
        if arguments.until is not None:
            script += f" {arguments.until}:end"
        if script:
            ended = recorder.run(script, timeout=1e9)
            _say({"cut": "the power was cut", "end": "the power was taken away"}.get(ended, "the script is over"))
        else:
            recorder.power_on()
        if interactive:
            _say(_KEYS)
            with _keys():
                _live(recorder, True)
        elif ended == "done" and (arguments.stay or not script):
            _live(recorder, False)
        if arguments.events:
            print((state / "events.jsonl").read_text(), end="")
    return 0


def main() -> int:
    arguments = _arguments()
    try:
        use_environment()
    except KeyboardInterrupt:
        return 130
    from tools.virtual.device import VirtualRecorderError

    try:
        if arguments.state:
            with _alone(arguments.state):
                return _play(arguments, arguments.state)
        with tempfile.TemporaryDirectory(prefix="earwitness-") as folder:
            return _play(arguments, Path(folder))
    except KeyboardInterrupt:
        return 130
    except ValueError as error:  # a script, a tape, a card's size, a port
        _say(f"virtual_recorder: {error}")
        return 2
    except (VirtualRecorderError, OSError) as error:
        _say(f"virtual_recorder: {in_words(error)}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
