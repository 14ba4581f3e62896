"""A time authority of the tests' own (RFC 3161), on loopback: it signs whatever time it is told to.

The tokens are written here byte by byte from RFC 3161, 5652 and 5035, sharing no code with what reads them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

_SHA256 = "2.16.840.1.101.3.4.2.1"
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"


def der(tag: int, *parts: bytes) -> bytes:
    """One DER value."""
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def sequence(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(text: str) -> bytes:
    first, second, *rest = (int(part) for part in text.split("."))
    body = bytes([40 * first + second])
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.insert(0, 0x80 | number & 0x7F)
        body += bytes(digits)
    return der(0x06, body)


def attribute(name: str, value: bytes) -> bytes:
    return sequence(oid(name), der(0x31, value))


def _name(text: str) -> x509.Name:
    pairs = ((NameOID.ORGANIZATION_NAME, "Local Time Ltd"), (NameOID.COMMON_NAME, text))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs])


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    begins: datetime,
    ends: datetime,
    leaf: bool = False,
    stamps: bool = True,
) -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(begins).not_valid_after(ends)
    builder = builder.add_extension(x509.BasicConstraints(not leaf, None), critical=True)
    usage = [leaf, False, False, False, False, not leaf, not leaf, False, False]
    builder = builder.add_extension(x509.KeyUsage(*usage), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if leaf:
        purpose = ExtendedKeyUsageOID.TIME_STAMPING if stamps else ExtendedKeyUsageOID.CODE_SIGNING
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
    )
    return builder.sign(issuer_key, SHA256())


@dataclass
class LocalAuthority:
    """Root, issuing and signing certificate. The signing one is valid for 30 days around `NOON` unless told otherwise."""

    name: str = "Test Time"
    stamps: bool = True  # False: its certificate is for signing code
    begins: datetime = NOON - timedelta(days=15)
    ends: datetime = NOON + timedelta(days=15)
    clock: Callable[[], datetime] = lambda: NOON
    requests: list[bytes] = field(default_factory=list)  # as they came in
    url: str = ""
    answer: Callable[[bytes], tuple[int, bytes]] | None = (
        None  # request -> HTTP status, body: for answers that are wrong
    )

    def __post_init__(self) -> None:
        long = {"begins": NOON - timedelta(days=4000), "ends": NOON + timedelta(days=4000)}
        root_key, middle_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root, middle, leaf = f"{self.name} Root", f"{self.name} CA", f"{self.name} Unit 1"
        self.root = _certificate(root, root_key, root, root_key, **long)
        self.middle = _certificate(middle, middle_key, root, root_key, **long)
        self.leaf = _certificate(
            leaf, self._key, middle, middle_key, begins=self.begins, ends=self.ends, leaf=True, stamps=self.stamps
        )

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def respond(self, request: bytes) -> bytes:
        """The answer to a TimeStampReq made with SHA-256, a nonce and certReq."""
        at = request.index(oid(_SHA256))
        imprint = request[request.index(b"\x04\x20", at) + 2 :][:32]
        rest = request[request.index(imprint) + 32 :]
        nonce = int.from_bytes(rest[2 : 2 + rest[1]], "big") if rest[:1] == b"\x02" else None
        return self.token(imprint, nonce=nonce)

    def token(self, imprint: bytes, *, nonce: int | None = None, when: datetime | None = None) -> bytes:
        """A TimeStampResp, status granted, over this SHA-256."""
        when = when or self.clock()
        algorithm = sequence(oid(_SHA256))
        info = sequence(
            integer(1),
            oid("1.3.6.1.4.1.99999.1"),
            sequence(algorithm, der(0x04, imprint)),
            integer(x509.random_serial_number()),
            der(0x18, when.strftime("%Y%m%d%H%M%SZ").encode()),
            sequence(integer(1)),  # accuracy: a second
            b"" if nonce is None else integer(nonce),
        )
        leaf = self.leaf.public_bytes(Encoding.DER)
        attributes = sorted(
            (
                attribute(_CONTENT_TYPE, oid(_TST_INFO)),
                attribute(_MESSAGE_DIGEST, der(0x04, hashlib.sha256(info).digest())),
                attribute(
                    _SIGNING_CERTIFICATE_V2,
                    sequence(sequence(sequence(der(0x04, hashlib.sha256(leaf).digest())))),
                ),
            )
        )
        signature = self._key.sign(der(0x31, *attributes), ec.ECDSA(SHA256()))
        signer = sequence(
            integer(1),
            sequence(self.leaf.issuer.public_bytes(), integer(self.leaf.serial_number)),
            algorithm,
            der(0xA0, *attributes),
            sequence(oid(_ECDSA_SHA256)),
            der(0x04, signature),
        )
        signed = sequence(
            integer(3),
            der(0x31, algorithm),
            sequence(oid(_TST_INFO), der(0xA0, der(0x04, info))),
            der(0xA0, *sorted((leaf, self.middle.public_bytes(Encoding.DER)))),
            der(0x31, signer),
        )
        return sequence(sequence(integer(0)), sequence(oid(_SIGNED_DATA), der(0xA0, signed)))

    @contextmanager
    def serving(self) -> Iterator[LocalAuthority]:
        """Answer on loopback while the block runs; `url` says where."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                authority.requests.append(body)
                status, reply = authority.answer(body) if authority.answer else (200, authority.respond(body))
                self.send_response(status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/tsr"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


REFUSAL = sequence(sequence(integer(2), sequence(der(0x0C, b"Out of service"))))
