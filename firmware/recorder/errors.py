"""The recorder's own errors: small types, each a reason a person can be told. No message ever holds key material."""


class RecorderError(Exception):
    """Base of every error the firmware raises on purpose."""


class CardError(RecorderError):
    """The card did not do what was asked. `kind` is one of the words below; the indicator shows it."""

    NONE = "no card"
    FULL = "card full"
    SLOW = "card too slow"
    FORMAT = "card not FAT32"
    FAILED = "card failed"
    GONE = "card pulled"

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class NotReady(RecorderError):
    """No recording can start, for a reason that a person can mend; its text is one of these."""

    BATTERY = "battery empty"
    UNPAIRED = "not paired"


class IdentityFault(RecorderError):
    """The identity in flash is damaged or gone although this recorder was paired: never replaced silently."""


class EntropyFault(RecorderError):
    """The random source failed its health test: no key is made from it."""


class FormatError(RecorderError):
    """Bytes read from the card or the flash are not what the format allows."""


class LinkError(RecorderError):
    """A frame or a request that the link refuses. `code` travels in the answer."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
