"""Laws of the holder: whatever is put in force meanwhile, a decision is wholly by one version (law 11)."""

import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from policy.address import parse_address
from policy.attempt import Attempt, Command
from policy.decision import Decision
from policy.engine import Engine
from policy.holder import PolicyHolder, in_force
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.source import RulesFile, build_policy, load_policy
from policy.testing.scenarios import NOW, attempts

ROUNDS = 200


def version(name: str, wait: str) -> Policy:
    """A policy whose rule, schedule and route say which one it is, the schedule by a name that all versions have."""
    text = f"""\
mailverdict: 1
schedules: {{own: {{waits: [{wait}], give_up: 7d}}}}
routes: {{way-{name}: {{to: mx}}}}
rules:
  - {{id: own-{name}, then: {{action: retry, schedule: own, route: way-{name}}}}}
"""
    return build_policy([RulesFile(f"{name}.yaml", text.encode())])


A, B = version("a", "1m"), version("b", "1h")
JO = parse_address("jo@example.org")
LATER = Attempt(outcome=parse_reply("450 later"), command=Command.RCPT, recipient=JO, attempt_id="a1", at=NOW)


def decision(policy: Policy | PolicyHolder, attempt: Attempt = LATER) -> Decision:
    """What a store without a past leads to."""
    return Engine(policy, MemoryStore()).observe(attempt, now=NOW)


WHOLLY = {A.version: decision(A), B.version: decision(B)}


class Restless(PolicyHolder):
    """Holds another policy each time it is asked, as if somebody always came between."""

    asked: int = 0

    @property
    def current(self) -> Policy:
        self.asked += 1
        self.replace(B if super().current is A else A)
        return super().current


def test_the_versions_differ_in_all_that_a_mixture_would_mix() -> None:
    first, second = WHOLLY.values()
    assert first.rule != second.rule
    assert first.retry_at != second.retry_at
    assert first.route != second.route
    assert first.policy_version != second.policy_version


def test_a_decision_asks_the_holder_once_and_is_wholly_by_the_answer() -> None:
    holder = Restless(A)
    for number, expected in enumerate([B, A, B, A], start=1):
        assert decision(holder) == WHOLLY[expected.version]
        assert holder.asked == number


def test_a_group_asks_the_holder_once_for_all_its_attempts() -> None:
    holder = Restless(A)
    group = [Attempt(outcome=LATER.outcome, command=Command.RCPT, recipient=JO, attempt_id=n) for n in "12345"]
    observed = Engine(holder, MemoryStore()).observe_all(group, now=NOW)
    assert [getattr(each, "policy_version", None) for each in observed] == [B.version] * 5
    assert holder.asked == 1


def test_a_plan_asks_the_holder_once() -> None:
    holder = Restless(A)
    assert Engine(holder, MemoryStore()).plan(JO, now=NOW).policy_version == B.version
    assert holder.asked == 1


@given(policy=st.sampled_from([A, B, load_policy()]), attempt=attempts())
def test_a_held_policy_decides_as_it_does_alone(policy: Policy, attempt: Attempt) -> None:
    assert decision(PolicyHolder(policy), attempt) == decision(policy, attempt)


@given(replaced=st.lists(st.sampled_from([A, B])))
def test_what_is_in_force_is_what_was_put_there_last(replaced: list[Policy]) -> None:
    holder = PolicyHolder(A)
    for policy in replaced:
        kept = holder.current
        holder.replace(policy)
        assert in_force(holder) is holder.current is policy
        assert in_force(kept) is kept


@pytest.fixture
def _restless_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_restless_threads")
def test_while_another_thread_replaces_the_policy_each_decision_is_wholly_by_one_version() -> None:
    holder, done, seen = PolicyHolder(A), threading.Event(), set()

    def replace() -> None:
        while not done.is_set():
            holder.replace(B)
            holder.replace(A)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for _ in range(ROUNDS):
            made = decision(holder)
            seen.add(made.policy_version)
            assert made == WHOLLY[made.policy_version]
    finally:
        done.set()
        replacing.join()
    assert seen <= set(WHOLLY)
