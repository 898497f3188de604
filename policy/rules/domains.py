"""Domain patterns, as conditions and providers write them, and what each covers.

`example.org` covers itself and all below it, `*.example.org` only what is below, `=example.org` only itself.
"""

from collections.abc import Iterator

from policy.address import parse_domain

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


def depth(pattern: str) -> int:
    """How many labels its domain has."""
    return pattern.count(".") + 1
