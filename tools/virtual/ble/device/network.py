"""Stands in for MicroPython's `network`: as much of it as switching the radio's chip off needs."""


class WLAN:
    def deinit(self):
        """Take the power from the chip."""
