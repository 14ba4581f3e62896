"""What the recorder's processor spends on each step of a page, measured by programs at a board's prompt: a real one's or an emulated one's.

A Prompt runs MicroPython source and gives what it printed. The steps run as the recorder runs them, on what its own
microphone hears; the card gets a file that is deleted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.benchmarks.common import Row

Prompt = Callable[[str], str]

PAGE_BYTES = 3984  # for sound
FRAME_S = 1024 / 16_000
LEAVES = 60  # pages a checkpoint at most; at speech a half-minute comes first
CHECKPOINT_S = 30

# The emulator has no flash cache: what its misses add on a chip, by tracing (factor on the time).
ALLOWANCE = {"flac": 1.1, "seal": 1.2, "aes": 1.1, "sha": 1.1, "card": 1.7, "sign": 1.2, "python": 2.5}

_READY = """
import gc, sys, time, machine
try:
    import recorder
except ImportError:
    import bundle
    bundle.mount()
machine.freq(%d)
from recorder.hal import mic
room = bytearray(40960)
from recorder.session import Session
del room

def told(name, work, count):
    took = []
    for _ in range(count):
        gc.collect()
        began = time.ticks_us()
        work()
        took.append(time.ticks_diff(time.ticks_us(), began))
    took.sort()
    print(name, took[count // 2], took[-1])
"""

_STEPS = """
from array import array
from recorder.audio import flac
from recorder.seal import aesctr, mac
from recorder.seal.ed25519 import Signing, public_key
from recorder.seal.page import Sealer
ring = mic.ring()
mic.start()
while mic.count() < 16384:
    time.sleep_ms(20)
mic.stop()
page, leaf, position, frame = bytearray(4096), bytearray(32), array("I", (0, 0)), 0
size = 0

def encode():
    global frame, size
    size += flac.encode(ring, frame * 1024, 1024, position, page, 32, 4048)
    frame += 1

told("flac", encode, 16)
print("size", size // 16)
body = memoryview(page)[32:4048]
key = bytearray(32)
told("aes", lambda: aesctr.xor(key, body), 5)
told("sha", lambda: mac.sha256_into(leaf, page), 5)
sealer = Sealer(bytes(16), bytearray(32), bytearray(32))
told("seal", lambda: sealer.seal(page, leaf), 5)
seed = bytes(range(32))
public = public_key(seed)
signing = Signing(seed, public, bytes(300))
slices = []
gc.collect()
while True:
    began = time.ticks_us()
    done = signing.step()
    slices.append(time.ticks_diff(time.ticks_us(), began))
    if done:
        break
    if len(slices) % 8 == 0:
        gc.collect()
print("sign", sum(slices), max(slices))
told("collect", gc.collect, 5)
"""

_CARD = """
from recorder.hal import card
from recorder.store.volume import Volume
import vfs
block = card.open_card()
fat = vfs.VfsFat(block)
page = bytearray(4096)
file = fat.open("/bench.tmp", "wb")
for _ in range(3):
    file.write(page)
told("card", lambda: file.write(page), 16)
file.close()
fat.remove("/bench.tmp")
"""

_HEAP = """
gc.collect()
print("imported", gc.mem_free(), 0)
session = Session()
gc.collect()
print("made", gc.mem_free(), 0)
"""

# The way without this project's capture: machine.I2S, and its samples as they are into a WAV file.
PLAIN_WAV = """
import machine, time, vfs
from machine import I2S, Pin
from recorder.hal import card
machine.freq(%d)
block = card.open_card()
fat = vfs.VfsFat(block)
file = fat.open("/bench.wav", "wb")
file.write(bytes(44))
i2s = I2S(0, sck=Pin(%d), ws=Pin(%d), sd=Pin(%d), mode=I2S.RX, bits=16,
          format=I2S.MONO, rate=16000, ibuf=32768)
data = bytearray(4096)
full = False

def filled(_):
    global full
    full = True

i2s.irq(filled)
i2s.readinto(data)
print("READY")
for _ in range(%d):
    while not full:
        time.sleep_ms(5)
    full = False
    file.write(data)
    i2s.readinto(data)
i2s.deinit()
file.close()
fat.remove("/bench.wav")
"""


@dataclass(frozen=True)
class Steps:
    """Microseconds of each step at one clock: the middle and the longest of several runs."""

    mhz: int
    middle: dict[str, int]
    longest: dict[str, int]
    frame_bytes: int

    @property
    def pages_a_second(self) -> float:
        """At the sound that the microphone heard."""
        return self.frame_bytes / FRAME_S / PAGE_BYTES

    def share(self, *, allowance: bool) -> float:
        """Of the processor while recording, 0 to 1: the steps alone, without the loop around them."""
        pages = self.pages_a_second
        times = {"flac": 1 / FRAME_S, "seal": pages, "card": pages * (1 + CHECKPOINT_S**-1), "sign": 1 / CHECKPOINT_S}
        return sum(
            rate * self.middle[name] * (ALLOWANCE[name] if allowance else 1) / 1e6 for name, rate in times.items()
        )


def measure(prompt: Prompt, mhz: int) -> Steps:
    """Every step at a clock of `mhz`. The board's prompt is free, nothing of the recorder runs."""
    prompt(_READY % (mhz * 1_000_000))
    text = prompt(_STEPS) + prompt(_CARD)
    middle: dict[str, int] = {}
    longest: dict[str, int] = {}
    size = 0
    for line in text.splitlines():
        name, first, *rest = line.split()
        if name == "size":
            size = int(first)
        else:
            middle[name], longest[name] = int(first), int(rest[0])
    return Steps(mhz, middle, longest, size)


def heap(prompt: Prompt) -> dict[str, int]:
    """Bytes free once the recorder's code is there, and with its session made. After `measure`, in a fresh board."""
    lines = prompt(_READY % 125_000_000 + _HEAP).splitlines()
    return {name: int(free) for name, free, _ in (line.split() for line in lines)}


def step_rows(steps: Steps, kind: str) -> Iterator[Row]:
    """The table's rows of one clock. `kind`: "emulated" or "measured"."""
    case = f"{steps.mhz} MHz, {kind}"
    for name, what in (
        ("flac", "FLAC frame of 1024 samples"),
        ("seal", "seal a page (with AES and SHA)"),
        ("aes", "  AES-256 over a page"),
        ("sha", "  SHA-256 over a page"),
        ("card", "page to the card"),
        ("sign", "signature"),
        ("collect", "collection of garbage"),
    ):
        yield Row("device", case, what, steps.middle[name] / 1000, "ms")
    yield Row("device", case, "longest slice of a signature", steps.longest["sign"] / 1000, "ms")
    yield Row("device", case, "pages a second of this sound", steps.pages_a_second, "1/s")
    yield Row("device", case, "processor, these steps alone", 100 * steps.share(allowance=False), "%")
    yield Row("device", case, "  with the flash cache's misses", 100 * steps.share(allowance=True), "%")


def recommended(shares: dict[int, float], most: float = 0.5) -> int:
    """The lowest clock in MHz at which recording takes at most `most` of the processor; the highest where none does."""
    fitting = [mhz for mhz, share in shares.items() if share <= most]
    return min(fitting) if fitting else max(shares)
