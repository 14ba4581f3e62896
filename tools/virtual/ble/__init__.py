"""Bluetooth without a radio: real stacks on both sides, and between them air that can be made bad.

rig.py starts it; radio.py is the process that holds the air, the recorder's side (peripheral.py) and the computer's
(bluez.py). device/bluetooth.py stands in for the chip's module under the unix MicroPython interpreter.
"""
