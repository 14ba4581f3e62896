"""The chip's card driver, byte by byte, against a strict card: what it may do, what it must notice, what it does then."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PRELUDE = """
sys.path[:0] = [ARGS["rigs"], ARGS["model"]]
import card_slot, sd_card
from recorder.errors import CardError
driver = card_slot.driver()
def data(blocks, seed=1):
    made = bytearray(512 * blocks)
    for at in range(len(made)):
        made[at] = (at * 31 + (at >> 8) * seed + seed) & 255
    return made
def get(card, block, blocks):
    into = bytearray(512 * blocks)
    card.readblocks(block, into)
    return into
def opened(**settings):
    model = card_slot.put_in(**settings)
    return model, driver.open_card()
def kind(call, *arguments):
    "errno and the word that the card leaves for it, or what open_card raised."
    try:
        call(*arguments)
    except OSError as error:
        return [error.errno, driver_card.last_error]
    except CardError as error:
        return error.kind
def mhz():
    return driver.hz // 1000000
"""


@pytest.fixture
def drive(mpy):
    def run(source: str, **arguments: Any) -> list[Any]:
        return mpy(
            PRELUDE + source,
            args={"rigs": str(HERE / "rigs"), "model": str(HERE.parent / "emulator"), **arguments},
            heap="8M",
        )

    return run


# --- opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("SDSC, version 1", 62 << 11),  # 62 MiB
        ("SDSC", 1 << 21),  # 1 GiB
        ("SDSC", 1 << 22),  # 2 GiB: blocks of 1024 in its CSD
        ("SDHC", 31 << 21),
        ("SDXC", 1 << 28),  # 128 GiB
        ("SDXC", (1 << 29) - 1024),
    ],
)
def test_every_kind_of_card_is_opened_at_24_mhz_and_keeps_what_it_is_given(drive, kind: str, count: int) -> None:
    source = """
model, card = opened(kind=ARGS["kind"], count=ARGS["count"])
emit([card.ioctl(4, 0), card.ioctl(5, 0), mhz(), model.crc_on])
last = ARGS["count"] - 8
card.writeblocks(last, data(8))
card.writeblocks(5, data(1, 9))
emit([get(card, last, 8) == data(8), get(card, 5, 1) == data(1, 9), get(card, 6, 1) == bytes(512)])
emit(sorted(model.store.written) == [5] + list(range(last, last + 8)))
emit(model.violations)
"""
    assert drive(source, kind=kind, count=count) == [[count, 512, 24, True], [True, True, True], True, []]


def test_it_is_identified_slowly_and_read_fast(drive) -> None:
    """No clock above 400 kHz before the card is ready is among the violations."""
    source = """
model = card_slot.put_in()
driver.open_card()
emit([number for number, _ in model.commands[:3]])
emit([number for number, _ in model.commands if number in (9, 58, 59)])
emit([model.fastest_hz, model.violations])
"""
    assert drive(source) == [[0, 8, 55], [58, 9, 59], [24_000_000, []]]


def test_an_empty_slot_and_a_card_that_never_answers_are_no_card(drive) -> None:
    source = """
driver_card = None
emit([kind(driver.open_card), driver.present()])
model = card_slot.put_in()
model.trouble.silent = range(64)
emit(kind(driver.open_card))
emit(card_slot.now_us() < 400000)
model.trouble.silent = ()
del model.violations[:]  # of one that asks whoever may be there
driver.open_card()
emit([driver.present(), model.violations])
"""
    assert drive(source) == [["no card", False], "no card", True, [True, []]]


@pytest.mark.parametrize(
    "trouble",
    [
        "model.trouble.never_ready = True",
        "model.trouble.silent = (9,)",
        "model.trouble.silent = (8,)",
        "model.trouble.answers = {59: 4}",
        "model.trouble.most_hz = 1_000_000",
        "model.trouble.read_tokens = {number: 0x09 for number in range(1, 100)}",
        "model.trouble.read_ms = {number: 60000 for number in range(1, 100)}",
        "model._csd = lambda: bytearray(16)",
    ],
)
def test_a_card_that_cannot_be_trusted_is_refused_in_bounded_time(drive, trouble: str) -> None:
    source = f"""
model = card_slot.put_in()
driver_card = None
{trouble}
emit(kind(driver.open_card))
emit(card_slot.now_us() < 15_000_000)
emit(card_slot.hunger_us < 2_000_000)
emit(driver.present())
"""
    assert drive(source) == ["card failed", True, True, False]


@pytest.mark.parametrize("lines", ["in", "out", "both"])
@pytest.mark.parametrize(("most", "chosen"), [(20, 12), (12, 12), (7, 6), (3, 3)])
def test_a_line_that_loses_bits_at_speed_is_run_slower(drive, lines: str, most: int, chosen: int) -> None:
    source = """
model = card_slot.put_in()
model.trouble.most_hz, model.trouble.lines = ARGS["most"] * 1000000, ARGS["lines"]
card = driver.open_card()
emit(mhz())
card.writeblocks(9, data(8))
emit([get(card, 9, 8) == data(8), model.violations])
"""
    assert drive(source, most=most, lines=lines) == [chosen, [True, []]]


def test_a_card_left_in_the_middle_of_a_write_by_a_restart_is_brought_back(drive) -> None:
    """The watchdog resets the recorder, not the card: that waits for the rest of its block, chosen or not."""
    source = """
model, card = opened()
for part in (0, 1, 300, 514):
    for many in (0, 1):
        driver.select(0)
        driver.wait(True, 10)
        driver.command(24 + many, 77)
        driver.spi.write(b"\\xff" + (b"\\xfc" if many else b"\\xfe") + bytes(part))
        card = driver.open_card()
        card.writeblocks(77, data(8))
        emit(get(card, 77, 8) == data(8))
driver.select(0)
driver.wait(True, 10)
driver.command(18, 77)
driver.spi.write(b"\\xff" * 99)
card = driver.open_card()
emit(get(card, 77, 8) == data(8))
"""
    assert drive(source) == [True] * 9


# --- writing and reading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("response", [0x0B, 0x0D])
@pytest.mark.parametrize("blocks", [1, 8])
def test_a_block_that_the_card_refuses_is_written_again(drive, response: int, blocks: int) -> None:
    source = """
model, card = opened()
model.trouble.refuse = {ARGS["blocks"] // 2 + 1: ARGS["response"]}
card.writeblocks(40, data(ARGS["blocks"]))
emit([get(card, 40, ARGS["blocks"]) == data(ARGS["blocks"]), card.last_error, mhz(), model.violations])
"""
    assert drive(source, response=response, blocks=blocks) == [[True, None, 24, []]]


@pytest.mark.parametrize("blocks", [1, 8])
@pytest.mark.parametrize(
    "how", ["refuse = {n: 0x0D for n in range(1, 99)}", "status = {n: 0x04 for n in range(1, 99)}"]
)
def test_a_block_that_is_always_refused_is_an_error_and_the_others_still_work(drive, how: str, blocks: int) -> None:
    source = f"""
model, card = driver_card = None, None
model, card = opened()
driver_card = card
model.trouble.{how}
emit(kind(card.writeblocks, 40, data({blocks})))
model.trouble.refuse, model.trouble.status = {{}}, {{}}
card.last_error = None
card.writeblocks(80, data({blocks}))
emit([get(card, 80, {blocks}) == data({blocks}), card.last_error, driver.present(), model.violations])
"""
    assert drive(source) == [[5, "card failed"], [True, None, True, []]]


def test_an_error_that_only_the_status_tells_is_seen(drive) -> None:
    """The card says "accepted" to each block, and fails afterwards."""
    source = """
model, card = opened()
model.trouble.status = {8: 0x04}
card.writeblocks(40, data(8))
emit([model.blocks_written, get(card, 40, 8) == data(8), model.violations])
"""
    assert drive(source) == [[16, True, []]]


@pytest.mark.parametrize("blocks", [1, 8])
def test_a_block_read_with_a_wrong_bit_is_read_again(drive, blocks: int) -> None:
    source = """
model, card = opened()
card.writeblocks(40, data(ARGS["blocks"]))
model.blocks_read = 0
model.trouble.read_flips = (ARGS["blocks"],)
emit([get(card, 40, ARGS["blocks"]) == data(ARGS["blocks"]), model.blocks_read > ARGS["blocks"], model.violations])
model.trouble.read_tokens = {model.blocks_read + 1: 0x05}
emit([get(card, 40, ARGS["blocks"]) == data(ARGS["blocks"]), mhz(), model.violations])
"""
    assert drive(source, blocks=blocks) == [[True, True, []], [True, 24, []]]


def test_a_block_that_never_reads_right_is_an_error_and_never_wrong_bytes(drive) -> None:
    source = """
model, card = opened()
driver_card = card
model.blocks_read = 0
model.trouble.read_flips = range(1, 100)
emit(kind(card.readblocks, 40, bytearray(512)))
emit(mhz())
model.trouble.read_flips = ()
emit([get(card, 40, 1) == bytes(512), model.violations])
"""
    assert drive(source) == [[5, "card failed"], 6, [True, []]]


def test_a_line_that_gets_worse_is_run_slower_from_then_on(drive) -> None:
    source = """
model, card = opened()
model.trouble.most_hz = 12_000_000
card.writeblocks(40, data(8))
emit([get(card, 40, 8) == data(8), mhz(), card.last_error, model.violations])
driver.open_card()
emit(mhz())
"""
    assert drive(source) == [[True, 12, None, []], 12]


def test_reading_up_to_the_last_block_and_no_further(drive) -> None:
    source = """
model, card = opened(count=2048)
driver_card = card
emit(len(get(card, 2040, 8)))
emit([kind(card.readblocks, 2041, bytearray(4096)), kind(card.readblocks, -1, bytearray(512))])
emit([kind(card.writeblocks, 2048, bytearray(512)), kind(card.writeblocks, 0, bytearray(100))])
emit(model.violations)
"""
    assert drive(source) == [4096, [[22, None]] * 2, [[22, None]] * 2, []]


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_in_a_stall_it_pumps_feeds_the_watchdog_and_keeps_the_worst_time(drive) -> None:
    source = """
model, card = opened()
card.writeblocks(0, data(8))
usual = driver.worst_write_ms()
model.trouble.busy_ms = {model.blocks_written + 3: 2500}
pumped = []
def pump():
    pumped.append(card_slot.now_us())
    card_slot.now_ns += 5_000_000
    return True
driver.pump = pump
card_slot.hunger_us = 0
card.writeblocks(40, data(8))
emit([get(card, 40, 8) == data(8), usual < 10, 2500 <= driver.worst_write_ms() < 2600])
emit(len(pumped) >= 490)
emit(card_slot.hunger_us < 20000)
driver.pump = None
driver.open_card()
emit([driver.worst_write_ms(), model.violations])
"""
    assert drive(source) == [[True, True, True], True, True, [0, []]]


def test_a_card_that_stays_busy_is_too_slow_after_ten_seconds(drive) -> None:
    source = """
model, card = opened()
driver_card = card
model.trouble.busy_ms = {model.blocks_written + 2: 60000}
before = card_slot.now_us()
emit(kind(card.writeblocks, 40, data(8)))
emit(10.0 <= (card_slot.now_us() - before) / 1e6 < 10.1)
card_slot.now_ns += 60_000_000_000
card.last_error = None
card.writeblocks(40, data(8))
emit([get(card, 40, 8) == data(8), model.violations])
"""
    answers = drive(source)
    assert answers[:2] == [[5, "card too slow"], True]
    assert answers[2][0] is True


def test_a_read_that_never_begins_is_too_slow_after_three_seconds(drive) -> None:
    source = """
model, card = opened()
driver_card = card
model.trouble.read_ms = {model.blocks_read + 1: 60000}
before = card_slot.now_us()
emit(kind(card.readblocks, 40, bytearray(512)))
emit(3.0 <= (card_slot.now_us() - before) / 1e6 < 3.1)
"""
    assert drive(source) == [[5, "card too slow"], True]


def test_its_own_pump_cannot_use_it(drive) -> None:
    source = """
model, card = opened()
def pump():
    try:
        card.readblocks(0, bytearray(512))
        said.append("read")
    except RuntimeError as error:
        said.append(str(error))
    said.append(driver.present())
said = []
driver.pump = pump
card.writeblocks(40, data(8))
emit([set(said) == {True, "the card is used from inside its own pump"}, get(card, 40, 8) == data(8), model.violations])
"""
    assert drive(source) == [[True, True, []]]


@pytest.mark.parametrize("blocks", [1, 8])
def test_what_the_pump_raises_goes_through_and_the_card_is_usable_after_it(drive, blocks: int) -> None:
    source = """
model, card = opened()
def pump():
    raise ValueError("from the pump")
for blocks in (ARGS["blocks"],):
    for work, buf in ((card.writeblocks, data(blocks, 3)), (card.readblocks, bytearray(512 * blocks))):
        driver.pump = pump
        try:
            work(40, buf)
            emit("nothing raised")
        except ValueError as error:
            emit(str(error))
        driver.pump = None
        card.writeblocks(40, data(blocks))
        emit([get(card, 40, blocks) == data(blocks), card.last_error])
"""
    assert drive(source, blocks=blocks) == ["from the pump", [True, None]] * 2


def test_a_block_allocates_nothing(drive) -> None:
    """A stall while the heap is locked: what waiting and pumping would allocate raises."""
    source = """
import micropython
class Still(card_slot.SPI):
    "The emulated card needs the heap: this one is a recording of what it would have said."
    def __init__(self): self.at = 0
    def write(self, data): pass
    def readinto(self, into, value=0):
        into[0] = said[self.at]
        if len(into) > 1:
            _copy(into)
        self.at += 1
def _copy(into):
    at = 0
    while at < 514:
        into[at] = block[at]
        at += 1
class Quiet(card_slot.Pin):
    def __call__(self, level=None): return 0
model, card = opened()
crc = sd_card.crc_hqx(data(1), 0)
block = data(1) + bytes([crc >> 8, crc & 255])
driver.select = Quiet(17)
pumps = bytearray(1)
def pump():
    pumps[0] += 1
driver.pump = pump
class Power:
    @staticmethod
    def feed(): pass
driver.power = Power
class Clock:
    @staticmethod
    def ticks_ms(): return 5
driver.ticks_ms = Clock.ticks_ms
one = b"\\xff\\xff\\x00" + b"\\xe5\\x00\\x00\\xff"
said = one + b"\\xe5\\x00\\xff" * 7 + b"\\xff" + b"\\xff\\x00\\x00" + b"\\xff"
page = data(8)
driver.spi = Still()
write = card.writeblocks
micropython.heap_lock()
write(40, page)
micropython.heap_unlock()
emit([driver.spi.at == len(said), pumps[0]])
said = b"\\xff\\xff\\x00" + (b"\\xff\\xff\\xfe" + b"d") * 8 + b"\\x7f\\xff\\x00" + b"\\x00\\xff" + b"\\xff"
driver.spi = Still()
read = card.readblocks
micropython.heap_lock()
read(40, page)
micropython.heap_unlock()
emit([driver.spi.at == len(said), page[:512] == data(1), page[3584:] == data(1)])
"""
    assert drive(source) == [[True, 9], [True, True, True]]


# --- pulled ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wired", [True, False])
@pytest.mark.parametrize("byte", [1, 100, 514])
def test_a_card_pulled_in_the_middle_of_a_write_is_gone_until_opened(drive, byte: int, wired: bool) -> None:
    source = """
model, card = opened(wired=ARGS["wired"])
driver_card = card
card.writeblocks(40, data(8))
model.trouble.pull_at = (model.blocks_written + 4, ARGS["byte"])
emit(kind(card.writeblocks, 40, data(8, 3)))
emit([driver.present(), model.store.get(43) == data(8)[1536:2048]])
count = len(model.commands)
model.trouble.pull_at = None
model.insert()
card.last_error = None
emit([kind(card.readblocks, 40, bytearray(512)), len(model.commands) - count, driver.present()])
again = driver.open_card()
emit([driver.present(), get(again, 40, 3) == data(8, 3)[:1536]])
emit(kind(card.writeblocks, 40, data(1)))
emit(model.violations)
"""
    assert drive(source, byte=byte, wired=wired) == [
        [19, "card pulled"],
        [False, True],
        [[19, "card pulled"], 0, False],
        [True, True],
        [19, "card pulled"],
        [],
    ]


@pytest.mark.parametrize("wired", [True, False])
def test_a_card_exchanged_between_two_looks_is_never_written(drive, wired: bool) -> None:
    """Another card may hold somebody's recordings; FatFs would write the first one's directory over its."""
    source = """
model, card = opened(wired=ARGS["wired"])
driver_card = card
model.pull()
model.insert(sd_card.Memory(1 << 20))
emit(kind(card.writeblocks, 40, data(8)))
emit([len(model.store.written), driver.present()])
"""
    assert drive(source, wired=wired) == [[19, "card pulled"], [0, False]]


@pytest.mark.parametrize("wired", [True, False])
def test_an_idle_recorder_notices_a_pulled_or_exchanged_card_within_a_second(drive, wired: bool) -> None:
    source = """
def look(seconds):
    for _ in range(seconds * 25):
        card_slot.now_ns += 40_000_000
        if not driver.present():
            return False
    return True
model, card = opened(wired=ARGS["wired"])
before = len(model.commands)
emit([look(4), len(model.commands) - before < 6])
model.pull()
emit([driver.present() and ARGS["wired"], look(1)])
model.insert()
emit(look(1))
driver.open_card()
emit(look(4))
model.power_cycle()
emit([look(1), model.violations])
"""
    answers = drive(source, wired=wired)
    assert answers[:4] == [[True, True], [False, False], False, True]
    assert answers[4][0] is False


def test_a_switch_that_chatters_pulls_no_card(drive) -> None:
    source = """
model, card = opened()
card_slot._detect_wired = False
emit([driver.present() for _ in range(5)])
card.writeblocks(40, data(8))
emit([driver.present(), model.violations])
"""
    assert drive(source) == [[True] * 5, [True, []]]


# --- under the file system -------------------------------------------------------------------------------------------


def test_fatfs_runs_on_it_through_every_kind_of_trouble(drive, tmp_path: Path) -> None:
    """Files written and read back under stalls, refusals, wrong bits and bad status; then the image checked by fsck."""
    image = tmp_path / "card.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", str(image)], check=True, capture_output=True)
    source = """
import vfs
model = card_slot.put_in()
model.store = sd_card.Image(ARGS["image"])
card = driver.open_card()
trouble = model.trouble
trouble.refuse = {n: 0x0B if n % 2 else 0x0D for n in range(20, 2000, 37)}
trouble.status = {n: 0x08 for n in range(11, 2000, 53)}
trouble.busy_ms = {n: 200 for n in range(7, 2000, 71)}
trouble.read_flips = range(40, 4000, 29)
trouble.read_tokens = {n: 0x03 for n in range(50, 4000, 43)}
fat = vfs.VfsFat(card)
for number in range(6):
    with fat.open("EW%06d.EWR" % number, "wb") as file:
        for page in range(6):
            file.write(data(8, number * 7 + page))
fat.remove("EW000002.EWR")
fat = vfs.VfsFat(card)
good = True
for number in (0, 1, 3, 4, 5):
    with fat.open("EW%06d.EWR" % number, "rb") as file:
        for page in range(6):
            good = good and file.read(4096) == data(8, number * 7 + page)
emit([good, card.last_error, mhz(), model.violations])
"""
    good, error, _, violations = drive(source, image=str(image))[0]
    assert (good, error, violations) == (True, None, [])
    done = subprocess.run(["fsck.vfat", "-n", str(image)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_power_goes_in_the_middle_of_a_block(drive) -> None:
    """Some of the block is new, the rest old; the ones before are whole, those behind untouched."""
    source = """
class Cut(BaseException): pass
def cut(): raise Cut
model, card = opened()
card.writeblocks(40, data(8))
model.trouble.cut_at = (model.blocks_written + 3, 200, cut)
try:
    card.writeblocks(40, data(8, 5))
except Cut:
    emit("cut")
model.trouble.cut_at = None
model.power_cycle()
again = driver.open_card()
emit(get(again, 40, 8) == data(8, 5)[:1024 + 200] + data(8)[1224:])
"""
    assert drive(source) == ["cut", True]
