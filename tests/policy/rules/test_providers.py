"""Which provider a delivery goes to: as the caller calls it, else by the MX, else by the recipient's domain."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import Address
from policy.attempt import Attempt
from policy.reply import parse_reply
from policy.rules.domains import covers
from policy.rules.policy import Policy
from policy.rules.providers import spoken_name
from policy.rules.source import RulesError, RulesFile, build_policy

SHIPPED = build_policy([])
NAMES = [(name, called) for called, each in SHIPPED.providers.items() for name in (called, *each.names)]


def policy(*texts: str) -> Policy:
    """The shipped policy under files with these providers, the last on top."""
    files = [f"mailverdict: 1\nproviders: {{{text}}}\n".encode() for text in texts]
    return build_policy([RulesFile(f"{number}.yaml", content) for number, content in enumerate(files)])


def provider(policy: Policy, called: str | None = None, mx: str | None = None, domain: str | None = None) -> str | None:
    """What the policy takes for the provider."""
    recipient = Address("jo", domain) if domain else None
    return policy.provider_of(Attempt(outcome=parse_reply("550 no"), provider=called, mx=mx, recipient=recipient))


@given(st.sampled_from(NAMES), st.sampled_from([str.upper, str.title, lambda name: name.replace("-", " ")]))
def test_a_provider_goes_by_each_of_its_names_however_it_is_written(pair: tuple[str, str], change: object) -> None:
    name, called = pair
    assert provider(SHIPPED, change(name)) == called  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "called"),
    [("gmail", "google"), ("Microsoft 365", "microsoft"), ("outlook.com", "microsoft"), ("iCloud", "apple"),
     ("AOL", "yahoo"), ("web.de", "gmx"), ("163", "netease"), ("mail.ru", "mailru"), ("ironport", "cisco")],
)  # fmt: skip
def test_a_well_known_name_means_its_provider(name: str, called: str) -> None:
    assert provider(SHIPPED, name, mx="mx.elsewhere.example", domain="qq.com") == called


@pytest.mark.parametrize(
    ("mx", "called"),
    [("gmail-smtp-in.l.google.com", "google"), ("dest-example.mail.protection.outlook.com", "microsoft"),
     ("hotmail-com.olc.protection.outlook.com", "microsoft"), ("mta5.am0.yahoodns.net", "yahoo"),
     ("mx01.mail.icloud.com", "apple"), ("mx00.gmx.net", "gmx"), ("smtp-in.orange.fr", "orange"),
     ("mxs.mail.ru", "mailru"), ("163mx01.mxmail.netease.com", "netease"), ("mx1.qq.com", "qq"),
     ("eu-smtp-inbound-1.mimecast.com", "mimecast"), ("mx0a-00112233.pphosted.com", "proofpoint"),
     ("smtp.secureserver.net", "godaddy"), ("mx.notgoogle.com", None), ("google.com.example", None)],
)  # fmt: skip
def test_a_provider_is_known_by_its_hosts(mx: str, called: str | None) -> None:
    assert provider(SHIPPED, mx=mx) == called


@pytest.mark.parametrize("name", ["nobody", "", "!!!", "googol"])
def test_a_name_that_nobody_goes_by_counts_as_absent(name: str) -> None:
    assert provider(SHIPPED, name) is None
    assert provider(SHIPPED, name, mx="mx1.qq.com", domain="gmail.com") == "qq"
    assert provider(SHIPPED, name, domain="gmail.com") == "google"


def test_the_host_tells_more_than_the_domain() -> None:
    assert provider(SHIPPED, mx="mx0a.pphosted.com", domain="gmail.com") == "proofpoint"
    assert provider(SHIPPED, mx="mx.elsewhere.example", domain="gmail.com") == "google"


def test_no_two_shipped_providers_claim_one_host_domain_or_name() -> None:
    spoken = [(spoken_name(name), called) for name, called in NAMES]
    for (one, first), (other, second) in combinations(SHIPPED.providers.items(), 2):
        for ours, theirs in ((first.mx, second.mx), (first.domains, second.domains)):
            assert [(a, b) for a in ours for b in theirs if covers(b, a) or covers(a, b)] == [], (one, other)
    assert len({name for name, _ in spoken}) == len(set(spoken))


def test_an_own_name_beats_another_providers_other_name() -> None:
    assert provider(policy("gmail: {mx: [mx.example]}"), "Gmail") == "gmail"
    assert provider(policy("gmail: {mx: [mx.example]}"), "google-workspace") == "google"


def test_a_higher_layer_says_whom_a_name_means_and_taking_it_away_restores_it() -> None:
    lower, higher = "ours: {names: [gmail, house]}", "theirs: {names: [house]}"
    assert provider(policy(lower), "house") == provider(policy(lower), "gmail") == "ours"
    assert provider(policy(lower, higher), "house") == "theirs"
    assert provider(policy(), "gmail") == "google"
    assert provider(policy(), "house") is None


def test_a_provider_that_is_defined_anew_has_the_new_names_only() -> None:
    renewed = policy("google: {mx: [google.com], names: [goo]}")
    assert provider(renewed, "goo") == "google"
    assert provider(renewed, "gsuite") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [("a: {names: [house]}, b: {names: [House]}", "bad-name"), ("a: {names: []}", "empty-list"),
     ("a: {names: [house]}, b: {names: [ho-use]}", "duplicate-name"), ("a: {names: [b]}, b: {}", "duplicate-name"),
     ("a: {nams: [house]}", "unknown-key")],
)  # fmt: skip
def test_a_mistake_in_names_is_told_with_its_place(text: str, code: str) -> None:
    with pytest.raises(RulesError) as told:
        policy(text)
    assert [(problem.code, problem.file, problem.line) for problem in told.value.problems] == [(code, "0.yaml", 2)]


def test_a_layer_that_says_other_things_of_a_provider_moves_no_host() -> None:
    claims = "p1: {mx: [x.example]}", "p2: {mx: [x.example]}"
    assert provider(policy(*claims), mx="mx.x.example") == "p2"
    assert provider(policy(*claims, "p1: {rules: [{id: r, then: {action: hold}}]}"), mx="mx.x.example") == "p2"
    assert provider(policy(*claims, "p1: {mx: [x.example]}"), mx="mx.x.example") == "p1"
    assert provider(policy(*claims, "p2: {mx: [y.example]}"), mx="mx.x.example") == "p1"


def test_the_closest_name_wins_so_that_an_own_host_can_be_taken_out_of_a_providers() -> None:
    mine = policy("mine: {mx: [corp.google.com], domains: [staff.gmail.com]}")
    assert [provider(mine, mx=host) for host in ("mx.google.com", "a.corp.google.com")] == ["google", "mine"]
    assert [provider(mine, domain=name) for name in ("gmail.com", "staff.gmail.com")] == ["google", "mine"]
