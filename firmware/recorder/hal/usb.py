"""Bytes over the board's own USB serial port, which is the standard input and output of the firmware.

`stdin.buffer.readinto` waits until all is there: so one byte at a time, each only after a poll. `stdout.buffer.write`
waits half a second for a host that stopped reading: so in pieces, each only after a poll, but for a page: nobody records
then who could be kept waiting, and pieces take more time than the cable.
"""

import select
import sys

from micropython import const

_PIECE_BYTES = const(64)  # one packet
_PAGE_BYTES = const(4096)
_PATIENCE_MS = const(100)

_in = sys.stdin.buffer
_out = sys.stdout.buffer
_readable = select.poll()
_readable.register(sys.stdin, select.POLLIN)
_writable = select.poll()
_writable.register(sys.stdout, select.POLLOUT)
_byte = bytearray(1)


def _ready(poll: select.poll, ms: int) -> bool:
    for _ in poll.ipoll(ms):
        return True
    return False


def read(into: bytearray) -> int:
    count = 0
    while count < len(into) and _ready(_readable, 0):
        _in.readinto(_byte)
        into[count] = _byte[0]
        count += 1
    return count


def write(data: "bytes | bytearray | memoryview") -> int:
    view = memoryview(data)
    sent = 0
    size = _PIECE_BYTES if len(view) < _PAGE_BYTES else len(view)
    while sent < len(view) and _ready(_writable, _PATIENCE_MS):
        piece = view[sent : sent + size]
        taken = _out.write(piece) or 0
        sent += taken
        if taken < len(piece):
            break
    return sent
