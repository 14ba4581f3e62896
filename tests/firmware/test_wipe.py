"""What RAM holds must open nothing that was recorded before.

The proof is a search of the whole heap, block by block, for every key that was ever made, plain and in the shapes in
which hash and cipher contexts hold it. Each search also has to find something: the key in use, and the keys of a twin
that does not wipe.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earwitness.identity import Identity
from earwitness.keys import chain_key
from earwitness.page import parse_header

from .reference_drbg import ReferenceDrbg

Mpy = Callable[..., list[Any]]

_DUMP = """
import gc, uctypes

def dump(path):
    "Write the memory mapping that holds the heap, and so the whole heap, to a file."
    here = id(bytearray(64))
    with open("/proc/self/maps") as maps:
        for line in maps:
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if low <= here < high:
                break
    with open(path, "wb") as out:
        for at in range(low, high, 65536):
            out.write(uctypes.bytearray_at(at, min(65536, high - at)))
"""

_RATCHET = """
import cryptolib, hashlib
from recorder.seal import aesctr, mac, wipe

def careless_hmac(out, key, *parts):
    pad = bytes(b ^ 0x36 for b in key) + b"\\x36" * 32
    inner = hashlib.sha256(pad)
    for part in parts:
        inner.update(part)
    pad = bytes(b ^ 0x5C for b in key) + b"\\x5c" * 32
    outer = hashlib.sha256(pad)
    outer.update(inner.digest())
    out[:] = outer.digest()

def careless_xor(key, buf):
    stream = cryptolib.aes(key, 1).encrypt(bytes(len(buf)))
    for i in range(len(buf)):
        buf[i] ^= stream[i]

careless = ARGS["careless"]
hmac_into = careless_hmac if careless else mac.hmac_into
xor = careless_xor if careless else aesctr.xor
forget = (lambda buf: None) if careless else wipe.wipe

start = bytes.fromhex(ARGS["start"])
chain = bytearray(start)
forget(start)
page = bytearray(4096)
for i in range(100):
    key, cipher, tagging, tag = bytearray(32), bytearray(32), bytearray(32), bytearray(32)
    hmac_into(key, chain, b"page")
    hmac_into(chain, chain, b"next")
    hmac_into(cipher, key, b"enc")
    hmac_into(tagging, key, b"mac")
    xor(cipher, memoryview(page)[32:4048])
    digest = mac.sha256(memoryview(page)[:4048])
    hmac_into(tag, tagging, digest)
    page[4048:4080] = tag
    for secret in (key, cipher, tagging):
        forget(secret)
dump(ARGS["dump"])
emit(chain.hex())
"""


def _next(key: bytes, label: bytes) -> bytes:
    return hmac.new(key, label, hashlib.sha256).digest()


def _shapes(key: bytes) -> list[bytes]:
    """The key plain, with the bytes of its words swapped (a hash state), and XORed to HMAC pads; halves of each."""
    swapped = struct.pack(f"<{len(key) // 4}I", *struct.unpack(f">{len(key) // 4}I", key))
    shapes = [key, swapped, bytes(b ^ 0x36 for b in key), bytes(b ^ 0x5C for b in key), key[::-1]]
    return [half for shape in shapes for half in (shape[:16], shape[16:32]) if len(half) >= 16]


def _found(heap: bytes, keys: dict[str, bytes]) -> set[str]:
    heap = re.sub(rb"\0{64,}", bytes(64), heap)  # most of it has never been used
    return {name for name, key in keys.items() if any(shape in heap for shape in _shapes(key))}


def _earlier_keys(chain: bytes) -> tuple[dict[str, bytes], bytes]:
    keys = {}
    for page in range(100):
        key = _next(chain, b"page")
        keys |= {f"chain {page}": chain, f"page {page}": key}
        keys |= {f"enc {page}": _next(key, b"enc"), f"mac {page}": _next(key, b"mac")}
        chain = _next(chain, b"next")
    return keys, chain


def _run_ratchet(mpy: Mpy, path: Path, careless: bool) -> tuple[bytes, dict[str, bytes], bytes]:
    start = hashlib.sha256(b"first chain key").digest()
    keys, current = _earlier_keys(start)
    args = {"start": start.hex(), "dump": str(path), "careless": careless}
    assert mpy(_DUMP + _RATCHET, heap="1M", args=args) == [current.hex()]
    return path.read_bytes(), keys, current


def test_no_earlier_key_is_left_in_the_heap_after_a_hundred_pages(mpy: Mpy, tmp_path: Path) -> None:
    heap, keys, current = _run_ratchet(mpy, tmp_path / "heap", careless=False)
    assert current in heap, "the search must see the key in use"
    assert _found(heap, keys) == set()


def test_the_heap_search_finds_the_keys_of_a_ratchet_that_does_not_wipe(mpy: Mpy, tmp_path: Path) -> None:
    heap, keys, _ = _run_ratchet(mpy, tmp_path / "heap", careless=True)
    assert len(_found(heap, keys)) > 40


_ENVELOPE = """
from recorder.seal import age, drbg, sweeping, wipe
if ARGS["careless"]:
    wipe.wipe = lambda buf: None
    sweeping.sweep = lambda: None
source = drbg.Drbg(bytes.fromhex(ARGS["entropy"]), bytes(16))
recipient = bytes.fromhex(ARGS["recipient"])
payload = bytes.fromhex(ARGS["payload"])
emit(age.envelope(payload, [recipient, recipient], source).hex())
wipe.wipe(payload)
dump(ARGS["dump"])
"""


def _envelope_secrets(entropy: bytes, recipient: bytes) -> dict[str, bytes]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def derive(key: bytes, salt: bytes, info: bytes) -> bytes:
        return HKDF(hashes.SHA256(), 32, salt, info).derive(key)

    drbg = ReferenceDrbg(entropy, bytes(16))
    secrets = {"file key": drbg.generate(16)}
    for number in (1, 2):
        ephemeral = drbg.generate(32)
        private = X25519PrivateKey.from_private_bytes(ephemeral)
        share = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        shared = private.exchange(X25519PublicKey.from_public_bytes(recipient))
        wrap_key = derive(shared, share + recipient, b"age-encryption.org/v1/X25519")
        secrets |= {f"ephemeral {number}": ephemeral, f"shared {number}": shared, f"wrap key {number}": wrap_key}
    nonce = drbg.generate(16)
    secrets["header key"] = derive(secrets["file key"], b"", b"header")
    secrets["stream key"] = derive(secrets["file key"], nonce, b"payload")
    secrets["payload"] = hashlib.sha256(b"recording key").digest()
    return secrets


def _run_envelope(mpy: Mpy, path: Path, careless: bool) -> tuple[bytes, set[str]]:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    entropy = hashlib.sha256(b"entropy").digest()
    recipient = X25519PrivateKey.generate().public_key().public_bytes_raw()
    secrets = _envelope_secrets(entropy, recipient)
    args = {"entropy": entropy.hex(), "recipient": recipient.hex(), "payload": secrets["payload"].hex()}
    (envelope,) = mpy(_DUMP + _ENVELOPE, heap="1M", args=args | {"dump": str(path), "careless": careless})
    assert bytes.fromhex(envelope)[:21] == b"age-encryption.org/v1"
    # The last chunk is sealed under the stream key: that the reference opens it shows that these are the keys used.
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    opened = ChaCha20Poly1305(secrets["stream key"]).decrypt(bytes(11) + b"\x01", bytes.fromhex(envelope)[-48:], b"")
    assert opened == secrets["payload"]
    heap = path.read_bytes()
    assert b"age-encryption.org/v1" in heap
    return heap, _found(heap, secrets)


def test_nothing_that_opens_an_envelope_is_left_in_the_heap(mpy: Mpy, tmp_path: Path) -> None:
    _, found = _run_envelope(mpy, tmp_path / "heap", careless=False)
    assert found == set()


def test_the_heap_search_finds_what_opens_an_envelope_where_wiping_is_off(mpy: Mpy, tmp_path: Path) -> None:
    _, found = _run_envelope(mpy, tmp_path / "heap", careless=True)
    assert {"file key", "shared 1", "shared 2", "wrap key 1", "payload"} <= found


@pytest.mark.parametrize("swept", [False, True])
def test_sweep_overwrites_what_was_freed_and_spares_what_is_in_use(mpy: Mpy, tmp_path: Path, swept: bool) -> None:
    source = """
        from recorder.seal import mac, sweeping
        kept = [mac.sha256(b"kept", bytes([i])) for i in range(50)]
        def make():  # a call of its own: what stays on the stack of this one would count as in use
            for i in range(200):
                freed = mac.sha256(b"freed", bytes([i]))
                number = int.from_bytes(mac.sha256(b"number", bytes([i])), "little") * 3 + 1
        make()
        if ARGS["swept"]:
            sweeping.sweep()
        dump(ARGS["dump"])
        emit([gc.isenabled(), len(kept)])
    """
    path = tmp_path / "heap"
    source = _DUMP + textwrap.dedent(source)
    assert mpy(source, heap="1M", args={"dump": str(path), "swept": swept}) == [[True, 50]]
    heap = path.read_bytes()

    def left(label: bytes, count: int) -> int:
        return sum(hashlib.sha256(label + bytes([i])).digest() in heap for i in range(count))

    assert left(b"kept", 50) == 50
    numbers = [int.from_bytes(hashlib.sha256(b"number" + bytes([i])).digest(), "little") * 3 + 1 for i in range(200)]
    remains = sum(number.to_bytes(33, "little")[:32] in heap for number in numbers)
    if swept:
        assert (left(b"freed", 200), remains) == (0, 0)
    else:
        assert left(b"freed", 200) > 100
        assert remains > 100


def test_wipe_overwrites_bytes_bytearray_and_only_the_view(mpy: Mpy) -> None:
    source = """
        from recorder.seal import wipe
        immutable = bytes(range(7, 40))
        wipe.wipe(immutable)
        mutable = bytearray(range(7, 40))
        wipe.wipe(mutable)
        around = bytearray(b"\\xaa" * 12)
        wipe.wipe(memoryview(around)[3:9])
        wipe.wipe(b"")
        emit([immutable == bytes(33), mutable == bytes(33), around.hex()])
    """
    assert mpy(source) == [[True, True, "aaaaaa000000000000aaaaaa"]]


def test_wipe_context_leaves_only_the_type_of_a_cipher(mpy: Mpy) -> None:
    source = """
        import cryptolib, uctypes
        from recorder.seal import aesctr, wipe
        key = bytes(range(1, 33))
        cipher = cryptolib.aes(key, 1)
        cipher.encrypt(bytes(16))
        size = wipe._context_bytes[type(cipher)]
        held = key in bytes(uctypes.bytearray_at(id(cipher), size))
        wipe.wipe_context(cipher)
        after = bytes(uctypes.bytearray_at(id(cipher), size))
        emit([held, after[wipe.HEAD_BYTES:] == bytes(size - wipe.HEAD_BYTES), type(cipher) is cryptolib.aes])
        try:
            wipe.wipe_context([1])
        except KeyError:
            emit("unknown")
    """
    assert mpy(source) == [[True, True, True], "unknown"]


def test_sealing_a_page_allocates_little(mpy: Mpy) -> None:
    """At most 2 KB a page on the chip; pointers and heap blocks are twice the size here."""
    source = """
        import gc
        from recorder.seal import aesctr, mac, wipe
        chain, key, cipher, tagging, tag = (bytearray(32) for _ in range(5))
        device_key, device_tag, leaf = bytearray(32), bytearray(16), bytearray(32)
        digest = bytearray(32)
        page = bytearray(4096)
        body, sealed = memoryview(page)[32:4048], memoryview(page)[:4048]

        def seal():
            mac.hmac_into(key, chain, b"page")
            mac.hmac_into(chain, chain, b"next")
            mac.hmac_into(cipher, key, b"enc")
            mac.hmac_into(tagging, key, b"mac")
            aesctr.xor(cipher, body)
            mac.sha256_into(digest, sealed)
            mac.hmac_into(tag, tagging, digest)
            mac.hmac_into(device_tag, device_key, digest, tag)
            leaf[:] = mac.sha256(b"\\x00", digest, tag, device_tag)
            for secret in (key, cipher, tagging):
                wipe.wipe(secret)

        seal()
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        seal()
        emit(gc.mem_alloc() - before)
    """
    (allocated,) = mpy(source)
    assert 0 < allocated < 2 * 2048, allocated


_RECORDING = """
import virtual_hal
virtual_hal.setup()
from recorder.seal.drbg import Drbg
from recorder.seal.header import Header
from recorder.seal.sweeping import sweep
class Paired:
    public = bytes(range(32))
    device_secret = bytes(range(32, 64))
    recipients = [bytes.fromhex(ARGS["recipient"])]
header = Header(Paired, 1, bytes(32), Drbg(bytes(48), bytes(16), b"test"))
emit(bytes(header.page).hex())
sweep()
page, leaf = bytearray(4096), bytearray(32)
for k in range(100):
    header.sealer.seal(page, leaf)
dump(ARGS["dump"])
"""


def test_a_recording_leaves_nothing_that_opens_its_earlier_pages(mpy: Mpy, tmp_path: Path) -> None:
    """The real header and sealer: neither the recording key nor any key of the hundred pages before is in the heap."""
    owner = Identity.generate()
    args = {"recipient": owner.recipient_bytes.hex(), "dump": str(tmp_path / "heap")}
    [page] = mpy(_DUMP + _RECORDING, heap="1M", args=args)
    header = parse_header(bytes.fromhex(page))
    recording_key = owner.open_envelope(header.envelope)
    keys, current = _earlier_keys(chain_key(recording_key, header))
    heap = (tmp_path / "heap").read_bytes()
    assert current in heap, "the search must see the key in use"
    assert _found(heap, keys | {"recording": recording_key}) == set()
