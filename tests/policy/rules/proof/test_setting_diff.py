"""What changes beside the rules is told when, and only when, somebody's mail gets another answer."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.address import parse_address
from policy.rules.policy import Place, Policy
from policy.rules.proof.setting_diff import setting_changes
from policy.testing.files import operator_policy

# For each list of `LISTS`, all that its patterns can tell apart is here.
DOMAINS = ("a.example", "b.a.example", "q.a.example", "q.b.a.example", "example", "q.example", "net")
RECIPIENTS = [parse_address(f"{local}@{domain}") for local, domain in product(("jo", "al"), DOMAINS)]
SPARED = ("jo@a.example", "al@b.a.example", "a.example", "=a.example", "*.a.example", "*.b.a.example", "b.a.example",
          "=b.a.example", "example", "*.example", "=example")  # fmt: skip
LISTS = st.lists(st.sampled_from(SPARED), max_size=4)

SCOPES = ("", "google", "microsoft", "a.example", "b.a.example")
PLACES = [Place(*both) for both in product((None, *DOMAINS), (None, "google", "microsoft"))]
LIMITED = st.dictionaries(st.sampled_from(SCOPES), st.sampled_from(["slow", "fast"]), max_size=3)
WANTED = st.dictionaries(st.sampled_from(SCOPES), st.booleans(), max_size=3)


def policy(**said: Any) -> Policy:
    return operator_policy(json.dumps({"mailverdict": 1, **{key: value for key, value in said.items() if value}}))


def scoped(blocks: dict[str, dict[str, Any]], **more: Any) -> Policy:
    """A policy that says these blocks in their scopes."""
    providers = {scope: block for scope, block in blocks.items() if scope in ("google", "microsoft")}
    domains = {scope: block for scope, block in blocks.items() if "." in scope}
    return policy(providers=providers, domains=domains, **more, **blocks.get("", {}))


def limited(names: dict[str, str]) -> Policy:
    limits = {"slow": {"rate": "1/1h"}, "fast": {"rate": "9/1m"}}
    return scoped({scope: {"defaults": {"limit": name}} for scope, name in names.items()}, limits=limits)


def wanting(flags: dict[str, bool]) -> Policy:
    return scoped({scope: {"streams": {"news": {"wanted": flag}}} for scope, flag in flags.items()})


def told(old: Policy, new: Policy) -> list[str]:
    return [each.about for each in setting_changes(old, new)]


@example(["a.example"], ["=a.example", "*.a.example"])
@given(LISTS, LISTS)
def test_lists_are_told_when_and_only_when_they_spare_others(before: list[str], after: list[str]) -> None:
    old, new = policy(never_suppress=before), policy(never_suppress=after)
    pairs = [(old.spared(each) is not None, new.spared(each) is not None) for each in RECIPIENTS]
    says = [each.says for each in setting_changes(old, new)]
    assert any("` spares" in each for each in says) == ((False, True) in pairs)
    assert any("no longer spares" in each for each in says) == ((True, False) in pairs)


@given(LIMITED, LIMITED)
def test_limits_are_told_when_and_only_when_one_is_another_somewhere(
    before: dict[str, str], after: dict[str, str]
) -> None:
    old, new = limited(before), limited(after)
    assert ("limits" in told(old, new)) == any(old.limit(each) != new.limit(each) for each in PLACES)


@given(WANTED, WANTED)
def test_streams_are_told_when_and_only_when_one_is_wanted_otherwise_somewhere(
    before: dict[str, bool], after: dict[str, bool]
) -> None:
    old, new = wanting(before), wanting(after)
    asked = (each.stream("news", place).wanted for place in PLACES for each in (old, new))
    assert ("streams" in told(old, new)) == any(one != other for one, other in zip(asked, asked, strict=True))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({}, {"": "slow"}, "limit none becomes 1/1h for everyone"),
        ({"": "slow"}, {"": "slow", "google": "fast"}, "limit 1/1h becomes 9/1m for google"),
        ({"a.example": "fast"}, {}, "limit 9/1m becomes none for a.example"),
    ],
)
def test_a_limit_is_told_with_its_rates_and_the_widest_place(
    before: dict[str, str], after: dict[str, str], says: str
) -> None:
    assert [each.says for each in setting_changes(limited(before), limited(after))] == [says]


def test_a_domain_at_a_provider_is_not_told_where_the_domain_alone_says_the_same() -> None:
    changes = setting_changes(limited({}), limited({"a.example": "slow", "google": "fast"}))
    assert sorted(each.says for each in changes) == [
        "limit none becomes 1/1h for a.example",
        "limit none becomes 9/1m for google",
    ]
