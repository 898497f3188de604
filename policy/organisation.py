"""Whether two domains belong to one organisation: the registered domain is the same (DMARC's organisational domain)."""

from functools import cache
from typing import Any


@cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # reads a list of 10,000 lines, and is seldom needed

    return PublicSuffixList(accept_unknown=False)


def same_organisation(one: str, other: str) -> bool:
    """Do two domains (lower-case A-labels) have one registered domain? A public suffix, or an unknown one, has none.

    >>> same_organisation("mail.example.co.uk", "example.co.uk"), same_organisation("a.co.uk", "b.co.uk")
    (True, False)
    """
    registered = _suffixes().privatesuffix(one)
    return registered is not None and registered == _suffixes().privatesuffix(other)
