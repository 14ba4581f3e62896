"""A second writer of recordings, made from FORMAT.md alone and sharing no code with reader or firmware.

It is slow and plain on purpose, and can make every shape that a recorder leaves behind, and shapes that none does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PAGE = 4096
RATE = 16_000
BOOT_US = 7_000_000  # monotonic time of sample 0


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), "sha256").digest()


def hkdf(ikm: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    assert length == 32
    return mac(mac(salt or bytes(32), ikm), info, b"\x01")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# The owner's side: an age identity whose secret the tests choose.


class Owner:
    """An identity as `verify` takes it."""

    def __init__(self, seed: int = 1) -> None:
        rng = random.Random(f"owner {seed}")
        secret = X25519PrivateKey.from_private_bytes(rng.randbytes(32))
        self.public = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.text = _bech32("age-secret-key-", secret.private_bytes_raw()).upper()
        self._identity = pyrage.x25519.Identity.from_str(self.text)

    def open_envelope(self, envelope: bytes) -> bytes:
        from earwitness.errors import KeyMissingError

        try:
            return pyrage.decrypt(envelope, [self._identity])
        except pyrage.DecryptError:
            raise KeyMissingError("no recipient") from None


def _bech32(prefix: str, data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    words = [int(bits[i : i + 5], 2) for i in range(0, len(bits), 5)]

    def polymod(values: list[int]) -> int:
        check = 1
        for value in values:
            top = check >> 25
            check = (check & 0x1FFFFFF) << 5 ^ value
            for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                check ^= generator if top >> i & 1 else 0
        return check

    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = polymod(expanded + words + [0] * 6) ^ 1
    words += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[word] for word in words)


def envelope(payload: bytes, recipients: Sequence[bytes], rng: random.Random) -> bytes:
    """A binary age v1 file with X25519 stanzas only (C2SP age.md)."""

    def text(data: bytes) -> bytes:
        return base64.b64encode(data).rstrip(b"=")

    file_key = rng.randbytes(16)
    header = b"age-encryption.org/v1\n"
    for recipient in recipients:
        secret = X25519PrivateKey.from_private_bytes(rng.randbytes(32))
        share = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        shared = secret.exchange(X25519PublicKey.from_public_bytes(recipient))
        wrap = hkdf(shared, share + recipient, b"age-encryption.org/v1/X25519")
        header += b"-> X25519 " + text(share) + b"\n"
        header += text(ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)) + b"\n"
    header += b"---"
    header += b" " + text(mac(hkdf(file_key, b"", b"header"), header)) + b"\n"
    nonce = rng.randbytes(16)
    stream = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    return header + nonce + stream.encrypt(bytes(11) + b"\x01", payload, None)


# FLAC frames, bit by bit.


def _crc(data: bytes, width: int, poly: int) -> int:
    crc, top = 0, 1 << (width - 1)
    for byte in data:
        crc ^= byte << (width - 8)
        for _ in range(8):
            crc = ((crc << 1) ^ poly if crc & top else crc << 1) & ((1 << width) - 1)
    return crc


def _frame(number: int, size: int, subframe: bytes) -> bytes:
    if number < 0x80:
        coded = [number]
    else:
        coded = []
        length = next(n for n in range(2, 8) if number < 1 << (5 * n + 1))
        for _ in range(length - 1):
            coded.insert(0, 0x80 | number & 0x3F)
            number >>= 6
        coded.insert(0, (0xFF << (8 - length)) & 0xFF | number)
    sized = (0x65, [size - 1]) if size <= 256 else (0x75, [(size - 1) >> 8, (size - 1) & 0xFF])
    header = bytes([0xFF, 0xF9, sized[0], 0x08, *coded, *sized[1]])
    frame = header + bytes([_crc(header, 8, 0x07)]) + subframe
    return frame + _crc(frame, 16, 0x8005).to_bytes(2, "big")


def verbatim(number: int, samples: Sequence[int]) -> bytes:
    return _frame(number, len(samples), b"\x02" + struct.pack(f">{len(samples)}h", *samples))


def constant(number: int, size: int, value: int = 0) -> bytes:
    return _frame(number, size, b"\x00" + struct.pack(">h", value))


def rice(number: int, samples: Sequence[int], k: int = 4) -> bytes:
    """Fixed predictor of order 1, one partition: what a recorder's frames look like."""
    bits = f"{0b00010010:08b}{samples[0] & 0xFFFF:016b}00" + f"{0:04b}{k:04b}"
    for before, now in pairwise(samples):
        folded = (now - before) * 2 if now >= before else (before - now) * 2 - 1
        bits += "0" * (folded >> k) + "1" + f"{folded & ((1 << k) - 1):0{k}b}"
    bits += "0" * (-len(bits) % 8)
    return _frame(number, len(samples), int(bits, 2).to_bytes(len(bits) // 8, "big"))


# Events.


def event(kind: int, mono_us: int, rest: bytes = b"") -> bytes:
    return struct.pack("<BBQ", kind, 8 + len(rest), mono_us) + rest


def mono(sample: int) -> int:
    return BOOT_US + sample * 1_000_000 // RATE


def mark(sample: int, kind: int = 1) -> bytes:
    return event(1, mono(sample), struct.pack("<BQ", kind, sample))


def clock(sample: int, utc_us: int, error_us: int = 40_000, source: int = 1) -> bytes:
    return event(2, mono(sample), struct.pack("<qIB", utc_us, error_us, source))


def meta(rate: int = RATE) -> bytes:
    texts = b"".join(bytes([len(t)]) + t for t in (b"1.0.0", b"ICS-43434", b"red", b"switch"))
    return event(3, BOOT_US, bytes(range(32)) + bytes(range(16)) + struct.pack("<I", rate) + texts)


def lost(sample: int, count: int, reason: int = 1) -> bytes:
    return event(4, mono(sample), struct.pack("<QIB", sample, count, reason))


def muted(sample: int) -> bytes:
    return event(5, mono(sample), struct.pack("<Q", sample))


def unmuted(sample: int) -> bytes:
    return event(6, mono(sample), struct.pack("<Q", sample))


def silent(sample: int) -> bytes:
    return event(11, mono(sample), struct.pack("<Q", sample))


def heard(sample: int) -> bytes:
    return event(12, mono(sample), struct.pack("<Q", sample))


def stop(sample: int, reason: int = 1) -> bytes:
    return event(10, mono(sample), bytes([reason]))


# The tree, from RFC 9162's definition, not incrementally.


def root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha(b"\x01", root(leaves[:k]), root(leaves[k:]))


def compact_range(leaves: Sequence[bytes]) -> list[bytes]:
    found, at = [], 0
    for bit in range(len(leaves).bit_length() - 1, -1, -1):
        if len(leaves) >> bit & 1:
            found.append(root(leaves[at : at + (1 << bit)]))
            at += 1 << bit
    return found


# The device.


@dataclass
class Device:
    """A recorder with its keys and its chain."""

    seed: int = 1
    seq: int = 0
    prev: bytes = bytes(32)
    key: Ed25519PrivateKey = field(init=False)
    public: bytes = field(init=False)
    secret: bytes = field(init=False)

    def __post_init__(self) -> None:
        rng = random.Random(f"device {self.seed}")
        self.key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.secret = rng.randbytes(32)

    def sign(self, text: bytes) -> bytes:
        name = b"earwitness/" + sha(self.public)[:8].hex().encode()
        blob = sha(name, b"\n\x01", self.public)[:4] + self.signature(text)
        return text + "\n— ".encode() + name + b" " + base64.b64encode(blob) + b"\n"

    def signature(self, text: bytes) -> bytes:
        return self.key.sign(text)


class Recording:
    """One recording in the making. `file` is the list of its pages as they stand on the card; change it at will."""

    def __init__(self, device: Device, owners: Sequence[Owner], seed: int = 1) -> None:
        rng = random.Random(f"recording {seed} {device.seed} {device.seq}")
        device.seq += 1
        self.device, self.rng = device, rng
        self.seq, self.prev = device.seq, device.prev
        self.id = rng.randbytes(16)
        key = rng.randbytes(32)
        self.envelope = envelope(key, [owner.public for owner in owners], rng)
        page = struct.pack(
            "<4sBBHI16sQ32s32sH",
            b"EWR1",
            1,
            1,
            0,
            PAGE,
            self.id,
            self.seq,
            self.prev,
            device.public,
            len(self.envelope),
        )
        page = (page + self.envelope).ljust(4048, b"\0")
        self.chain = hkdf(key, sha(page), b"earwitness/v1/chain")
        self.page_keys: list[bytes] = [b""]
        self.hashes: list[bytes] = []
        self.file: list[bytes] = []
        self.covered = 0
        self.sample = 0  # of the next page
        self.final = b""
        self._leaf(page, None)
        self.checkpoint()

    def _leaf(self, page: bytes, mac_key: bytes | None) -> None:
        assert len(page) == 4048
        d = sha(page)
        tag = mac(mac_key, d) if mac_key else bytes(32)
        device_tag = mac(mac(self.device.secret, b"earwitness/v1/tag", self.id), d, tag)[:16]
        self.file.append(page + tag + device_tag)
        self.hashes.append(sha(b"\0", d, tag, device_tag))

    def body(self, plain: bytes, *, wrong_tag: bool = False, **wrong: int) -> None:
        """Seal 4016 bytes as the next leaf, whatever they are. `number`, `zero`: what the page says there instead."""
        i = wrong.get("number", len(self.hashes))
        key, self.chain = mac(self.chain, b"page"), mac(self.chain, b"next")
        self.page_keys.append(key)
        cipher = Cipher(algorithms.AES(mac(key, b"enc")), modes.CTR(bytes(16))).encryptor()
        page = struct.pack("<4sBBHI16sI", b"EWR1", 2, 1, 0, i, self.id, wrong.get("zero", 0)) + cipher.update(plain)
        self._leaf(page, bytes(32) if wrong_tag else mac(key, b"mac"))

    def page(
        self,
        audio: bytes = b"",
        samples: int = 0,
        *,
        codec: int = 1,
        lost_before: int = 0,
        events: bytes = b"",
        late_us: int = 0,
        first_sample: int | None = None,
    ) -> None:
        """One leaf of sound; a checkpoint follows by itself after 64."""
        first = self.sample + lost_before if first_sample is None else first_sample
        plain = struct.pack(
            "<QQHHHBBII",
            first,
            mono(first) + late_us,
            samples,
            len(events),
            len(audio),
            codec if audio else 0,
            0,
            lost_before,
            0,
        )
        self.body((plain + events + audio).ljust(4016, b"\0"))
        self.sample = first + samples
        if len(self.hashes) - self.covered == 64:
            self.checkpoint()

    def sound(
        self, samples: Sequence[int], coder: Callable[[int, Sequence[int]], bytes] = verbatim, **more: object
    ) -> None:
        """One page with one frame of these samples."""
        first = self.sample + int(more.get("lost_before", 0))  # type: ignore[call-overload]
        self.page(coder(first, samples), len(samples), **more)  # type: ignore[arg-type]

    def pcm(self, samples: Sequence[int], **more: object) -> None:
        """One page of plain samples."""
        self.page(struct.pack(f"<{len(samples)}h", *samples), len(samples), codec=0, **more)  # type: ignore[arg-type]

    def note(self, state: str, n: int, seen: int | None = None, **wrong: object) -> bytes:
        name = sha(self.device.public)[:8].hex()
        lines = [
            f"earwitness/v1/checkpoint/{name}/{self.id.hex()}",
            str(n),
            b64(root(self.hashes[: int(wrong.get("root_of", n))])),  # type: ignore[call-overload]
            f"seq {wrong.get('seq', self.seq)}",
            f"state {state}",
            f"prev {b64(self.prev)}",
        ]
        if seen is not None:
            lines.append(f"seen {seen}")
        return self.device.sign("".join(line + "\n" for line in lines).encode())

    def checkpoint(
        self, state: str = "running", *, n: int | None = None, seen: int | None = None, **wrong: object
    ) -> None:
        """A checkpoint page over n leaves (all by default) behind the pages that stand."""
        n = len(self.hashes) if n is None else n
        p = int(wrong.get("p", self.covered))  # type: ignore[call-overload]
        note = self.note(state, n, seen, **wrong)
        page = struct.pack("<4sBBHI16sIH", b"EWR1", 3, 1, 0, n, self.id, p, len(note)) + note
        page += b"".join(self.hashes[p:n]) + b"".join(compact_range(self.hashes[:p]))
        if not p:
            page += self.file[0][: 102 + len(self.envelope)] + self.file[0][4080:]
        self.file.append(page.ljust(PAGE, b"\0"))
        self.covered = n
        if state != "running":
            self.final = note
            self.device.prev = sha(note)

    def finish(self, reason: int = 1) -> None:
        """STOP in a page of its own, and the end."""
        self.page(events=stop(self.sample, reason))
        self.checkpoint("end")

    def bytes(self) -> bytes:
        return b"".join(self.file)

    def write(self, path: Path) -> Path:
        path.write_bytes(self.bytes())
        return path


def tone(count: int, seed: int = 0) -> list[int]:
    """A quiet, not quite regular sound."""
    rng = random.Random(seed)
    value, found = 0, []
    for _ in range(count):
        value = max(-3000, min(3000, value + rng.randint(-20, 20)))
        found.append(value)
    return found


def begin(
    device: Device | None = None, owners: Sequence[Owner] | None = None, seed: int = 1
) -> tuple[Recording, list[int]]:
    """A recording with its first page (META, clock, 500 samples) and what it holds so far."""
    recording = Recording(device or Device(), owners or [Owner()], seed)
    samples = tone(500, seed)
    recording.sound(samples, rice, events=meta() + clock(0, 1_760_000_000_000_000))
    return recording, samples


def normal(pages: int = 6, **more: object) -> tuple[Recording, list[int]]:
    """A whole recording of `pages` pages of sound and one with STOP."""
    recording, samples = begin(**more)  # type: ignore[arg-type]
    for number in range(1, pages):
        part = tone(300, number)
        recording.sound(part, rice)
        samples += part
    recording.finish()
    return recording, samples
