"""A card and a flash in memory, for tests under MicroPython: every write counted, power cut at any of them."""

import sys

BLOCK = 512


class Cut(BaseException):
    """The power went. Not an Exception: nothing in the firmware may catch it."""


class Blocks:
    """A card over an image file, copy on write. `cut_at`: the power goes in that write, after `kept` of its blocks."""

    def __init__(self, path, written=None):
        self.path = path
        self.file = open(path, "rb")
        self.count = self.file.seek(0, 2) // BLOCK
        self.written = {} if written is None else written
        self.last_error = None
        self.writes = []  # (block, blocks) of each write
        self.reads = 0
        self.cut_at = 0
        self.kept = 0
        self.dead = False
        self.fail_read = None  # block that cannot be read
        self.fail_write = None

    def again(self):
        """The same card in the next boot."""
        self.dead = True
        return Blocks(self.path, self.written)

    def readblocks(self, block, buf, offset=0):
        if self.dead:
            raise OSError(19)
        self.reads += 1
        view = memoryview(buf)
        for index in range(len(buf) // BLOCK):
            if self.fail_read == block + index:
                self.last_error = "card failed"
                raise OSError(5)
            part = view[index * BLOCK : (index + 1) * BLOCK]
            held = self.written.get(block + index)
            if held is not None:
                part[:] = held
            else:
                self.file.seek((block + index) * BLOCK)
                self.file.readinto(part)

    def writeblocks(self, block, buf, offset=0):
        if self.dead:
            raise OSError(19)
        self.writes.append((block, len(buf) // BLOCK))
        cut = self.cut_at and len(self.writes) == self.cut_at
        for index in range(len(buf) // BLOCK):
            if cut and index == self.kept:
                break
            if self.fail_write == block + index:
                self.last_error = "card failed"
                raise OSError(5)
            self.written[block + index] = bytes(buf[index * BLOCK : (index + 1) * BLOCK])
        if cut:
            self.dead = True
            raise Cut()

    def ioctl(self, op, arg):
        if op == 4:
            return self.count
        if op == 5:
            return BLOCK
        return 0


class Flash:
    """In the place of recorder.hal.flash. `cut_at`: the power goes in that program or erase; `torn` says how much is done."""

    SECTOR = 4096
    PAGE = 256

    def __init__(self, size=65536):
        self.SIZE = size
        self.cells = bytearray(b"\xff" * size)
        self.works = 0
        self.erases = []
        self.cut_at = 0
        self.torn = 50  # percent

    def install(self):
        """Be recorder.hal.flash from now on."""
        import recorder.hal

        sys.modules["recorder.hal.flash"] = self
        recorder.hal.flash = self
        for name in ("journal", "journal_reading", "journal_tidying", "vault", "seeds"):
            module = sys.modules.get("recorder.store." + name)
            if module is not None:
                module.flash = self
        return self

    def next_boot(self):
        self.works = 0
        self.cut_at = 0
        self.erases = []

    def read(self, address, into):
        assert address >= 0 and address + len(into) <= self.SIZE
        memoryview(into)[:] = memoryview(self.cells)[address : address + len(into)]

    def program(self, address, data):
        assert address >= 0 and address + len(data) <= self.SIZE and len(data)
        self.works += 1
        done = len(data)
        cut = self.works == self.cut_at
        if cut:
            done = done * self.torn // 100
        for index in range(done):
            self.cells[address + index] &= data[index]
        if cut:
            if done < len(data):
                self.cells[address + done] &= data[done] | 0xA5  # the byte in flight
            raise Cut()

    def erase(self, sector):
        self.works += 1
        self.erases.append(sector)
        start, end = sector * 4096, sector * 4096 + 4096
        if self.works == self.cut_at:
            # Cells come up in no order: bytewise here, each with some of its bits.
            for at in range(start, end):
                if (at * 7919 >> 3) % 100 < self.torn:
                    self.cells[at] |= 0xFF if self.torn > 60 else 0x3C
            raise Cut()
        self.cells[start:end] = b"\xff" * 4096
