"""A card whose blocks are a file. Writing takes virtual time and can stall, fail, be pulled out or lose power half way."""

import world
from hal import power
from recorder.errors import CardError

_BLOCK_BYTES = 512
_ENODEV = 19
_EIO = 5
_EROFS = 30

pump = None

_file = None
_blocks = 0
_opened_generation = -1
_worst_us = 0
_reads = 0
_writes = 0
_pumping = False


def boot() -> None:
    global pump, _file, _blocks, _opened_generation, _worst_us, _reads, _writes, _pumping
    if _file is not None:
        _file.close()
    _file = None
    _blocks = 0
    path = world.config.get("card")
    if path:
        _file = open(path, "r+b")
        _blocks = _file.seek(0, 2) // _BLOCK_BYTES
    pump = None
    _opened_generation = -1
    _worst_us = _reads = _writes = 0
    _pumping = False


def _in_slot() -> bool:
    return _file is not None and bool(world.levers["card"])


def _busy(us: int) -> None:
    """The wait loop of the driver: a millisecond at a time, pumping."""
    global _pumping
    while us > 0:
        step = min(us, 1000)
        world.advance(step)
        us -= step
        power.feed_if_armed()  # a card that is slow is no reason for the watchdog to bite
        if pump is not None:
            _pumping = True
            try:
                pump()
            finally:
                _pumping = False


class Card:
    """512-byte blocks for vfs.VfsFat."""

    def __init__(self) -> None:
        self.last_error = None
        self._generation = world.levers["card_generation"]

    def _check(self) -> None:
        if _pumping:
            raise AssertionError("the card is used from inside its own pump")
        if not _in_slot() or self._generation != world.levers["card_generation"]:
            self._fail(CardError.GONE, _ENODEV)

    def _fail(self, kind: str, code: int) -> None:
        self.last_error = kind
        world.log("card error", kind)
        raise OSError(code)

    def readblocks(self, block: int, buf: bytearray | memoryview, offset: int = 0) -> None:
        global _reads
        self._check()
        if world.faults_armed():
            _reads += 1
        _busy(world.config.get("read_block_us", 250) * ((len(buf) + _BLOCK_BYTES - 1) // _BLOCK_BYTES))
        self._check()
        if _reads in (world.config.get("fail_reads") or ()):
            self._fail(CardError.FAILED, _EIO)
        _file.seek(block * _BLOCK_BYTES + offset)
        if _file.readinto(buf) != len(buf):
            self._fail(CardError.FAILED, _EIO)

    def writeblocks(self, block: int, buf: bytearray | bytes | memoryview, offset: int = 0) -> None:
        global _writes, _worst_us
        self._check()
        if world.config.get("read_only"):
            self._fail(CardError.FAILED, _EROFS)
        if offset or len(buf) % _BLOCK_BYTES or (block + len(buf) // _BLOCK_BYTES) > _blocks:
            raise OSError(_EIO)
        if world.faults_armed():
            _writes += 1
        number = str(_writes)
        if world.count_write(_writes, "cut_at_card_write"):
            self._cut(block, buf)
        if _writes == world.config.get("pull_at_write"):
            self._part(block, buf)
            world.levers["card"] = 0
            world.levers["card_generation"] += 1
            world.log("card", 0)
            self._check()
        if world.levers["fail"] or _writes in (world.config.get("fail_writes") or ()):
            world.levers["fail"] = max(0, world.levers["fail"] - 1)
            self._fail(CardError.FAILED, _EIO)
        started = world.now
        stall_ms = (world.config.get("stall_at_write") or {}).get(number, 0) + world.levers["stall_ms"]
        world.levers["stall_ms"] = 0
        if stall_ms:
            world.log("stall", stall_ms)
        limit_ms = world.config.get("card_timeout_ms", 10000)
        if stall_ms > limit_ms:
            _busy(limit_ms * 1000)
            self._fail(CardError.SLOW, _EIO)
        _busy(stall_ms * 1000 + world.config.get("write_block_us", 500) * (len(buf) // _BLOCK_BYTES))
        self._check()
        _worst_us = max(_worst_us, world.now - started)
        _file.seek(block * _BLOCK_BYTES)
        _file.write(buf)

    def _part(self, block: int, buf: bytearray | bytes | memoryview) -> None:
        """What a write leaves behind that was cut: some whole blocks and, if asked for, one that is torn."""
        total = len(buf) // _BLOCK_BYTES
        whole = world.config.get("cut_blocks")
        whole = total // 2 if whole is None else min(whole, total)
        kept = whole * _BLOCK_BYTES
        if world.config.get("torn") and whole < total:
            kept += 200
        _file.seek(block * _BLOCK_BYTES)
        _file.write(memoryview(buf)[:kept])

    def _cut(self, block: int, buf: bytearray | bytes | memoryview) -> None:
        self._part(block, buf)
        world.die("cut")

    def ioctl(self, op: int, arg: int) -> int | None:
        if op == 4:
            return _blocks
        if op == 5:
            return _BLOCK_BYTES
        if op == 6:
            return 0
        return 0


def present() -> bool:
    return _in_slot() and _opened_generation in (-1, world.levers["card_generation"])


def open_card() -> Card:
    global _opened_generation, _worst_us
    if not _in_slot():
        raise CardError(CardError.NONE)
    _opened_generation = world.levers["card_generation"]
    _worst_us = 0
    _busy(20000)
    return Card()


def worst_write_ms() -> int:
    return _worst_us // 1000
