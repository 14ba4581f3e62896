"""The worked example of FORMAT.md: every field of a vector, taken apart again by the rules of that page alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from host import maker
from host.maker import PAGE, mac, sha

_BEGIN, _END = "<!-- example: made by tests/vectors/make_vectors.py -->\n", "<!-- end of example -->\n"
_HEX_BYTES = 32
_EVENTS = {1: "MARK", 2: "CLOCK", 3: "META", 10: "STOP"}


def inserted(text: str, data: bytes, key: bytes, device_secret: bytes) -> str:
    """`text` of FORMAT.md with the example between its two marks made anew."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    lines = "\n".join(_lines([data[at : at + PAGE] for at in range(0, len(data), PAGE)], key, device_secret))
    return f"{before}{_BEGIN}```\n{lines}\n```\n{_END}{after}"


def _dump(at: int, data: bytes, what: str) -> Iterator[str]:
    """Lines of offset, hex and, on the first, the meaning. Long fields show their begin and end."""
    shown = data if len(data) <= 8 * _HEX_BYTES else data[: 2 * _HEX_BYTES]
    for begin in range(0, len(shown), _HEX_BYTES):
        words = what if not begin else ""
        yield f"{at + begin:6}  {shown[begin : begin + _HEX_BYTES].hex():64}  {words}".rstrip()
    if shown is not data:
        left = len(data) - len(shown) - _HEX_BYTES
        yield f"        ({left} bytes more)"
        yield f"{at + len(data) - _HEX_BYTES:6}  {data[-_HEX_BYTES:].hex()}"


def _fields(page: bytes, at: int, fields: Sequence[tuple[int, str]]) -> Iterator[str]:
    for length, what in fields:
        yield from _dump(at, page[at : at + length], what)
        at += length


def _derived(name: str, value: bytes) -> str:
    return f"  {name:9} = {value.hex()}"


_START = ((4, "magic"), (1, "type"), (1, "suite"), (2, "zero"))


def _lines(pages: list[bytes], key: bytes, device_secret: bytes) -> Iterator[str]:
    header = pages[0]
    length = int.from_bytes(header[100:102], "little")
    yield "page 0, header, leaf 0"
    yield from _fields(header, 0, (*_START, (4, "page size, 4096"), (16, "recording id"), (8, "seq, 1")))
    yield from _fields(header, 36, ((32, "prev, none"), (32, "device public key"), (2, f"envelope length, {length}")))
    yield from _fields(header, 102, ((length, "envelope"),))
    yield f"{102 + length:6}  zero to 4080 (the tag of a header is zero)"
    yield from _fields(header, 4080, ((16, "device tag"),))
    tag_key = mac(device_secret, b"earwitness/v1/tag", header[12:28])
    hashes = []
    for page in (header, pages[2], pages[3]):
        d = sha(page[:4048])
        assert page[4080:] == mac(tag_key, d, page[4048:4080])[:16]
        hashes.append(sha(b"\0", d, page[4048:]))
    yield _derived("d", sha(header[:4048]))
    yield _derived("leaf 0", hashes[0])
    yield _derived("(secret)", device_secret) + "  device secret, never outside a device"
    yield _derived("Kdm", tag_key)
    yield ""
    yield "page 1, checkpoint 0"
    yield from _checkpoint(pages[1], header, length)
    yield ""
    yield "keys"
    yield _derived("recording", key) + "  payload of the envelope"
    chain = maker.hkdf(key, sha(header[:4048]), b"earwitness/v1/chain")
    for i, page in enumerate((pages[2], pages[3]), 1):
        yield ""
        yield f"page {i + 1}, audio, leaf {i}"
        yield from _audio(page, chain, i, hashes[i])
        chain = mac(chain, b"next")
    yield ""
    yield "page 4, the final checkpoint"
    yield from _checkpoint(pages[4], header, length)
    yield _derived("node 0..2", sha(b"\1", hashes[0], hashes[1])) + "  H(0x01 || leaf 0 || leaf 1)"
    root = sha(b"\1", sha(b"\1", hashes[0], hashes[1]), hashes[2])
    assert root == maker.root(hashes)
    yield _derived("root", root) + "  H(0x01 || node || leaf 2)"
    note = pages[4][34 : 34 + int.from_bytes(pages[4][32:34], "little")]
    yield _derived("H(note)", sha(note)) + "  prev of the next recording"


def _audio(page: bytes, chain: bytes, i: int, leaf: bytes) -> Iterator[str]:
    page_key = mac(chain, b"page")
    enc, tag_key = mac(page_key, b"enc"), mac(page_key, b"mac")
    for name, value in (("CK", chain), ("K", page_key), ("enc", enc), ("mac", tag_key)):
        yield _derived(f"{name}_{i}", value)
    yield from _fields(page, 0, (*_START, (4, f"i, {i}"), (16, "recording id"), (4, "zero"), (4016, "body, encrypted")))
    yield from _fields(page, 4048, ((32, "tag"), (16, "device tag")))
    assert page[4048:4080] == mac(tag_key, sha(page[:4048]))
    yield _derived("d", sha(page[:4048]))
    yield _derived(f"leaf {i}", leaf)
    cipher = maker.Cipher(maker.algorithms.AES(enc), maker.modes.CTR(bytes(16))).decryptor()
    plain = bytes(32) + cipher.update(page[32:4048])
    first, mono, samples, n_events, n_audio, codec = struct.unpack_from("<QQHHHB", plain, 32)
    yield "  body, decrypted:"
    yield from _fields(plain, 32, ((8, f"first_sample, {first}"), (8, f"mono_us, {mono}"), (2, f"samples, {samples}")))
    yield from _fields(
        plain, 50, ((2, f"event_bytes, {n_events}"), (2, f"audio_bytes, {n_audio}"), (1, f"codec, {codec}"))
    )
    yield from _fields(plain, 55, ((1, "flags"), (4, "lost_before"), (4, "zero")))
    at = 64
    while at < 64 + n_events:
        yield from _fields(plain, at, ((2 + plain[at + 1], f"event {_EVENTS[plain[at]]}"),))
        at += 2 + plain[at + 1]
    if n_audio:
        yield from _fields(plain, at, ((n_audio, "audio: one FLAC frame"),))
    yield f"{at + n_audio:6}  zero to 4048"
    assert not any(plain[at + n_audio :])


def _checkpoint(page: bytes, header: bytes, envelope_bytes: int) -> Iterator[str]:
    n, _, p, length = struct.unpack_from("<I16sIH", page, 8)
    yield from _fields(
        page, 0, (*_START, (4, f"n, {n}"), (16, "recording id"), (4, f"p, {p}"), (2, f"note, {length} bytes"))
    )
    yield "    34  the note:"
    for line in page[34 : 34 + length].decode().splitlines():
        yield f"        |{line}"
    at = 34 + length
    for i in range(p, n):
        yield from _dump(at, page[at : at + 32], f"leaf {i}")
        at += 32
    if p == 0:
        copied = 102 + envelope_bytes
        assert page[at : at + copied] == header[:copied]
        yield f"{at:6}  page 0 from 0 to {copied}"
        yield from _dump(at + copied, page[at + copied : at + copied + 16], "device tag of page 0")
        at += copied + 16
    for _ in range(p.bit_count()):
        yield from _dump(at, page[at : at + 32], f"compact range of the first {p}")
        at += 32
    yield f"{at:6}  zero to 4096"
    assert not any(page[at:])
