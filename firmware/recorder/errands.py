"""What the link may have an idle recorder do. Idle set; answers.py is what stays while it records."""

from binascii import unhexlify

from micropython import const

from recorder import indicator, readiness
from recorder.errors import CardError, EntropyFault, LinkError
from recorder.hal import clock, power, rtc
from recorder.seal import note
from recorder.seal.mac import sha256
from recorder.store import journal as entries
from recorder.store import journal_reading
from recorder.store.receipts import at_stake, receipts

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from recorder.answers import Answers
    from recorder.link.pairing import Request
    from recorder.store.identity import Identity
    from recorder.store.volume import Volume

# States of a recording in LIST
_FINAL = const(1)
_OPEN = const(2)
_FREED = const(3)
_LOST = const(4)
_ELSEWHERE = const(5)
_RECEIPT = const(0x80)

# Refusals
_MALFORMED = const(2)
_NOT_FOUND = const(7)
_CARD = const(8)
_NO_RECEIPT = const(10)
_UNSYNCED = const(11)

_NOTES_MOST = const(512)  # more than any journal keeps
_PROMPT = const(64)  # fault code that starting.py takes for a wish for the prompt
_SAID_MS = const(200)  # for the last bytes to leave the cable's buffers


class Errands:
    """The session, as the link sees it while idle."""

    def __init__(self, answers: "Answers") -> None:
        self._session = answers.session
        self.between = readiness.keep_alive(answers.session)  # for long work to call

    @property
    def identity(self) -> "Identity | None":
        return self._session.identity

    @property
    def boot_id(self) -> bytes:
        return self._session.boot_id

    @property
    def volume(self) -> "Volume | None":
        return self._session.volume

    def told(self) -> str:
        """More of what answers.told() tells."""
        session = self._session
        journal = session.journal
        identity = session.identity
        text = "clock_set %d\ntrouble %s\nname %s\nversion %s\n" % (
            session.anchor is not None or rtc.is_set(),
            session.trouble,
            identity.name if identity is not None else "",
            power.version()[1],
        )
        volume = session.volume
        if volume is not None:
            on_card = [seq for seq in volume.seqs() if seq <= journal.newest_final]
            held = receipts(journal)
            waiting = [seq for seq in on_card if held.get(seq) != identity.epoch] if identity is not None else on_card
            text += "card_free_pages %d\non_card %d\nwaiting %d\n" % (volume.free_pages, len(on_card), len(waiting))
        faults = journal_reading.faults(journal)
        text += "faults %d\n" % len(faults)
        if faults:
            text += "last_fault %s\n" % faults[-1][1].decode().replace("\n", " ")
        return text

    # ---- what there is

    def recordings(self, after: int) -> "Iterator[tuple[int, bytes, int, int, list[int]]]":
        """(seq, id, file pages, state, file pages of marks) above `after`, in order: of this pairing's recordings those
        on the card, and of the newest also those that are not here any more."""
        session = self._session
        volume, journal, identity = session.volume, session.journal, session.identity
        if identity is None:
            return
        marks = {}  # type: dict[int, list[int]]
        held = receipts(journal, marks)
        here = [] if volume is None else volume.seqs()
        ended = range(max(after, journal.newest_final - _NOTES_MOST) + 1, journal.newest_final + 1)
        begin = bytearray(100)
        for seq in sorted({seq for seq in here if seq > after} | {seq for seq in ended if journal.slot_of(seq)}):
            recording_id, state = self._ended(seq, identity)
            pages = 0
            if volume is not None and seq in here:
                found = self._begun(volume, seq, begin)
                if found and recording_id in (b"", found):
                    recording_id, pages = found, volume.pages(seq)
                    if state != _FREED:  # one given up for lost, too, if its card is back
                        state = _OPEN if journal.open is not None and journal.open.seq == seq else _FINAL
            if recording_id and state:
                flags = _RECEIPT if held.get(seq) == identity.epoch else 0
                yield seq, recording_id, pages, state | flags, marks.get(seq, []) if pages else []

    def readable(self, seq: int) -> int:
        """File pages of a recording on the card, 0 if there is none, or a freed one. Quick: asked for each READ."""
        session = self._session
        if session.volume is None:
            raise CardError(CardError.GONE)
        if session.journal.is_freed(seq) or not self._begun(session.volume, seq, bytearray(100)):
            return 0
        return session.volume.pages(seq)

    def _ended(self, seq: int, identity: "Identity") -> "tuple[bytes, int]":
        """(id, state) as the journal has it; b"" where it knows of none, or of one of an earlier pairing."""
        journal = self._session.journal
        final = journal.final_note(seq)
        if final is None:
            return b"", 0
        lines = final.decode().split("\n")
        if lines[0][25:41] != note.key_name(identity.public)[11:]:  # earwitness/v1/checkpoint/<key>/<id>
            return b"", 0
        state = _FREED if journal.is_freed(seq) else _LOST if lines[4] == "state lost" else _ELSEWHERE
        return unhexlify(lines[0][-32:]), state

    def _begun(self, volume: "Volume", seq: int, begin: bytearray) -> bytes:
        """The id of this recorder's recording in the file of `seq`, b"" if it holds none."""
        identity = self._session.identity
        try:
            volume.read_page(seq, 0, begin)
        except CardError:
            return b""  # no page 0: nothing of a recording
        if identity is None or begin[:4] != b"EWR1" or begin[68:100] != identity.public:
            return b""
        return bytes(begin[12:28])

    def final_note(self, seq: int) -> bytes:
        """The signed final note of recording `seq`. Raises LinkError."""
        found = self._session.journal.final_note(seq)
        if found is None:
            raise LinkError(_NOT_FOUND, "no such note")
        return found

    def faults(self) -> "list[tuple[int, bytes]]":
        """(seq, text) of the newest faults, oldest first."""
        return journal_reading.faults(self._session.journal)

    # ---- what is given up

    def receipt(self, seq: int, recording_id: bytes, note_hash: bytes, signature: bytes) -> None:
        """The computer of this pairing says that it holds the recording: kept as it says, its signature is for others to
        check. Raises LinkError."""
        epoch = self._covered(seq, recording_id, note_hash)
        if receipts(self._session.journal).get(seq) != epoch:
            self._session.journal.append(entries.RECEIPT, seq, epoch.to_bytes(4, "little") + signature)

    def free(self, seq: int, recording_id: bytes, note_hash: bytes) -> None:
        """Delete a recording that a receipt of this pairing covers. Its final note stays. Raises LinkError, CardError.

        The journal says so before the card does: cut between the two, the file is still there, and asking again deletes it.
        """
        session = self._session
        journal = session.journal
        if receipts(journal).get(seq) != self._covered(seq, recording_id, note_hash) and not journal.is_freed(seq):
            raise LinkError(_NO_RECEIPT, "no receipt")
        volume = session.volume
        if volume is None:
            raise LinkError(_CARD, CardError.GONE)
        if volume.has(seq):
            begin = bytearray(100)
            if self._begun(volume, seq, begin) != recording_id:
                raise LinkError(_NOT_FOUND, "the card holds another of this number")
            if not journal.is_freed(seq):
                journal.append(entries.FREED, seq, b"")
            try:
                volume.remove(seq)
            except CardError as error:
                raise LinkError(_CARD, error.kind) from None
            session.retry()  # a full card has room now
        elif not journal.is_freed(seq):
            raise LinkError(_NOT_FOUND, "not on this card")

    def _covered(self, seq: int, recording_id: bytes, note_hash: bytes) -> int:
        """The pairing's epoch, if this is the recording that the journal knows under `seq`. Raises LinkError."""
        final = self._session.journal.final_note(seq)
        identity = self._session.identity
        if (
            final is None
            or identity is None
            or sha256(final) != note_hash
            or self._ended(seq, identity)[0] != recording_id
        ):
            raise LinkError(_NOT_FOUND, "no such recording")
        return identity.epoch

    def format(self, everything: bool) -> None:
        """Make the card a new FAT32 volume. Raises LinkError if it holds what no receipt covers, unless `everything`."""
        session = self._session
        from recorder.hal import card
        from recorder.store.card_format import quick_format

        if session.journal.open is not None:
            raise LinkError(_CARD, "a recording is unfinished: put its card in first")
        if not everything and session.volume is not None:
            covered = {each[1] for each in self.recordings(0) if each[3] & _RECEIPT or each[3] == _FREED}
            if at_stake(session.volume, covered):
                raise LinkError(_UNSYNCED, "recordings on the card are not on the computer yet")
        session.forget_primed()
        session.journal.append(entries.FAULT, 0, b"card formatted")
        session.volume = None
        try:
            quick_format(card.open_card(), session.indicator.step)
        except CardError as error:
            raise LinkError(_CARD, error.kind) from None
        session.retry()

    # ---- what is set

    def set_clock(self, utc_us: int, error_us: int, source: int) -> None:
        """An anchor for this boot's recordings: `utc_us` is now."""
        self._session.anchor = (utc_us, clock.now_us(), error_us, source)
        rtc.write(utc_us)

    def set_beacon(self, data: bytes) -> None:
        """Keep it for page 1 of every recording from now on: they were not made before it."""
        self._session.journal.append(entries.BEACON, 0, data)

    def add_entropy(self, data: bytes) -> None:
        session = self._session
        had_none = session.drbg is None
        try:
            readiness.stir(session, data)
        except EntropyFault as error:
            readiness.fault(session, error)
            raise
        if had_none:
            session.trouble = ""  # it had no numbers to draw from; now it has

    def set_name(self, name: str) -> None:
        """What its owner calls this recorder, at most 32 bytes."""
        self._change(name, None)

    def set_recipients(self, keys: "list[bytes]") -> None:
        """For whom recordings are sealed from now on; the link has checked that the button is held. Raises LinkError."""
        self._refuse_weak(keys)
        self._change("", keys)
        self._session.forget_primed()  # it was sealed for those before

    def _change(self, name: str, keys: "list[bytes] | None") -> None:
        from recorder.store.vault import Vault

        vault = Vault()
        stored = vault.load()
        held = self._session.identity
        if stored is None or held is None:
            raise LinkError(_NOT_FOUND, "not paired")
        if (name or stored.name, keys or stored.recipients) == (stored.name, stored.recipients):
            return  # a repetition costs no flash
        stored.name = name or stored.name
        stored.recipients = keys or stored.recipients
        vault.save(stored)
        held.name, held.recipients = stored.name, stored.recipients

    def _refuse_weak(self, keys: "list[bytes]") -> None:
        """A weak key would make every recording fail."""
        from recorder.seal import x25519

        drbg = self._session.drbg
        if drbg is None:
            raise EntropyFault("no random numbers")
        try:
            for key in keys:
                x25519.x25519(drbg.generate(32), key, self.between)
        except x25519.WeakKeyError:
            raise LinkError(_MALFORMED, "malformed: a recipient's key is weak") from None

    # ---- who it belongs to

    def pair(self, request: "Request") -> "Identity":
        """Make this recorder's keys and keep them; the link has checked that the button is held and nobody was paired."""
        session = self._session
        from recorder.seal import ed25519
        from recorder.store.identity import Identity
        from recorder.store.vault import Vault

        power.fast(True)
        session.indicator.show(indicator.SYNCING)
        vault = Vault()
        vault.load()  # for the epoch: it outlives an identity that was erased
        self._refuse_weak(request.recipients)
        if session.drbg is None:
            raise EntropyFault("no random numbers")
        draw = session.drbg.generate
        seed = bytes(draw(32))
        identity = Identity(
            seed=seed,
            public=ed25519.public_key(seed, self.between),
            device_secret=bytes(draw(32)),
            link_secret=request.link_secret,
            receipt_key=request.receipt_key,
            recipients=request.recipients,
            epoch=vault.epoch + 1,
            name=request.name,
        )
        vault.save(identity)
        session.identity = identity
        session.forget_primed()
        session.retry()
        return identity

    def unpair(self) -> None:
        """Erase the identity; the link has checked that the button is held. Raises LinkError."""
        if self._session.journal.open is not None:
            raise LinkError(_CARD, "a recording is unfinished: put its card in first")
        readiness.unpair(self._session)
        self._session.journal.append(
            entries.FAULT, 0, b"unpaired"
        )  # as by hand (readiness.py): nobody is to do it unseen

    # ---- itself

    def identify(self) -> None:
        self._session.indicator.buzz(indicator.WARN)

    def selftest(self) -> str:
        """A line for each part: `name verdict figures`."""
        from recorder.selftest import run

        return run(self._session)

    def prompt(self) -> None:
        """Start again into MicroPython's prompt, so that the firmware can be exchanged (starting.py). Kept as a fault."""
        self._session.journal.append(entries.FAULT, 0, b"maintenance")
        clock.idle(_SAID_MS)
        power.note_fault(_PROMPT)
        power.reset()
