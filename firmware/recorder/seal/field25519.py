"""Arithmetic modulo p = 2**255 - 19 (RFC 7748, 4.1), as short programs over a file of registers.

A register is 32 bytes: 16 little-endian limbs of 16 bits, so it is also the number's little-endian encoding. Between
operations a register holds any representative below 2**256; `freeze` makes it the one below p. Points and curves are
elsewhere: they hand in programs, which spares a Python call for every operation. No branch and no address depends on
a value, nothing is allocated, and whoever owns the registers wipes them.

An instruction is four bytes, `op, out, x, y`, three of them register numbers:
    MUL  out = x * y        ADD  out = x + y        SUB  out = x - y        SQR  out = x ** (2 ** y), y a count
Registers 0 and 1 hold the product while it grows. Operand y from TABLE on means register y - TABLE of a second file,
constant tables that need not be copied.
"""

import micropython
from micropython import const

MUL = const(0)
ADD = const(1)
SUB = const(2)
SQR = const(3)
TABLE = const(128)
REGISTER_BYTES = const(32)

# Register 4 = its inverse, 4 ** (p - 2), by 254 squarings and 11 multiplications; needs registers 6 to 9.
INVERT = (
    b"\x03\x06\x04\x01"  # 6 = z^2
    b"\x03\x07\x06\x02"
    b"\x00\x07\x04\x07"  # 7 = z^9
    b"\x00\x06\x06\x07"  # 6 = z^11
    b"\x03\x08\x06\x01"
    b"\x00\x07\x07\x08"  # 7 = z^(2^5 - 1)
    b"\x03\x08\x07\x05"
    b"\x00\x07\x08\x07"  # 7 = z^(2^10 - 1)
    b"\x03\x08\x07\x0a"
    b"\x00\x08\x08\x07"  # 8 = z^(2^20 - 1)
    b"\x03\x09\x08\x14"
    b"\x00\x08\x09\x08"  # 8 = z^(2^40 - 1)
    b"\x03\x08\x08\x0a"
    b"\x00\x07\x08\x07"  # 7 = z^(2^50 - 1)
    b"\x03\x08\x07\x19"
    b"\x03\x08\x08\x19"
    b"\x00\x08\x08\x07"  # 8 = z^(2^100 - 1)
    b"\x03\x09\x08\x19"
    b"\x03\x09\x09\x19"
    b"\x03\x09\x09\x19"
    b"\x03\x09\x09\x19"
    b"\x00\x08\x09\x08"  # 8 = z^(2^200 - 1)
    b"\x03\x08\x08\x19"
    b"\x03\x08\x08\x19"
    b"\x00\x07\x08\x07"  # 7 = z^(2^250 - 1)
    b"\x03\x07\x07\x05"
    b"\x00\x04\x07\x06"  # 4 = z^(2^255 - 21)
)
# Where to cut INVERT into slices of at most 40 multiplications: 9.2 ms on the chip at 64 MHz.
INVERT_CUTS = (0, 40, 56, 60, 68, 72, 76, 80, 88, 92, 108)


@micropython.viper
def run(v: uint, f: uint, registers: ptr16, program: ptr8, table: ptr16):  # type: ignore  # noqa: F821
    """run(start, stop, registers, program, table): run the bytes program[start:stop].

    `table` (a buffer or an address) is the second file; pass the registers if there is none. The first two parameters
    are named for their second use: viper keeps the first two locals in machine registers, and these are the busiest.
    """
    at = int(v)
    stop = int(f)
    while at < stop:
        op = program[at]
        out = ptr16(int(registers) + (program[at + 1] << 5))  # type: ignore  # noqa: F821
        x = ptr16(int(registers) + (program[at + 2] << 5))  # type: ignore  # noqa: F821
        operand = program[at + 3]
        y = ptr16(int(registers) + (operand << 5))  # type: ignore  # noqa: F821
        if operand >= 128:
            y = ptr16(int(table) + ((operand - 128) << 5))  # type: ignore  # noqa: F821
        at += 4
        count = 1
        if op == 3:
            count = operand
            y = x
        while count:
            count -= 1
            carry = 0
            j = 0
            if op == 1 or op == 2:
                sign = 3 - op - op
                while j < 16:
                    carry += x[j] + sign * y[j]
                    registers[j] = carry
                    carry = carry >> 16
                    j += 1
            else:
                while j < 16:
                    registers[j] = 0
                    j += 1
                j = 0
                while j < 16:
                    f = uint(x[j])  # type: ignore  # noqa: F821
                    v = uint(0)  # type: ignore  # noqa: F821
                    row = ptr16(int(registers) + j + j)  # type: ignore  # noqa: F821
                    right = y
                    half = 2
                    while half:
                        # limb * limb + carry + limb is at most 2**32 - 1: it just fits an unsigned word of the chip
                        v = uint(right[0]) * f + v + uint(row[0])  # type: ignore  # noqa: F821
                        row[0] = int(v)
                        v = v >> 16
                        v = uint(right[1]) * f + v + uint(row[1])  # type: ignore  # noqa: F821
                        row[1] = int(v)
                        v = v >> 16
                        v = uint(right[2]) * f + v + uint(row[2])  # type: ignore  # noqa: F821
                        row[2] = int(v)
                        v = v >> 16
                        v = uint(right[3]) * f + v + uint(row[3])  # type: ignore  # noqa: F821
                        row[3] = int(v)
                        v = v >> 16
                        v = uint(right[4]) * f + v + uint(row[4])  # type: ignore  # noqa: F821
                        row[4] = int(v)
                        v = v >> 16
                        v = uint(right[5]) * f + v + uint(row[5])  # type: ignore  # noqa: F821
                        row[5] = int(v)
                        v = v >> 16
                        v = uint(right[6]) * f + v + uint(row[6])  # type: ignore  # noqa: F821
                        row[6] = int(v)
                        v = v >> 16
                        v = uint(right[7]) * f + v + uint(row[7])  # type: ignore  # noqa: F821
                        row[7] = int(v)
                        v = v >> 16
                        row = ptr16(int(row) + 16)  # type: ignore  # noqa: F821
                        right = ptr16(int(right) + 16)  # type: ignore  # noqa: F821
                        half -= 1
                    row[0] = int(v)
                    j += 1
                j = 0
                while j < 16:  # 2**256 = 38 modulo p
                    carry += registers[j] + 38 * registers[j + 16]
                    registers[j] = carry
                    carry = carry >> 16
                    j += 1
            carry *= 38
            j = 0
            while j < 16:
                carry += registers[j]
                out[j] = carry
                carry = carry >> 16
                j += 1
            # A carry now is +-1 and leaves a number within 38 * 39 of the other end: the first limb takes it alone.
            out[0] = out[0] + 38 * carry
            x = out
            y = out


@micropython.viper
def freeze(register: ptr16):  # type: ignore  # noqa: F821
    """Reduce one register (a buffer of 32 bytes or an address) to its representative below p."""
    step = 0
    while step < 4:
        top = register[15] >> 15
        # twice the top bit counts 19; then add 19: a number from p on shows in the top bit; if none did, take it back
        carry = 19 * top
        if step == 2:
            carry = 19
        else:
            register[15] = register[15] & 0x7FFF
        if step == 3:
            carry = 19 * (top - 1)
        j = 0
        while j < 16:
            carry += register[j]
            register[j] = carry
            carry = carry >> 16
            j += 1
        step += 1
