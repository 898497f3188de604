"""The laws of the design, over the shipped policy and over whatever operators may write."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from policy.address import NULL_SENDER, parse_address
from policy.attempt import Attempt, Command, Failure
from policy.contract.decision import write_decision
from policy.decide import decide
from policy.decision import Action, Decision
from policy.diagnosis.category import Category
from policy.history import History, PastStrike
from policy.reply import Flaw, parse_reply
from policy.rules.policy import Policy
from policy.rules.source import RulesError, RulesFile, build_policy, load_policy
from policy.testing import replies
from policy.testing.files import operator_files, operator_policy
from policy.testing.laws import (
    LAWS,
    STRIKING,
    Law,
    law_2_yes,
    law_3_transient,
    law_4_lawful_places,
    law_8_forward_paths,
    law_9_null_sender,
    law_17_safe_output,
    law_19_no_way_around,
)
from policy.testing.scenarios import NOW, RECIPIENTS, SENDERS, Scenario, scenarios

ROOT = Path(__file__).parents[2]
SHIPPED = load_policy()
FEWER = settings(max_examples=max(10, settings().max_examples // 2))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@FEWER
@given(scenario=scenarios())
def test_the_shipped_policy_keeps(law: Law, scenario: Scenario) -> None:
    law(SHIPPED, *scenario)


def one_rule(then: str) -> Policy:
    """The shipped policy under one rule, which says the same of everything."""
    routes = "routes: {other: {to: smtp://relay.example}}"
    text = f"mailverdict: 1\n{routes}\nrules:\n  - {{id: wicked, then: {then}}}\n"
    return build_policy([RulesFile("wicked.yaml", text.encode())])


WICKED = {
    then: one_rule(f"{{action: {then}, alert: ops}}")
    for then in (
        "accept",
        "accept-and-note-forward",
        "hold",
        "discard",
        "bounce",
        "hard-bounce, suppress: {}",
        "hard-bounce, suppress: {strength: permanent, scope: domain}",
        "hard-bounce, suppress: {strikes: 2, apart: 1d}",
        "hard-bounce, suppress: {strikes: 3, apart: 1h}",
        "retry, suppress: {}",
        "retry, suppress: {strikes: 2, apart: 2d}, split: true",
        "retry, schedule: over-quota, suspend: {for: 1h}",
        "retry, route: other",
    )
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@given(then=st.sampled_from(list(WICKED)), scenario=scenarios())
def test_rules_that_say_the_same_of_everything_cannot_break(law: Law, then: str, scenario: Scenario) -> None:
    law(WICKED[then], *scenario)


LONG = "450 please try again in 5 minutes" + ", or in 10 minutes" * 60
STRUCK = History(
    strikes=tuple(
        PastStrike(target=target, message=f"{hours} hours ago", reason=reason, at=NOW - timedelta(hours=hours))
        for hours in (20, 10)
        for reason in STRIKING
        for recipient in RECIPIENTS
        for target in (recipient.key, recipient.domain)
    )
)


def every_place(text: str) -> Iterator[Attempt]:
    """The reply to each command, to a null sender, after the dot of several, to a recipient at a provider."""
    known = Attempt(outcome=parse_reply(text), command=Command.RCPT, recipient=RECIPIENTS[0], sender=SENDERS[-1])
    yield from (attrs.evolve(known, command=command) for command in (None, *Command))
    yield attrs.evolve(known, sender=NULL_SENDER)
    yield attrs.evolve(known, command=Command.DOT, recipients=2)
    yield attrs.evolve(known, command=None, recipient=parse_address("jo@outlook.com"))


EVERY_PLACE = [
    *(attempt for text in (*replies.TELLING, LONG) for attempt in every_place(text)),
    *(Attempt(outcome=failure, recipient=RECIPIENTS[0]) for failure in Failure),
]


@pytest.mark.parametrize("policy", [SHIPPED, *WICKED.values()], ids=["shipped", *WICKED])
@pytest.mark.parametrize(
    "law",
    [law_2_yes, law_3_transient, law_4_lawful_places, law_9_null_sender, law_17_safe_output, law_19_no_way_around],
    ids=lambda law: law.__name__,
)
def test_no_reply_in_any_place_breaks(law: Law, policy: Policy) -> None:
    for attempt in EVERY_PLACE:
        law(policy, attempt, STRUCK, NOW, 0.5)


# Shrinking a whole rules file takes minutes: a failing one is shown as it was found.
@settings(FEWER, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(file=operator_files(), asked=st.lists(scenarios(), min_size=3, max_size=3))
def test_every_law_holds_whatever_operators_write(file: str, asked: list[Scenario]) -> None:
    policy = operator_policy(file)
    for scenario in asked:
        for law in LAWS:
            law(policy, *scenario)


def decided(policy: Policy, reply: bytes | str, command: Command | None, sender: str | None = None) -> Decision:
    attempt = Attempt(
        outcome=parse_reply(reply), command=command, recipient=RECIPIENTS[0], sender="" if sender else None
    )
    return decide(policy, attempt, History(), now=NOW, spread=0.5)


@pytest.mark.parametrize(
    ("then", "reply", "command", "action"),
    [
        ("{action: bounce}", "250 ok", Command.DOT, Action.ACCEPT),
        ("{action: retry}", "250 ok", Command.RCPT, Action.ACCEPT),
        ("{action: hold}", "251 <a@b.example>", Command.RCPT, Action.ACCEPT_AND_NOTE_FORWARD),
        ("{action: accept}", "251 <a@b.example>", Command.RCPT, Action.ACCEPT_AND_NOTE_FORWARD),
        ("{action: accept}", "250 ok", Command.DATA, Action.HOLD),
        ("{action: bounce}", "250 ok", Command.DATA, Action.HOLD),
        ("{action: accept}", "550 5.1.1 no such user", Command.RCPT, Action.BOUNCE),
        ("{action: accept}", "450 greylisted", Command.RCPT, Action.RETRY),
        ("{action: hard-bounce, suppress: {}}", "450 4.1.1 no such user", Command.RCPT, Action.RETRY),
        ("{action: hard-bounce, suppress: {}}", "550 5.1.1 no such user", Command.MAIL, Action.BOUNCE),
        ("{action: hard-bounce, suppress: {}}", "550 5.7.1 spam", Command.RCPT, Action.BOUNCE),
        ("{action: hard-bounce, suppress: {}}", "550 5.1.1 no such user", Command.RCPT, Action.HARD_BOUNCE),
    ],
)
def test_a_rule_can_do_less_than_it_writes_and_never_more_than_the_laws_allow(
    then: str, reply: str, command: Command, action: Action
) -> None:
    assert decided(one_rule(then), reply, command).action is action


@pytest.mark.parametrize("action", ["accept", "bounce", "accept-and-note-forward"])
def test_null_sender_mail_that_fails_is_discarded_whatever_the_rule_says(action: str) -> None:
    assert decided(one_rule(f"{{action: {action}}}"), "550 no", Command.RCPT, sender="<>").action is Action.DISCARD


@pytest.mark.parametrize(
    "content",
    [
        "mailverdict: 1\nextends: none\ndisable: [anything-else]\n",
        "mailverdict: 1\nextends: none\nrules:\n  - {id: anything-else, when: {code: '250'}, then: {action: accept}}\n",
    ],
    ids=["disabled", "replaced"],
)
def test_no_rules_file_can_take_out_the_rule_that_always_holds(content: str) -> None:
    try:
        policy = build_policy([RulesFile("operator.yaml", content.encode())])
    except RulesError:
        return  # that it is refused is as good
    attempt = Attempt(outcome=Failure.TIMEOUT)
    assert decide(policy, attempt, History(), now=NOW, spread=0.5).action is Action.RETRY


@settings(max_examples=max(5, settings().max_examples // 10))
@given(octets=replies.huge_replies(), command=st.sampled_from([Command.RCPT, Command.DOT, None]))
def test_a_megabyte_is_a_reply_like_any_other(octets: bytes, command: Command | None) -> None:
    attempt = Attempt(outcome=parse_reply(octets), command=command, recipient=RECIPIENTS[0])
    for law in LAWS:
        law(SHIPPED, attempt, History(), NOW, 0.5)


@given(octets=replies.wire_replies(), command=st.sampled_from([None, *Command]))
def test_any_octets_get_a_decision_that_can_be_written_as_json(octets: bytes, command: Command | None) -> None:
    decision = decided(SHIPPED, octets, command)
    assert json.loads(json.dumps(write_decision(decision)))["action"] == decision.action.value


# ---- laws about two replies: nothing changes but the form -----------------------------------------------------------


def gist(text: str | bytes, command: Command | None, policy: Policy = SHIPPED) -> tuple[Action, Category, bool]:
    decision = decided(policy, text, command)
    return decision.action, decision.category, decision.suppress


def in_lines(text: str, breaks: set[int], end: str) -> str:
    """The reply with line breaks in the place of some of its blanks; the status stays on the first line."""
    code, *words = text.split(" ")
    lines: list[list[str]] = [words[:1]]
    for number, word in enumerate(words[1:], start=1):
        if number in breaks:
            lines.append([])
        lines[-1].append(word)
    marks = ["-"] * (len(lines) - 1) + [" "]
    return "".join(f"{code}{mark}{' '.join(line)}{end}" for mark, line in zip(marks, lines, strict=True))


COMMANDS = st.sampled_from([None, *Command])


@given(text=replies.plain_texts(), command=COMMANDS)
def test_letter_case_does_not_change_what_is_decided(text: str, command: Command | None) -> None:
    assert gist(text.swapcase(), command) == gist(text, command)


@given(text=replies.plain_texts(), command=COMMANDS, blanks=st.text(" \t", max_size=5))
def test_blanks_at_the_end_do_not_change_what_is_decided(text: str, command: Command | None, blanks: str) -> None:
    assert gist(text + blanks, command) == gist(text, command)


@given(text=replies.plain_texts(), command=COMMANDS, breaks=st.sets(st.integers(1, 12)))
def test_how_lines_end_and_where_they_break_does_not_change_what_is_decided(
    text: str, command: Command | None, breaks: set[int]
) -> None:
    one = gist(text, command)
    assert gist(in_lines(text, breaks, "\r\n"), command) == one
    assert gist(in_lines(text, breaks, "\n"), command) == one
    assert gist(in_lines(text, breaks, "\r\n").encode(), command) == one


@given(text=replies.plain_texts(), command=COMMANDS, policy=st.just(SHIPPED))
def test_a_neutral_line_more_does_not_change_what_is_decided(
    text: str, command: Command | None, policy: Policy
) -> None:
    code, _, words = text.partition(" ")
    assert gist(f"{code}-{words}\r\n{code} have a nice day", command, policy) == gist(text, command, policy)


FORWARDS = st.builds(
    "{} {} {}{}".format,
    st.sampled_from(["251", "551", "251 2.1.5", "551 5.1.6"]),
    st.sampled_from(["User not local; will forward to", "try", "spam", ""]),
    st.sampled_from(replies.NAMED),
    st.sampled_from(["", " thank you", "\r\n"]),
)


@given(scenario=scenarios(), text=FORWARDS, command=st.sampled_from([Command.RCPT, Command.DOT, None]))
def test_a_forward_path_is_noted_and_never_used(scenario: Scenario, text: str, command: Command | None) -> None:
    reply = parse_reply(text)
    late = command is Command.DOT and reply.klass == 2
    attempt = attrs.evolve(
        scenario.attempt,
        outcome=parse_reply("250 2.0.0 queued") if late else reply,
        rcpt_reply=reply if late else None,
        command=command,
    )
    law_2_yes(SHIPPED, attempt, *scenario[1:])
    law_8_forward_paths(SHIPPED, attempt, *scenario[1:])


def test_the_law_of_forward_paths_does_look_at_paths() -> None:
    assert str(decided(SHIPPED, "251 go <jo@new.example>", Command.RCPT).forward_path) == "jo@new.example"


@given(text=replies.plain_texts(), command=COMMANDS)
def test_a_reply_out_of_step_accepts_and_suppresses_nothing(text: str, command: Command | None) -> None:
    reply = parse_reply(text)
    attempt = Attempt(outcome=attrs.evolve(reply, flaws=(Flaw.OUT_OF_STEP,)), command=command, recipient=RECIPIENTS[0])
    decision = decide(SHIPPED, attempt, History(), now=NOW, spread=0.5)
    assert decision.action not in (Action.ACCEPT, Action.ACCEPT_AND_NOTE_FORWARD)
    assert not decision.suppress


# ---- one decision, in whatever process ------------------------------------------------------------------------------

DECIDE_ALL = """
import itertools, json
from policy import Attempt, Command, Failure, History, decide, load_policy, parse_reply
from policy.contract.decision import write_decision
from policy.testing.replies import PHRASES, TELLING
from policy.testing.scenarios import NOW, RECIPIENTS

replies = [*map(parse_reply, TELLING), *(parse_reply(f"550 {one} {two}") for one, two in zip(PHRASES, PHRASES[5:]))]
asked = itertools.product([*replies, *Failure], [None, Command.RCPT, Command.DOT], RECIPIENTS[:3])
attempts = [Attempt(outcome=outcome, command=command, recipient=to) for outcome, command, to in asked]
policy = load_policy()
decisions = [decide(policy, each, History(), now=NOW, spread=0.25) for each in attempts]
print(json.dumps([[each.identity, each.message] for each in attempts] + [write_decision(each) for each in decisions]))
"""


def test_two_processes_decide_alike_whatever_their_hash_seed() -> None:
    outputs = set()
    for seed in ("0", "1", "4711"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": str(ROOT),
            "TZ": f"UTC-{seed[0]}",
            "LC_ALL": "C",
        }
        ran = subprocess.run(
            [sys.executable, "-c", DECIDE_ALL], env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        outputs.add(ran.stdout)
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop())) > 500
