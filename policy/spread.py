"""Chance that is the same each time it is asked, so that the same input gives the same decision."""

import hashlib


def spread(seed: str) -> float:
    """Return a place of its own for each seed, 0 <= x < 1.

    >>> spread("a") == spread("a") != spread("b")
    True
    """
    return int.from_bytes(hashlib.sha256(seed.encode("utf-8", "backslashreplace")).digest()[:6], "big") / 2**48
