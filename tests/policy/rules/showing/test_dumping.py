"""A policy written as one rules file loads to the same policy, however many layers and scopes it had."""

import json
import re
from datetime import timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.address import parse_address
from policy.attempt import Attempt, Command
from policy.decide import decide
from policy.decision import Alert, Decision, Trigger
from policy.diagnosis.category import EvidenceKind
from policy.history import History
from policy.reply import parse_reply
from policy.rules.conditions import CONDITIONS
from policy.rules.policy import Policy
from policy.rules.reading import Report, duration
from policy.rules.rule_reader import RULE
from policy.rules.showing.dumping import document, dump, duration_text
from policy.rules.showing.effective import effective, in_force
from policy.rules.showing.layout import spelt
from policy.rules.source import RulesFile, build_policy
from policy.rules.terms import SCHEDULE, THEN
from policy.testing.files import operator_policy, operator_stacks
from policy.testing.scenarios import NOW, Scenario, scenarios
from policy.yamlfile import Problem, Scalar, plain, read_yaml

SHIPPED = build_policy([])
few = settings(max_examples=25)  # each loads several policies


def policy(*texts: str) -> Policy:
    """The shipped policy under these files, the last on top, named `0.yaml` and so on."""
    return build_policy(
        [RulesFile(f"{number}.yaml", f"mailverdict: 1\n{text}\n".encode()) for number, text in enumerate(texts)]
    )


def loaded(text: str) -> Policy:
    return build_policy([RulesFile("dumped.yaml", text.encode())])


WICKED = [
    "over quota",
    "x: y",
    "# no",
    "don't",
    '"',
    "550",
    "true",
    "ü",
    "a\u202eb",
    "- x",
    "two\nlines",
    " x",
    "~",
    "[",
    "x\x85y",
]


# ---- the law ---------------------------------------------------------------------------------------------------------


def verdict(policy: Policy, scenario: Scenario) -> Decision:
    """The decision, without the places of rules and with the ids that they have in a dumped file."""
    written = {str(each.rule.ref): each.id for each in effective(policy).rules}
    decision = decide(policy, *scenario[:2], now=scenario.now, spread=scenario.spread)
    rule = attrs.evolve(decision.rule, id=written.get(str(decision.rule), decision.rule.id), file="", line=1, edited=())
    effects = tuple(attrs.evolve(each, rule="") if isinstance(each, Trigger) else each for each in decision.effects)
    effects = tuple(attrs.evolve(each, text="") if isinstance(each, Alert) else each for each in effects)
    evidence = tuple(
        attrs.evolve(each, value="") if each.kind is EvidenceKind.SPARED else each  # which names the list's line
        for each in decision.evidence
        if "would" not in each.says
    )
    return attrs.evolve(decision, rule=rule, policy_version="", effects=effects, evidence=evidence)


def test_the_shipped_policy_dumped_is_the_shipped_policy() -> None:
    text = dump(SHIPPED)
    assert in_force(loaded(text)) == in_force(SHIPPED)
    assert [each.ref.id for each in loaded(text).rules] == [each.ref.id for each in SHIPPED.rules]


@few
@given(operator_stacks())
def test_a_dumped_policy_loads_to_the_same(texts: tuple[str, ...]) -> None:
    whole = operator_policy(*texts)
    dumped = dump(whole)
    again = loaded(dumped)
    ours, theirs = in_force(whole), in_force(again)
    unsaid = {name for _, name, _ in effective(whole).unsaid}
    assert {name for name in ours.names if ours.names[name] != theirs.names[name]} == unsaid
    assert attrs.evolve(theirs, names={}) == attrs.evolve(ours, names={})
    assert unsaid or dump(again) == dumped


@few
@given(operator_stacks(), st.lists(scenarios(), min_size=1, max_size=5))
def test_a_dumped_policy_decides_alike(texts: tuple[str, ...], asked: list[Scenario]) -> None:
    whole = operator_policy(*texts)
    if not effective(whole).unsaid:
        again = loaded(dump(whole))
        for scenario in asked:
            assert verdict(again, scenario) == verdict(whole, scenario)


_WHOLE_RULE: dict[str, Any] = {
    "id": "all",
    "when": {
        "code": "550", "enhanced": "5.1.1", "command": ["RCPT", "unknown"], "failure": "timeout", "fault": "recipient",
        "category": "unknown", "weight": "weak", "text": "x", "pattern": "x", "domain": "a.example", "mx": "b.example",
        "sender_domain": "=c.example", "provider": "google", "attempt": {"min": 1, "max": 2}, "stream": "bulk",
        "age": {"min": "1h", "max": "90m"}, "tag": "a=b", "custody": "theirs", "recipients": "several", "void": False,
        "null_sender": True, "forward_path": True, "split_before": True, "delivered_before": False,
        "clear_before": True, "backup_mx": True,
    },
    "then": {
        "action": "retry", "schedule": "all", "route": "direct", "suspend": {"for": "1d"}, "split": True,
        "suppress": {"scope": "domain", "strength": "weak", "strikes": 2, "apart": "2d", "within": "9d", "for": "1h"},
        "reconnect": True, "alert": {"to": "ops", "after": "1h"}, "remedy": "ask", "in_clear": True,
        "throttle": {"rate": "30/1h", "for": "2h", "scope": "stream", "after": "3 in 1h"},
    },
    "examples": ["550 no"], "counterexamples": [{"reply": "550", "stream": "otp"}], "note": "n", "owner": "o",
    "mode": "observe", "expires": "2027-01-31", "despite": "no-recipient-fault",
}  # fmt: skip
_OTHER_RULES: list[dict[str, Any]] = [  # what does not go with the rest
    {
        "id": "said",
        "when": {"event": ["complaint", "unsubscribe"]},
        "then": {"action": "accept", "suppress": {"scope": "stream", "strength": "permanent"}},
    },
    {
        "id": "moved",
        "when": {"code": "251"},
        "then": {
            "action": "accept-and-note-forward",
            "suspend": {"for": "1h", "scope": "route", "ends_on_success": True},
            "trust_forward": True,
        },
    },
]
_WHOLE_SCHEDULE = {
    "waits": ["5m", "1h"], "factor": 2, "longest": "4h", "spread": "20%", "give_up": "4d", "tries": 3, "hint": "4h",
}  # fmt: skip


def test_a_rule_and_a_schedule_that_say_all_there_is_are_written_as_they_were_read() -> None:
    file = {"mailverdict": 1, "schedules": {"all": _WHOLE_SCHEDULE}, "rules": [_WHOLE_RULE, *_OTHER_RULES]}
    whole = operator_policy(json.dumps(file))
    tree = document(effective(whole))
    said = {*_WHOLE_RULE, *_WHOLE_RULE["when"], *_WHOLE_RULE["then"], *_WHOLE_SCHEDULE}
    said |= {key for each in _OTHER_RULES for part in ("when", "then") for key in each[part]}
    assert said | {"first"} == {*CONDITIONS, *RULE, *THEN, *SCHEDULE}  # a new key must stand here, too
    as_written = json.loads(json.dumps(_WHOLE_RULE).replace("90m", "1h30m"))
    assert (tree["rules"][0], tree["schedules"]["all"]) == (as_written, _WHOLE_SCHEDULE)
    assert tree["rules"][1:3] == _OTHER_RULES
    assert in_force(loaded(dump(whole))) == in_force(whole)


# ---- what it looks like ----------------------------------------------------------------------------------------------

EXAMPLE = """\
disable: [any-event, class-2yz, class-4yz, class-5yz]
extends: none
schedules: {slow: {first: 90m, factor: 2, give_up: 36h}}
override: {id: low, set: {note: "all: of us"}}
domains:
  example.org:
    override: {id: low, set: {then: {alert: page}}}
    rules: [{id: here, when: {domain: [a.example.org, org], code: ["550", 4yz]}, then: {action: hold}}]
"""
DUMPED = """\

rules:
  - id: here
    when: {domain: [a.example.org, example.org], code: ["550", 4yz]}
    then: {action: hold}

  - id: low-at-example-org
    when: {domain: example.org, text: "550 no"}
    then: {action: retry, schedule: slow, alert: page}
    note: "all: of us"

  - id: low
    when: {not: {domain: example.org}, text: "550 no"}
    then: {action: retry, schedule: slow}
    note: "all: of us"
"""


def test_rules_are_written_in_the_style_of_the_shipped_file() -> None:
    low = "rules: [{id: low, when: {text: ['550   NO']}, then: {action: retry, schedule: slow}}]"
    text = dump(policy(f"{low}\nschedules: {{slow: {{first: 1s, give_up: 1s}}}}", EXAMPLE))
    assert text.endswith(DUMPED)
    assert "  slow: {first: 1h30m, factor: 2, give_up: 1d12h}\n" in text
    assert text.startswith(
        "mailverdict: 1\nextends: none\ndisable: [any-event, class-2yz, class-4yz, class-5yz]\n\ndefaults: {"
    )
    assert max(map(len, text.splitlines())) <= 120


def test_rules_that_exclude_themselves_are_left_out() -> None:
    apart = "{id: never, when: {domain: other.example}, then: {action: hold}}"
    assert "never" not in dump(policy(f"domains: {{example.org: {{rules: [{apart}]}}}}"))


def test_what_no_single_file_can_say_is_told() -> None:
    low = "domains: {example.org: {suppression: {weak: {for: 1d}}}}"
    high = "providers: {google: {suppression: {weak: {for: 2d}}}}"
    said = "# one file cannot say: `suppression` of example.org at google has weak: {for: 2d}\n"
    assert dump(policy(low, high)).endswith(said)
    assert "#" not in dump(policy(high, low))


def test_a_name_that_two_providers_go_by_stands_with_the_one_that_it_means() -> None:
    mine = "{mx: [mx.mine.example], names: [gsuite, mine-too]}"
    whole = policy(f"providers: {{mine: {mine}, apple: {{names: [old]}}}}", "providers: {apple: {names: [mine-too]}}")
    assert in_force(loaded(dump(whole))) == in_force(whole)
    assert "mine: {mx: [mx.mine.example], names: [gsuite]}" in dump(whole)
    assert "names: [gmail, google-workspace]" in dump(whole)


# ---- words -----------------------------------------------------------------------------------------------------------


@given(
    st.timedeltas(timedelta(seconds=1), timedelta(days=3650)).map(
        lambda span: timedelta(seconds=span // timedelta(seconds=1))
    )
)
def test_a_duration_reads_as_it_was(span: timedelta) -> None:
    assert duration(Report(""), Scalar(duration_text(span), False, 1, 1)) == span


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1s"), (60, "1m"), (90, "90s"), (5400, "1h30m"), (129600, "1d12h"), (1209600, "14d")]
)
def test_a_duration_is_written_as_people_do(seconds: int, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(WICKED))
def test_a_text_reads_as_it_was_and_hides_nothing(text: str) -> None:
    problems: list[Problem] = []
    line = f"{spelt(text)}: [{spelt(text)}]  # end\n"
    node = read_yaml(line.encode(), "", problems)
    assert node is not None
    assert plain(node) == {text: [text]}
    assert line.rstrip("\n").isprintable()


@given(st.sampled_from(WICKED))
def test_every_text_of_a_file_reads_as_it_was(word: str) -> None:
    rule = {
        "id": "all",
        "when": {
            "text": ["x", word],
            "stream": word,
            "tag": f"{word}={word}",
            "not": {"pattern": f"a|{re.escape(word)}"},
        },
        "then": {"action": "retry", "remedy": word},
        "note": word,
        "owner": word,
        "examples": [word, {"reply": word, "stream": word}],
    }
    streams = {name: {"give_up": "1h"} for name in {word, "bulk"}}
    whole = operator_policy(json.dumps({"mailverdict": 1, "streams": streams, "rules": [rule]}))
    assert in_force(loaded(dump(whole))) == in_force(whole)


def test_a_pattern_equals_one_of_the_same_text() -> None:
    one, same, other = (policy(f"rules: [{{id: a, when: {{pattern: {p}}}, then: {{action: hold}}}}]").rules[0].when
                        for p in ("a+", "a+", "a*"))  # fmt: skip
    assert one == same != other
    assert hash(one[0].values[0]) == hash(same[0].values[0])


def test_a_rule_of_a_scope_still_decides_there_and_nowhere_else() -> None:
    again = loaded(dump(policy("domains: {example.org: {disable: [no-such-mailbox]}}")))
    for domain, rule in (("sub.example.org", "probably-no-such-mailbox"), ("other.example", "no-such-mailbox")):
        recipient = parse_address(f"jo@{domain}")
        attempt = Attempt(outcome=parse_reply("550 5.1.1 User unknown"), command=Command.RCPT, recipient=recipient)
        assert decide(again, attempt, History(), now=NOW, spread=0.5).rule.id == rule
