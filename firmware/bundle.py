"""The installed firmware: one image in flash of its own, imported from there and, on the chip, run where it lies.

The image: a first line `earwitness VERSION LENGTH`, where LENGTH is that of all but the hash; a line `PATH OFFSET SIZE
FUNCTIONS` for every module; an empty line; from there on, at OFFSET, the module's SIZE bytes and 4 for each of its
functions, and as much for each constant of 64 bytes and more: where in the module its bytecode, or what is in it, begins and
how long that is, 16 bits each, little-endian, the longest first; last the SHA-256 of everything before, 32 bytes. That hash is
what recordings carry as their firmware.

MicroPython copies what it imports into RAM, all of it, and there is not enough. So when a module has been imported, each of
its functions is pointed to its own bytecode in flash, each long constant among its globals to its own bytes there, and the
copy is left to the garbage collector. That asks for nothing but equal bytes: what is not found in flash byte for byte stays
as it is. Nothing of a module runs at that moment, for the import is not over yet; a function that ran would lose the code
under its feet.
"""

import builtins
import gc
import io
import sys

import micropython
import uctypes
import vfs
from micropython import const

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from viper import ptr8, ptr32

MOUNT = "/f"  # short: each module's path stays in RAM
BLOCKS = const(32)  # of flash, for the image
RESERVED = const(160)  # at the end of the flash: the image, then what hal/flash.py keeps (hal/reserve.py)

_BLOCK = const(4096)
# MicroPython looks for files of these names first, at every import of them.
_BUILT_IN = ("array", "binascii", "collections", "cryptolib", "hashlib", "machine", "os", "select", "struct", "time")
_NO_ENTRY = const(2)  # ENOENT
_FOLDER = const(0x4000)
_FILE = const(0x8000)
_LINE_BYTES = const(96)
_LEAST_BYTES = const(64)  # of a constant that the table names
_HASH_BYTES = const(32)
_CLOSE = const(4)
_BUFFER_SIZE = const(11)
_FAILED = const(-1)
_COLLECT_BYTES = const(6000)  # of modules, between two collections: each takes 10 ms and more


class _Module(io.IOBase):
    """The bytes of a module, as a file that `import` reads."""

    def __init__(self, image: "memoryview", at: int, end: int) -> None:
        self._image = image
        self._at = at
        self._end = end

    def readinto(self, into: "Any") -> int:
        count = min(len(into), self._end - self._at)
        into[:count] = self._image[self._at : self._at + count]
        self._at += count
        return count

    def ioctl(self, request: int, argument: int) -> int:
        return 255 if request == _BUFFER_SIZE else 0 if request == _CLOSE else _FAILED


class Bundle:
    """A read-only file system of an image: as much of one as `import` asks for."""

    def __init__(self, image: "memoryview") -> None:
        self._image = image
        self._address = uctypes.addressof(image)
        self._loaded = 0  # bytes, since memory was collected

    def mount(self, readonly: bool, mkfs: bool) -> None:
        pass

    def umount(self) -> None:
        pass

    def _find(self, line: str) -> int:
        """Where in the image the line of the index begins that `line` begins; of "" the empty line; -1 for none.

        Looked for where it is: what fails here for want of memory would be told as a module that is not there.
        """
        wanted = line.encode()
        return int(_line(self._address, len(self._image), wanted, len(wanted)))

    def stat(self, path: str) -> "tuple[int, ...]":
        path = path.lstrip("/")
        if path.endswith(".mpy"):
            kind = _FILE if self._find(path + " ") >= 0 else 0
        else:  # nor is any other file ever here
            kind = _FOLDER if not path.endswith(".py") and self._find(path + "/") >= 0 else 0
        if not kind:
            raise OSError(_NO_ENTRY)
        return (kind, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def open(self, path: str, mode: str) -> _Module:
        path = path.lstrip("/")
        line = self._find(path + " ")
        if line < 0:
            raise OSError(_NO_ENTRY)
        fields = bytes(self._image[line : line + _LINE_BYTES]).split(b"\n", 1)[0].split()
        start, size, functions = self._find("") + 1 + int(fields[1]), int(fields[2]), int(fields[3])
        self._loaded += size
        if self._loaded >= _COLLECT_BYTES:
            self._loaded = 0
            gc.collect()  # else what is loaded lies strewn between what loading left behind, and no large piece remains
        name = path[: -len("/__init__.mpy" if path.endswith("/__init__.mpy") else ".mpy")].replace("/", ".")
        address = self._address + start
        _loading.append((name, address, address + size, functions))
        return _Module(self._image, start, start + size)


@micropython.viper
def _line(image: int, size: int, wanted: ptr8, count: int) -> int:
    index = ptr8(image)
    at = 0
    while at + count < size:
        same = 0
        while same < count and index[at + same] == wanted[same]:
            same += 1
        if same == count and (count or index[at] == 10):
            return at
        if index[at] == 10:
            break
        while at < size and index[at] != 10:
            at += 1
        at += 1
    return -1


# --- in place ------------------------------------------------------------------------------------------------------------

_loading = []  # type: list[tuple[str, int, int, int]] # modules being imported: name, address, address of the table, its lines
_FUNCTIONS = (type(lambda: 0), type((lambda: (yield))))
_FUNCTION_TYPES = tuple(id(kind) for kind in _FUNCTIONS)
_WRAPPERS = (property, staticmethod, classmethod)


@micropython.viper
def _point(thing: int, module: int, table: int, count: int):  # type: ignore[no-untyped-def]
    """Point the mp_obj_fun_bc_t at address `thing` to its bytecode in flash, or the mp_obj_str_t to its bytes, if they are there.

    `count`: lines of the table, and from bit 16 on how many bytes there are to be, 0 for as many as a line says.
    """
    fields = ptr32(thing)
    wanted = count >> 16
    count &= 0xFFFF
    code = fields[3]
    if code < 0x20000000 or code >= 0x20042000:  # in flash already; or no address: another MicroPython's object
        return
    copy = ptr8(code)
    lines = ptr8(table)
    line = 0
    while line < 4 * count:
        start = module + (lines[line] | lines[line + 1] << 8)
        length = lines[line + 2] | lines[line + 3] << 8
        flash = ptr8(start)
        same = 0
        while same < length and copy[same] == flash[same]:
            same += 1
        if same == length and (not wanted or length == wanted):
            fields[3] = start
            return
        line += 4


@micropython.viper
def _word(address: int, number: int) -> int:
    return int(ptr32(address)[number])


def _settle(things: "Any", where: "tuple[str, int, int, int]") -> None:
    """Point all functions among `things` and in the classes among them."""
    for thing in things:
        kind = type(thing)
        if kind is type:
            _settle(thing.__dict__.values(), where)
        elif kind in _FUNCTIONS:
            _point(id(thing), *where[1:])
        elif kind is bytes and len(thing) >= _LEAST_BYTES:
            _point(id(thing), where[1], where[2], where[3] | len(thing) << 16)
        elif kind in _WRAPPERS:
            for field in range(1, 4 if kind is property else 2):
                function = int(_word(id(thing), field))
                if function & 3 == 0 and _word(function, 0) in _FUNCTION_TYPES:
                    _point(function, *where[1:])


def _settle_this(image: "memoryview") -> None:
    """Run this module itself in place, as soon as the functions that do this have come to their end."""
    try:
        Bundle(image).open("bundle.mpy", "rb")
    except OSError:  # an image of another version
        return
    gc.disable()
    try:
        _settle(globals().values(), _loading.pop())
    finally:
        gc.enable()


_import = builtins.__import__


def _import_in_place(*arguments: "Any") -> "Any":
    first = len(_loading)
    try:
        return _import(*arguments)
    finally:
        while len(_loading) > first:  # what this import has brought, and what that brought
            where = _loading.pop()
            if where[0] in sys.modules:
                _settle(sys.modules[where[0]].__dict__.values(), where)


# --- where the firmware is -----------------------------------------------------------------------------------------------


def region() -> "Any":
    """The flash that the image lies in, as a block device that can also be read as memory; None where there is no such."""
    try:
        import rp2
    except ImportError:
        return None
    start = len(memoryview(rp2.Flash())) - RESERVED * _BLOCK
    return rp2.Flash(start=start, len=BLOCKS * _BLOCK)


def mount(image: "Any" = None) -> None:
    """Import from the installed firmware from now on, on the chip from nowhere else. Without one, from wherever Python looks anyway."""
    image = memoryview(region() or b"") if image is None else memoryview(image)
    if not _end(image):
        return
    vfs.mount(Bundle(image), MOUNT)
    if sys.platform != "rp2":
        sys.path.insert(0, MOUNT)
        return
    for name in _BUILT_IN:
        sys.modules[name] = __import__(name)
    sys.path[:] = [MOUNT]
    builtins.__import__ = _import_in_place
    _settle_this(image)


def _end(image: "memoryview") -> int:
    """Where its hash begins, 0 if it is no whole image."""
    first = bytes(image[:_LINE_BYTES]).split(b"\n", 1)[0].split()
    if len(first) != 3 or first[0] != b"earwitness":
        return 0
    end = int(first[2])
    return end if end + _HASH_BYTES <= len(image) else 0


def version(image: "Any" = None) -> "tuple[bytes, str]":
    """(SHA-256 that the image ends with, its version); zeros and "" where none is installed."""
    image = memoryview(region() or b"") if image is None else memoryview(image)
    end = _end(image)
    if not end:
        return bytes(_HASH_BYTES), ""
    return bytes(image[end : end + _HASH_BYTES]), bytes(image[:_LINE_BYTES]).split()[1].decode()
