"""`override`: one key of a rule of a lower file, changed in place, in scopes and layers; and what is wrong with one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from policy.address import Address
from policy.attempt import Attempt, Command
from policy.contract.decision import write_decision
from policy.decide import decide
from policy.decision import Action, Alert, Decision
from policy.diagnosis.category import EvidenceKind
from policy.history import History
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.source import RulesError, RulesFile, build_policy

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
UNKNOWN_USER = "550 5.1.1 User unknown"


def policy(*texts: str) -> Policy:
    """The shipped policy under these files, the last on top, named `0.yaml` and so on; line 1 is the version."""
    files = [RulesFile(f"{number}.yaml", f"mailverdict: 1\n{text}\n".encode()) for number, text in enumerate(texts)]
    return build_policy(files)


def decided(
    policy: Policy, reply: str = UNKNOWN_USER, *, domain: str = "dest.example", provider: str | None = None
) -> Decision:
    recipient = Address("jo", domain)
    attempt = Attempt(
        outcome=parse_reply(reply), command=Command.RCPT, recipient=recipient, provider=provider, message_id="message-1"
    )
    return decide(policy, attempt, History(), now=NOW, spread=0.5)


def alerts(decision: Decision) -> list[str]:
    return [each.to for each in decision.effects if isinstance(each, Alert)]


def problems(*texts: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        policy(*texts)
    return list(map(str, caught.value.problems))


# ---- what an override does -------------------------------------------------------------------------------------------

ALERT = "override: {id: no-such-mailbox, set: {then: {alert: ops}}}"


def test_one_key_is_set_and_all_others_stay() -> None:
    former, now = decided(policy()), decided(policy(ALERT))
    assert (now.action, now.suppress, now.rule.id, now.rule.line) == (
        former.action,
        True,
        former.rule.id,
        former.rule.line,
    )
    assert (alerts(former), alerts(now)) == ([], ["ops"])


def test_the_decision_says_by_which_line_its_rule_was_edited() -> None:
    decision = decided(policy(ALERT))
    assert decision.rule.edited == ("0.yaml:2",)
    assert str(decision.rule).endswith(", edited by 0.yaml:2)")
    written: dict[str, Any] = write_decision(decision)["rule"]
    assert written == {
        "id": "no-such-mailbox",
        "file": "rules.yaml",
        "line": decision.rule.line,
        "edited": ["0.yaml:2"],
    }


def test_a_rule_that_nobody_edited_says_nothing_of_edits() -> None:
    assert "edited" not in write_decision(decided(policy(ALERT), "450 4.7.1 Greylisted"))["rule"]


def test_a_key_is_taken_away() -> None:
    assert alerts(decided(policy(), "550 5.7.1 Blocked by policy")) == ["stream-owner"]
    mine = policy("override: {id: refused-by-choice, unset: then.alert}")
    assert alerts(decided(mine, "550 5.7.1 Blocked by policy")) == []


def test_what_is_set_and_unset_in_one_edit_is_gone() -> None:
    mine = policy("override: {id: refused-by-choice, set: {then: {alert: ops}}, unset: [then.alert]}")
    assert alerts(decided(mine, "550 5.7.1 Blocked by policy")) == []


def test_an_edit_keeps_the_rule_in_its_place() -> None:
    ids = [rule.ref.id for rule in policy().rules]
    assert [rule.ref.id for rule in policy(ALERT).rules] == ids


def test_a_condition_more_narrows_the_rule() -> None:
    mine = policy("override: {id: no-such-mailbox, set: {when: {text: gone away}}}")
    assert decided(mine).rule.id == "probably-no-such-mailbox"
    assert decided(mine, "550 5.1.1 User unknown, gone away").rule.id == "no-such-mailbox"


def test_two_layers_edit_the_same_rule_one_after_the_other() -> None:
    decision = decided(
        policy(ALERT, "override: {id: no-such-mailbox, set: {then: {alert: page, suppress: {scope: domain}}}}")
    )
    assert decision.rule.edited == ("0.yaml:2", "1.yaml:2")
    assert alerts(decision) == ["page"]


def test_a_higher_file_may_take_away_what_a_lower_one_set() -> None:
    assert alerts(decided(policy(ALERT, "override: {id: no-such-mailbox, unset: then.alert}"))) == []


def test_a_rule_that_a_file_replaced_is_edited_above_it() -> None:
    replaced = "rules: [{id: no-such-mailbox, when: {code: 5yz}, then: {action: bounce}}]"
    decision = decided(policy(replaced, ALERT))
    assert (decision.action, alerts(decision), decision.rule.file) == (Action.BOUNCE, ["ops"], "0.yaml")


# ---- in scopes -------------------------------------------------------------------------------------------------------

IN_SCOPES = """\
domains:
  example.org:
    override:
      id: no-such-mailbox
      set: {then: {alert: parent, remedy: Ask.}}
  sub.example.org:
    override:
      id: no-such-mailbox
      set: {then: {alert: child}}
"""


def test_a_closer_scope_edits_what_the_wider_one_left() -> None:
    mine = policy(IN_SCOPES)
    elsewhere, parent, child = (decided(mine, domain=d) for d in ("a.example", "b.example.org", "c.sub.example.org"))
    assert (alerts(elsewhere), elsewhere.rule.edited) == ([], ())
    assert (alerts(parent), parent.remedy, parent.rule.edited) == (["parent"], "Ask.", ("0.yaml:5",))
    assert (alerts(child), child.remedy, child.rule.edited) == (["child"], "Ask.", ("0.yaml:5", "0.yaml:9"))


def test_a_domain_edits_what_its_provider_left() -> None:
    mine = policy(
        "domains: {example.org: {override: {id: no-such-mailbox, set: {then: {alert: domain}}}}}\n"
        "providers: {google: {override: {id: no-such-mailbox, set: {then: {alert: provider, remedy: Ask.}}}}}"
    )
    both = decided(mine, domain="example.org", provider="google")
    assert (alerts(both), both.remedy) == (["domain"], "Ask.")
    assert alerts(decided(mine, domain="example.org")) == ["domain"]
    assert alerts(decided(mine, provider="google")) == ["provider"]
    assert alerts(decided(mine)) == []


@pytest.mark.parametrize("wide", ["domains: {org: {%s}}", "providers: {google: {%s}}", "%s"])
def test_a_higher_file_edits_what_a_lower_one_said_of_a_closer_scope(wide: str) -> None:
    close = "domains: {example.org: {override: {id: no-such-mailbox, set: {then: {alert: low, remedy: Ask.}}}}}"
    mine = policy(close, wide % "override: {id: no-such-mailbox, set: {then: {alert: high}}}")
    decision = decided(mine, domain="example.org", provider="google")
    assert (alerts(decision), decision.remedy) == (["high"], "Ask.")


@pytest.mark.parametrize(
    "change",
    ["set: {when: {text: gone away}}", "set: {mode: observe}", "set: {expires: 2026-01-01}"],
    ids=["narrower", "only observing", "expired"],
)
def test_in_its_scope_an_edited_rule_stands_for_the_former_one(change: str) -> None:
    mine = policy(f"domains: {{example.org: {{override: {{id: no-such-mailbox, {change}}}}}}}")
    assert decided(mine, domain="example.org").rule.id == "probably-no-such-mailbox"
    assert decided(mine, domain="example.net").rule.id == "no-such-mailbox"


def test_a_rule_set_to_observe_for_a_domain_observes_there_and_decides_elsewhere() -> None:
    mine = policy("domains: {example.org: {override: {id: no-such-mailbox, set: {mode: observe}}}}")
    there, elsewhere = decided(mine, domain="example.org"), decided(mine)
    observed = [each.value for each in there.evidence if each.kind is EvidenceKind.OBSERVED]
    assert len(observed) == 1
    assert observed[0].startswith("no-such-mailbox (rules.yaml:")
    assert all(each.kind is not EvidenceKind.OBSERVED for each in elsewhere.evidence)


def test_a_rule_of_one_scope_is_edited_from_another_for_those_in_both() -> None:
    low = "domains: {example.org: {rules: [{id: mine, then: {action: hold}}]}}"
    mine = policy(low, "providers: {google: {override: {id: mine, set: {then: {alert: ops}}}}}")
    assert alerts(decided(mine, domain="example.org", provider="google")) == ["ops"]
    assert decided(mine, domain="example.org").rule.edited == ()
    assert decided(mine, provider="google").rule.id == "no-such-mailbox"


def test_a_rule_that_is_out_of_force_in_a_domain_is_not_edited_back() -> None:
    out = "domains: {example.org: {disable: [no-such-mailbox]}}"
    mine = policy(out, "domains: {sub.example.org: {override: {id: no-such-mailbox, set: {then: {alert: ops}}}}}")
    assert decided(mine, domain="sub.example.org").rule.id == "probably-no-such-mailbox"
    assert alerts(decided(policy(out, ALERT), domain="example.net")) == ["ops"]


def test_a_rule_keeps_the_names_of_its_own_scope_whoever_edits_it() -> None:
    slow = "{schedules: {slow: {first: 1h, give_up: 1d}}, rules: [{id: mine, then: {action: retry, schedule: slow}}]}"
    mine = policy(f"domains: {{example.org: {slow}}}", "override: {id: mine, set: {then: {alert: ops}}}")
    decision = decided(mine, domain="example.org")
    assert decision.retry_at is not None
    assert (decision.retry_at - NOW).total_seconds() == 3600


# ---- what is wrong with an override ----------------------------------------------------------------------------------

HOST = "rules: [{id: mine, when: {attempt: {min: 4}}, then: {action: retry}}]"
# In a file over `HOST`; `§` stands before what is wrong.
WRONG = [
    ("override: {id: §no-such-mailbx, set: {note: x}}", "unknown-rule", "; did you mean `no-such-mailbox`?"),
    ("override: {id: greylisted, set: {then: {schedule: §greylst}}}", "unknown-schedule", "`greylist`?"),
    ("override: {id: greylisted, set: {mode: §obsrve}}", "unknown-value", "did you mean `observe`?"),
    ("override: {id: greylisted, set: {when: {code: §450}}}", "unquoted-code", 'needs quotes: "450"'),
    ("override: {id: greylisted, set: {when: {§comand: RCPT}}}", "unknown-key", "did you mean `command`?"),
    ("override: {id: greylisted, set: {when: {category: §[]}}}", "empty-list", "can never hold"),
    ("override: {id: greylisted, set: {then: §bounce}}", "bad-type", "`then` must be a map"),
    ("override: {id: greylisted, set: {§id: other}}", "unknown-key", "unknown key `id` in `set`"),
    ("override: {id: greylisted, unset: [§id]}", "bad-path", "`id` is no path in a rule"),
    ("override: {id: greylisted, unset: §then.}", "bad-path", "`then.` is no path"),
    ("override: §{id: greylisted}", "missing-key", "needs `set` or `unset`"),
    ("override: §{set: {note: x}}", "missing-key", "needs the key `id`"),
    ("override: §[]", "empty-list", "can never hold"),
    ("override: [§greylisted]", "bad-type", "must be a map"),
    # what comes of an edit is wrong where the edit stands
    (
        "override: §{id: greylisted, set: {then: {action: bounce}}}",
        "misplaced-modifier",
        "`schedule` goes with `retry`",
    ),
    ("override: §{id: no-such-mailbox, unset: then.suppress}", "needs-suppress", "`hard-bounce` suppresses"),
    ("override: §{id: mailbox-disabled, set: {then: {suppress: {within: 1d}}}}", "bad-strikes", "do not fit `within`"),
    ("override: §{id: mine, set: {when: {attempt: {max: 2}}}}", "bad-number", "`min` is over `max`"),
    ("override: §{id: greylisted, unset: then.action}", "missing-key", "`then` needs the key `action`"),
    ("override: §{id: greylisted, unset: then.alert}", "nothing-to-unset", "has no `then.alert`"),
    ("override: §{id: greylisted, unset: when.code.text}", "nothing-to-unset", "has no `when.code.text`"),
    ("override: §{id: anything-else, set: {note: x}}", "last-rule", "stays as it is"),
    ("domains: {a.example: {override: §{id: greylisted, unset: note}}}", "nothing-to-unset", "has no `note`"),
    (
        "rules: [{id: blocked, then: {action: hold}}]\noverride: §{id: blocked, set: {note: x}}",
        "own-rule",
        "rule `blocked` stands in line 2 of this file: change it there",
    ),
    (
        "rules: [{id: blocked, then: {action: hold}}]\ndomains: {a.b: {override: §{id: blocked, set: {note: x}}}}",
        "own-rule",
        "change it there",
    ),
]


@pytest.mark.parametrize(("marked", "code", "says"), WRONG)
def test_each_mistake_is_said_once_at_its_place(marked: str, code: str, says: str) -> None:
    before, after = marked.split("§")
    line, column = before.count("\n") + 2, len(before) - before.rfind("\n")
    (problem,) = problems(HOST, before + after)
    assert problem.startswith(f"1.yaml:{line}:{column}: {code}: ")
    assert says in problem


def test_a_missing_key_of_a_rule_is_named_with_the_place_of_the_rule() -> None:
    (problem,) = problems("\nrules: [{id: mine, then: {action: retry}}]", "override: {id: mine, unset: then.alert}")
    assert "rule `mine` (0.yaml:3) has no `then.alert`" in problem


def test_a_rule_of_the_same_file_alone_cannot_be_edited() -> None:
    found = problems("rules: [{id: new, then: {action: hold}}]\noverride: {id: new, set: {note: x}}")
    assert [each.split(": ")[1] for each in found] == ["own-rule", "unknown-rule"]


def test_an_edit_of_many_parts_of_a_rule_is_wrong_once() -> None:
    (problem,) = problems(IN_SCOPES, "override: {id: no-such-mailbox, set: {then: {action: bounce}}}")
    assert problem.startswith("1.yaml:2:11: misplaced-modifier: ")


def test_a_key_that_one_part_of_a_rule_has_can_be_taken_away_from_all() -> None:
    there = "domains: {example.org: {override: {id: blocked, unset: then.alert}}}"
    mine = policy(there, "override: {id: blocked, unset: then.alert}")
    assert alerts(decided(mine, "554 5.7.1 Your IP has a poor reputation", domain="example.org")) == []
    assert alerts(decided(mine, "554 5.7.1 Your IP has a poor reputation")) == []


def test_mistakes_of_several_edits_come_together() -> None:
    found = problems("override:\n- {id: greylisted, set: {mode: x}}\n- {id: blocked, set: {expires: y}}")
    assert [each[: each.index(": ")] for each in found] == ["0.yaml:3:32", "0.yaml:4:32"]


def test_a_domain_may_be_written_in_any_form_where_its_names_are_used_below_it() -> None:
    slow = "Bücher.Example.: {schedules: {slow: {first: 1h, give_up: 1d}}}"
    below = "a.xn--bcher-kva.example: {override: {id: greylisted, set: {then: {schedule: slow}}}}"
    decision = decided(policy(f"domains: {{{slow}, {below}}}"), "450 Greylisted", domain="a.xn--bcher-kva.example")
    assert decision.retry_at is not None
    assert (decision.retry_at - NOW).total_seconds() == 3600


def test_the_mistakes_of_all_overrides_are_told_together() -> None:
    found = problems(
        "override:\n"
        "- {id: no-such-mailbx, set: {then: {suspend: {after: 3 of 20}, alert: {to: OPS}}}}\n"
        "- {id: no-such-mailbox, set: {then: {suspend: {for: 1h, after: 3 of 20 in 1 day}}, thn: {}}}\n"
        "- {id: greylisted, set: {then: {schedule: no-such, suspend: {for: 1h, after: 1 of 20 in 1d}}}}\n"
        "- {id: greylisted, unset: when.nothing}\n"
    )
    assert [(each.split(":")[1], each.split(": ")[1]) for each in found] == [
        ("3", "unknown-rule"), ("3", "bad-after"), ("3", "bad-name"),
        ("4", "bad-after"), ("4", "unknown-key"),
        ("5", "unknown-schedule"), ("5", "bad-after"),
        ("6", "nothing-to-unset"),
    ]  # fmt: skip


def test_an_edit_of_a_rule_that_has_mistakes_says_nothing_of_its_own() -> None:
    (found,) = problems(
        "rules: [{id: new, when: {enhanced: '5.1.1'}, then: {action: bounce, alert: {to: ops, agter: 1h}}}]",
        "override: {id: new, unset: then.alert}",
    )
    assert found.startswith("0.yaml:2:")
