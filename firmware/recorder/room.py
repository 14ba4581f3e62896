"""Memory in large pieces, taken before anything else: once code is loaded there may be no such piece left.

One recording at a time is made, recovered or got ready, so one of each is enough. While none is made, PAGES are for whoever
works on the card, but for the first: page 0 of the recording that is primed lies there until it is written.
"""

PAGES = [bytearray(4096) for _ in range(6)]  # the page being filled and those that wait for the card (pages.py)
HEADER = PAGES[0]
CHECKPOINT = bytearray(4096)  # the checkpoint page in hand (seal/log.py)
LEAVES = bytearray(32 * 96)  # hashes that no checkpoint on the card lists yet (seal/log.py)
