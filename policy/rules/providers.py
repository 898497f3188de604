"""Mailbox providers: who reads the mail of a host or a domain, whatever layers say so.

The longest name that covers wins, so that a provider of one's own may take `mx.corp.example` out of `example`; of two
providers that claim the same name the one of the higher layer does.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from attrs import field, frozen


@frozen(kw_only=True)
class Provider:
    """A mailbox provider: host names of its MX and domains of its mailboxes, each with all below it.

    Args:
        names: other names by which callers may call it; only the rules' own name stands in conditions.
    """

    mx: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def over(self, lower: "Provider | None") -> "Provider":
        """This one over what a lower layer says of it: what is not said here stays."""
        if lower is None:
            return self
        return Provider(mx=self.mx or lower.mx, domains=self.domains or lower.domains, names=self.names or lower.names)


@frozen
class Providers:
    """All of them, by name, the lowest layer's first; `merged` makes it."""

    named: Mapping[str, Provider]
    _called: Mapping[str, str]
    _by_mx: "_Owners"
    _by_domain: "_Owners"

    @classmethod
    def merged(cls, layers: "list[Mapping[str, Provider]]") -> "Providers":
        """Those of several layers, the lowest first.

        An own name beats another's other name, a higher layer a lower one.
        """
        named: dict[str, Provider] = {}
        for layer in layers:
            named.update((name, each.over(named.get(name))) for name, each in layer.items())
        called: dict[str, str] = {}
        for layer in layers:
            for name in layer:
                called.update((spoken_name(other), name) for other in named[name].names)
        by_mx: dict[str, str] = {}
        by_domain: dict[str, str] = {}
        for layer in layers:  # who says last that a name is his has it, if he still says so
            for name, each in layer.items():
                by_mx.update((host, name) for host in each.mx if host in named[name].mx)
                by_domain.update((domain, name) for domain in each.domains if domain in named[name].domains)
        called |= {spoken_name(name): name for name in named}
        return cls(named, called, _Owners(by_mx), _Owners(by_domain))

    def called(self, name: str | None) -> str | None:
        """The provider that goes by `name`; None when nobody does."""
        if name is None or name in self.named:
            return name
        return self._called.get(spoken_name(name))

    def by_mx(self, host: str | None) -> str | None:
        """Whose host this is."""
        return self._by_mx.closest(host)

    def by_domain(self, domain: str | None) -> str | None:
        """Whose mailboxes have this domain."""
        return self._by_domain.closest(domain)


@frozen(eq=False)
class _Owners:
    """Whose each name is; `closest` remembers what it was asked of late, since a mailing asks of few names often."""

    _named: Mapping[str, str]
    closest: Callable[[str | None], str | None] = field(init=False)

    @closest.default
    def _remembering(self) -> Callable[[str | None], str | None]:
        named = self._named
        return lru_cache(maxsize=4096)(
            lambda name: next((named[each] for each in parents(name) if each in named), None)
        )


def parents(name: str | None) -> Iterator[str]:
    """Yield the name itself, then what it is below, the closest first; nothing for None."""
    while name:
        yield name
        name = name.partition(".")[2]


def spoken_name(name: str) -> str:
    """Return the form in which providers' names are compared: letters and digits only, without case.

    >>> spoken_name("Microsoft 365")
    'microsoft365'
    """
    return "".join(filter(str.isalnum, name.lower()))
