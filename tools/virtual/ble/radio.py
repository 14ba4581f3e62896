"""The process with the air in it: recorders come in by a socket, computers by a bus each, orders by another socket.

Started by rig.py: python -m tools.virtual.ble.radio FOLDER. An order is a line of JSON, {"do": name, ...}, and so is its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .air import Air, Faults, Heard
from .bluez import Bluez
from .bus import BusError, start_bus
from .peripheral import Peripheral
from .radio_names import ORDER_SOCKET, RECORDER_SOCKET
from .stranger import look_around


class Radio:
    """Everything that is near."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._air = Air()
        self._computers: list[Bluez] = []
        self._buses: list[subprocess.Popen[bytes]] = []
        self._recorders = 0
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Serve until the one who started us is gone: its end of our stdin closes."""
        servers = [
            await asyncio.start_unix_server(self._recorder, self._folder / RECORDER_SOCKET),
            await asyncio.start_unix_server(self._orders, self._folder / ORDER_SOCKET, limit=1 << 24),
        ]
        asyncio.get_running_loop().add_reader(sys.stdin, self._ended.set)
        print("ready", flush=True)
        await self._ended.wait()
        for server in servers:
            server.close()
        for bus in self._buses:
            bus.kill()
            bus.wait()

    async def _recorder(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._recorders += 1
        try:
            await Peripheral(self._air, reader, writer).run()
        finally:
            self._recorders -= 1

    async def _orders(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                order = json.loads(line)
                try:
                    answer = {"ok": await getattr(self, "do_" + order.pop("do"))(**order)}
                except BusError as error:
                    answer = {"error": str(error)}
                except Exception as error:  # told to the one who asked
                    answer = {"error": f"{type(error).__name__}: {error}"}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def do_computer(self, mtu: int) -> str:
        """Another computer; returns its bus address."""
        number = len(self._computers)
        bus, address = start_bus(self._folder, f"computer{number}")
        self._buses.append(bus)
        bluez = Bluez(self._air, address, f"00:1A:7D:DA:71:{number:02X}", mtu)
        await bluez.start()
        self._computers.append(bluez)
        return address

    async def do_adapter(self, computer: int, state: str) -> None:
        """The adapter is `on`, `off` or `absent`."""
        self._computers[computer].set_state(state)

    async def do_mtu(self, computer: int, mtu: int) -> None:
        """What it asks for from the next connection on; 0: it does not ask."""
        self._computers[computer].central.mtu = mtu

    async def do_signals(self, computer: int, signals: dict[str, int]) -> None:
        """How well it hears some addresses, in dBm; all others are near."""
        self._computers[computer].central.signals = signals

    async def do_faults(self, **faults: Any) -> None:
        """Make the air bad, or with nothing good again; packets are numbered from now."""
        self._air.set_faults(Faults(**faults))

    async def do_heard(self) -> dict[str, Any]:
        """What passed since the last time this was asked."""
        heard, self._air.heard = self._air.heard, Heard()
        return asdict(heard)

    async def do_recorders(self) -> int:
        """How many have power and a radio; one whose power went is counted until that is noticed."""
        return self._recorders

    async def do_forget(self) -> None:
        """Whoever listened has heard nothing yet."""
        self._air.heard = Heard()
        self._air.advertised.clear()
        self._air.packets.clear()

    async def do_lose(self) -> None:
        """Every connection is lost now."""
        self._air.lose_all()

    async def do_listen(self) -> dict[str, Any]:
        """What a listener heard: advertisements and packets, as hex text."""
        return {
            "advertised": sorted([address, data.hex()] for address, data in self._air.advertised),
            "packets": [packet.hex() for packet in self._air.packets],
        }

    async def do_stranger(self, stay_s: float = 0, patience_s: float = 0) -> list[dict[str, Any]]:
        """All that somebody learns who connects to every device there is and reads what can be read."""
        return await look_around(self._air, stay_s, patience_s)


def main() -> int:
    asyncio.run(Radio(Path(sys.argv[1])).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
