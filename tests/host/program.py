"""For the tests of the program: sealed recordings made by hand, and the program run as a person runs it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from earwitness import checkpoint, cli, merkle, note
from earwitness.identity import recipient_bytes

HOST = Path(__file__).resolve().parents[2] / "host"
RATE = 16_000
BEGAN_US = 1_795_424_400_000_000  # 2026-11-23 09:00:00 UTC
_BOOT_US = 5_000_000


@dataclass
class Sealer:
    """A recorder's sealing in plain Python. `marks` are (sample, kind); `muted` are (first sample, count)."""

    recipient: str
    device: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    prev: bytes = bytes(32)
    seq: int = 0

    @property
    def public(self) -> bytes:
        return self.device.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def record(
        self,
        path: Path,
        samples: np.ndarray,
        *,
        marks: tuple[tuple[int, int], ...] = (),
        muted: tuple[int, int] | None = None,
        final: bool = True,
    ) -> bytes:
        """Write a recording; returns its id. `muted` must begin at a multiple of 1600."""
        self.seq += 1
        recording_id, key, device_secret = os.urandom(16), os.urandom(32), os.urandom(32)
        device_mac = hmac.digest(device_secret, b"earwitness/v1/tag" + recording_id, "sha256")
        envelope = age_file(key, recipient_bytes(self.recipient))
        head = b"EWR1" + bytes((1, 1, 0, 0)) + struct.pack("<I", 4096) + recording_id + struct.pack("<Q", self.seq)
        head += self.prev + self.public + struct.pack("<H", len(envelope)) + envelope
        head = head.ljust(4080, b"\0")
        d = hashlib.sha256(head[:4048]).digest()
        page0 = head + hmac.digest(device_mac, d + head[4048:4080], "sha256")[:16]
        chain = HKDF(SHA256(), 32, d, b"earwitness/v1/chain").derive(key)
        tree, leaves, listed, p = merkle.Tree(), [hashlib.sha256(b"\0" + d + page0[4048:]).digest()], [], 0
        tree.append(leaves[0])
        out = [page0, self._checkpoint(recording_id, tree, [leaves[0]], 0, "running", [], page0)]
        p, kept = 1, tree.range()
        for index, body in enumerate(self._bodies(samples, marks, muted), 1):
            page_key = hmac.digest(chain, b"page", "sha256")
            chain = hmac.digest(chain, b"next", "sha256")
            cipher = Cipher(algorithms.AES(hmac.digest(page_key, b"enc", "sha256")), modes.CTR(bytes(16)))
            page = b"EWR1" + bytes((2, 1, 0, 0)) + struct.pack("<I", index) + recording_id + bytes(4)
            page += cipher.encryptor().update(body)
            d = hashlib.sha256(page).digest()
            page += hmac.digest(hmac.digest(page_key, b"mac", "sha256"), d, "sha256")
            page += hmac.digest(device_mac, d + page[4048:4080], "sha256")[:16]
            leaf = hashlib.sha256(b"\0" + d + page[4048:]).digest()
            tree.append(leaf)
            listed.append(leaf)
            out.append(page)
            if len(listed) == 60:
                out.append(self._checkpoint(recording_id, tree, listed, p, "running", kept))
                p, kept, listed = tree.size, tree.range(), []
        if final:
            out.append(self._checkpoint(recording_id, tree, listed, p, "end", kept))
        path.write_bytes(b"".join(out))
        self.prev = self._final_hash
        return recording_id

    def _checkpoint(
        self,
        recording_id: bytes,
        tree: merkle.Tree,
        leaves: list[bytes],
        p: int,
        state: str,
        range_: list[bytes],
        page0: bytes | None = None,
    ) -> bytes:
        text = note.body(self.public, recording_id, tree.size, tree.root(), seq=self.seq, state=state, prev=self.prev)
        signed = note.signed(text, self.public, self.device.sign(text))
        self._final_hash = hashlib.sha256(signed).digest()
        return checkpoint.page(
            recording_id, tree.size, p, signed_note=signed, leaves=leaves, range_=range_, header_page=page0
        )

    @staticmethod
    def _bodies(samples: np.ndarray, marks: tuple[tuple[int, int], ...], muted: tuple[int, int] | None) -> list[bytes]:
        def mono(sample: int) -> int:
            return _BOOT_US + sample * 1_000_000 // RATE

        def event(kind: int, at: int, data: bytes) -> bytes:
            return struct.pack("<BBQ", kind, 8 + len(data), mono(at)) + data

        bodies, step, lost, position = [], 1600, 0, 0
        while position < len(samples):
            if muted and position == muted[0]:
                lost, position = muted[1], position + muted[1]
                continue
            end = min(position + step, len(samples), muted[0] if muted and position < muted[0] else len(samples))
            events = b""
            if position == 0:
                names = b"".join(bytes((len(text),)) + text for text in (b"1.0", b"mic", b"Kitchen"))
                events += event(3, 0, bytes(32) + bytes(16) + struct.pack("<I", RATE) + names)
                events += event(2, 0, struct.pack("<qIB", BEGAN_US, 2000, 1))
            if muted and end == muted[0]:
                events += event(5, end, struct.pack("<Q", end))
            if lost:
                events += event(6, position, struct.pack("<Q", position))
            for sample, kind in marks:
                if position <= sample < end:
                    events += event(1, sample, struct.pack("<BQ", kind, sample))
            if end == len(samples):
                events += event(10, end, b"\x01")
            audio = samples[position:end].astype("<i2").tobytes()
            fixed = struct.pack(
                "<QQHHHBBII", position, mono(position), end - position, len(events), len(audio), 0, 0, lost, 0
            )
            bodies.append((fixed + events + audio).ljust(4016, b"\0"))
            position, lost = end, 0
        return bodies


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(key)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def age_file(payload: bytes, recipient: bytes) -> bytes:
    """An age v1 file with exactly one X25519 stanza (pyrage adds others at random)."""
    file_key, ephemeral, nonce = os.urandom(16), X25519PrivateKey.generate(), os.urandom(16)
    share = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    wrap = _hkdf(shared, share + recipient, b"age-encryption.org/v1/X25519")
    head = b"age-encryption.org/v1\n-> X25519 " + _b64(share) + b"\n"
    head += _b64(ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)) + b"\n---"
    head += b" " + _b64(hmac.digest(_hkdf(file_key, b"", b"header"), head, "sha256")) + b"\n"
    chunk = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\1", payload, None)
    return head + nonce + chunk


def tone(seconds: float, amplitude: float = 60, hertz: float = 440) -> np.ndarray:
    """A quiet tone, swelling and fading, as int16."""
    time = np.arange(int(seconds * RATE)) / RATE
    return np.rint(amplitude * np.sin(2 * np.pi * hertz * time) * (1.2 + np.sin(2 * np.pi * time))).astype(np.int16)


def run(home: Path, *words: str, stdin: str = "", **settings: Any) -> subprocess.CompletedProcess[str]:
    """`earwitness words…` in its own home: the program's `main` in this process, which is several times quicker.

    It sees only what a process of its own would: environment, streams, current folder and arguments of its own.
    """
    env, cwd = environment(home, **settings.pop("env", {})), settings.pop("cwd", None)
    assert not settings, f"{list(settings)} need run_process"
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    on_term, old_place, old_words = signal.getsignal(signal.SIGTERM), Path.cwd(), sys.argv
    with (
        mock.patch.dict(os.environ, env, clear=True),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        _follow_environment()
        try:
            os.chdir(cwd or old_place)
            sys.argv = ["earwitness", *words]
            code = cli.main(words)
        finally:
            os.chdir(old_place)
            sys.argv = old_words
            signal.signal(signal.SIGTERM, on_term)
    _follow_environment()
    return _done(words, code, out.buffer.getvalue(), err.buffer.getvalue())  # type: ignore[attr-defined]


def _follow_environment() -> None:
    tempfile.tempdir = None  # found anew
    if hasattr(time, "tzset"):
        time.tzset()


def run_process(home: Path, *words: str, stdin: str = "", **settings: Any) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, for what only a process shows."""
    done = subprocess.run(
        [sys.executable, "-m", "earwitness", *words],
        input=stdin.encode(),
        capture_output=True,
        env=environment(home, **settings.pop("env", {})),
        timeout=120,
        check=False,
        **settings,
    )
    return _done(words, done.returncode, done.stdout, done.stderr)


def _done(words: tuple[str, ...], code: int, out: bytes, err: bytes) -> subprocess.CompletedProcess[str]:
    done = subprocess.CompletedProcess(words, code, out.decode(), err.decode())
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing of the tester's own shows."""
    keep = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "LANG") if name in os.environ}
    port = {"EARWITNESS_PORT": "socket://127.0.0.1:9"}  # nobody there: a tester's own recorder is left alone
    return keep | port | {"EARWITNESS_HOME": str(home), "PYTHONPATH": str(HOST), "COLUMNS": "200"} | more


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())
