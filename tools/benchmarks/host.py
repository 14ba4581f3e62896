"""Recordings of the virtual recorder and the program that proves and opens them, beside `flac` and `age`."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from tools.benchmarks.common import RATE, ROOT, Bench, Row, as_recorded, run
from tools.virtual.paired import READY_S, Paired, Samples, make_pairing

MB = 1e6
LEVEL_DB = -50
MINUTES = 20


@lru_cache(maxsize=1)
def _paired() -> tuple[Paired, tempfile.TemporaryDirectory[str]]:
    folder = tempfile.TemporaryDirectory()
    return make_pairing(Path(folder.name) / "paired"), folder


def _record(bench: Bench, name: str, tape: Samples, seconds: float) -> Path:
    """A recording of so many seconds, made by the firmware; the `.ewr` as the program keeps it."""
    paired, _ = _paired()
    folder = bench.folder / name
    with paired.recorder(folder, tape, card_size=max(300 << 20, int(seconds * 24000) + (64 << 20))) as recorder:
        recorder.run(f"{READY_S}:on {READY_S + seconds}:off", settle=4, timeout=3600)
        (item,) = paired.items(recorder, folder)
    assert item.path is not None and item.verdict is not None and item.verdict.exit_code == 0, item
    return item.path


def _speech(bench: Bench, level_db: float, seconds: float) -> Samples:
    sound = np.array(as_recorded(bench.speech(), level_db), dtype=np.int16)
    return np.resize(sound, int(seconds * RATE))


def _fastest(work: Callable[[], object], rounds: int = 3) -> float:
    """Seconds of the quickest of some rounds: what else the machine does only ever adds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _core_seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """Seconds that cores were at work for the cheapest of some rounds, programs that `work` starts included."""
    spent = []
    for _ in range(rounds):
        before = _used()
        work()
        spent.append(_used() - before)
    return min(spent)


def _used() -> float:
    ours, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours.ru_utime + ours.ru_stime + theirs.ru_utime + theirs.ru_stime


def container(bench: Bench) -> Iterator[Row]:
    """Whole `.ewr` files, sealed and signed, beside `flac -8` of the same samples."""
    for level in (-30, LEVEL_DB):
        seconds = 120
        tape = _speech(bench, level, seconds + 5)
        path = _record(bench, f"container{level}", tape, seconds)
        raw, best = bench.folder / "c.raw", bench.folder / "c.flac"
        raw.write_bytes(tape[: seconds * RATE].astype("<i2").tobytes())
        _flac(raw, best)
        case = f"speech at {level} dBFS"
        yield Row("container", case, "flac -8", best.stat().st_size / seconds, "B/s")
        yield Row("container", case, "recording", path.stat().st_size / seconds, "B/s")
        yield Row("container", case, "recording / flac -8", path.stat().st_size / best.stat().st_size, "", 1.20)


def _flac(raw: Path, out: Path) -> None:
    pcm = ["--force-raw-format", "--endian=little", "--sign=signed", "--channels=1", "--bps=16"]
    run("flac", "-8", "-s", "-f", "--no-padding", *pcm, f"--sample-rate={RATE}", "-o", str(out), str(raw))


def proof(bench: Bench) -> Iterator[Row]:
    """Checking, opening and decoding, one core, beside `age -d` and `age -d | flac -d` on the same sound."""
    from earwitness.audio import Audio
    from earwitness.verify import verify

    paired, _ = _paired()
    owner, pinned = paired.owners[0], paired.record.public
    seconds = MINUTES * 60
    path = _record(bench, "proof", _speech(bench, LEVEL_DB, seconds + 5), seconds)
    size = path.stat().st_size
    key = bench.folder / "owner.txt"
    key.write_text(owner.text + "\n")
    key.chmod(0o600)
    raw, flac, sealed = bench.folder / "p.raw", bench.folder / "p.flac", bench.folder / "p.flac.age"
    raw.write_bytes(_speech(bench, LEVEL_DB, seconds).astype("<i2").tobytes())
    _flac(raw, flac)
    run("age", "-r", owner.recipient, "-o", str(sealed), str(flac))
    same = bench.folder / "same.age"
    run("age", "-r", owner.recipient, "-o", str(same), str(path))
    case = f"{MINUTES} min, {size / MB:.1f} MB"
    without = _fastest(lambda: verify(path, pinned=pinned))
    yield Row("proof", case, "verify, without the key", size / MB / without, "MB/s")
    opened = _fastest(lambda: verify(path, owner, pinned=pinned))
    yield Row("proof", case, "verify + decrypt", size / MB / opened, "MB/s", 80, at_least=True)
    age = _fastest(lambda: subprocess.run(["age", "-d", "-i", key, "-o", os.devnull, same], check=True))
    yield Row("proof", case, "age -d of as many bytes", size / MB / age, "MB/s")

    def decode() -> None:
        for _ in Audio(path, owner, pinned=pinned).blocks():
            pass

    ours = _fastest(decode)
    yield Row("proof", case, "verify + decrypt + decode", ours, "s")
    pipe = f"age -d -i {key} {sealed} | flac -d -s -c - > {os.devnull}"

    def peers() -> None:
        subprocess.run(pipe, shell=True, check=True)

    theirs = _fastest(peers)
    yield Row("proof", case, "age -d | flac -d", theirs, "s")
    yield Row("proof", case, "ours / theirs", ours / theirs, "")  # theirs is two programs on two cores
    yield Row("proof", case, "time of cores, ours / theirs", _core_seconds(decode) / _core_seconds(peers), "")


_MEASURED = """
import sys, time
from earwitness.identity import Identity
from earwitness.verify import verify
begin = time.perf_counter()
verdict = verify(sys.argv[1], Identity.from_text(sys.stdin.read()))
assert verdict.exit_code == 0, verdict
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) / 1024, time.perf_counter() - begin)
"""


def memory(bench: Bench) -> Iterator[Row]:
    """Peak memory of a process that verifies and opens a recording, by its length."""
    paired, _ = _paired()
    speech = _speech(bench, LEVEL_DB, 3605)
    for hours in (1, 8, 24) if bench.long else (1,):
        tape = np.resize(speech, int((hours * 3600 + 5) * RATE))
        path = _record(bench, f"memory{hours}", tape, hours * 3600)
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(path)],
            input=paired.owners[0].text,
            capture_output=True,
            text=True,
            check=True,
            env=dict(os.environ, PYTHONPATH=str(ROOT / "host")),
        )
        peak, seconds = map(float, done.stdout.split())
        yield Row("memory", f"{hours} h", "peak, verify + decrypt", peak, "MiB", 150)
        yield Row("memory", f"{hours} h", "time, verify + decrypt", seconds, "s")
        path.unlink()


def listing(bench: Bench) -> Iterator[Row]:
    """The library call behind `earwitness list`, ten thousand recordings, beside a bare walk of the folder."""
    paired, _ = _paired()
    source = _record(bench, "listing", _speech(bench, LEVEL_DB, 7), 2)
    header = bytearray(source.read_bytes()[: 2 * 4096])
    home = paired.computer(bench.folder / "shelf")
    short = hashlib.sha256(paired.record.public).hexdigest()[:16]
    for seq in range(1, 10_001):
        header[12:28] = hashlib.sha256(seq.to_bytes(4, "big")).digest()[:16]
        header[28:36] = seq.to_bytes(8, "little")
        (home / "library" / f"{short}-{seq:06}.ewr").write_bytes(header)
    script = (
        "import json, time\nfrom earwitness.library import Library\nlibrary = Library()\nlibrary.entries()\ntimes = []\n"
        "for _ in range(5):\n    begin = time.perf_counter()\n    assert len(library.entries()) == 10_000\n"
        "    times.append(time.perf_counter() - begin)\nprint(json.dumps(min(times)))"
    )
    environment = dict(os.environ, EARWITNESS_HOME=str(home), PYTHONPATH=str(ROOT / "host"))
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    ).stdout
    yield Row("listing", "10,000 recordings", "library call", json.loads(told), "s", 0.2)
    walk = _fastest(lambda: [entry.stat() for entry in os.scandir(home / "library")])
    yield Row("listing", "10,000 recordings", "os.scandir with stat", walk, "s")


SHELF = 200
SHELF_MINUTES = 2
SHELF_ROUNDS = 3


def shelf(bench: Bench) -> Iterator[Row]:
    """`earwitness verify` of two hundred recordings, on one core and on all of them, start of the program included.

    Beside it in the same round: as many programs as there are cores, each with a core and two hundred recordings of its
    own. They share nothing, so what they lose against one core is the machine's; the rest is ours. Seconds tell that
    on a machine that has nothing else to do; the time that the cores were at work tells it on any.
    """
    paired, _ = _paired()
    source = _record(bench, "shelf", _speech(bench, LEVEL_DB, SHELF_MINUTES * 60 + 5), SHELF_MINUTES * 60)
    home, folder = paired.computer(bench.folder / "shelf-home"), bench.folder / "shelf-files"
    folder.mkdir()
    for number in range(SHELF):  # each read and checked by itself: a name is all that they share a file under
        os.link(source, folder / f"{number:03}.ewr")
    every = sorted(os.sched_getaffinity(0))
    rounds = []
    for _ in range(SHELF_ROUNDS):  # in turn, so that what else the machine does meets all three
        shares = ([{every[0]}], [{*every}], [{core} for core in every])
        rounds.append([_verified(home, folder, programs) for programs in shares])
    (one, cpu_one), (all_, cpu_all), (apart, cpu_apart) = (
        [statistics.median(values) for values in zip(*each, strict=True)] for each in zip(*rounds, strict=True)
    )
    case, cores = f"{SHELF} of {SHELF_MINUTES} min, {SHELF * source.stat().st_size / MB:.0f} MB", len(every)
    yield Row("shelf", case, "verify + decrypt + decode, one core", one, "s")
    yield Row("shelf", case, f"verify + decrypt + decode, {cores} cores", all_, "s")
    yield Row("shelf", case, f"{cores} programs, one core and {SHELF} each", apart, "s")
    yield Row("shelf", case, "time of a core for one, one core", cpu_one / SHELF * 1000, "ms")
    yield Row("shelf", case, f"time of a core for one, {cores} cores", cpu_all / SHELF * 1000, "ms")
    yield Row("shelf", case, f"time of a core for one, {cores} programs", cpu_apart / SHELF / cores * 1000, "ms")
    yield Row("shelf", case, "time of cores, ours / theirs", cpu_all / cpu_apart * cores, "", 1.1)
    if cores > 1:
        ratios = [(one / all_ / cores, apart / all_ / cores) for (one, _), (all_, _), (apart, _) in rounds]
        linear, ours = (statistics.median(values) for values in zip(*ratios, strict=True))
        yield Row("shelf", case, "of linear", linear, "")
        yield Row("shelf", case, "of what programs that share nothing reach", ours, "", 0.9, at_least=True)


def _verified(home: Path, folder: Path, programs: list[set[int]]) -> tuple[float, float]:
    """(seconds until all are done, seconds of cores used) of programs that verify all of `folder`, each on its cores."""
    command = [sys.executable, "-m", "earwitness", "--json", "verify", *map(str, sorted(folder.iterdir()))]
    environment = dict(os.environ, EARWITNESS_HOME=str(home), PYTHONPATH=str(ROOT / "host"))
    ours, told = os.sched_getaffinity(0), [home / f"told-{number}.json" for number in range(len(programs))]
    before, begin = _used(), time.perf_counter()
    running = []
    for cores, path in zip(programs, told, strict=True):
        os.sched_setaffinity(0, cores)  # what is started has its parent's cores
        with path.open("wb") as out:
            running.append(subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.DEVNULL))
    os.sched_setaffinity(0, ours)
    ended = [process.wait() for process in running]
    seconds, used = time.perf_counter() - begin, _used() - before
    assert not any(ended)
    for path in told:
        found = json.loads(path.read_text("utf-8"))
        assert len(found) == SHELF and all(one["exit_code"] == 0 and one["verdict"]["opened"] for one in found)
    return seconds, used
