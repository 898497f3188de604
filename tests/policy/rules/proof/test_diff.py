"""What changes between two policies is told whole, and each change that is shown is one."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import Phase, assume, event, given, settings
from hypothesis import strategies as st

from policy.address import parse_address
from policy.attempt import Attempt, Command
from policy.decide import decide
from policy.decision import Decision
from policy.history import History
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.proof.change import Change, differ
from policy.rules.proof.diff import diff
from policy.rules.source import RulesError, load_policy
from policy.testing.files import operator_files, operator_policy
from policy.testing.scenarios import NOW, Scenario, scenarios

# Shrinking whole rules files takes minutes: a failing one is shown as it was found.
UNSHRUNK = settings(
    max_examples=max(15, settings().max_examples // 5), phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
ASKED = st.lists(scenarios(), min_size=8, max_size=8)
Document = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

SCHEDULE = {"waits": ["7m"], "give_up": "2d"}
RULES: tuple[Document, ...] = (
    {"when": {"code": "550"}, "then": {"action": "bounce"}},
    {"when": {"category": "bad-mailbox"}, "then": {"action": "retry", "schedule": "greylist"}},
    {"when": {"text": "unknown", "command": "RCPT"}, "then": {"action": "hold"}},
    {"when": {"domain": "example.org"}, "then": {"action": "retry", "route": "own-route"}},
    {"when": {"stream": "bulk", "code": "4yz"}, "then": {"action": "retry", "split": True}},
    {"when": {"provider": "google"}, "then": {"action": "bounce", "alert": "ops"}},
)


# ---- what an operator does to a file ---------------------------------------------------------------------------------


def blocks(document: Document) -> list[Document]:
    return [document, *document.get("domains", {}).values(), *document.get("providers", {}).values()]


def one_block(draw: Draw, document: Document) -> Document:
    block: Document = draw(st.sampled_from(blocks(document)))
    return block


def taken(draw: Draw, document: Document) -> Document:
    having = [block for block in blocks(document) if block.get("rules")]
    assume(having)
    rules = draw(st.sampled_from(having))["rules"]
    rule: Document = rules.pop(draw(st.integers(0, len(rules) - 1)))
    return rule


def add(draw: Draw, document: Document) -> None:
    rules = one_block(draw, document).setdefault("rules", [])
    rules.insert(draw(st.integers(0, len(rules))), {"id": "added", **draw(st.sampled_from(RULES))})


def remove(draw: Draw, document: Document) -> None:
    taken(draw, document)


def move(draw: Draw, document: Document) -> None:
    rule = taken(draw, document)
    rules = one_block(draw, document).setdefault("rules", [])
    rules.insert(draw(st.integers(0, len(rules))), rule)


def change_action(draw: Draw, document: Document) -> None:
    rule = taken(draw, document)
    rule["then"] = draw(st.sampled_from(RULES))["then"]
    document["rules"].append(rule)


def override(draw: Draw, document: Document) -> None:
    id_ = draw(st.sampled_from(["class-4yz", "unknown-4yz", "greylisted", "over-quota-for-now", "rate-limited"]))
    said = draw(
        st.sampled_from([{"then": {"schedule": "uncertain"}}, {"then": {"alert": "ops"}}, {"when": {"stream": "otp"}}])
    )
    one_block(draw, document).setdefault("override", []).append({"id": id_, "set": said})


def disable(draw: Draw, document: Document) -> None:
    id_ = draw(st.sampled_from(["greylisted", "no-such-mailbox", "understood-5yz", "yes-so-far", "not-reached"]))
    one_block(draw, document).setdefault("disable", []).append(id_)


def change_schedule(draw: Draw, document: Document) -> None:
    name = draw(st.sampled_from(["standard", "greylist", "own-first"]))
    one_block(draw, document).setdefault("schedules", {})[name] = SCHEDULE


def change_scope(draw: Draw, document: Document) -> None:
    domains = document.setdefault("domains", {"example.org": {"rules": [{"id": "scoped", **RULES[0]}]}})
    name = draw(st.sampled_from(sorted(domains)))
    domains[draw(st.sampled_from(["example.net", "sub.example.org", "x.example"]))] = domains.pop(name)


def change_provider(draw: Draw, document: Document) -> None:
    own = document["providers"]["own-provider"]
    own["domains"] = draw(st.sampled_from([["x.example"], ["gmail.com"], ["example.org", "example.net"]]))


def change_stream(draw: Draw, document: Document) -> None:
    one_block(draw, document).setdefault("streams", {})["bulk"] = {"give_up": "3h"}


def change_defaults(draw: Draw, document: Document) -> None:
    said = draw(st.sampled_from([{"schedule": "uncertain"}, {"route": "own-route"}]))
    one_block(draw, document).setdefault("defaults", {}).update(said)


def change_suppression(draw: Draw, document: Document) -> None:
    one_block(draw, document)["suppression"] = {"strong": {"for": "3d"}, "weak": {"for": "2d"}}


EDITS: tuple[Callable[[Draw, Document], None], ...] = (
    add, remove, move, change_action, override, disable, change_schedule, change_scope, change_provider, change_stream,
    change_defaults, change_suppression,
)  # fmt: skip


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """A file, and the same after one or two edits."""
    before = json.loads(draw(operator_files()))
    after = deepcopy(before)
    for edit in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=2)):
        event(edit.__name__)
        edit(draw, after)
    return json.dumps(before), json.dumps(after)


# ---- what is said of it ----------------------------------------------------------------------------------------------


def loaded(text: str) -> Policy:
    try:
        return operator_policy(text)
    except RulesError:
        assume(False)  # not every edit makes a file that can be used
        raise


def decided(policy: Policy, attempt: Attempt, history: History) -> Decision:
    return decide(policy, attempt, history, now=NOW, spread=0.5)


def check_shown(old: Policy, new: Policy, change: Change) -> None:
    """The witness is decided by the first pair, and differently."""
    if change.witness is None:
        return
    before, after = (decided(each, change.witness.attempt, change.witness.history) for each in (old, new))
    assert (before, after) == (change.before, change.after)
    leads_elsewhere = any("route" in each for each in change.says)  # by a name that both of them say
    assert differ(before, after) or leads_elsewhere, change.says
    assert (before.rule, after.rule) == change.pairs[0]


def is_told(old: Policy, new: Policy, attempt: Attempt, changes: list[Change]) -> bool:
    """Is the difference in one of the changes, by its rules or by its provider?"""
    pair = decided(old, attempt, History()).rule, decided(new, attempt, History()).rule
    moved = old.provider_of(attempt), new.provider_of(attempt)
    by_domain = old.provider_by_domain(attempt.recipient), new.provider_by_domain(attempt.recipient)
    named = [names for names in (moved, by_domain) if names[0] != names[1]]
    lines = [line for change in changes for line in change.says]
    if any(
        f"provider {one or 'not known'} becomes {other or 'not known'}" in line
        for one, other in named
        for line in lines
    ):
        return True
    return any(pair in change.pairs for change in changes)


@UNSHRUNK
@given(pairs(), ASKED)
def test_every_witness_shows_its_change_and_no_change_goes_untold(
    files: tuple[str, str], asked: list[Scenario]
) -> None:
    old, new = map(loaded, files)
    changes = diff(old, new, now=NOW)
    event(f"{sum(change.witness is not None for change in changes) > 0} that a change is shown")
    for change in changes:
        check_shown(old, new, change)
    for attempt in (scenario.attempt for scenario in asked):
        if attempt.first_attempt_at is not None and attempt.first_attempt_at > NOW:
            continue  # it counts as decided then, when other rules have expired
        if differ(decided(old, attempt, History()), decided(new, attempt, History())):
            event("found by chance")
            assert is_told(old, new, attempt, changes), attempt


@UNSHRUNK
@given(operator_files())
def test_a_policy_does_not_differ_from_itself(text: str) -> None:
    policy = operator_policy(text)
    assert diff(policy, policy, now=NOW) == []


def test_a_file_that_says_nothing_more_changes_nothing() -> None:
    silent = operator_policy("mailverdict: 1\nrules: []")
    assert diff(load_policy(), silent, now=NOW) == []


def test_a_default_route_changes_what_a_refusal_on_purpose_gets() -> None:
    """Law 19 sends it by the default route, which the rule does not name."""
    file = """mailverdict: 1
routes: {{own: {{to: "smtp://relay.example.net:587"}}, spare: {{to: "smtp://spare.example.net"}}}}
defaults: {{route: {route}}}
rules:
  - {{id: by-relay, when: {{code: 4yz}}, then: {{action: retry, route: own}}}}
"""
    old, new = (operator_policy(file.format(route=name)) for name in ("direct", "spare"))
    blocked = Attempt(outcome=parse_reply("451 4.7.1 your IP is on a blocklist"))
    assert differ(decided(old, blocked, History()), decided(new, blocked, History()))
    assert is_told(old, new, blocked, diff(old, new, now=NOW))


def test_a_default_schedule_changes_what_becomes_a_retry_by_law() -> None:
    """Laws 2 and 3: what may not be accepted, or suppressed at first sight, is retried as the defaults say."""
    file = """mailverdict: 1
extends: none
defaults: {{schedule: {schedule}}}
rules:
  - {{id: accepting, when: {{code: "450"}}, then: {{action: accept}}}}
  - {{id: suppressing, when: {{code: "451"}}, then: {{action: hard-bounce, suppress: {{}}}}}}
"""
    old, new = (operator_policy(file.format(schedule=name)) for name in ("standard", "uncertain"))
    changes = diff(old, new, now=NOW)
    for reply in ("450", "451"):
        attempt = Attempt(outcome=parse_reply(reply), command=Command.RCPT)
        assert differ(decided(old, attempt, History()), decided(new, attempt, History()))
        assert is_told(old, new, attempt, changes)


def test_names_of_a_provider_count_in_a_domain_that_has_none_of_its_own() -> None:
    """A domain says how long its streams last, its provider what a schedule is: its mail has both."""
    file = """mailverdict: 1
providers:
  google: {{schedules: {{standard: {{first: {first}, give_up: 1d}}}}}}
domains:
  example.org:
    streams: {{bulk: {{give_up: 2h}}}}
    rules:
      - {{id: theirs, when: {{code: "450"}}, then: {{action: retry, schedule: standard}}}}
"""
    old, new = (operator_policy(file.format(first=first)) for first in ("5m", "6m"))
    recipient = parse_address("jo@example.org")
    attempt = Attempt(outcome=parse_reply("450"), provider="google", recipient=recipient)
    assert differ(decided(old, attempt, History()), decided(new, attempt, History()))
    assert is_told(old, new, attempt, diff(old, new, now=NOW))


MOVED = {
    "domains": Attempt(outcome=parse_reply("450"), recipient=parse_address("jo@moved.example")),
    "mx": Attempt(outcome=parse_reply("450"), mx="moved.example"),
    "names": Attempt(outcome=parse_reply("450"), provider="moved-example"),
}


@pytest.mark.parametrize("key", MOVED)
def test_names_that_go_to_another_provider_are_told(key: str) -> None:
    def owned_by(owner: str) -> Policy:
        rules = [{"id": "theirs", "when": {"code": "450"}, "then": {"action": "hold"}}]
        providers: Document = {name: {"domains": [f"{name}.example"]} for name in ("small", "large")}
        providers["large"]["rules"] = rules
        providers[owner].setdefault(key, []).append("moved-example" if key == "names" else "moved.example")
        return operator_policy(json.dumps({"mailverdict": 1, "providers": providers}))

    old, new = owned_by("small"), owned_by("large")
    changes, attempt = diff(old, new, now=NOW), MOVED[key]
    assert differ(decided(old, attempt, History()), decided(new, attempt, History()))
    assert is_told(old, new, attempt, changes)
    assert any("provider small becomes large" in line for change in changes for line in change.says)
    for change in changes:
        check_shown(old, new, change)


@pytest.mark.parametrize("domain", ["example.org", "*.example.org"])
def test_a_change_for_a_domain_is_shown_there(domain: str) -> None:
    old = load_policy()
    new = operator_policy(
        f'mailverdict: 1\nrules: [{{id: a, when: {{domain: "{domain}", code: "450"}}, then: {{action: hold}}}}]'
    )
    changes = diff(old, new, now=NOW)
    assert changes
    for change in changes:
        check_shown(old, new, change)
        assert change.witness is not None
        recipient = change.witness.attempt.recipient
        assert recipient is not None
        assert recipient.domain.endswith("example.org")
