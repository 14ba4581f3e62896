"""Pages that the recorder seals open on the computer, and only with their own key."""

from __future__ import annotations

import hashlib
import hmac

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from earwitness import keys
from earwitness.identity import Identity
from earwitness.page import parse_header

_SEAL = """
import virtual_hal
virtual_hal.setup()
from recorder.seal.drbg import Drbg
from recorder.seal.header import Header
class Identity:
    seed = bytes(range(32))
    public = bytes.fromhex(ARGS["public"])
    device_secret = bytes(range(32, 64))
    recipients = [bytes.fromhex(r) for r in ARGS["recipients"]]
header = Header(Identity, 3, bytes(range(32)), Drbg(bytes(48), bytes(16), b"test"))
emit(bytes(header.page).hex())
leaf = bytearray(32)
leaves = [bytes(header.leaf).hex()]
for index in range(3):
    page = bytearray(4096)
    for k in range(32, 4048):
        page[k] = (k * 7 + index) & 255
    header.sealer.seal(page, leaf)
    emit(bytes(page).hex())
    leaves.append(bytes(leaf).hex())
emit(leaves)
"""


@pytest.mark.parametrize("recipients", [1, 2, 3])
def test_sealed_pages_open_with_the_owners_identity(mpy, recipients) -> None:
    owners = [Identity.generate() for _ in range(recipients)]
    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
    *pages, leaves = mpy(
        _SEAL, args={"recipients": [owner.recipient_bytes.hex() for owner in owners], "public": public.hex()}
    )
    raw = [bytes.fromhex(page) for page in pages]
    header = parse_header(raw[0])
    assert (header.seq, header.prev, header.device) == (3, bytes(range(32)), public)
    for owner in owners:
        ratchet = keys.Ratchet(keys.recording_key(header, owner), header)
        for index, page in enumerate(raw[1:], 1):
            enc, mac = keys.page_keys(ratchet.page_key(index))
            assert hmac.digest(mac, hashlib.sha256(page[:4048]).digest(), "sha256") == page[4048:4080]
            assert keys.open_body(enc, page[32:4048]) == bytes((k * 7 + index - 1) & 255 for k in range(32, 4048))
    kdm = hmac.digest(bytes(range(32, 64)), b"earwitness/v1/tag" + header.recording_id, "sha256")
    for page, leaf in zip(raw, leaves, strict=True):
        d = hashlib.sha256(page[:4048]).digest()
        assert hmac.digest(kdm, d + page[4048:4080], "sha256")[:16] == page[4080:]
        assert hashlib.sha256(b"\0" + d + page[4048:]).hexdigest() == leaf
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(header.envelope, [pyrage.x25519.Identity.generate()])
