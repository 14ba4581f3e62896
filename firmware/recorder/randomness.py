"""Where keys come from: an HMAC-DRBG over several sources, none relied on alone. Idle set.

The RP2040 has no true random generator and its os.urandom is a stirred xoroshiro: so a seed kept in flash (replaced
before use), raw ring-oscillator reads under the health tests of SP 800-90B section 4.4, the system's generator, and, after
every sync and every recording, bytes of the computer and of the microphone's noise.
"""

from micropython import const

from recorder import room
from recorder.errors import EntropyFault
from recorder.hal import clock, entropy
from recorder.seal.drbg import Drbg
from recorder.seal.mac import sha256
from recorder.seal.wipe import wipe

_READS = const(4096)
# SP 800-90B 4.4 for half a bit of entropy a read and a false alarm in 2**20: binary source, window 1024.
_SAME_IN_A_ROW = const(41)
_SAME_IN_WINDOW = const(794)
_WINDOW = const(1024)


def check(reads: bytearray) -> None:
    """Repetition count and adaptive proportion tests over raw one-bit reads. Raises EntropyFault."""
    run = 0
    last = -1
    for index, value in enumerate(reads):
        if value == last:
            run += 1
            if run >= _SAME_IN_A_ROW:
                raise EntropyFault("the random source repeats itself")
        else:
            last = value
            run = 1
        if index % _WINDOW == 0:
            first, same = value, 0
        if value == first:
            same += 1
            if same >= _SAME_IN_WINDOW:
                raise EntropyFault("the random source leans to one side")


def gather(seed: "bytes | bytearray", data: "bytes | bytearray" = b"") -> Drbg:
    """A generator over `seed` (from flash; empty before pairing), `data` of the computer's, fresh oscillator reads and the
    system. Raises EntropyFault."""
    reads = room.PAGES[1]
    entropy.raw(reads)
    check(reads)
    nonce = entropy.system(16) + clock.now_us().to_bytes(8, "little")
    pool = sha256(seed, reads, data, entropy.system(32))
    drbg = Drbg(pool, nonce, b"earwitness/v1/drbg")
    wipe(reads)
    wipe(pool)
    return drbg
