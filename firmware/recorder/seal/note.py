"""Signed notes: what the recorder says of a recording, as text that C2SP tools can read (signed-note, tlog-checkpoint)."""

from binascii import b2a_base64, hexlify

from recorder.seal.mac import sha256

_ED25519 = b"\n\x01"  # C2SP signed-note: newline after the key's name, then the signature type


def key_name(public: bytes) -> str:
    """`earwitness/<16 hex digits>` for a device public key."""
    return "earwitness/" + hexlify(sha256(public)[:8]).decode()


def key_id(public: bytes) -> bytes:
    """The 4 bytes that stand before a signature: C2SP signed-note, "Signatures"."""
    return sha256(key_name(public).encode(), _ED25519, public)[:4]


def body(
    public: bytes,
    recording_id: bytes,
    n: int,
    root: bytes,
    seq: int,
    state: str,
    prev: bytes,
    seen: "int | None" = None,
) -> bytes:
    """The text that is signed, newline at its end included. `seen` belongs to recovered, damaged and lost, and only there."""
    text = "earwitness/v1/checkpoint/%s/%s\n%d\n%s\nseq %d\nstate %s\nprev %s\n" % (
        key_name(public)[11:],
        hexlify(recording_id).decode(),
        n,
        _base64(root),
        seq,
        state,
        _base64(prev),
    )
    if seen is not None:
        text += "seen %d\n" % seen
    return text.encode()


def signed(text: bytes, public: bytes, signature: bytes) -> bytes:
    """The whole note: text, empty line, signature line. "The note" and its hash mean all of these bytes."""
    line = "\n\u2014 %s %s\n" % (key_name(public), _base64(key_id(public) + signature))
    return text + line.encode()


def _base64(data: bytes) -> str:
    return b2a_base64(data).decode().rstrip()
