"""Layers and scopes: which of many rules decides, and that what an operator adds and takes away leaves no trace."""

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import attrs
import pytest
from hypothesis import given

from policy.address import Address
from policy.attempt import Attempt, Command, Event, Failure
from policy.decide import decide
from policy.decision import Decision, Strength
from policy.diagnosis.diagnose import diagnose
from policy.history import History
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.rule import Facts
from policy.rules.source import RulesError, RulesFile, RulesUnreadable, build_policy, load_policy
from policy.testing import values

SHIPPED = build_policy([])
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BIG_PROVIDER = "providers: {big: {mx: [mx.big.example], domains: [big.example], rules: [%s]}}"


@cache
def policy(*texts: str) -> Policy:
    """The shipped policy under these files, the last on top, named `0.yaml` and so on."""
    files = [RulesFile(f"{number}.yaml", f"mailverdict: 1\n{text}\n".encode()) for number, text in enumerate(texts)]
    return build_policy(files)


def rule(id_: str, when: str = "", action: str = "bounce") -> str:
    """One rule, for a list of them."""
    return f"{{id: {id_}, when: {{{when}}}, then: {{action: {action}}}}}"


def facts(policy: Policy, attempt: Attempt) -> Facts:
    """What conditions see of a first attempt."""
    provider = policy.provider_of(attempt)
    diagnosis = diagnose(policy.knowledge, attempt, provider)
    return Facts(attempt=attempt, diagnosis=diagnosis, provider=provider, number=1, now=NOW, delivered_before=False)


def decides(policy: Policy, domain: str = "dest.example", reply: str = "550 5.1.1 User unknown") -> str:
    """The id of the rule that decides about a reply to RCPT."""
    attempt = Attempt(outcome=parse_reply(reply), command=Command.RCPT, recipient=Address("jo", domain))
    return policy.rule_for(facts(policy, attempt))[0].ref.id


def judged(policy: Policy, attempt: Attempt) -> Decision:
    """The decision about an attempt without a past."""
    return decide(policy, attempt, History(), now=attempt.at or NOW, spread=0.5)


def test_the_closest_scope_decides_first() -> None:
    scopes = [
        (f"rules: [{rule('everyone')}]", "everyone"),
        (BIG_PROVIDER % rule("at-provider"), "at-provider"),
        (f"domains: {{big.example: {{rules: [{rule('in-parent')}]}}}}", "in-parent"),
        (f"domains: {{a.big.example: {{rules: [{rule('in-domain')}]}}}}", "in-domain"),
    ]
    for number, (_, closest) in enumerate(scopes, start=1):
        sections = [text for text, _ in scopes[:number]]
        if number == len(scopes):
            both = f"{rule('in-parent')}]}}, a.big.example: {{rules: [{rule('in-domain')}]}}}}"
            sections[2:] = [f"domains: {{big.example: {{rules: [{both}"]
        assert decides(policy("\n".join(sections)), "a.big.example") == closest


def test_the_higher_layer_decides_first_whatever_the_scope() -> None:
    below = f"domains: {{dest.example: {{rules: [{rule('close-but-low')}]}}}}"
    above = f"rules: [{rule('wide-but-high')}]"
    assert decides(policy(below, above)) == "wide-but-high"
    assert decides(policy(above, below)) == "close-but-low"


def test_in_a_scope_the_order_of_the_file_decides() -> None:
    assert decides(policy(f"rules: [{rule('first')}, {rule('second')}]")) == "first"
    assert decides(policy(f"rules: [{rule('second')}, {rule('first')}]")) == "second"


def test_a_rule_that_does_not_hold_leaves_the_word_to_the_next_scope() -> None:
    close = f"domains: {{dest.example: {{rules: [{rule('close', 'code: 4yz', 'retry')}]}}}}"
    assert decides(policy(close)) == "no-such-mailbox"
    assert decides(policy(close), reply="450 4.2.0 Later") == "close"


def test_a_domain_covers_what_is_below_it_and_no_neighbour() -> None:
    mine = policy(f"domains: {{dest.example: {{rules: [{rule('there')}]}}}}")
    assert decides(mine, "a.b.dest.example") == "there"
    assert decides(mine, "notdest.example") == "no-such-mailbox"
    assert decides(mine, "example") == "no-such-mailbox"


def test_a_domain_may_be_written_in_any_form() -> None:
    mine = policy(f"domains: {{Bücher.Example.: {{rules: [{rule('there')}]}}}}")
    assert decides(mine, "xn--bcher-kva.example") == "there"


def test_a_rule_with_the_id_of_a_lower_one_stands_at_its_own_place() -> None:
    mine = policy(f"rules: [{rule('no-such-mailbox', 'code: 4yz', 'retry')}]")
    assert decides(mine) != "no-such-mailbox"
    assert decides(mine, reply="450 4.2.0 Later") == "no-such-mailbox"


def test_a_replacement_for_one_domain_takes_the_lower_rule_away_from_all() -> None:
    mine = policy(f"domains: {{dest.example: {{rules: [{rule('no-such-mailbox')}]}}}}")
    assert decides(mine) == "no-such-mailbox"
    assert decides(mine, "other.example") == "probably-no-such-mailbox"


def test_a_disabled_rule_is_out_in_every_layer_below() -> None:
    low = f"rules: [{rule('mine')}]"
    assert decides(policy(low)) == "mine"
    assert decides(policy(low, "disable: [mine]")) == "no-such-mailbox"
    assert decides(policy(low, "disable: [mine, no-such-mailbox, probably-no-such-mailbox]")) == "understood-5yz"


def test_a_layer_above_may_bring_back_what_one_below_disabled() -> None:
    assert decides(policy("disable: [no-such-mailbox]", f"rules: [{rule('no-such-mailbox')}]")) == "no-such-mailbox"


def test_only_a_rule_of_a_lower_layer_can_be_disabled() -> None:
    with pytest.raises(RulesError, match="unknown-rule"):
        policy(f"rules: [{rule('mine')}]\ndisable: [mine]")


@pytest.mark.parametrize("section", ["disable: [anything-else]", f"rules: [{rule('anything-else', 'code: 4yz')}]"])
def test_the_last_rule_of_all_cannot_be_taken_out(section: str) -> None:
    assert decides(policy(f"extends: none\n{section}"), reply="no code at all") == "anything-else"


def test_names_are_found_in_the_highest_layer_that_has_them() -> None:
    low = "schedules: {standard: {first: 7m, give_up: 1d}}"
    high = "schedules: {standard: {first: 9m, give_up: 1d}}"
    assert [policy(*layers).schedule(None).waits[0].seconds // 60 for layers in ([], [low], [low, high])] == [5, 7, 9]


def test_what_a_layer_does_not_say_is_said_below() -> None:
    mine = policy("suppression: {weak: {for: 1d}}\nstreams: {slow: {give_up: 3d}}\nproviders: {big: {mx: [b.example]}}")
    assert mine.lasting(Strength.WEAK).lasting != SHIPPED.lasting(Strength.WEAK).lasting
    assert mine.lasting(Strength.STRONG) == SHIPPED.lasting(Strength.STRONG)
    assert mine.providers.keys() == {*SHIPPED.providers, "big"}
    assert mine.stream_give_up("bulk") == SHIPPED.stream_give_up("bulk") is not None


def test_a_default_of_a_layer_holds_for_the_rules_below_it() -> None:
    mine = policy('routes: {relay: {to: "smtp://relay.example"}}\ndefaults: {route: relay}')
    attempt = Attempt(
        outcome=parse_reply("450 4.2.0 Later"), command=Command.RCPT, recipient=Address("jo", "a.example")
    )
    assert judged(mine, attempt).route == "relay"
    assert judged(SHIPPED, attempt).route == "direct"


@given(values.attempts())
def test_without_the_shipped_rules_every_attempt_still_has_a_decision(attempt: Attempt) -> None:
    decision = judged(policy("extends: none"), attempt)
    assert decision.rule.file == "bottom.yaml"
    asked_for = isinstance(attempt.outcome, Event) and not attempt.null_sender
    assert decision.suppress is asked_for


def test_without_the_shipped_rules_their_names_are_still_there() -> None:
    mine = policy("extends: none\nrules: [{id: mine, when: {}, then: {action: retry, schedule: greylist}}]")
    assert mine.schedule("greylist") == SHIPPED.schedule("greylist")


@given(values.attempts())
def test_removing_a_layer_restores_every_decision(attempt: Attempt) -> None:
    standard = "schedules: {standard: {first: 1m, give_up: 1d}}"
    override = f"rules: [{rule('mine', action='hold')}]\ndisable: [greylisted]\n{standard}"
    assert judged(policy(override), attempt).rule.id == "mine"
    assert judged(policy(), attempt) == judged(SHIPPED, attempt)


@given(values.attempts())
def test_a_rule_of_a_new_id_that_does_not_match_changes_no_decision(attempt: Attempt) -> None:
    mine = policy(f"rules: [{rule('mine', 'tag: never=ever, stream: never')}]")
    assert same(judged(mine, attempt), judged(SHIPPED, attempt))


@given(values.attempts())
def test_a_rule_for_another_domain_changes_no_decision(attempt: Attempt) -> None:
    mine = policy(f"domains: {{nowhere.invalid: {{rules: [{rule('mine')}]}}}}")
    assert same(judged(mine, attempt), judged(SHIPPED, attempt))


def same(one: Decision, other: Decision) -> bool:
    """Are two decisions the same but for the policy's version?"""
    return attrs.evolve(one, policy_version="") == attrs.evolve(other, policy_version="")


def test_the_version_follows_the_content_and_not_the_name(tmp_path: Path) -> None:
    first, copy, other = tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"
    first.write_text("mailverdict: 1\n", "utf-8")
    copy.write_text("mailverdict: 1\n", "utf-8")
    other.write_text("mailverdict: 1\n# a comment\n", "utf-8")
    versions = [load_policy([path]).version for path in (first, copy, other)]
    assert versions[0] == versions[1] != versions[2]
    assert SHIPPED.version not in versions
    assert load_policy([first, other]).version != load_policy([other, first]).version


def test_the_border_between_files_is_part_of_the_version() -> None:
    one = build_policy([RulesFile("a", b"mailverdict: 1\n#"), RulesFile("b", b"#\nmailverdict: 1\n")])
    other = build_policy([RulesFile("a", b"mailverdict: 1\n"), RulesFile("b", b"##\nmailverdict: 1\n")])
    assert one.version != other.version


def test_every_rule_knows_its_file_and_line() -> None:
    mine = policy(f"rules:\n  - {rule('one')}\n\n  - {rule('two')}")
    assert [str(each.ref) for each in mine.layers[0].rules] == ["one (0.yaml:3)", "two (0.yaml:5)"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesUnreadable, match=r"rules file `.*nowhere.yaml` cannot be read: No such file"):
        load_policy([tmp_path / "nowhere.yaml"])


def test_a_fifo_and_a_dash_are_no_files_and_nobody_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(RulesUnreadable, match=f"`.*{name}` cannot be read: it is a FIFO, not a file"):
            load_policy(tmp_path / name)
    with pytest.raises(RulesUnreadable, match="`-` cannot be read: for standard input write `/dev/stdin`"):
        load_policy("-")


@pytest.mark.parametrize(
    ("attempt", "provider"),
    [
        (Attempt(outcome=Failure.REFUSED, provider="google", mx="mx.big.example"), "google"),
        (Attempt(outcome=Failure.REFUSED, provider="nobody", mx="a.mx.big.example"), "big"),
        (Attempt(outcome=Failure.REFUSED, mx="MX.BIG.example."), "big"),
        (Attempt(outcome=Failure.REFUSED, mx="notmx.big.example", recipient=Address("jo", "dest.example")), None),
        (Attempt(outcome=Failure.REFUSED, mx="mx.other.example", recipient=Address("jo", "a.big.example")), "big"),
        (Attempt(outcome=Failure.REFUSED), None),
    ],
)
def test_the_provider_is_what_the_caller_knows_else_the_mx_else_the_domain(
    attempt: Attempt, provider: str | None
) -> None:
    assert policy(BIG_PROVIDER % "").provider_of(attempt) == provider
