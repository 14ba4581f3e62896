"""The microphone: 16 kHz, mono, 16 bit, into a ring that fills by itself (DMA on the chip)."""

RATE_HZ: int  # 16000
RING_SAMPLES: int  # 16384 (32 KiB)
NAME: str  # e.g. "ICS-43434"

def ring() -> bytearray:
    """The ring: RING_SAMPLES little-endian int16. Sample k (counted from start) lies at index k % RING_SAMPLES until overwritten."""

def start() -> None:
    """Begin: sample 0 is the next one taken. Raises RecorderError if the microphone is silent or stuck on its clocks."""

def stop() -> None:
    """Stop taking samples. The count stands still; what is in the ring stays readable."""

def count() -> int:
    """Samples taken since start, modulo 2**30. Allocates nothing."""

def stalled() -> bool:
    """True if the receiver ever had to wait (RXSTALL): samples may be missing unseen. Reading clears it."""
