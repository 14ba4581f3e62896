"""An SD card behind SPI, byte by byte, and a strict one: what the specification forbids goes unanswered and is written down.

Plain Python for two interpreters: under CPython it hangs on the emulated chip's SPI, under MicroPython on a stand-in for
machine.SPI. It knows no wall clock: `now_us` gives the time. SD Physical Layer Simplified Specification, chapters 4.9, 5.3, 7.
"""

# ruff: noqa: PTH123, UP031 - MicroPython has neither pathlib nor f-strings with every format

try:
    from binascii import crc_hqx
except ImportError:

    def _make_table():
        table = []
        for byte in range(256):
            value = byte << 8
            for _ in range(8):
                value = (value << 1) ^ (0x1021 if value & 0x8000 else 0)
            table.append(value & 0xFFFF)
        return table

    _TABLE = _make_table()

    def crc_hqx(data, crc):
        for byte in data:
            crc = (crc << 8 & 0xFF00) ^ _TABLE[crc >> 8 ^ byte]
        return crc


BLOCK = 512

SDSC1 = "SDSC, version 1"  # does not know CMD8
SDSC = "SDSC"
SDHC = "SDHC"
SDXC = "SDXC"

# R1
_IDLE = 0x01
_ILLEGAL = 0x04
_BAD_CRC = 0x08
_ADDRESS = 0x20
_PARAMETER = 0x40

_MOST_IDLE_HZ = 400_000
_MOST_HZ = 25_000_000


def crc7(data):
    """The CRC-7 of a command or CSD, with its end bit."""
    crc = 0
    for byte in data:
        for bit in range(8):
            crc <<= 1
            if (byte << bit ^ crc) & 0x80:
                crc ^= 0x09
    return (crc << 1 | 1) & 0xFF


class Memory:
    """Blocks of a card in memory; those never written are zero."""

    def __init__(self, count):
        self.count = count
        self.written = {}

    def get(self, block):
        return self.written.get(block) or bytes(BLOCK)

    def put(self, block, data):
        self.written[block] = bytes(data)


class Image:
    """Blocks of a card in a file, which is opened only for the moment."""

    def __init__(self, path):
        self.path = str(path)
        with open(self.path, "rb") as file:
            self.count = file.seek(0, 2) // BLOCK

    def get(self, block):
        with open(self.path, "rb") as file:
            file.seek(block * BLOCK)
            return file.read(BLOCK)

    def put(self, block, data):
        with open(self.path, "r+b") as file:
            file.seek(block * BLOCK)
            file.write(data)


class Trouble:
    """What goes wrong and when. Data blocks are counted from 1 since the card was made; commands by their number."""

    def __init__(self):
        self.busy_ms = {}  # written block -> ms of busy behind it
        self.refuse = {}  # written block -> data response, 0x0B or 0x0D
        self.status = {}  # written block -> second byte of the next CMD13
        self.forget = ()  # written blocks that are answered as accepted, reported well and not kept
        self.read_flips = ()  # read blocks with a wrong bit
        self.read_tokens = {}  # read block -> what comes in place of its token
        self.read_ms = {}  # read block -> ms until its token
        self.silent = ()  # commands that are not answered
        self.answers = {}  # command -> R1 in place of the true one
        self.most_hz = 0  # above this clock, bits are lost on the line, if not 0
        self.lines = "both"  # which of them: "in" (to the card), "out", "both"
        self.never_ready = False
        self.pull_at = None  # (written block, its byte): the card leaves the socket there
        self.cut_at = None  # (written block, its byte, call): the power goes there, that much of the block new


class SdCard:
    """select(level), then exchange(byte, hz) for each byte. `violations` says what a host did that it must not."""

    def __init__(self, store, now_us, kind=SDHC, busy_us=300, token_us=100, ready_us=50_000):
        self.store = store
        self.kind = kind
        self.now_us = now_us
        self.busy_us = busy_us
        self.token_us = token_us
        self.ready_us = ready_us
        self.trouble = Trouble()
        self.inserted = True
        self.violations = []
        self.commands = []  # (number, argument)
        self.blocks_written = 0  # data blocks received
        self.blocks_read = 0  # data blocks sent
        self.fastest_hz = 0
        self._chosen = False
        self._flawed = False
        self._on()

    # --- the socket ------------------------------------------------------------------------------------------------

    def pull(self):
        self.inserted = False

    def insert(self, store=None):
        """Put it back, or another card: it knows nothing of what was."""
        if store is not None:
            self.store = store
        self.inserted = True
        self._on()

    def power_cycle(self):
        """The card loses its power for a moment."""
        self._on()

    def _on(self):
        self._clocks = 0  # while not chosen
        self._spi_mode = False
        self._idle = True
        self.crc_on = False
        self._block_bytes = 0 if self.kind in (SDSC, SDSC1) else BLOCK
        self._application = False
        self._checked_voltage = False
        self._ready_at = None
        self._status = 0
        self._quiet()

    def _quiet(self):
        self._frame = bytearray()
        self._out = bytearray()
        self._at = 0
        self._busy_until = 0
        self._mode = ""  # "", "read", "write"
        self._many = False
        self._block = 0
        self._taken = None  # of a data block, from its token on
        self._rested = False  # a byte of rest since the answer: NWR
        self._refused = False
        self._token_at = None

    def _violate(self, what):
        if not self._flawed:  # else it is the line's doing
            self.violations.append(what)

    # --- the lines -------------------------------------------------------------------------------------------------

    def select(self, level):
        """Chip select; low is chosen."""
        chosen = not level
        if self._chosen and not chosen and self.inserted:
            if self._taken is not None:
                self._violate("let go in the middle of a data block")
                self._taken = None
            if self._frame:
                self._violate("let go in the middle of a command")
            self._frame = bytearray()
        self._chosen = chosen

    def exchange(self, byte, hz):
        """A byte in, a byte out, at a clock of `hz`."""
        if not self.inserted:
            return 0xFF
        if not self._chosen:
            self._clocks += 8
            return 0xFF
        self.fastest_hz = max(self.fastest_hz, hz)
        if self._idle and hz > _MOST_IDLE_HZ:
            self._violate("more than 400 kHz before the card is ready")
        if hz > _MOST_HZ:
            self._violate("more than 25 MHz")
        flawed = self._flawed = bool(self.trouble.most_hz) and hz > self.trouble.most_hz
        if flawed and self.trouble.lines != "out" and byte != 0xFF:
            byte ^= 0x10 if self._taken is not None else 0x02
        answer = self._exchange(byte)
        if flawed and self.trouble.lines != "in" and answer != 0xFF:
            answer ^= 0x04
        return answer

    def _exchange(self, byte):
        now = self.now_us()
        busy = now < self._busy_until
        answer = 0xFF
        if self._at < len(self._out):
            answer = self._out[self._at]
            self._at += 1
        elif busy:
            answer = 0x00
        elif self._mode == "read":
            answer = self._next_read(now)
        if self._taken is not None:
            self._take(byte)
        elif self._frame or byte & 0xC0 == 0x40:
            if busy and not self._frame:
                self._violate("a command while the card is busy")
            self._frame.append(byte)
            if len(self._frame) == 6:
                frame = self._frame
                self._frame = bytearray()
                self._command(frame)
        elif byte == 0xFF:
            self._rested = answer == 0xFF
        elif self._mode == "write" and not self._refused:
            self._token(byte, busy)
        elif not busy and self._mode != "write":
            self._violate("a byte 0x%02x that is nothing" % byte)
        return answer

    def _say(self, data):
        self._out = bytearray(data)
        self._at = 0

    # --- commands --------------------------------------------------------------------------------------------------

    def _command(self, frame):
        number = frame[0] & 0x3F
        argument = frame[1] << 24 | frame[2] << 16 | frame[3] << 8 | frame[4]
        self.commands.append((number, argument))
        if not self._spi_mode and (number != 0 or self._clocks < 74):
            self._violate("a command before 74 clocks and CMD0")
            return
        right = crc7(frame[:5]) == frame[5]
        if number in self.trouble.silent:
            return
        application, self._application = self._application, False
        if not right:
            self._violate("a command with a wrong CRC")
            self._answer(_BAD_CRC)
            return
        if number in self.trouble.answers:
            self._answer(self.trouble.answers[number])
            return
        if number == 0:
            self._on()
            self._spi_mode = True
            self._answer(0)
        elif number == 12:
            self._stop()
        elif self._mode:
            self._violate("CMD%d while data are on their way" % number)
            self._answer(_ILLEGAL)
        elif self._idle:
            self._command_idle(number, argument, application)
        else:
            self._command_ready(number, argument)

    def _answer(self, bits, rest=b""):
        self._say(b"\xff" + bytes([bits | (_IDLE if self._idle else 0)]) + rest)

    def _command_idle(self, number, argument, application):
        if number == 8 and self.kind != SDSC1:
            self._checked_voltage = argument >> 8 & 0xF == 1
            self._answer(0, bytes([0, 0, argument >> 8 & 0xF, argument & 0xFF]))
        elif number == 58:
            self._answer(0, b"\x00\xff\x80\x00")
        elif number in (55, 59):
            if number == 59:
                self.crc_on = bool(argument & 1)
            self._application = number == 55
            self._answer(0)
        elif number == 41 and application:
            if self._ready_at is None:
                self._ready_at = self.now_us() + self.ready_us
            large = self.kind in (SDHC, SDXC)
            if large and not (self._checked_voltage and argument >> 30 & 1):
                self._answer(0)  # 4.2.3: a card that the host cannot use stays busy
            else:
                self._idle = self.trouble.never_ready or self.now_us() < self._ready_at
                self._answer(0)
        else:
            if number != 8:  # which a card of version 1 does not know, and a host cannot know that
                self._violate("CMD%d before the card is ready" % number)
            self._answer(_ILLEGAL)

    def _command_ready(self, number, argument):
        if number == 13:
            self._answer(0, bytes([self._status]))
            self._status = 0
        elif number == 55:
            self._application = True
            self._answer(0)
        elif number == 58:
            self._answer(0, bytes([0xC0 if self.kind in (SDHC, SDXC) else 0x80, 0xFF, 0x80, 0x00]))
        elif number == 59:
            self.crc_on = bool(argument & 1)
            self._answer(0)
        elif number == 16:
            self._block_bytes = BLOCK if self.kind in (SDHC, SDXC) else argument
            self._answer(0 if argument == BLOCK else _PARAMETER)
        elif number == 9:
            csd = self._csd()
            crc = crc_hqx(csd, 0)
            self._answer(0, b"\xff\xff\xfe" + csd + bytes([crc >> 8, crc & 0xFF]))
        elif number in (17, 18, 24, 25):
            self._begin(number, argument)
        else:
            self._violate("CMD%d, which is none" % number)
            self._answer(_ILLEGAL)

    def _begin(self, number, argument):
        if not self.crc_on:
            self._violate("data without CMD59")
        block = argument
        if self.kind in (SDSC, SDSC1):
            if argument % BLOCK or self._block_bytes != BLOCK:
                self._answer(_ADDRESS)
                return
            block = argument // BLOCK
        if block >= self.store.count:
            self._answer(_PARAMETER)
            return
        self._mode = "read" if number < 24 else "write"
        self._many = number in (18, 25)
        self._block = block
        self._rested = False
        self._refused = False
        self._answer(0)
        self._token_at = None

    def _stop(self):
        if self._mode == "read" and self._many:
            self._mode = ""
            self._say(b"\x7f\xff\x00")  # the first byte is still of what was being sent
        elif self._mode == "write" and self._refused:
            self._mode = ""
            self._refused = False
            self._say(b"\x7f\xff\x00")
            self._busy_until = self.now_us() + self.busy_us
        else:
            if self._mode:
                self._violate("CMD12 in the middle of a write that was not refused")
                self._mode = ""
            self._answer(_ILLEGAL)

    def _csd(self):
        count = self.store.count
        if self.kind in (SDHC, SDXC):
            size = count // 1024 - 1
            csd = bytearray(b"\x40\x0e\x00\x32\x5b\x59\x00\x00\x00\x00\x7f\x80\x0a\x40\x00")
            csd[7] = size >> 16 & 0x3F
            csd[8] = size >> 8 & 0xFF
            csd[9] = size & 0xFF
        else:
            length = 9 if count <= 4096 << 9 else 10  # 1024-byte units: the only way to 2 GB
            shift = 0
            while count * BLOCK >> shift + 2 + length > 4096:
                shift += 1
            size = (count * BLOCK >> shift + 2 + length) - 1
            csd = bytearray(b"\x00\x26\x00\x32\x5f\x50\x80\x00\x2d\xb8\x7f\x80\x16\x40\x00")
            csd[5] = 0x50 | length
            csd[6] = 0x80 | size >> 10 & 3
            csd[7] = size >> 2 & 0xFF
            csd[8] = (size & 3) << 6 | 0x2D
            csd[9] = 0xB8 | shift >> 1
            csd[10] = 0x7F | (shift & 1) << 7
        csd.append(crc7(csd))
        return csd

    # --- reading ---------------------------------------------------------------------------------------------------

    def _next_read(self, now):
        if self._token_at is None:
            ms = self.trouble.read_ms.get(self.blocks_read + 1)
            self._token_at = now + (self.token_us if ms is None else ms * 1000)
        if now < self._token_at:
            return 0xFF
        self._token_at = None
        self.blocks_read += 1
        number = self.blocks_read
        if number in self.trouble.read_tokens:
            self._mode = self._mode if self._many else ""
            self._token_at = 1 << 62 if self._many else None
            return self.trouble.read_tokens[number]
        if self._block >= self.store.count:
            self._token_at = 1 << 62
            return 0x08  # out of range: the host reads many and has not said stop yet
        data = bytearray(self.store.get(self._block))
        crc = crc_hqx(data, 0)
        if number in self.trouble.read_flips:
            data[number * 37 % BLOCK] ^= 1 << number % 8
        self._say(data + bytes([crc >> 8, crc & 0xFF]))
        self._block += 1
        if not self._many:
            self._mode = ""
        return 0xFE

    # --- writing ---------------------------------------------------------------------------------------------------

    def _token(self, byte, busy):
        if busy:
            self._violate("data while the card is busy")
        elif not self._rested:
            self._violate("data without a byte of rest before")
        elif byte == 0xFD and self._many:
            self._mode = ""
            self._say(b"\xff")
            self._busy_until = self.now_us() + self.busy_us
        elif byte == (0xFC if self._many else 0xFE):
            self._taken = bytearray()
        else:
            self._violate("token 0x%02x" % byte)

    def _take(self, byte):
        taken = self._taken
        taken.append(byte)
        number = self.blocks_written + 1
        trouble = self.trouble
        if trouble.pull_at is not None and trouble.pull_at == (number, len(taken)):
            self._taken = None
            self.pull()
            return
        if trouble.cut_at is not None and trouble.cut_at[0] == number and len(taken) == trouble.cut_at[1]:
            old = self.store.get(self._block)
            self.store.put(self._block, bytes(taken[:BLOCK]) + old[min(len(taken), BLOCK) :])
            self._taken = None
            trouble.cut_at[2]()
            return
        if len(taken) == BLOCK + 2:
            self._taken = None
            self._taken_whole(taken)

    def _taken_whole(self, taken):
        self.blocks_written += 1
        number = self.blocks_written
        trouble = self.trouble
        response = 0x05
        if crc_hqx(taken, 0):
            self._violate("data with a wrong CRC")
            response = 0x0B
        response = trouble.refuse.get(number, response)
        if response == 0x05 and self._block >= self.store.count:
            response = 0x0D
        self._say(bytes([0xE0 | response]))
        busy_us = self.busy_us
        if response == 0x05:
            if number not in trouble.forget:
                self.store.put(self._block, taken[:BLOCK])
            self._block += 1
            busy_us = trouble.busy_ms[number] * 1000 if number in trouble.busy_ms else busy_us
        else:
            self._refused = self._many
        self._status |= trouble.status.get(number, 0)
        if not self._many:
            self._mode = ""
        self._busy_until = self.now_us() + busy_us
        self._rested = False
