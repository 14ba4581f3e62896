"""What an idle recorder is asked: every command but STATUS, STOP and the light. LINK.md, "Commands". Dropped while recording."""

from struct import pack_into, unpack_from

from micropython import const

from recorder.errors import LinkError
from recorder.hal import clock

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Callable

    from recorder.link.service import Link

# Types that travel in the clear, over the cable only
_PAIR = const(0x04)
_PROMPT = const(0x05)

_LIST = const(0x02)
_READ = const(0x03)
_CLOCK = const(0x04)
_ENTROPY = const(0x05)
_IDENTIFY = const(0x06)
_RECEIPT = const(0x08)
_FREE = const(0x09)
_BEACON = const(0x0A)
_SETTINGS = const(0x0B)
_FAULTS = const(0x0C)
_SELFTEST = const(0x0D)
_FORMAT = const(0x0E)
_MAINTENANCE = const(0x0F)
_UNPAIR = const(0x10)
_NOTE = const(0x11)
_RECIPIENTS = const(0x12)
_ANSWER = const(0x80)

_UNKNOWN = const(1)
_MALFORMED = const(2)
_BUTTON = const(5)
_PAIRED = const(6)

_AT = const(7)  # where a payload goes in link.raw
_LIST_BYTES = const(960)
_ENTRY_BYTES = const(31)
_MARKS = const(64)
_BEACON_BYTES = const(33)  # u8 kind, then what was public: a hash
_ENTROPY_MIN = const(32)
_ENTROPY_MAX = const(64)
_RECEIPT_BYTES = const(120)  # u64 seq, id 16, hash of the final note 32, signature 64
_FREE_BYTES = const(56)  # the same without the signature
_LIGHT = const(1)
_NAME = const(2)
_NAME_BYTES = const(32)
_LIGHT_LEAST = const(8)
_CLOCK_AGE_US = const(10_000_000)  # a probe older than this binds nothing
_YEAR_2000_S = 946684800
_YEAR_2200_S = 7258118400
_SOURCE_HOST = const(1)


class Commands:
    """Made when the first command comes."""

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._do: "Any" = link.host.errands()
        self._reading: "Any" = None
        self._table: "dict[int, tuple[str, Callable[[int, memoryview], int]]]" = {
            _LIST: ("LIST", self._list),
            _READ: ("READ", self._read),
            _CLOCK: ("CLOCK", self._clock),
            _ENTROPY: ("ENTROPY", self._entropy),
            _IDENTIFY: ("IDENTIFY", self._identify),
            _RECEIPT: ("RECEIPT", self._receipt),
            _FREE: ("FREE", self._free),
            _BEACON: ("BEACON", self._beacon),
            _SETTINGS: ("SETTINGS", self._settings),
            _FAULTS: ("FAULTS", self._faults),
            _SELFTEST: ("SELFTEST", self._selftest),
            _FORMAT: ("FORMAT", self._format),
            _MAINTENANCE: ("MAINTENANCE", self._maintenance),
            _UNPAIR: ("UNPAIR", self._unpair),
            _NOTE: ("NOTE", self._note),
            _RECIPIENTS: ("RECIPIENTS", self._recipients),
        }

    def handle(self, request: int, command: int, payload: memoryview, sealed: bool) -> None:
        """Answer a command or, not `sealed`, a type of the cable's. Raises LinkError to refuse it."""
        if not sealed:
            if command == _PAIR:
                from recorder.link.pairing import pair

                self._link.reply(request, _PAIR | _ANSWER, pair(self._do, payload, self._link.raw, _AT))
            elif self._do.identity is not None:
                raise LinkError(_PAIRED, "already paired")
            else:
                self._prompt(request, _PROMPT, payload)
            return
        if command not in self._table:
            raise LinkError(_UNKNOWN, "command 0x%02x is not known" % command)
        name, do = self._table[command]
        try:
            count = do(request, payload)
        except ValueError:
            raise LinkError(_MALFORMED, name + " malformed") from None
        if count >= 0:
            self._link.reply(request, command | _ANSWER, count)

    # ---- READ: pages in a window (reading.py)

    @property
    def streaming(self) -> bool:
        """A READ is in progress."""
        return self._reading is not None and bool(self._reading.active)

    @streaming.setter
    def streaming(self, on: bool) -> None:
        if self._reading is not None:
            self._reading.active = on

    def stream(self) -> None:
        """Send one page of the window, or its end."""
        self._reading.step()

    def cancel(self, code: int, text: str) -> None:
        """End the READ in progress, if there is one, with a refusal."""
        if self.streaming:
            self._reading.cancel(code, text)

    def _read(self, request: int, payload: memoryview) -> int:
        if self._reading is None:
            from recorder.link.reading import Reading

            self._reading = Reading(self._link, self._do)
        self._reading.begin(request, payload)
        return -1

    # ---- what is there

    def _list(self, request: int, payload: memoryview) -> int:
        if len(payload) != 8:
            raise ValueError
        out = self._link.raw
        at = _AT + 2
        count = more = 0
        for seq, recording_id, pages, state, marks in self._do.recordings(unpack_from("<Q", payload, 0)[0]):
            shown = min(len(marks), _MARKS)
            if at + _ENTRY_BYTES + 4 * shown > _LIST_BYTES or count == 255:
                more = 1
                break
            pack_into("<Q", out, at, seq)
            out[at + 8 : at + 24] = recording_id
            pack_into("<IBH", out, at + 24, pages, state, shown)
            at += _ENTRY_BYTES
            for index in range(shown):
                pack_into("<I", out, at, marks[index])
                at += 4
            count += 1
        out[_AT] = more
        out[_AT + 1] = count
        return at - _AT

    def _note(self, request: int, payload: memoryview) -> int:
        if len(payload) != 8:
            raise ValueError
        return self._say(self._do.final_note(unpack_from("<Q", payload, 0)[0]))

    def _faults(self, request: int, payload: memoryview) -> int:
        _nothing(payload)
        out = bytearray(1)
        for seq, text in self._do.faults():
            out[0] += 1
            out += seq.to_bytes(4, "little") + bytes((len(text),)) + text
        return self._say(out)

    def _selftest(self, request: int, payload: memoryview) -> int:
        _nothing(payload)
        return self._say(self._do.selftest().encode())

    def _say(self, data: "bytes | bytearray") -> int:
        self._link.raw[_AT : _AT + len(data)] = data
        return len(data)

    # ---- what is done

    def _receipt(self, request: int, payload: memoryview) -> int:
        if len(payload) != _RECEIPT_BYTES:
            raise ValueError
        seq = unpack_from("<Q", payload, 0)[0]
        self._do.receipt(seq, bytes(payload[8:24]), bytes(payload[24:56]), bytes(payload[56:]))
        return 0

    def _free(self, request: int, payload: memoryview) -> int:
        if len(payload) != _FREE_BYTES:
            raise ValueError
        self._do.free(unpack_from("<Q", payload, 0)[0], bytes(payload[8:24]), bytes(payload[24:]))
        return 0

    def _clock(self, request: int, payload: memoryview) -> int:
        if len(payload) == 0:
            pack_into("<Q", self._link.raw, _AT, clock.now_us())
            return 8
        if len(payload) != 20:
            raise ValueError
        mono_us, utc_us, error_us = unpack_from("<QqI", payload, 0)
        age = clock.now_us() - mono_us
        if not 0 <= age <= _CLOCK_AGE_US or not _YEAR_2000_S <= utc_us // 1_000_000 < _YEAR_2200_S:
            raise ValueError
        self._do.set_clock(utc_us + age, error_us, _SOURCE_HOST)
        return 0

    def _entropy(self, request: int, payload: memoryview) -> int:
        if not _ENTROPY_MIN <= len(payload) <= _ENTROPY_MAX:
            raise ValueError
        self._do.add_entropy(bytes(payload))
        return 0

    def _identify(self, request: int, payload: memoryview) -> int:
        _nothing(payload)
        self._do.identify()
        return 0

    def _beacon(self, request: int, payload: memoryview) -> int:
        if len(payload) != _BEACON_BYTES:
            raise ValueError
        self._do.set_beacon(bytes(payload))
        return 0

    def _settings(self, request: int, payload: memoryview) -> int:
        """Several at once, or the name; the light alone is answered by service.py. All are checked before one is set."""
        light = 0
        name = ""
        at = 0
        while at < len(payload):
            kind, length = unpack_from("<BB", payload, at)
            value = bytes(payload[at + 2 : at + 2 + length])
            at += 2 + length
            if kind == _LIGHT and length == 1 and value[0] >= _LIGHT_LEAST:
                light = value[0]
            elif kind == _NAME and 0 < length <= _NAME_BYTES:
                name = value.decode()
            else:
                raise ValueError
        if at != len(payload):
            raise ValueError
        if light:
            self._link.host.set_light(light)
        if name:
            self._do.set_name(name)
        return self._say(self._link.host.settings())

    # ---- what wants a hand on the button

    def _recipients(self, request: int, payload: memoryview) -> int:
        from recorder.link import pairing

        keys = pairing.recipients(payload)
        if [bytes(key) for key in self._do.identity.recipients] != keys:  # a repeated request is answered again
            self._hand()
            self._do.set_recipients(keys)
        return self._say(pairing.note_of(self._do))

    def _format(self, request: int, payload: memoryview) -> int:
        if len(payload) != 1 or payload[0] > 1:
            raise ValueError
        self._hand()
        self._do.format(bool(payload[0]))
        return 0

    def _maintenance(self, request: int, payload: memoryview) -> int:
        _nothing(payload)
        self._hand()
        return self._prompt(request, _MAINTENANCE, payload)

    def _prompt(self, request: int, kind: int, payload: memoryview) -> int:
        _nothing(payload)
        self._link.reply(request, kind | _ANSWER, 0)
        self._link.drain()
        self._do.prompt()
        return -1

    def _unpair(self, request: int, payload: memoryview) -> int:
        _nothing(payload)
        self._hand()
        self._do.unpair()
        self._link.reply(request, _UNPAIR | _ANSWER, 0)
        self._link.close()
        return -1

    def _hand(self) -> None:
        if not self._link.host.button_is_held():
            raise LinkError(_BUTTON, "hold the button")


def _nothing(payload: memoryview) -> None:
    if len(payload):
        raise ValueError
