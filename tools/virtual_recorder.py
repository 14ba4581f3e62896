#!/usr/bin/env python3
"""A recorder without the hardware: the real firmware with a sound file as microphone and a file as card.

python3 tools/virtual_recorder.py --mic speech.flac --script "0:on 3.5:mark 12:mark2 20:mute 25:unmute 30:off"
"""

from __future__ import annotations

import argparse
import contextlib
import select
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.environment import use_environment  # noqa: E402

_KEYS = """keys: r switch · m mark · d disputed · n notice given · o off the record / on again · b hold or let go the button
      c pull or insert the card · x cut the power · p power on · q quit"""
_GESTURES = {"m": "0:mark", "d": "0:mark2", "n": "0:notice", "o": "0:mute", "x": "0:cut"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mic", type=Path, help="sound file on the microphone's tape (any format; 16 kHz mono 16 bit stays exact)"
    )
    parser.add_argument("--card", type=Path, help="card image; made if missing (default: in the state folder)")
    parser.add_argument("--card-size", default="64M", help="size of a new card (default 64M)")
    parser.add_argument(
        "--state", type=Path, help="folder for flash, card and events.jsonl; kept (default: a temporary one)"
    )
    parser.add_argument("--script", help='what a person does, e.g. "0:on 3.5:mark 12:mark2 20:mute 25:unmute 30:off"')
    parser.add_argument("--until", type=float, help="take the power away at this second")
    parser.add_argument(
        "--speed", type=float, help="times real time; 0 as fast as it goes (default: 0 with a script, else 1)"
    )
    parser.add_argument("--port", default="pty", help="what a computer opens: pty, none or tcp:PORT (default pty)")
    parser.add_argument("--stay", action="store_true", help="stay on after the script, for a computer to connect")
    parser.add_argument(
        "--rtc", metavar="UTC", help="has a clock chip that shows this time at second 0, e.g. 2026-01-05T10:00:00"
    )
    parser.add_argument("--events", action="store_true", help="print events as JSON lines on stdout")
    faults = parser.add_argument_group("faults, at the n-th write since power on")
    faults.add_argument("--cut-at-write", type=int, metavar="N", help="power goes in a write of card or flash")
    faults.add_argument("--cut-at-card-write", type=int, metavar="N")
    faults.add_argument("--cut-at-flash-write", type=int, metavar="N")
    faults.add_argument("--torn", action="store_true", help="the cut write tears a block")
    faults.add_argument(
        "--stall", action="append", default=[], metavar="N=MS", help="this write of the card takes longer"
    )
    faults.add_argument("--fail-write", action="append", default=[], type=int, metavar="N")
    faults.add_argument("--fail-read", action="append", default=[], type=int, metavar="N")
    faults.add_argument("--pull-at-write", type=int, metavar="N", help="the card is pulled out in this write")
    faults.add_argument("--read-only", action="store_true", help="the card takes no writes")
    return parser.parse_args()


def _faults(arguments: argparse.Namespace) -> dict[str, Any]:
    faults: dict[str, Any] = {
        "cut_at_write": arguments.cut_at_write,
        "cut_at_card_write": arguments.cut_at_card_write,
        "cut_at_flash_write": arguments.cut_at_flash_write,
        "torn": arguments.torn,
        "stall_at_write": {number: int(ms) for number, _, ms in (word.partition("=") for word in arguments.stall)},
        "fail_writes": arguments.fail_write,
        "fail_reads": arguments.fail_read,
        "pull_at_write": arguments.pull_at_write,
        "read_only": arguments.read_only,
    }
    return {name: value for name, value in faults.items() if value}


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    if not arguments.rtc:
        return {}
    shown = datetime.fromisoformat(arguments.rtc)
    shown = shown if shown.tzinfo else shown.replace(tzinfo=UTC)
    return {"utc_us": round(shown.timestamp() * 1e6)}


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
    while interactive or recorder.powered:
        for event in recorder.events()[shown:]:
            shown += 1
            _say(f"{event['t']:9.3f} s  {event['what']} {event.get('value', '')}")
        if not interactive:
            time.sleep(0.1)
        elif select.select([sys.stdin], [], [], 0.1)[0] and not _press(recorder, sys.stdin.read(1)):
            return


def _play(arguments: argparse.Namespace, state: Path) -> int:
    from tools.virtual.device import VirtualRecorder
    from tools.virtual.fat import parse_size

    interactive = arguments.script is None and arguments.until is None and sys.stdin.isatty()
    speed = arguments.speed if arguments.speed is not None else (0 if arguments.script else 1)
    with VirtualRecorder(
        state,
        mic=arguments.mic,
        card=arguments.card,
        card_size=parse_size(arguments.card_size),
        speed=speed,
        port=arguments.port,
        settings=_settings(arguments),
        faults=_faults(arguments),
    ) as recorder:
        _say(f"card {recorder.card}" + (f"\nport {recorder.port}" if recorder.port else ""))
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
    use_environment()
    from tools.virtual.device import VirtualRecorderError
    from tools.virtual.script import ScriptError

    try:
        if arguments.state:
            return _play(arguments, arguments.state)
        with tempfile.TemporaryDirectory(prefix="earwitness-") as folder:
            return _play(arguments, Path(folder))
    except KeyboardInterrupt:
        return 130
    except (ScriptError, ValueError) as error:
        _say(f"virtual_recorder: {error}")
        return 2
    except (VirtualRecorderError, OSError) as error:
        _say(f"virtual_recorder: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
