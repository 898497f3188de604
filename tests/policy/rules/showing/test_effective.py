"""What is in force in a place, and where each value of it stands."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.address import parse_address
from policy.attempt import Attempt
from policy.decide import decide
from policy.decision import Strength
from policy.hearing import facts_of
from policy.rules.conditions import condition, none_of
from policy.rules.domains import covers
from policy.rules.layer import EVERYONE
from policy.rules.policy import ANYWHERE, Place, Policy
from policy.rules.rule import Condition
from policy.rules.showing.conjunction import conjoined, holds_in
from policy.rules.showing.dumping import dump, file_text
from policy.rules.showing.effective import effective, in_force, only_rule
from policy.rules.showing.origins import origins, traced
from policy.rules.source import RulesFile, build_policy
from policy.testing.files import operator_policy, operator_stacks
from policy.testing.scenarios import Scenario, scenarios

SHIPPED = build_policy([])
few = settings(max_examples=25)  # each loads several policies
PATTERNS = [mark + name for mark in ("", "=", "*.") for name in ("org", "a.org", "b.a.org", "net")]
ROOT = Path(__file__).parents[4]
OURS = {"rules.yaml": "rules.yaml", "bottom.yaml": "policy/rules/bottom.yaml"}
HOSTS = ["org", "a.org", "b.a.org", "c.b.a.org", "ba.org", "net", "x.net"]


def policy(*texts: str) -> Policy:
    """The shipped policy under these files, the last on top, named `0.yaml` and so on."""
    return build_policy(
        [RulesFile(f"{number}.yaml", f"mailverdict: 1\n{text}\n".encode()) for number, text in enumerate(texts)]
    )


def loaded(text: str) -> Policy:
    return build_policy([RulesFile("dumped.yaml", text.encode())])


# ---- conditions as one -----------------------------------------------------------------------------------------------

_one = st.one_of(
    st.builds(condition, st.just("domain"), st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3).map(tuple)),
    st.builds(condition, st.just("provider"), st.lists(st.sampled_from("pq"), min_size=1, max_size=2).map(tuple)),
)
_conditions = st.lists(_one | st.lists(_one, max_size=2).map(lambda inner: none_of(tuple(inner))), max_size=5)


def true_of(each: Condition, domain: str, provider: str) -> bool:
    """Does a condition hold for a recipient of whom both are known?"""
    if each.key == "not":
        return not any(true_of(one, domain, provider) for one in each.values[0])
    return provider in each.values if each.key == "provider" else any(covers(value, domain) for value in each.values)


@given(_conditions)
def test_conditions_as_one_a_key_hold_exactly_when_all_of_them_do(conditions: list[Condition]) -> None:
    one = conjoined(conditions)
    keys = [each.key for each in one or ()]
    assert len(keys) == len(set(keys))
    for domain in HOSTS:
        for provider in "pq":
            whole = all(true_of(each, domain, provider) for each in conditions)
            assert whole == (one is not None and all(true_of(each, domain, provider) for each in one))


@pytest.mark.parametrize("one", PATTERNS)
def test_two_patterns_as_one_cover_what_both_cover(one: str) -> None:
    for other in PATTERNS:
        both = conjoined([condition("domain", (one,)), condition("domain", (other,))])
        for host in HOSTS:
            covered = both is not None and true_of(both[0], host, "p")
            assert covered == (covers(one, host) and covers(other, host)), (other, host)


@given(_conditions, st.sampled_from(HOSTS), st.sampled_from("pq"))
def test_what_excludes_a_place_is_known_from_the_place_and_what_is_not_known_excludes_nothing(
    conditions: list[Condition], domain: str, provider: str
) -> None:
    whole = all(true_of(each, domain, provider) for each in conditions)
    assert holds_in(conditions, Place(domain, provider)) == whole
    if whole:
        assert holds_in(conditions, Place(domain))
        assert holds_in(conditions, Place(None, provider))
    assert holds_in([each for each in conditions if each.key != "not"], ANYWHERE)


# ---- in a place ------------------------------------------------------------------------------------------------------


def place_of(policy: Policy, attempt: Attempt) -> Place:
    recipient = attempt.recipient or parse_address("jo@example.org")
    return Place(recipient.domain, policy.provider_of(attempt))


@few
@given(operator_stacks(), st.lists(scenarios(), min_size=1, max_size=4))
def test_whatever_decides_in_a_place_is_shown_for_it(texts: tuple[str, ...], asked: list[Scenario]) -> None:
    whole = operator_policy(*texts)
    for scenario in asked:
        if scenario.attempt.recipient is None:  # nobody can be shown a place of it
            continue
        there = effective(whole, place_of(whole, scenario.attempt))
        deciding, observing = whole.rule_for(facts_of(whole, scenario.attempt, scenario.history, scenario.now))
        assert {str(each.ref) for each in (deciding, *observing)} <= {
            str(each.ref) for each in (*(each.rule for each in there.rules), whole.rules[-1])
        }


@few
@given(operator_stacks(), scenarios())
def test_what_is_shown_for_a_place_loads_and_decides_there_as_the_whole(
    texts: tuple[str, ...], scenario: Scenario
) -> None:
    whole = operator_policy(*texts)
    there = effective(whole, place_of(whole, scenario.attempt))
    again = loaded(file_text(there, origins(whole, there)))
    ids = {each.id: each.rule.ref.id for each in there.rules}
    if scenario.attempt.recipient is not None:
        ours, theirs = (
            decide(each, *scenario[:2], now=scenario.now, spread=scenario.spread) for each in (whole, again)
        )
        assert (theirs.action, ids.get(theirs.rule.id, theirs.rule.id)) == (ours.action, ours.rule.id)
        assert (theirs.retry_at, theirs.give_up_at, theirs.route) == (ours.retry_at, ours.give_up_at, ours.route)


@few
@given(operator_stacks(), st.sampled_from([None, "example.org", "a.sub.example.org", "gmail.com"]), st.booleans())
def test_names_are_those_of_the_place(texts: tuple[str, ...], domain: str | None, known: bool) -> None:
    whole = operator_policy(*texts)
    place = Place(domain, "google" if known else None)
    names = effective(whole, place).names[EVERYONE]
    for strength in (Strength.WEAK, Strength.STRONG):
        assert names["suppression", strength].value == whole.lasting(strength, place)
    for name in ("own-first", "standard"):
        assert names["schedules", name].value == whole.schedule(name, place)
    assert names["schedules", names["defaults", "schedule"].value].value == whole.schedule(None, place)
    assert names["routes", names["defaults", "route"].value].value == whole.next_hop(None, place)


# Of one name, in three files: the days that each says for each scope.
_SCOPES = ("", "google", "microsoft", "org", "example.org", "sub.example.org")
_said = st.lists(st.dictionaries(st.sampled_from(_SCOPES), st.integers(1, 3)), min_size=1, max_size=3)


@few
@given(_said)
def test_one_file_says_of_a_name_what_the_layers_say_except_where_it_is_told(said: list[dict[str, int]]) -> None:
    def block(days: int) -> dict[str, Any]:
        return {"suppression": {"weak": {"for": f"{days}d"}}}

    texts = []
    for each in said:
        file: dict[str, Any] = {"mailverdict": 1, **(block(each[""]) if "" in each else {})}
        file["domains"] = {scope: block(days) for scope, days in each.items() if "org" in scope}
        file["providers"] = {scope: block(days) for scope, days in each.items() if scope in ("google", "microsoft")}
        texts.append(json.dumps(file))
    whole = operator_policy(*texts)
    again, unsaid = loaded(dump(whole)), effective(whole).unsaid
    told = {place: value.value for place, _, value in unsaid}
    for domain in (None, "net", "org", "example.org", "sub.example.org", "deep.sub.example.org", "x.org"):
        for provider in (None, "google", "microsoft", "apple"):
            ours, theirs = (each.lasting(Strength.WEAK, Place(domain, provider)) for each in (whole, again))
            over = next((told[p] for d in (domain, *_above(domain)) if (p := Place(d, provider)) in told), theirs)
            assert ours in (theirs, over)
    assert (in_force(again) == in_force(whole)) == (not unsaid)


def _above(domain: str | None) -> list[str]:
    parts = (domain or "").split(".")
    return [".".join(parts[number:]) for number in range(1, len(parts))]


def test_one_rule_shown_alone_loads_with_what_it_refers_to() -> None:
    whole = policy(
        "schedules: {slow: {first: 1h, give_up: 2d}}\nproviders: {mine: {mx: [mx.example]}}\n"
        "rules: [{id: a, when: {not: {provider: mine}}, then: {action: retry, schedule: slow}}]"
    )
    alone = only_rule(effective(whole), "a")
    again = loaded(file_text(alone))
    assert again.rules[0].ref.id == "a"
    assert [each.ref.id for each in again.rules[1:]] == [each.ref.id for each in SHIPPED.layers[-1].rules]
    assert list(alone.providers) == ["mine"]
    assert [name for _, name in alone.names[EVERYONE]] == ["slow"]


# ---- origins ---------------------------------------------------------------------------------------------------------


@few
@given(operator_stacks())
def test_every_value_has_the_place_of_a_line_that_says_it(texts: tuple[str, ...]) -> None:
    whole = operator_policy(*texts)
    lines = {name: (ROOT / path).read_text().splitlines() for name, path in OURS.items()}
    for layer, text in zip(reversed(whole.layers[:-2]), texts, strict=True):
        lines[layer.file] = text.splitlines()
    there = effective(whole)
    found = origins(whole, there)
    for address, origin in found.items():
        file, line = origin.partition(",")[0].split(":")
        assert 1 <= int(line) <= len(lines[file]), (address, origin)
    for place, each in enumerate(there.rules):
        file, line = found["rules", place].partition(",")[0].split(":")
        assert each.rule.ref.id in " ".join(lines[file][int(line) - 1 : int(line) + 2])


FILE = """\
providers:
  google:
    names: [gm]
override:
  - id: over-quota
    set:
      then:
        alert: ops
        suppress: {for: 3d}
  - {id: blocked, unset: then.alert}
disable:
  - too-large
domains:
  example.org:
    streams:
      bulk: {give_up: 1h}
    disable: [tls-needed]
    override: {id: delivered, set: {note: here}}
    rules:
      - id: ours
        then: {action: hold}
"""


def line_of(text: str, start: str, after: str = "") -> str:
    """The first line that starts so, after one that starts otherwise."""
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.strip().startswith(after))
    return next(line for line in lines[first:] if line.strip().startswith(start))


@pytest.mark.parametrize(
    ("start", "after", "origin"),
    [
        ("alert: ops", "- id: over-quota ", "0.yaml:9"),
        ("for: 3d", "- id: over-quota ", "0.yaml:10"),
        ("action:", "- id: over-quota ", "rules.yaml"),
        ("strength: weak", "- id: over-quota ", "rules.yaml"),
        ("- id: over-quota ", "", "edited by 0.yaml:6"),
        ("- id: blocked ", "", "edited by 0.yaml:11"),
        ("names: [gm]", "google:", "0.yaml:4"),
        ("mx: [google.com", "google:", "rules.yaml"),
        ("bulk: {give_up: 2d}", "streams:", "rules.yaml"),
        ("bulk: {give_up: 1h}", "domains:", "0.yaml:17"),
        ("- id: ours", "", "0.yaml:21"),
        ("domain: example.org", "- id: ours", "0.yaml:16"),
        ("domain: example.org", "- id: delivered-at-example-org", "0.yaml:19"),
        ("note: here", "- id: delivered-at-example-org", "0.yaml:19"),
        ("not: {domain: example.org}", "- id: tls-needed", "0.yaml:18"),
        ("not: {domain: example.org}", "- id: delivered ", "0.yaml:19"),
    ],
)
def test_each_line_says_where_its_value_stands(start: str, after: str, origin: str) -> None:
    whole = policy(FILE)
    there = effective(whole)
    assert origin in line_of(file_text(there, origins(whole, there)), start, after).partition("  # ")[2]


def test_a_file_with_a_wicked_name_cannot_end_its_comment() -> None:
    whole = build_policy([RulesFile("a\nrules: []\u202e.yaml", b"mailverdict: 1\nstreams: {bulk: {give_up: 1h}}\n")])
    there = effective(whole)
    text = file_text(there, origins(whole, there))
    assert "bulk: {give_up: 1h}" in text
    assert in_force(loaded(text)) == in_force(whole)


def test_programs_get_each_value_with_its_origin() -> None:
    whole = policy(FILE)
    said = traced(whole, effective(whole))
    assert said["streams"]["bulk"]["give_up"] == "2d"
    assert said["domains"]["example.org"]["streams"]["bulk"] == {"give_up": "1h", "origin": "0.yaml:17"}
    assert said["defaults"]["route"]["value"] == "direct"
    assert said["providers"]["google"]["origins"]["names"] == "0.yaml:4"
    (rule,) = (each for each in said["rules"] if each["id"] == "over-quota")
    assert rule["origins"]["then.alert"] == "0.yaml:9"
    assert [each["id"] for each in said["rules"]] == [each.ref.id for each in whole.rules]
    named = [
        each for kind in ("schedules", "routes", "streams", "suppression", "defaults") for each in said[kind].values()
    ]
    assert all(each["origin"] for each in (*named, *said["rules"], *said["providers"].values()))


def test_a_disabled_rule_of_the_bottom_is_told_with_its_place() -> None:
    whole = policy("streams: {bulk: {give_up: 1h}}\ndisable:\n  - class-4yz\n  - over-quota")
    there = effective(whole)
    assert line_of(file_text(there, origins(whole, there)), "- class-4yz").endswith("# 0.yaml:4")
    assert there.disabled == ("class-4yz",)


def test_a_rule_keeps_its_id_whatever_the_place() -> None:
    whole = policy("domains: {example.org: {override: {id: over-quota, set: {note: here}}}}")
    for place, ids in (
        (ANYWHERE, ["over-quota-at-example-org", "over-quota"]),
        (Place("example.org"), ["over-quota-at-example-org"]),
        (Place("x.net"), ["over-quota"]),
    ):
        assert [each.id for each in effective(whole, place).rules if each.rule.ref.id == "over-quota"] == ids
