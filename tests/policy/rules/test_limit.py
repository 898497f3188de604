"""Limits: the one that holds in a place has the rate that counts there, and the place where it is said."""

import pytest

from policy.rules.limit import limit_at, limits
from policy.rules.policy import Place, Policy
from policy.rules.source import RulesFile, build_policy, load_policy

LOWER = b"""mailverdict: 1
limits:
  slow: {rate: 60/1h}
  slower:
    rate: 30/1h
defaults: {limit: slow}
domains:
  a.example: {defaults: {limit: slower}}
  plain.example: {rules: [{id: r, when: {text: x}, then: {action: retry}}]}
providers:
  google: {limits: {slow: {rate: 10/1h}}}
"""
UPPER = b"""mailverdict: 1
domains:
  b.a.example:
    limits: {slower: {rate: 1/1h}}
"""


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Two files over the shipped ones."""
    return build_policy([RulesFile("lower.yaml", LOWER), RulesFile("upper.yaml", UPPER)])


PLACES = [
    (Place(), "slow (lower.yaml:3)"),
    (Place("x.example"), "slow (lower.yaml:3)"),
    (Place("a.example"), "slower (lower.yaml:4)"),
    (Place("b.a.example"), "slower (upper.yaml:4)"),
    (Place("gmail.com", "google"), "slow (lower.yaml:11)"),
]


@pytest.mark.parametrize(("place", "ref"), PLACES)
def test_the_limit_of_a_place_has_its_rate_and_its_line(place: Place, ref: str, policy: Policy) -> None:
    limit = limit_at(policy, place)
    assert limit is not None
    assert (limit.rate, str(limit.ref)) == (policy.limit(place), ref)


def test_each_scope_that_says_something_of_its_limit_is_listed_once(policy: Policy) -> None:
    listed = {where.domain or where.provider: str(limit.ref) for where, limit in limits(policy)}
    assert listed == {
        (place.domain if place.provider is None else place.provider): ref
        for place, ref in PLACES
        if place.domain != "x.example"
    }
    assert len(list(limits(policy))) == len(listed)
    assert next(limits(policy))[0].closeness == 0


def test_the_shipped_rules_limit_nothing() -> None:
    shipped = load_policy()
    assert list(limits(shipped)) == []
    assert limit_at(shipped, Place("gmail.com", "google")) is None
