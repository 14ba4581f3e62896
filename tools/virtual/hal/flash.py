"""Raw NOR flash: programming clears bits, erasing sets them, losing power leaves a prefix. A file, or memory where none is named."""

import world

SIZE = 524288
SECTOR = 4096
PAGE = 256

_file = None
_memory = {}  # sector -> bytearray, only those not blank
_writes = 0


def boot() -> None:
    global _file, _memory, _writes
    if _file is not None:
        _file.close()
    path = world.config.get("flash")
    _file = open(path, "r+b") if path else None
    _memory = {}
    _writes = 0


def _load(address: int, into: bytearray | memoryview) -> None:
    if _file is not None:
        _file.seek(address)
        _file.readinto(into)
        return
    for index in range(len(into)):
        sector = _memory.get((address + index) // SECTOR)
        into[index] = 0xFF if sector is None else sector[(address + index) % SECTOR]


def _store(address: int, data: bytes | bytearray | memoryview) -> None:
    if _file is not None:
        _file.seek(address)
        _file.write(data)
        return
    for index in range(len(data)):
        number = (address + index) // SECTOR
        if number not in _memory:
            _memory[number] = bytearray(b"\xff" * SECTOR)
        _memory[number][(address + index) % SECTOR] = data[index]


def _check(address: int, count: int) -> None:
    if address < 0 or address + count > SIZE:
        raise ValueError("outside the flash region")


def read(address: int, into: bytearray | memoryview) -> None:
    _check(address, len(into))
    _load(address, into)


def program(address: int, data: bytes | bytearray | memoryview) -> None:
    global _writes
    _check(address, len(data))
    if world.faults_armed():
        _writes += 1
    cut = world.count_write(_writes, "cut_at_flash_write")
    result = bytearray(len(data))
    _load(address, result)
    for index in range(len(data)):
        if cut and index == len(data) // 2:
            result[index] &= data[index] | 0xF0  # the byte in flight: only some of its bits
            break
        result[index] &= data[index]
    _store(address, result)
    if cut:
        world.die("cut")
    world.advance(world.config.get("program_page_us", 400) * ((len(data) + PAGE - 1) // PAGE))


def erase(sector: int) -> None:
    global _writes
    _check(sector * SECTOR, SECTOR)
    if world.faults_armed():
        _writes += 1
    if world.count_write(_writes, "cut_at_flash_write"):
        _store(sector * SECTOR, b"\xff" * (SECTOR // 2))
        world.die("cut")
    if _file is None:
        _memory.pop(sector, None)
    else:
        _store(sector * SECTOR, b"\xff" * SECTOR)
    world.advance(world.config.get("erase_us", 40000))
