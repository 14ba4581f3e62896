"""Run by MicroPython: the recorder's real link code, a session that only pretends, and a TCP port for a cable.

    micropython link_harness.py <firmware folder> <settings.json>

Prints one JSON line when it listens, then one for each thing that the link asks of the session. Reads one word and a
value a line from stdin: `state recording`, `button 1`, `skip 6000` (milliseconds), `stall 1` (the host stops reading),
`release`, `heap`, `quit`.
"""

import gc
import json
import os
import select
import socket
import sys
import time

sys.path.insert(0, sys.argv[1])
with open(sys.argv[2]) as _file:
    SETTINGS = json.load(_file)


def tell(**what):
    print(json.dumps(what))


class Module:
    pass


skipped = 0
clock = Module()
clock.ticks_ms = lambda: (time.ticks_ms() + skipped) & 0x1FFFFFFF
clock.since_ms = lambda ticks: (clock.ticks_ms() - ticks) & 0x1FFFFFFF
clock.now_us = lambda: time.time_ns() // 1000 % 10**12 + skipped * 1000
entropy = Module()
entropy.system = os.urandom

peer = None
stalled = False
usb = Module()


def usb_read(into):
    if peer is None:
        return 0
    try:
        data = peer.recv(len(into))
    except OSError:
        return 0
    if not data:
        hang_up()
        return 0
    into[: len(data)] = data
    return len(data)


def usb_write(data):
    if peer is None or stalled:
        time.sleep_ms(100)  # as long as the chip's driver waits
        return 0
    at = 0
    give_up = time.ticks_ms() + 100
    while at < len(data):
        try:
            at += peer.send(data[at:])
        except OSError:
            if time.ticks_ms() > give_up:
                break
            time.sleep_ms(1)
    return at


usb.read = usb_read
usb.write = usb_write
hal = __import__("recorder.hal", None, None, ("x",))
for _name, _module in (("clock", clock), ("entropy", entropy), ("usb", usb)):
    sys.modules["recorder.hal." + _name] = _module
    setattr(hal, _name, _module)

if SETTINGS.get("ble"):  # the chip's module, on a stand-in for `bluetooth`
    sys.path[:0] = [sys.argv[1] + "/../tools/virtual/ble/device", sys.argv[1] + "/recorder/hal"]
    import bluetooth

    import ble

    bluetooth.path = SETTINGS["ble"]
    ble.time = Module()
    ble.time.ticks_ms = lambda: (time.ticks_ms() + skipped) & 0x3FFFFFFF
    ble.time.ticks_diff = time.ticks_diff
    ble.time.sleep_ms = time.sleep_ms
    sys.modules["recorder.hal.ble"] = hal.ble = ble
    sys.path[:2] = []

from recorder.errors import CardError, LinkError
from recorder.link.service import Link
from recorder.seal import ed25519


class Identity:
    pass


def identity(link_secret, receipt_key, recipients, name, epoch=1):
    made = Identity()
    made.seed = bytes.fromhex(SETTINGS["seed"])
    made.public = ed25519.public_key(made.seed)
    made.link_secret = link_secret
    made.receipt_key = receipt_key
    made.recipients = recipients
    made.epoch = epoch
    made.name = name
    return made


class Opened:
    def __init__(self, seq):
        self.seq = seq


class Journal:
    newest_final = SETTINGS.get("newest", 0)
    open = Opened(SETTINGS["open"]) if SETTINGS.get("open") else None

    def prev_hash(self):
        return bytes.fromhex(SETTINGS.get("hash", "00" * 32))


class Volume:
    def read_page(self, seq, page, into):
        recording = SETTINGS["recordings"][str(seq)]
        if page in recording.get("bad", ()):
            raise CardError(recording.get("kind", "card failed"))
        with open(recording["path"], "rb") as file:
            file.seek(page * 4096)
            assert file.readinto(into) == 4096


class Session:
    """What the link asks of a session, while recording (answers.Answers) and when idle (errands.Errands)."""

    def __init__(self):
        secret = SETTINGS.get("link_secret")
        self.identity = None
        if secret:
            self.identity = identity(bytes.fromhex(secret), bytes(32), [bytes([1]) * 32], "test")
        self.boot_id = bytes(range(16))
        self.drbg = None
        self.journal = Journal()
        self.volume = Volume()
        self.state = SETTINGS.get("state", "idle")
        self.button = SETTINGS.get("button", 0)
        self.light = 40
        self.receipts = {}
        self.freed = set()

    def errands(self):
        return self

    def between(self):
        pass

    def is_recording(self):
        return self.state in ("recording", "muted")

    def told(self):
        text = "state " + self.state + "\nbattery_mv 3912\nminutes_left 417\ncard_free_pages 7000\n"
        return text + "".join(name + " " + value + "\n" for name, value in SETTINGS.get("told", {}).items())

    def stop(self):
        tell(call="stop")
        if self.is_recording():
            self.state = "idle"

    def set_light(self, brightness):
        tell(call="set_light", brightness=brightness)
        self.light = brightness

    def settings(self):
        name = self.identity.name.encode()
        keys = b"".join(self.identity.recipients)
        return bytes((1, 1, self.light, 2, len(name))) + name + bytes((3, len(keys))) + keys

    def recordings(self, after):
        for seq in sorted(int(text) for text in SETTINGS.get("recordings", {})):
            if seq > after:
                item = SETTINGS["recordings"][str(seq)]
                state = 3 if seq in self.freed else item.get("state", 1)
                state |= 0x80 if seq in self.receipts else 0
                pages = 0 if seq in self.freed else item["pages"]
                yield seq, bytes.fromhex(item["id"]), pages, state, item.get("marks", ())

    def readable(self, seq):
        item = SETTINGS.get("recordings", {}).get(str(seq))
        return 0 if item is None or item.get("state", 1) == 3 or seq in self.freed else item["pages"]

    def _hash(self, seq, recording_id):
        item = SETTINGS.get("recordings", {}).get(str(seq))
        if item is None or item["id"] != recording_id.hex():
            raise LinkError(7, "no such recording")
        return item.get("hash", "00" * 32)

    def receipt(self, seq, recording_id, note_hash, signature):
        if self._hash(seq, recording_id) != note_hash.hex():
            raise LinkError(7, "no such recording")
        tell(call="receipt", seq=seq, signature=signature.hex())
        self.receipts[seq] = signature

    def free(self, seq, recording_id, note_hash):
        if self._hash(seq, recording_id) != note_hash.hex():
            raise LinkError(7, "no such recording")
        if seq not in self.receipts:
            raise LinkError(10, "no receipt")
        tell(call="free", seq=seq)
        self.freed.add(seq)

    def final_note(self, seq):
        note = SETTINGS.get("notes", {}).get(str(seq))
        if note is None:
            raise LinkError(7, "no such note")
        return note.encode()

    def faults(self):
        return [(seq, text.encode()) for seq, text in SETTINGS.get("faults", ())]

    def selftest(self):
        return "card ok 30000 MB free\nmicrophone bad 0 Hz, noise 0\nnewthing care what is this\n"

    def format(self, everything):
        tell(call="format", everything=everything)

    def button_is_held(self):
        return bool(self.button)

    def set_clock(self, utc_us, error_us, source):
        tell(call="set_clock", utc_us=utc_us, error_us=error_us, source=source, wall_us=time.time_ns() // 1000)

    def set_beacon(self, data):
        tell(call="set_beacon", data=bytes(data).hex())

    def add_entropy(self, data):
        tell(call="add_entropy", count=len(data), data=bytes(data).hex())

    def set_name(self, name):
        tell(call="set_name", name=name)
        self.identity.name = name

    def set_recipients(self, keys):
        tell(call="set_recipients", keys=[key.hex() for key in keys])
        self.identity.recipients = keys

    def pair(self, request):
        tell(call="pair", name=request.name, recipients=[key.hex() for key in request.recipients])
        self.identity = identity(request.link_secret, request.receipt_key, request.recipients, request.name)
        return self.identity

    def unpair(self):
        tell(call="unpair")
        self.identity = None

    def identify(self):
        tell(call="identify")

    def prompt(self):
        tell(call="prompt")


def hang_up():
    global peer
    peer.close()
    poller.unregister(peer)
    peer = None


session = Session()
link = Link(session, usb, SETTINGS.get("cable", True))
nearby = None
if SETTINGS.get("ble"):
    from recorder.nearby import Nearby

    nearby = Nearby(session)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
port = SETTINGS["port"]
listener.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
listener.listen(1)
poller = select.poll()
poller.register(listener, select.POLLIN)
poller.register(sys.stdin, select.POLLIN)
tell(listening=port, public=ed25519.public_key(bytes.fromhex(SETTINGS["seed"])).hex())

if nearby is not None:
    bluetooth.on_socket = lambda stream: poller.register(stream, select.POLLIN)
    cable = link

while True:
    if nearby is not None:
        nearby.invite()
        busy = nearby.step()
        link = nearby.link or cable
    else:
        busy = link.poll()
    if not busy:
        poller.poll(20)
    for item, _ in poller.poll(0):
        if item is listener:
            if peer is not None:
                hang_up()
            peer, _address = listener.accept()
            peer.setblocking(False)
            poller.register(peer, select.POLLIN)
        elif item is sys.stdin:
            line = sys.stdin.readline().split()
            if not line or line[0] == "quit":
                sys.exit(0)
            value = line[1] if len(line) > 1 else ""
            if line[0] == "state":
                session.state = value
            elif line[0] == "button":
                session.button = int(value)
            elif line[0] == "skip":
                skipped += int(value)
            elif line[0] == "stall":
                stalled = value == "1"
            elif line[0] == "release":
                link.release()
                for name in ("commands", "reading", "pairing"):  # as session.drop_idle_set does
                    sys.modules.pop("recorder.link." + name, None)
            gc.collect()
            tell(done=line[0], open=link.is_open, dead=link.dead, heap=gc.mem_alloc(), modules=sorted(sys.modules))
