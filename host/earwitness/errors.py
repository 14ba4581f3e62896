"""Every failure a person can meet: a message, a hint what to do, and the exit code of the command line."""

from __future__ import annotations


class EarwitnessError(Exception):
    """Base of all errors raised on purpose. `exit_code` as in README, "Exit codes"."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(EarwitnessError):
    """The command's words do not fit together."""

    exit_code = 2


class NoDeviceError(EarwitnessError):
    """No recorder found where one was looked for."""

    exit_code = 10


class DeviceBusyError(EarwitnessError):
    """The recorder, or its port, is in use."""

    exit_code = 11


class KeyMissingError(EarwitnessError):
    """Not paired, or the owner's identity is not at hand or does not fit."""

    exit_code = 12


class IntegrityError(EarwitnessError):
    """Authentication failed, or bytes are not what was sealed."""

    exit_code = 13


class FormatError(EarwitnessError):
    """Bytes that are not of the format, or of a version that this program does not know."""

    exit_code = 14
