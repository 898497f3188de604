"""Domain patterns, as conditions and providers write them, and what each covers.

`example.org` covers itself and all below it, `*.example.org` only what is below, `=example.org` only itself.
"""

from collections.abc import Iterator

from policy.address import parse_address, parse_domain

BELOW_ONLY = "*."
ITSELF_ONLY = "="


def parse_pattern(text: str) -> str:
    """Return a pattern with its domain as lower-case A-labels.

    Raises:
        ValueError: with one line that says what is wrong.

    >>> parse_pattern("*.Bücher.example")
    '*.xn--bcher-kva.example'
    """
    mark = next((mark for mark in (BELOW_ONLY, ITSELF_ONLY) if text.startswith(mark)), "")
    return mark + parse_domain(text.removeprefix(mark))


def covers(pattern: str, name: str) -> bool:
    """Does `name` fall under `pattern`?

    >>> [covers(pattern, "a.example.org") for pattern in ("example.org", "*.example.org", "=example.org", "ample.org")]
    [True, True, False, False]
    """
    if pattern.startswith(ITSELF_ONLY):
        return name == pattern[1:]
    if pattern.startswith(BELOW_ONLY):
        return name.endswith(pattern[1:])
    return name == pattern or name.endswith("." + pattern)


def patterns_over(name: str | None) -> Iterator[str]:
    """Yield every pattern that covers `name`, the closest first; nothing for None.

    >>> list(patterns_over("a.b"))
    ['=a.b', 'a.b', '*.b', 'b']
    """
    if name:
        yield ITSELF_ONLY + name
    while name:
        yield name
        name = name.partition(".")[2]
        if name:
            yield BELOW_ONLY + name


def parse_spared(text: str) -> str:
    """Return an entry of `never_suppress`: the key of an address, or a domain pattern.

    Raises:
        ValueError: with one line that says what is wrong.
    """
    return parse_address(text).key if "@" in text else parse_pattern(text)


def wider(entry: str) -> Iterator[str]:
    """Yield every pattern that covers all that a pattern, or an address, covers; itself first.

    >>> list(wider("jo@a.b")), list(wider("*.a.b"))
    (['jo@a.b', '=a.b', 'a.b', '*.b', 'b'], ['*.a.b', 'a.b', '*.b', 'b'])
    """
    if "@" in entry:
        yield entry
        yield from patterns_over(entry.rpartition("@")[2])
    elif entry.startswith(ITSELF_ONLY):
        yield from patterns_over(entry.removeprefix(ITSELF_ONLY))
    else:
        _, *over = patterns_over(entry.removeprefix(BELOW_ONLY))
        yield from (entry, *(each for each in over if each != entry))


def depth(pattern: str) -> int:
    """How many labels its domain has."""
    return pattern.count(".") + 1
