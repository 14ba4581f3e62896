"""Who owns this recorder, as RAM holds it also while recording; vault.py keeps it in flash."""


class Identity:
    """What pairing gave this recorder: all bytes of 32 but `recipients` (1 to 3 of 32 bytes), `epoch` (int) and `name`."""

    def __init__(
        self,
        seed: bytes,
        public: bytes,
        device_secret: bytes,
        link_secret: bytes,
        receipt_key: bytes,
        recipients: "list[bytes]",
        epoch: int,
        name: str,
    ) -> None:
        self.seed = seed  # Ed25519, RFC 8032
        self.public = public
        self.device_secret = device_secret
        self.link_secret = link_secret
        self.receipt_key = receipt_key
        self.recipients = recipients
        self.epoch = epoch
        self.name = name  # at most 32 bytes of UTF-8
