"""Invariant: whatever bytes a trusted peer begins with, the parser reads none behind them, accepts no more than there
are, and never changes its mind about a prefix: what is malformed stays so, and what is accepted stays accepted.

Good headers are damaged byte by byte and length by length.  The seed is the day; FASTNLB_FUZZ_SEED sets another,
FASTNLB_FUZZ_ROUNDS lengthens the run.
"""

import os
import random
import time

from fastnlb._core._testing_proxy import parse_proxy_header
from support.proxy_header import AWS, SIGNATURE, tlv

SEED = int(os.environ.get("FASTNLB_FUZZ_SEED", time.time() // 86400))
ROUNDS = int(os.environ.get("FASTNLB_FUZZ_ROUNDS", "1500"))
SSL = tlv(0x20, b"\x01\x00\x00\x00\x00" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"alice"))
BLOCK = bytes(12) + SSL + tlv(1, b"h2")
SEEDS = [
    AWS,
    SIGNATURE + b"\x21\x11" + len(BLOCK).to_bytes(2, "big") + BLOCK,
    SIGNATURE + b"\x21\x21\x00\x24" + bytes(36),
    SIGNATURE + b"\x20\x00\x00\x00",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n",
    b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 65535\r\n",
    b"PROXY UNKNOWN\r\n",
]


def damaged(dice):
    data = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] = dice.choice((0, 1, 0x0A, 0x0D, 0x20, 0x2E, 0x30, 0x7F, 0xFF, dice.randrange(256)))
            case 1:
                data[at:at] = dice.randbytes(dice.choice((1, 2, 90, 5000)))
            case 2:
                del data[at : at + dice.randint(1, 20)]
                data = data or bytearray(b"P")
            case _:
                data[14:16] = dice.randrange(300).to_bytes(2, "big")
    return bytes(data)


def test_no_header_confuses_the_parser():
    dice = random.Random(SEED)  # noqa: S311  repeatable, not secret
    seen = set()
    for _ in range(ROUNDS):
        data = damaged(dice)
        final = None
        for cut in sorted({dice.randint(0, len(data)) for _ in range(20)} | {len(data)}):
            found = parse_proxy_header(data[:cut])
            assert final in (None, found), data
            if found != "more":
                final = found
            if isinstance(found, tuple):
                assert 0 < found[0] <= cut
        seen.add(final if final in (None, "malformed") else "accepted")
    assert seen >= {"malformed", "accepted"}
