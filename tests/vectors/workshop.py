"""What the vectors are made from: recordings of a few pages, and ways to spoil them that leave all else as it has to be."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from host import maker
from host.maker import PAGE, Device, Owner, Recording

UTC_US = 1_760_000_000_000_000  # 2025-10-09T08:53:20Z
OWNER = Owner()


@dataclass
class Vector:
    """One file and what has to be said of it."""

    name: str
    about: str
    expect: str
    data: bytes
    intact: str | None  # state with the key; None: the header is refused
    complete: str | None
    exit: int  # with the key
    sealed_exit: int  # without
    key: bytes = b""
    beside: list[str] = field(default_factory=list)
    samples: list[int] | None = None
    suffix: str = "ewr"

    def entry(self) -> dict[str, object]:
        """What stands in the manifest."""
        found: dict[str, object] = {
            "file": f"{self.name}.{self.suffix}",
            "about": self.about,
            "expect": self.expect,
            "intact": self.intact,
            "complete": self.complete,
            "exit": self.exit,
            "exit_without_key": self.sealed_exit,
            "recording_key": self.key.hex() or None,
            "sha256": maker.sha(self.data).hex(),
        }
        if self.beside:
            found["beside"] = [f"{name}.ewr" for name in self.beside]
        if self.samples is not None:
            sound = struct.pack(f"<{len(self.samples)}h", *self.samples)
            found |= {"samples": len(self.samples), "pcm_sha256": maker.sha(sound).hex()}
        return found


def least(**more: object) -> tuple[Recording, list[int]]:
    """4 pages: header, checkpoint 0, leaf 1 with 500 samples and STOP, end."""
    recording = Recording(owners=[OWNER], **({"device": Device()} | more))  # type: ignore[arg-type]
    samples = maker.tone(500, 1)
    recording.sound(samples, maker.rice, events=maker.meta() + maker.clock(0, UTC_US) + maker.stop(500))
    recording.checkpoint("end")
    return recording, samples


def short(**more: object) -> tuple[Recording, list[int]]:
    """5 pages: header, checkpoint 0, 500 samples, STOP, end."""
    recording, samples = maker.begin(owners=[OWNER], **more)  # type: ignore[arg-type]
    recording.finish()
    return recording, samples


def middle() -> tuple[Recording, list[int]]:
    """6 pages: header, checkpoint 0, leaf 1, a running checkpoint, leaf 2 with STOP, end."""
    recording, samples = maker.begin(owners=[OWNER])
    recording.checkpoint()
    recording.finish()
    return recording, samples


def with_header(change: Callable[[bytearray], None], device: Device | None = None) -> Recording:
    """Header and checkpoint 0, sealed and signed over a header that was changed before."""
    recording = Recording(device or Device(), [OWNER])
    page = bytearray(recording.file[0][:4048])
    change(page)
    recording.seq, recording.prev = struct.unpack_from("<Q32s", page, 28)  # the note agrees with what was changed
    recording.chain = maker.hkdf(OWNER.open_envelope(recording.envelope), maker.sha(page), b"earwitness/v1/chain")
    recording.file, recording.hashes, recording.covered = [], [], 0
    recording._leaf(bytes(page), None)
    recording.checkpoint()
    return recording


def flip(recording: Recording, page: int, at: int, mask: int = 1) -> Recording:
    data = bytearray(recording.file[page])
    data[at] ^= mask
    recording.file[page] = bytes(data)
    return recording


def note_changed(change: Callable[[Recording, bytes], bytes]) -> Recording:
    """Checkpoint 0 with another signed note, everything else in the page as it has to be."""
    recording, _ = least()
    page = recording.file[1]
    length = int.from_bytes(page[32:34], "little")
    note = change(recording, page[34 : 34 + length])
    rest = page[34 + length :]
    recording.file[1] = (page[:32] + struct.pack("<H", len(note)) + note + rest.rstrip(b"\0")).ljust(PAGE, b"\0")
    return recording


def resigned(old: str, new: str) -> Recording:
    def change(recording: Recording, note: bytes) -> bytes:
        text = note.split(b"\n\n")[0].decode() + "\n"
        assert old in text
        return recording.device.sign(text.replace(old, new, 1).encode())

    return note_changed(change)


class Anybody(Device):
    """A device whose public key is the neutral point: this one signature holds under it for every text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.public = b"\1" + bytes(31)

    def signature(self, text: bytes) -> bytes:
        return b"\1" + bytes(63)


def sealed_body(plain: bytes, *, second: bool = False) -> Recording:
    """A sealed leaf 1 with this body, zeros behind it; `second`: behind a page of 500 samples."""
    recording = maker.begin(owners=[OWNER])[0] if second else Recording(Device(), [OWNER])
    recording.body(plain.ljust(4016, b"\0"))
    recording.checkpoint("end")
    return recording


def fields(first: int = 0, samples: int = 0, n_events: int = 0, n_audio: int = 0, **more: int) -> bytes:
    return struct.pack(
        "<QQHHHBBII",
        first,
        maker.mono(first),
        samples,
        n_events,
        n_audio,
        more.get("codec", 0),
        more.get("flags", 0),
        more.get("lost", 0),
        more.get("zero", 0),
    )
