"""What several commands need: the library, the owner's key, and a recording that was checked before it is heard."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from earwitness.console import console
from earwitness.errors import KeyMissingError, UsageError
from earwitness.keystore import Keystore
from earwitness.library import Entry, Library
from earwitness.places import EXCERPT_SUFFIX
from earwitness.verdict import BAD

if TYPE_CHECKING:
    from datetime import datetime

    from earwitness.audio import Audio
    from earwitness.chain import Chain
    from earwitness.identity import Identity
    from earwitness.verdict import Verdict


def owner() -> Identity:
    """The owner's key, unlocked."""
    return Keystore().load(console.passphrase)


def owner_if_at_hand() -> Identity | None:
    """The owner's key, or None where there is none or nobody can be asked for its passphrase."""
    store = Keystore()
    info = store.info()
    if info is None:
        return None
    if info.kept == "passphrase" and console.passphrase_fd is None and not sys.stdin.isatty():
        console.say("The key is locked and nobody can be asked: checking without it.")
        return None
    return store.load(console.passphrase)


def pinned_key(device_key: str) -> bytes | None:
    """The recorder's public key if this computer is paired with it."""
    from earwitness.devices import DeviceStore

    known = (record.public for record in DeviceStore().all())
    return next((public for public in known if public.hex() == device_key), None)


def device_name(device_key: str) -> str:
    """What the owner calls the recorder, or the start of its short key."""
    from hashlib import sha256

    from earwitness.devices import DeviceStore

    for record in DeviceStore().all():
        if record.public_key == device_key:
            return record.name
    return sha256(bytes.fromhex(device_key)).hexdigest()[:8]


def excerpt_file(text: str) -> Path | None:
    """The excerpt that `text` names, or None if it is not the name of one."""
    path = Path(text)
    if path.suffix != EXCERPT_SUFFIX:
        return None
    if not path.is_file():
        raise UsageError(f"There is no excerpt {text}.", "Check the name and the folder.")
    return path


def target(library: Library, text: str) -> Entry | Path:
    """A recording of the library, or a file elsewhere."""
    path = excerpt_file(text)
    if path:
        return path
    path = Path(text)
    if path.suffix == ".ewr" and path.is_file():
        if path.absolute().parent == library.root:
            return library.entry(path.absolute())
        return path
    if path.suffix == ".ewr" and path.name == text and (library.root / text).is_file():
        return library.entry(library.root / text)
    if path.is_file():
        raise UsageError(f"{text} is not a recording.", "A recording's name ends with .ewr, an excerpt's with .ewd.")
    if path.is_dir():
        raise UsageError(f"{text} is a folder.", "Name the recordings in it, or use --all for the library.")
    if path.suffix == ".ewr" or (len(path.parts) > 1 and "." in path.name):
        raise UsageError(f"There is no file {text}.", "Check the name and the folder.")
    return library.find(text)


def check(
    item: Entry | Path,
    identity: Identity | None,
    chain: Chain,
    pinned: bytes | None,
    *,
    decode: bool = False,
    now: datetime | None = None,
) -> Verdict:
    """All answers about a recording; one that was sealed for other keys is checked as a stranger would.

    decode: also decode all sound that can be opened. now: the day from which its time tokens are looked at, today if None.
    """
    from earwitness import beacon, dating, stamp
    from earwitness.excerpt_verdict import verify_excerpt
    from earwitness.verify import verify

    path = item.path if isinstance(item, Entry) else item
    if path.suffix == EXCERPT_SUFFIX:
        excerpt = verify_excerpt(path, pinned=pinned, chain=chain, decode=decode)
        return beacon.joined(path, stamp.times(path, excerpt, now=now), now=now)
    try:
        verdict = verify(path, identity, pinned=pinned, chain=chain, decode=decode)
    except KeyMissingError:
        verdict = verify(path, None, pinned=pinned, chain=chain)
    if isinstance(item, Entry):
        verdict = dating.joined(item.custody, verdict)
    return beacon.joined(path, stamp.times(path, verdict, now=now), now=now)


def learn(library: Library, item: Entry | Path, verdict: Verdict) -> None:
    """Keep for the list what a check told. What was seen with the key counts more, unless this is worse."""
    if isinstance(item, Entry) and (verdict.opened or item.row.duration_s is None or verdict.exit_code == BAD):
        library.learn(item, verdict)


def sound(item: Entry, *, allow_unverified: bool = False) -> Audio:
    """The sound of a recording, checked first."""
    from earwitness.audio import Audio

    if allow_unverified:
        console.say("Unverified: nothing vouches for what you hear.")
    return Audio(item.path, owner(), allow_unverified=allow_unverified, pinned=pinned_key(item.row.device_key))


def parse_time(text: str) -> float:
    """Seconds from `90`, `1:30`, `1:02:03.5`."""
    parts = text.strip().split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or not all(0 <= number < math.inf for number in numbers):
        raise UsageError(f"{text} is not a time.", "Write seconds, or 1:30, or 1:02:03.5.")
    total = 0.0
    for number in numbers:
        total = total * 60 + number
    return total


def mark_sample(audio: Audio, number: int) -> int:
    """The sample of mark `number`, counted from 1."""
    if not 1 <= number <= len(audio.marks):
        count = len(audio.marks)
        raise UsageError(
            f"There is no mark {number}.", f"This recording has {count or 'no'} mark{'s' if count != 1 else ''}."
        )
    return int(audio.marks[number - 1].sample)
