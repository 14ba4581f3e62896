"""What the flash chip is told to do, in order, by whoever tells it; and the power going at any one of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .board import Board

BLOCK_BYTES = 4096
_PROGRAM, _ERASE, _ERASE_MANY = 0x02, 0x20, 0xD8
# W25Q16JV datasheet, 9.6, typical and at most: the emulator's flash takes no time.
_PROGRAM_S = (0.0004, 0.003)
_ERASE_S = (0.045, 0.4)


class Works:
    """Every program and erase, by address. At the one numbered `cut_at`, from 1, the power goes, half of it done."""

    def __init__(self, board: Board) -> None:
        self.addresses: list[int] = []
        self.cut_at = 0
        self._erases = 0
        self._board = board
        self._ssi = board.mcu.ssi
        self._plain = self._ssi._apply_command
        self._ssi._apply_command = self._apply

    def since(self, address: int) -> list[int]:
        """Those at `address` and beyond."""
        return [found for found in self.addresses if found >= address]

    @property
    def seconds(self) -> tuple[float, float]:
        """What all of it takes a real chip, typically and at most."""
        programs = len(self.addresses) - self._erases
        typical, most = (programs * p + self._erases * e for p, e in zip(_PROGRAM_S, _ERASE_S, strict=True))
        return typical, most

    def _apply(self) -> None:
        command = self._ssi._tx_buffer
        if len(command) > 3 and command[0] in (_PROGRAM, _ERASE, _ERASE_MANY) and self._ssi._write_enabled:
            address = int.from_bytes(command[1:4], "big")
            self.addresses.append(address)
            self._erases += command[0] != _PROGRAM
            if len(self.addresses) == self.cut_at:
                if command[0] == _PROGRAM:
                    del command[4 + (len(command) - 4) // 2 :]
                    self._plain()
                else:
                    flash = self._board.mcu.flash
                    flash[address : address + BLOCK_BYTES // 2] = b"\xff" * (BLOCK_BYTES // 2)
                self._board.cut_power_soon()
                return
        self._plain()
