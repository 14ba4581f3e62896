#!/usr/bin/env python3
"""Measures the recorder's firmware on its processor: time of each step of a page, share of the processor, free memory.

python3 tools/bench_device.py --image RPI_PICO_W.uf2    an emulated Pico W, with MicroPython's image
python3 tools/bench_device.py --port /dev/ttyACM0       a board at its prompt, with the firmware installed and a card in

On the emulated board also the whole recorder while it records, beside machine.I2S that writes a plain WAV, and the clock
that recording should run at: the lowest at which it takes at most half of the processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "host"), str(ROOT / "tests")]

from tools.benchmarks import device  # noqa: E402
from tools.benchmarks.common import Row  # noqa: E402
from tools.benchmarks.host import LEVEL_DB  # noqa: E402
from tools.environment import install_packages, use_environment  # noqa: E402

CLOCKS_MHZ = (125, 64, 48)
RECORD_S = 8
WAV_PAGES = 40
_LEAST_HEAP = 60 * 1024
_MOST_SHARE = 20  # per cent at 125 MHz
_LEAST_GAIN = 5  # over mpremote's copy


def _speech() -> list[int]:
    """Made-up speech over a microphone's noise, as quiet as across a table (the level of tools/bench.py)."""
    import numpy as np
    import soundfile as sf

    samples, rate = sf.read(ROOT / "tools" / "speech" / "meeting.flac", dtype="float64")
    assert rate == 16_000
    rng = np.random.default_rng(2)
    samples *= 10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(samples**2))
    return [int(value) for value in np.round(32768 * samples + rng.normal(0, 0.93, len(samples)))]


def _emulated(image: Path) -> Iterator[Row]:
    from emulator import install, primed
    from emulator.board import Board
    from tools.virtual.fat import make_card

    sound = _speech()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shares: dict[int, float] = {}
        for mhz in CLOCKS_MHZ:
            card = folder / f"card{mhz}.img"
            make_card(card, primed.CARD_BYTES)
            board = Board(image, files=install.without_starters(), card=card, sound=sound)
            board.boot()
            yield from device.step_rows(device.measure(board.execute, mhz), "emulated")
        board = Board(image, files=install.without_starters())
        board.boot()
        free = device.heap(board.execute)
        yield Row("device", "memory", "free with all code of the record set", free["imported"] / 1024, "KiB")
        yield Row("device", "memory", "free with the session made", free["made"] / 1024, "KiB")

        board, computer, _ = primed.make(image, folder, sound)
        primed.start(board)
        board.run(2)  # its first pages and the START buzz
        cycles, began = board.cycles, board.seconds
        board.run(RECORD_S)
        a_second = (board.cycles - cycles) / (board.seconds - began)
        heap = primed.free_heap(board)
        recorded_at = board.time.sys_hz
        primed.stop(board)
        primed.settle(board)
        yield from _cable(image, folder, board, computer)
        computer.close()
        for mhz in CLOCKS_MHZ:
            shares[mhz] = a_second / mhz / 1e6
            limit = _MOST_SHARE if mhz == 125 else None
            yield Row("device", "recording speech", f"processor at {mhz} MHz", 100 * shares[mhz], "%", limit)
        yield Row("device", "recording speech", "clock that the firmware chose", recorded_at / 1e6, "MHz")
        yield Row("device", "recording speech", "lowest clock with half to spare", device.recommended(shares), "MHz")
        yield Row("device", "recording speech", "free memory", heap / 1024, "KiB", _LEAST_HEAP / 1024, at_least=True)
        yield Row("device", "machine.I2S and WAV", "processor at 125 MHz", 100 * _plain(image, folder, sound), "%")


def _plain(image: Path, folder: Path, sound: list[int]) -> float:
    """The processor's share while a program of twenty lines writes a WAV."""
    from emulator import install, primed
    from emulator.board import Board
    from emulator.pins import PINS
    from tools.virtual.fat import make_card

    card = folder / "plain.img"
    make_card(card, primed.CARD_BYTES)
    board = Board(image, files=install.without_starters(), card=card, sound=sound)
    board.boot()
    board.execute("import bundle; bundle.mount()")
    board.cable.send(b"\r\x03\x03\x01")
    board.run(0.1)
    board.cable.take()
    pins = [PINS[name] for name in ("MIC_CLOCK", "MIC_WORD_SELECT", "MIC_DATA")]
    board.cable.send((device.PLAIN_WAV % (125_000_000, *pins, WAV_PAGES)).encode() + b"\x04")
    board.run_until(lambda: b"READY" in board.cable.sent, 10, "the plain program")
    cycles, began = board.cycles, board.seconds
    board.run(WAV_PAGES * 2048 / 16_000 * 0.9)
    return (board.cycles - cycles) / (board.seconds - began) / 125e6


def _cable(image: Path, folder: Path, recorder: Any, computer: Any) -> Iterator[Row]:
    """The processor's time for a page that goes home over the cable, beside mpremote's copy of the same file."""
    from emulator import install
    from emulator.board import Board

    synced = _time_of(recorder, lambda: computer.earwitness(recorder, "sync", "--port", computer.port, seconds=120))
    board = Board(image, files=install.without_starters(), card=folder / "first-card.img")
    board.boot()
    board.execute("import bundle; bundle.mount()\nfrom recorder.hal import card\nimport os, vfs")
    path = board.execute(
        "vfs.mount(vfs.VfsFat(card.open_card()), '/sd')\n"
        "def walk(at):\n"
        "    for name, kind, *_ in os.ilistdir(at):\n"
        "        if kind & 0x4000: walk(at + '/' + name)\n"
        "        elif name.lower().endswith('.ewr'): found.append(at + '/' + name)\n"
        "found = []\nwalk('/sd')\nprint(sorted(found)[0])"
    ).strip()
    command = [
        sys.executable,
        "-m",
        "mpremote",
        "connect",
        computer.port,
        "resume",
        "fs",
        "cp",
        f":{path}",
        folder / "copy",
    ]
    copied = _time_of(board, lambda: computer.run(board, list(map(str, command)), seconds=300))
    pages = (folder / "copy").stat().st_size / 4096
    yield Row("device", "cable", "processor for a page synced", synced / pages * 1000, "ms")
    yield Row("device", "cable", "processor for 4096 bytes by mpremote fs cp", copied / pages * 1000, "ms")
    yield Row(
        "device", "cable", "mpremote takes so many times as much", copied / synced, "", _LEAST_GAIN, at_least=True
    )


def _time_of(board: Any, work: Callable[[], Any]) -> float:
    """Seconds of the processor at work for a transfer, going by its middle: how it begins and ends is left out."""
    marks: list[tuple[int, int]] = []
    plain = board.cable.take

    def take() -> bytes:
        data = bytes(plain())
        if data:
            marks.append((len(data), board.cycles))
        return data

    board.cable.take = take
    try:
        work()
    finally:
        board.cable.take = plain
    total = sum(count for count, _ in marks)
    sent, steady = 0, []
    for count, cycles in marks:
        sent += count
        if 0.2 * total <= sent <= 0.8 * total:
            steady.append((sent, cycles))
    (first, began), (last, ended) = steady[0], steady[-1]
    return float((ended - began) / board.time.sys_hz / (last - first) * total)


def _on_port(port: str) -> Iterator[Row]:
    from earwitness.install import drivers, image

    with tempfile.TemporaryDirectory() as folder:
        modules = drivers.unpack(drivers.fetch(Path(folder)), Path(folder) / "drivers")
        names = image.build(image.sources(), modules).names

    def prompt(source: str) -> str:
        source = names.source("prompt", source)  # as `earwitness install` gave them to the board
        command = [sys.executable, "-m", "mpremote", "connect", port, "resume", "exec", source]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise SystemExit(
                f"bench_device: the board at {port} did not run it: {(done.stderr or done.stdout).strip()[-300:]}"
            )
        return done.stdout

    for mhz in CLOCKS_MHZ:
        subprocess.run([sys.executable, "-m", "mpremote", "connect", port, "soft-reset"], check=False)
        yield from device.step_rows(device.measure(prompt, mhz), "measured")
    subprocess.run([sys.executable, "-m", "mpremote", "connect", port, "soft-reset"], check=False)
    free = device.heap(prompt)
    yield Row("device", "memory", "free with the session made", free["made"] / 1024, "KiB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--image", type=Path, help="MicroPython's image for the Pico W, for the emulated board")
    where.add_argument("--port", help="serial port of a board")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    asked = parser.parse_args()
    use_environment()
    install_packages()
    began = time.monotonic()
    rows: list[Row] = []
    for row in _emulated(asked.image) if asked.image else _on_port(asked.port):
        rows.append(row)
        if not asked.json:
            _show(row)
    if asked.json:
        print(json.dumps([_plain_row(row) for row in rows], indent=2))
    print(f"bench_device: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0 if all(row.kept for row in rows) else 1


def _plain_row(row: Row) -> dict[str, Any]:
    return {**asdict(row), "kept": row.kept}


def _show(row: Row) -> None:
    bound = "at least" if row.at_least else "at most"
    promise = "" if row.limit is None else f"  ({bound} {row.limit:g}: {'kept' if row.kept else 'BROKEN'})"
    print(f"{row.case:22} {row.figure:38} {row.value:10.2f} {row.unit:4}{promise}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
