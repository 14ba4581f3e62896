"""The stand-in for `bluetooth` has the limits of the chip's, so that what passes here does not fail there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tools.virtual.ble.rig import Rig

Run = Callable[..., subprocess.Popen[str]]

_SETUP = """
import json
def tell(value):
    print("@" + json.dumps(value))
def refused(call, *kinds):
    try:
        call()
    except kinds as error:
        return repr(error)
    return "not refused"
radio = bluetooth.BLE()
def service(*flags):
    uuid = lambda n: bluetooth.UUID("00000000-0000-4000-8000-%012x" % n)
    return ((uuid(1), tuple((uuid(2 + i), flag) for i, flag in enumerate(flags))),)
"""


def _told(process: subprocess.Popen[str]) -> list[Any]:
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    return [json.loads(line[1:]) for line in out.splitlines() if line.startswith("@")]


def test_what_the_chip_lacks_is_missing(micropython: Run) -> None:
    found = _told(
        micropython(
            _SETUP
            + """
tell([hasattr(radio, name) for name in ("gap_pair", "gap_passkey", "l2cap_listen")])
tell(refused(lambda: radio.config(gap_name="x"), OSError))
radio.active(True)
tell([refused(lambda: radio.config(**{name: 1}), ValueError) for name in ("bond", "mitm", "io", "le_secure", "rxbuf")])
tell([refused(lambda: radio.config(addr_mode=mode), OSError) for mode in (2, 3)])
tell(refused(lambda: radio.config(mtu=1018), OSError))
tell(radio is bluetooth.BLE())
"""
        )
    )
    assert found[0] == [False, False, False]
    assert "19" in found[1]  # ENODEV
    assert found[2] == ["ValueError('unknown config param',)"] * 5
    assert all("22" in text for text in found[3]) and "22" in found[4]
    assert found[5] is True


def test_the_attribute_table_has_an_end(micropython: Run) -> None:
    (found,) = _told(
        micropython(
            _SETUP
            + """
radio.active(True)
fits = radio.gatts_register_services(service(*[bluetooth.FLAG_NOTIFY] * 6))
tell([len(fits[0]), refused(lambda: radio.gatts_register_services(service(*[bluetooth.FLAG_NOTIFY] * 9)), MemoryError)])
"""
        )
    )
    assert found[0] == 6 and "512" in found[1]


def test_an_address_is_random_if_asked_and_another_each_time(micropython: Run) -> None:
    (found,) = _told(
        micropython(
            _SETUP
            + """
seen = []
for _ in range(2):
    radio.active(True)
    own = radio.config("mac")
    radio.config(addr_mode=1)
    seen.append([own[0], own[1].hex(), radio.config("mac")[0], radio.config("mac")[1].hex()])
    radio.active(False)
tell(seen)
"""
        )
    )
    assert [one[0] for one in found] == [0, 0] and found[0][1] == found[1][1]  # public: the same for ever
    assert [one[2] for one in found] == [1, 1] and found[0][3] != found[1][3]
    assert all(int(one[3][:2], 16) >= 0xC0 for one in found)


def test_values_are_cut_to_their_room_and_notifications_to_the_mtu(micropython: Run, rig: Rig) -> None:
    """20 bytes of room unless more is asked for; at MTU 23 no event comes and 20 bytes of a notification arrive; one
    that is queued is on the heap; only one computer at a time is connected."""
    from bleak import BleakClient, BleakScanner

    process = micropython(
        _SETUP
        + """
radio.active(True)
((taken, given),) = radio.gatts_register_services(service(bluetooth.FLAG_WRITE_NO_RESPONSE, bluetooth.FLAG_NOTIFY))
events = []
def heard(event, data):
    events.append(event)
    if event == 3:
        value = radio.gatts_read(taken)
        tell([len(value), event in events])
        for _ in range(3):
            radio.gatts_notify(data[0], given, bytes(300))
        tell(radio.most_pending)
        if len(value) == 4:
            tell(events)
            sys.exit(0)
radio.irq(heard)
radio.gap_advertise(50000, b"\\x02\\x01\\x06")
while True:
    radio.active()
    time.sleep_ms(5)
"""
    )
    rig.order("mtu", computer=0, mtu=0)
    received: list[int] = []

    async def talk() -> None:
        device = await BleakScanner.find_device_by_filter(lambda _device, _data: True, timeout=30)
        assert device is not None
        async with BleakClient(device) as client:
            inward, outward = (f"00000000-0000-4000-8000-{number:012x}" for number in (2, 3))
            await client.start_notify(outward, lambda _, data: received.append(len(data)))
            assert await BleakScanner.find_device_by_filter(lambda _d, _a: True, timeout=0.5) is None
            with pytest.raises(Exception, match="Failed"):
                await client.write_gatt_char(inward, bytes(21), response=False)
            await client.write_gatt_char(inward, bytes(20), response=False)
            await client.write_gatt_char(inward, bytes(4), response=False)
            while process.poll() is None:
                await asyncio.sleep(0.02)

    import asyncio

    asyncio.run(talk())
    found = _told(process)
    assert [item for item in found if isinstance(item, list) and len(item) == 2] == [[20, True], [4, True]]
    assert found[-1] == [1, 3, 3]  # connected, written twice; nothing told of an MTU
    assert 1 <= found[1] <= 3 and set(received) <= {20}  # how many waited at once is up to the air
