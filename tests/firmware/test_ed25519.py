"""Ed25519: RFC 8032, 7.1, the host's on random inputs, and the comb table made again from the curve."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Mpy = Callable[..., list[Any]]

_RFC_8032 = [  # seed, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]

_SIGN = """
from recorder.seal import ed25519
for seed, message in ARGS["cases"]:
    seed, message = bytes.fromhex(seed), bytes.fromhex(message)
    public = ed25519.public_key(seed)
    signing = ed25519.Signing(seed, public, message)
    while not signing.step():
        pass
    emit([public.hex(), signing.signature.hex()])
"""


def test_keys_and_signatures_are_those_of_rfc_8032(mpy: Mpy) -> None:
    got = mpy(_SIGN, args={"cases": [(seed, message) for seed, _, message, _ in _RFC_8032]})
    assert got == [[public, signature] for _, public, _, signature in _RFC_8032]


def test_signatures_agree_with_the_host_on_random_seeds_and_notes(mpy: Mpy) -> None:
    rng = random.Random(8032)
    cases = [(rng.randbytes(32), rng.randbytes(rng.choice([0, 50, 63, 64, 95, 96, 300, 700]))) for _ in range(60)]
    expected = []
    for seed, message in cases:
        key = Ed25519PrivateKey.from_private_bytes(seed)
        expected.append([key.public_key().public_bytes_raw().hex(), key.sign(message).hex()])
    assert mpy(_SIGN, args={"cases": [(seed.hex(), message.hex()) for seed, message in cases]}) == expected


def test_two_signatures_may_be_under_way_at_once(mpy: Mpy) -> None:
    source = """
        from recorder.seal import ed25519
        seed = bytes(range(32))
        public = ed25519.public_key(seed)
        one, two = ed25519.Signing(seed, public, b"one"), ed25519.Signing(seed, public, b"two")
        steps = 0
        while not (one.step() & two.step()):
            steps += 1
        emit([one.signature.hex(), two.signature.hex(), steps, one.step(), one.signature != b""])
    """
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    one, two, steps, again, there = mpy(source)[0]
    assert (one, two) == (key.sign(b"one").hex(), key.sign(b"two").hex())
    assert steps > 20
    assert again
    assert there


def test_no_step_does_more_than_sixty_multiplications_or_one_block_of_hash(mpy: Mpy) -> None:
    """Ten milliseconds on the chip at 125 MHz hold about 100 multiplications, or two blocks of SHA-512."""
    source = """
        from recorder.seal import ed25519, field25519, sha512
        run, compress = field25519.run, sha512._compress
        multiplications = blocks = 0
        def counting_run(start, stop, registers, program, table):
            global multiplications
            for at in range(start, stop, 4):
                if program[at] == field25519.MUL:
                    multiplications += 1
                if program[at] == field25519.SQR:
                    multiplications += program[at + 3]
            run(start, stop, registers, program, table)
        def counting_compress(*args):
            global blocks
            blocks += 1
            compress(*args)
        field25519.run, sha512._compress = counting_run, counting_compress
        signing = ed25519.Signing(bytes(32), ed25519.public_key(bytes(32)), bytes(430))
        multiplications = blocks = 0
        done = False
        while not done:
            done = signing.step()
            emit([multiplications, blocks])
            multiplications = blocks = 0
    """
    steps = mpy(source)
    assert sum(blocks for _, blocks in steps) == 1 + 4 + 4
    assert 1100 < sum(count for count, _ in steps) < 1200
    assert max(count for count, _ in steps) <= 60
    assert all(blocks <= 1 for _, blocks in steps)
    assert not any(count and blocks for count, blocks in steps if count > 10)


def test_a_signature_makes_little_garbage(mpy: Mpy) -> None:
    source = """
        import gc
        from recorder.seal import ed25519
        public = ed25519.public_key(bytes(32))
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        signing = ed25519.Signing(bytes(32), public, bytes(400))
        while not signing.step():
            pass
        emit(gc.mem_alloc() - before)
    """
    (garbage,) = mpy(source)
    assert garbage < 32 * 1024


def test_the_comb_table_is_that_of_the_curve(mpy: Mpy) -> None:
    """RFC 8032, 5.1: the base point has y = 4/5 and even x; entry e sums 2**(64 i) B over the bits i of e."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    Point = tuple[int, int]

    def add(a: Point, b: Point) -> Point:
        k = d * a[0] * b[0] * a[1] * b[1] % p
        x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + k, -1, p) % p
        return x, (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, -1, p) % p

    y = 4 * pow(5, -1, p) % p
    square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    x = pow(square, (p + 3) // 8, p)
    if (x * x - square) % p:
        x = x * pow(2, (p - 1) // 4, p) % p
    x = p - x if x & 1 else x
    teeth = [(x, y)]
    for _ in range(3):
        tooth = teeth[-1]
        for _ in range(64):
            tooth = add(tooth, tooth)
        teeth.append(tooth)
    table = b""
    for entry in range(16):
        point = (0, 1)
        for i in range(4):
            if entry >> i & 1:
                point = add(point, teeth[i])
        x, y = point
        table += b"".join((value % p).to_bytes(32, "little") for value in (y + x, y - x, 2 * d * x * y))
    assert mpy("from recorder.seal import ed25519\nemit(ed25519._COMB.hex())") == [table.hex()]
