"""The virtual recorder's world: time, the script of what a person does to the device, power, and the link's sockets.

Runs under the unix MicroPython interpreter. Time is virtual and in microseconds since this boot; it moves only in
`advance`, so a run without a host is the same every time. While a host holds the cable, or nothing is left to play,
time follows the wall's.
"""

import json
import os
import time

try:
    import select
    import socket
except ImportError:  # a build without sockets still runs unit tests
    socket = None

_IDLE_COST_US = 20  # a call that waits for nothing still takes a moment: no loop can stand still in time

config = {}
now = 0
script = []  # [microseconds since boot, name, value], in order
cursor = 0
host_connected = False
near = False  # a computer is connected over the radio
tape_hook = None  # mic.fill while the microphone runs
tape_position = None  # mic's function for the events log
levers = {}  # what the script moves: switch, button_down, card, battery_mv, ...
edges = []  # button edges not yet handed out: (1 pressed | 0 released, time)
writes = 0  # card and flash writes together

_SETTINGS = (
    "mic",
    "card",
    "flash",
    "events",
    "kept",
    "rtc",
    "boot",
    "restart",
    "base_us",
    "script",
    "speed",
    "port",
    "levers",
    "utc_us",
    "entropy",
    "read_only",
    "write_block_us",
    "read_block_us",
    "program_page_us",
    "erase_us",
    "count_us",
    "mic_fault",
    "radio_stuck",
    "card_timeout_ms",
    "faults_after_us",
    "cut_at_write",
    "cut_at_card_write",
    "cut_at_flash_write",
    "cut_blocks",
    "torn",
    "stall_at_write",
    "fail_writes",
    "fail_reads",
    "pull_at_write",
    "version",
    "main",
    "ble",
)

_events = None
_wall0 = 0
_virtual0 = 0
_pace = -1
_poller = None
_control = None
_control_rest = b""
usb = None

_LEVERS = {
    "switch": 0,
    "button": 0,
    "card": 1,
    "card_generation": 0,
    "battery_mv": 3900,
    "minutes": -1,
    "usb_power": 0,
    "light_works": 1,
    "motor_works": 1,
    "mic_trouble": 0,
    "stall_ms": 0,
    "fail": 0,
}


def setup(**settings):
    """Begin a new boot with these settings; unknown ones are refused so that a typo in a test is seen."""
    global config, now, script, cursor, tape_hook, edges, levers, writes, host_connected, near, _events, _pace
    for key in settings:
        if key not in _SETTINGS:
            raise ValueError("unknown setting of the virtual recorder: " + key)
    config = settings
    now = 0
    cursor = 0
    writes = 0
    edges = []
    tape_hook = None
    host_connected = near = False
    levers = dict(_LEVERS)
    levers.update(settings.get("levers") or {})
    script = [tuple(event) for event in settings.get("script") or []]
    script.sort(key=lambda event: event[0])
    if _events is not None:
        _events.close()
        _events = None
    if settings.get("events"):
        _events = open(settings["events"], "a")
    _pace = -1
    if settings.get("port"):
        _connect(settings["port"])


def log(what, value=None):
    """One line in the events log: what a person would see or feel, or what was done to the device."""
    if _events is None:
        return
    line = {"t": (config.get("base_us", 0) + now) / 1000000, "boot": config.get("boot", 0), "up_us": now, "what": what}
    if value is not None:
        line["value"] = value
    if tape_position is not None:
        line["tape"] = tape_position()
    _events.write(json.dumps(line) + "\n")


def die(reason):
    """Take the power away: the interpreter is killed, no handler and no `finally` runs."""
    log("power", reason)
    os.system("kill -9 $PPID")
    while True:
        pass


def faults_armed():
    """Writes are numbered from this moment on."""
    return now >= config.get("faults_after_us", 0)


def count_write(kind_count, kind_setting):
    """Count a write of the card or the flash. True if the power goes in the middle of this one."""
    global writes
    if not faults_armed():
        return False
    writes += 1
    return writes == config.get("cut_at_write") or kind_count == config.get(kind_setting)


# --- time


def advance(us):
    """Let `us` microseconds pass; what the script holds in them happens at its own moment. Allocates nothing if nothing happens."""
    target = now + us
    while cursor < len(script) and script[cursor][0] <= target:
        _step(script[cursor][0])
        _apply()
    _step(target)


def _step(target):
    global now
    if target > now:
        now = target
        if tape_hook is not None:
            tape_hook()


def _apply():
    global cursor
    _, name, value = script[cursor]
    cursor += 1
    if name == "cut" or name == "end":
        die(name)
    if name == "done":
        log("writes", writes)
        log("done", value)
        return
    if name == "button":
        if value != levers["button"]:
            edges.append((value, now))
    elif name == "card" and value != levers["card"]:
        levers["card_generation"] += 1
    levers[name] = value
    log(name, value)


def _speed():
    """Pace in force: 0 as fast as can be, else times the wall's."""
    if host_connected or near or cursor >= len(script):
        return 1 if _poller is not None or config.get("speed") else 0
    return config.get("speed") or 0


def _allowed():
    """Virtual time that the wall's clock allows at the pace in force."""
    global _pace, _wall0, _virtual0
    speed = _speed()
    wall = time.ticks_us()
    if speed != _pace:
        _pace = speed
        _wall0 = wall
        _virtual0 = now
    return _virtual0 + int(time.ticks_diff(wall, _wall0) * speed)


def touch():
    """Somebody asks for the time: with a host on the cable or near it is the wall's."""
    if host_connected or near:
        allowed = _allowed()
        if allowed > now:
            advance(allowed - now)


def idle(ms):
    """Sleep at most `ms`; wakes at the next event of the script or on bytes from the computer."""
    global _pace
    start = now
    target = now + (ms * 1000 if ms > 0 else _IDLE_COST_US)
    if cursor < len(script) and script[cursor][0] < target:
        target = script[cursor][0] if script[cursor][0] > now else now
    if _speed() == 0:
        _pace = 0  # where the wall's time is followed again, it counts from there
        woken = _poller is not None and _poll(0)
        advance(_IDLE_COST_US if woken else target - now)
        return
    while True:
        allowed = _allowed()
        if allowed >= target:
            break
        wait_ms = int((target - allowed) / _pace / 1000) + 1
        if _poller is None:
            time.sleep_ms(wait_ms)
            continue
        if _poll(min(wait_ms, 100)):
            allowed = min(_allowed(), target)
            break
        if cursor < len(script) and script[cursor][0] < target:  # told something new while waiting
            target = script[cursor][0] if script[cursor][0] > now else now
    else:
        allowed = target
    allowed = min(allowed, target)
    advance(max(allowed - now, _IDLE_COST_US if now == start else 0))


# --- the front end's sockets


def _connect(port):
    global _poller, _control, usb
    address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
    _control = socket.socket()
    _control.connect(address)
    _control.send(b"C")
    usb = socket.socket()
    usb.connect(address)
    usb.send(b"U")
    _control.setblocking(False)
    usb.setblocking(False)
    _poller = select.poll()
    _poller.register(_control, select.POLLIN)
    _poller.register(usb, select.POLLIN)


def _poll(wait_ms):
    """True if the cable has bytes. Orders of the front end are carried out on the way."""
    woken = False
    for item in _poller.ipoll(wait_ms):
        if item[0] is _control:
            _hear()
            woken = True
        elif item[1]:
            woken = True
    return woken


def watch(stream):
    """Waiting ends when this stream has something."""
    if _poller is not None:
        _poller.register(stream, select.POLLIN)


def set_near(is_near):
    """A computer connected over the radio, or left."""
    global near
    near = is_near
    log("near", int(is_near))


def poll_now():
    """Hear the front end without waiting."""
    if _poller is not None:
        _poll(0)


def _hear():
    global _control_rest, host_connected, script
    data = _control.recv(4096)
    if data is None:
        return
    if not data:
        die("front end gone")
    _control_rest += data
    while b"\n" in _control_rest:
        line, _control_rest = _control_rest.split(b"\n", 1)
        order = json.loads(line)
        if "host" in order:
            host_connected = bool(order["host"])
            levers["usb_power"] = levers["usb_power"] or order["host"]
            log("host", order["host"])
        if "script" in order:
            log("script", order["id"])
            ahead = script[cursor:] + [(now + at, name, value) for at, name, value in order["script"]]
            ahead.sort(key=lambda event: event[0])
            script = script[:cursor] + ahead
