"""Laws of destinations: one key a destination and reach, found again by whoever sends there, and told apart."""

from typing import Any

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from policy.address import Address, parse_address
from policy.destination import Destination, Reach, destination, in_words
from policy.testing import values

DOMAINS = st.one_of(values.domains(), st.sampled_from(["a.example", "b.a.example", "google"]))
PROVIDERS = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)  # what the rules language takes for a name
STREAMS = st.one_of(values.names(), st.sampled_from(["news", "-", "a#b", "a>b", "=a", "@direct", "*"]))
ROUTES = PROVIDERS
JO = parse_address("jo@dest.example")

destinations = st.builds(
    Destination,
    identity=st.just("-") | DOMAINS,
    domain=DOMAINS,
    provider=st.none() | PROVIDERS,
    stream=STREAMS,
    campaign=st.none() | STREAMS,
)


def meant(to: Destination, reach: Reach, route: str) -> tuple[object, ...]:
    """What a key stands for; a provider and a domain of one name are one destination, as both are its name only."""
    if reach is Reach.CAMPAIGN and to.campaign is None:
        return meant(to, Reach.STREAM, route)
    whose = to.provider or to.domain
    return {
        Reach.PAIR: (to.identity, whose),
        Reach.PROVIDER: (whose,),
        Reach.DOMAIN: (to.domain,),
        Reach.STREAM: (to.identity, to.stream),
        Reach.CAMPAIGN: (to.identity, to.campaign),
        Reach.ROUTE: (route,),
    }[reach]


def kind_of(to: Destination, reach: Reach) -> Reach:
    """Mail of no campaign is of its stream."""
    return Reach.STREAM if reach is Reach.CAMPAIGN and to.campaign is None else reach


@given(ways=st.lists(st.tuples(destinations, st.sampled_from(Reach), ROUTES), min_size=2, max_size=2))
def test_two_keys_are_equal_only_where_the_same_is_meant(ways: list[tuple[Destination, Reach, str]]) -> None:
    one, other = (to.key(reach, route) for to, reach, route in ways)
    this, that = ((kind_of(to, reach), *meant(to, reach, route)) for to, reach, route in ways)
    assert (one == other) is (this == that)


@given(to=destinations, other=destinations, route=ROUTES)
def test_what_a_reach_does_not_name_does_not_change_its_key(to: Destination, other: Destination, route: str) -> None:
    names: dict[Reach, dict[str, Any]] = {
        Reach.PAIR: {"stream": other.stream, "campaign": other.campaign},
        Reach.PROVIDER: {"stream": other.stream, "identity": other.identity},
        Reach.DOMAIN: {"stream": other.stream, "identity": other.identity, "provider": other.provider},
        Reach.STREAM: {"domain": other.domain, "provider": other.provider, "campaign": other.campaign},
        Reach.CAMPAIGN: {"domain": other.domain, "provider": other.provider},
        Reach.ROUTE: {"identity": other.identity, "domain": other.domain, "stream": other.stream},
    }
    for reach, changes in names.items():
        assert evolve(to, **changes).key(reach, route) == to.key(reach, route)


@given(to=destinations, domain=DOMAINS)
def test_all_domains_of_a_provider_are_one_pair_and_each_is_a_domain_of_its_own(to: Destination, domain: str) -> None:
    assume(to.provider is not None and domain != to.domain)
    other = evolve(to, domain=domain)
    assert other.key(Reach.PAIR, "") == to.key(Reach.PAIR, "")
    assert other.key(Reach.DOMAIN, "") != to.key(Reach.DOMAIN, "")


@given(sender=values.addresses(), local=st.sampled_from(["a", "B", '"x y"']), stream=st.none() | values.names())
def test_the_identity_is_the_sender_s_domain_whoever_of_it_sends(
    sender: Address, local: str, stream: str | None
) -> None:
    to = destination(sender, JO, stream, None)
    assert to == destination(evolve(sender, local=local), JO, stream, None)
    assert (to.identity, to.domain, to.stream) == (sender.domain, JO.domain, stream or "-")


@given(sender=values.addresses())
def test_nobody_and_the_null_sender_are_one_identity_that_no_domain_can_have(sender: Address) -> None:
    nobody, null = (destination(each, JO, None, None) for each in (None, ""))
    assert nobody == null
    for reach in (Reach.PAIR, Reach.STREAM):
        assert nobody.key(reach, "") != destination(sender, JO, None, None).key(reach, "")


@given(to=destinations, route=ROUTES)
def test_the_words_for_a_key_name_what_it_holds(to: Destination, route: str) -> None:
    for reach in Reach:
        said = in_words(to.key(reach, route))
        told = [str(each) for each in meant(to, reach, route) if each != "-"]
        assert said.startswith("mail ")
        assert all(each in said for each in told)
