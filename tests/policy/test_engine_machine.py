"""The engine as a machine: whatever happens in whatever order, plain dicts and lists say what must be remembered.

The model knows what was told and what was answered, and shares no code with `policy.remembering` or `policy.curating`.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from policy import decision as effects
from policy.address import Address, parse_address
from policy.alike import alike
from policy.attempt import Attempt, Command, Custody, Event, Failure, Outcome
from policy.decision import SETTLED, Action, Decision, Scope, Strength
from policy.diagnosis.category import Category, EvidenceKind
from policy.engine import AttemptConflict, Engine
from policy.forward import ForwardState
from policy.guard import LONGEST_OPEN, LONGEST_OPEN_RESOLVER, RESOLVER
from policy.history import Freeze, HistoryKey, Source, Suppression
from policy.holder import PolicyHolder
from policy.intake import Intake, take, take_all
from policy.planning import Delivery, Plan, Verdict
from policy.ports import Store, Unit
from policy.reply import parse_reply
from policy.rules.source import RulesFile, build_policy
from policy.testing.scenarios import NOW
from policy.testing.store_lines import suppression

# All files suspend the same kinds of destinations: a policy looks up no other.
_RULES = """
mailverdict: 1
rules:
  - {id: busy, when: {text: busy}, then: {action: retry, suspend: {scope: domain, for: 30m, ends_on_success: true}}}
  - {id: slower, when: {text: slower}, then: {action: retry, throttle: {rate: 60/1h, for: 2h}}}
"""
SPARED = "b.example"
_MORE = {"plain": "", "limited": "limits: {slow: {rate: 60/1h}}\ndefaults: {limit: slow}\n"}
_MORE["sparing"] = f"never_suppress: {SPARED}\n"
POLICIES = {name: build_policy([RulesFile("own.yaml", (_RULES + more).encode())]) for name, more in _MORE.items()}
PROVIDERS = {"gmail.com": "google"}
DOMAINS = ("a.example", SPARED, *PROVIDERS)
RECIPIENTS = [parse_address(each) for each in ("jo@a.example", "bo@a.example", "jo@b.example", "jo@gmail.com")]
SENDERS = [parse_address("news@ours.example"), parse_address("jo@theirs.example"), ""]
SOURCES = [each for each in Source if each is not Source.BOUNCE]
NEWS, WANTED, HOW = "news", "transactional", ["", "all", "weak"]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SPANS = [timedelta(seconds=1), 5 * MINUTE, HOUR, 5 * HOUR, 2 * DAY, 8 * DAY, 40 * DAY, 200 * DAY]

GOOD, UNKNOWN = ("250 2.0.0 queued", Command.DOT), ("550 5.1.1 User unknown", Command.RCPT)
REFUSALS = [
    "550", "551 User not local; please try <{}>", "550 5.7.1 Blocked by policy", "452 4.2.2 Mailbox full", "450 busy",
    "450 4.7.1 Greylisted", "451 4.7.1 You send too fast", "450 slower",
    *["251 User not local; will forward to <{}>"] * 4,
]  # fmt: skip
ANSWERS: list[tuple[str | Failure | Event, Command | None]] = [
    *([GOOD] * 3 + [UNKNOWN] * 2),
    *(("421 Too many connections", Command.CONNECT), ("535 5.7.8 bad credentials", Command.AUTH)),
    *((each, Command.RCPT) for each in REFUSALS),
    *((each, None) for each in (Failure.NULL_MX, Failure.NO_SUCH_DOMAIN, Failure.LOST_AFTER_DOT, *Event)),
]
recipients = st.sampled_from(RECIPIENTS)
senders = st.sampled_from([SENDERS[0], *SENDERS])
streams = st.sampled_from([None, NEWS, WANTED])
messages = st.sampled_from(["m1", "m2", "m3"])
CUSTODY = st.sampled_from([*[Custody.OURS] * 5, Custody.THEIRS])
whose = st.tuples(
    st.sampled_from([timedelta(0), timedelta(0), 10 * MINUTE]),  # how late it is told
    st.fixed_dictionaries({"sender": senders, "stream": streams, "message_id": messages, "custody": CUSTODY}),
)


@define
class Crashing:
    """A store whose units crash when all is done but the commit."""

    store: Store

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        with self.store.unit() as unit:
            yield unit
            raise MemoryError


class EngineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.store, self.file, self.now = self.opened(), "plain", NOW
        self.holder = PolicyHolder(POLICIES[self.file])
        self.engine = Engine(self.holder, self.store)
        self.told: dict[tuple[str, str], tuple[Attempt, Decision]] = {}
        self.count: Counter[tuple[str, str]] = Counter()  # attempts of a message to a recipient
        self.last: dict[tuple[str, str], tuple[Attempt, Decision]] = {}  # the one that says how far it is
        self.bound: set[tuple[Scope, str]] = set()  # until a person releases it
        self.said: list[tuple[Scope, str, Strength, datetime | None, datetime]] = []  # the last: when
        self.imported: list[Any] = []  # the same; no success takes it back
        self.suspended: dict[str, datetime] = {}
        self.freezes, self.open = set[str](), dict[str, datetime]()
        self.notes: dict[str, tuple[str, ForwardState, datetime]] = {}

    def opened(self) -> Store:
        return MemoryStore()

    def kept(self) -> list[list[object]]:
        of = self.store
        lists = (of.watches, of.suppressions, of.forwards, of.suspensions, of.throttlings, of.freezes, of.entries)
        return [list(each()) for each in lists]

    def teardown(self) -> None:
        self.store.close()
        self.place.cleanup()

    def attempt(self, answer: tuple[str | Failure | Event, Command | None], to: Address, **more: Any) -> Attempt:
        (said, command), forward = answer, more.pop("forward", RECIPIENTS[0])
        outcome: Outcome = parse_reply(said.format(forward)) if isinstance(said, str) else said
        usual = {"sender": SENDERS[0], "at": self.now, "message_id": "m1"}
        usual["attempt_id"] = f"a{len(self.told) + more.pop('place', 0)}"
        return Attempt(outcome=outcome, command=command, recipient=to, **{**usual, **more})

    @rule(told=st.lists(st.tuples(st.sampled_from(ANSWERS), recipients, recipients, whose), min_size=1, max_size=4))
    def tell(self, told: list[Any]) -> None:
        self.observe(
            self.attempt(answer, to, forward=forward, place=place, at=self.now - late, **more)
            for place, (answer, to, forward, (late, more)) in enumerate(told)
        )

    @rule(domain=st.sampled_from(DOMAINS))
    def outage(self, domain: str) -> None:
        users = [parse_address(f"{local}@{domain}") for local in ("jo", *"abcdefg")]
        self.now += MINUTE
        self.observe(
            self.attempt(answer, user, at=at, message_id=f"o{len(self.told)} {at}", place=place + number)
            for place, answer, at in [(0, GOOD, self.now - MINUTE), (8, UNKNOWN, self.now)]
            for number, user in enumerate(users)
        )

    def observe(self, attempts: Iterable[Any]) -> None:
        group, before = list(attempts), self.kept()
        with pytest.raises(MemoryError):
            Engine(self.holder, Crashing(self.store)).observe_all(group, now=self.now)  # type: ignore[arg-type]
        assert self.kept() == before  # and it can be told again
        for attempt, decision in zip(group, self.engine.observe_all(group, now=self.now), strict=True):
            assert isinstance(decision, Decision)
            self.learn(attempt, decision)
            self.told[attempt.identity, attempt.recipient.key] = attempt, decision

    @precondition(lambda self: self.told)
    @rule(pick=st.randoms(use_true_random=False), now=st.booleans())
    def tell_again(self, pick: Any, now: bool) -> None:
        attempt, decision = pick.choice(list(self.told.values()))
        before = self.kept()
        assert self.engine.observe(attempt, now=self.now if now else NOW) == decision
        with pytest.raises(AttemptConflict):
            self.engine.observe(evolve(attempt, recipients=attempt.recipients + 1), now=self.now)
        assert self.kept() == before

    def learn(self, attempt: Any, decision: Decision) -> None:
        to, at = attempt.recipient, attempt.at
        said = isinstance(attempt.outcome, Event)
        suppressions = [each for each in decision.effects if isinstance(each, effects.Suppress)]
        frozen = bool(self.freezes & {"", PROVIDERS.get(to.domain), to.domain})
        assert not frozen or decision.action not in SETTLED
        self.learn_effects(decision, at)
        spared = (self.file, to.domain) == ("sparing", SPARED)
        assert said or not suppressions or not (frozen or spared or self.guarded(attempt, at))
        if said and not attempt.null_sender:
            (effect,) = suppressions
            target = f"{to.key}#{attempt.stream}" if attempt.stream else to.key
            assert (effect.target, effect.strength, effect.until) == (target, Strength.PERMANENT, None)
            self.bound.add((effect.scope, target))
        if not said:
            self.said += [(each.scope, each.target, each.strength, each.until, at) for each in suppressions]
        self.learn_message(attempt, decision)

    def learn_effects(self, decision: Decision, at: datetime) -> None:
        for each in decision.effects:
            match each:
                case effects.Delivered():  # a success takes back weak guesses that are older, and nothing else
                    guess = (Scope.ADDRESS, each.target, Strength.WEAK)
                    self.said = [one for one in self.said if one[:3] != guess or one[4] > at]
                case effects.OpenGuard():
                    assert each.key not in self.open
                    self.open[each.key] = at
                case effects.CloseGuard():
                    del self.open[each.key]
                case effects.Suspend():
                    self.suspended[each.target] = max(each.until, self.suspended.get(each.target, each.until))
                case effects.NoteForward(address=Address() as address):
                    path, state, seen = self.notes.get(address.key, ("", ForwardState.PENDING, at))
                    if path != each.forward_path.quoted:
                        state, seen = ForwardState.PENDING, at
                    self.notes[address.key] = each.forward_path.quoted, state, max(at, seen)

    def guarded(self, attempt: Any, at: datetime) -> bool:
        ours = attempt.outcome is Failure.NO_SUCH_DOMAIN
        keys = {RESOLVER} if ours else {PROVIDERS.get(attempt.recipient.domain), attempt.recipient.domain}
        longest = LONGEST_OPEN_RESOLVER if ours else LONGEST_OPEN
        return any(key in keys and at - since < longest for key, since in self.open.items())

    def learn_message(self, attempt: Any, decision: Decision) -> None:
        key, event = (attempt.message, attempt.recipient.key), isinstance(attempt.outcome, Event)
        free = decision.action is Action.HOLD or any(isinstance(each, effects.Reconnect) for each in decision.effects)
        self.count[key] += not (free or event)
        before, former = self.last.get(key, (None, None))
        delivered = decision.final and decision.category is Category.ACCEPTED
        late = former is not None and before is not None and (former.final or attempt.at < before.at)
        if before is None or delivered or not (late or event):  # what is late reopens nothing
            self.last[key] = attempt, decision

    @rule(to=recipients, scope=st.sampled_from(Scope), source=st.sampled_from(SOURCES), how=st.sampled_from(HOW))
    def put(self, to: Address, scope: Scope, source: Source, how: str) -> None:
        target = {Scope.ADDRESS: to.key, Scope.DOMAIN: to.domain, Scope.STREAM: f"{to.key}#{NEWS}"}[scope]
        weak = how == "weak" and source is Source.IMPORT
        new = evolve(suppression(target=target, since=self.now, source=source), scope=scope)
        new = evolve(new, strength=Strength.WEAK, expires_at=self.now + DAY) if weak else new
        with self.store.unit() as unit:
            (taken,) = take_all(unit, [alike(new)], self.now) if how == "all" else [take(unit, new, self.now)]
        assert (scope, target) in self.active(self.now)
        if not weak:
            self.bound.add((scope, target))
        elif taken is Intake.KEPT:
            self.imported.append((scope, target, new.strength, new.expires_at, self.now))

    @precondition(lambda self: self.bound or self.said)
    @rule(pick=st.randoms(use_true_random=False))
    def release(self, pick: Any) -> None:
        target = pick.choice(sorted({each for _, each in self.bound} | {each[1] for each in self.said}))
        with self.store.unit() as unit:
            unit.release(target)
        self.bound = {each for each in self.bound if each[1] != target}
        self.said, self.imported = ([each for each in of if each[1] != target] for of in (self.said, self.imported))

    @rule(
        past=st.sampled_from(SPANS), rule_=st.none() | st.just("no-such-mailbox"), of=st.sampled_from([None, "google"])
    )
    def undo(self, past: timedelta, rule_: str | None, of: str | None) -> None:
        since = self.now - past
        young = [
            each for each in self.active(self.now).values() if each.since >= since and each.source is Source.BOUNCE
        ]
        meant = [each for each in young if rule_ in (None, each.rule.id) and of in (None, each.provider)]
        with self.store.unit() as unit:
            assert unit.undo(since=since, provider=of, rule=rule_, now=self.now) == meant
        gone = [(each.scope, each.target, each.since) for each in meant]
        self.said = [each for each in self.said if (*each[:2], each[4]) not in gone]

    @precondition(lambda self: self.notes)
    @rule(pick=st.randoms(use_true_random=False), state=st.sampled_from([*[ForwardState.APPROVED] * 5, *ForwardState]))
    def judge(self, pick: Any, state: ForwardState) -> None:
        address = pick.choice(sorted(self.notes))
        path, _, seen = self.notes[address]
        with self.store.unit() as unit:
            assert unit.judge(address, path, state)
        self.notes[address] = path, state, seen

    @rule(of=st.sampled_from(["", "google", "a.example"]), lift=st.booleans())
    def freeze_or_lift(self, of: str, lift: bool) -> None:
        with self.store.unit() as unit:
            if lift:
                assert (unit.lift(of) is not None) is (of in self.freezes)
            else:
                unit.freeze(Freeze(provider=of, since=self.now))
        self.freezes = self.freezes - {of} if lift else self.freezes | {of}

    @precondition(lambda self: self.suspended)
    @rule(pick=st.randoms(use_true_random=False))
    def cancel(self, pick: Any) -> None:
        target = pick.choice(sorted(self.suspended))
        with self.store.unit() as unit:
            unit.cancel(target, self.now)
            assert not unit.cancel(target, self.now)
        self.suspended[target] = min(self.now, self.suspended[target])

    @precondition(lambda self: self.open)
    @rule(pick=st.randoms(use_true_random=False))
    def close_guard(self, pick: Any) -> None:
        key = pick.choice(sorted(self.open))
        with self.store.unit() as unit:
            (watch,) = unit.history(HistoryKey(watches=(key,))).watches
            unit.watch(evolve(watch, open_since=None, failing=(), probes=()))
        del self.open[key]

    @rule(rules=st.sampled_from(sorted(POLICIES)))
    def reload(self, rules: str) -> None:
        self.file = rules
        self.holder.replace(POLICIES[rules])

    @rule(span=st.sampled_from(SPANS), back=st.sampled_from([False, False, False, True]))
    def tick(self, span: timedelta, back: bool) -> None:
        self.now += -min(span, HOUR) if back else span

    @rule(asked=st.lists(st.tuples(recipients, senders, streams, st.none() | messages), min_size=1, max_size=4))
    def plan(self, asked: list[Any]) -> None:
        deliveries = [Delivery(recipient=to, sender=by, stream=kind, message=id_) for to, by, kind, id_ in asked]
        before = self.kept()
        plans = self.engine.plan_all(deliveries, now=self.now)
        assert self.kept()[1:] == before[1:]  # but for the guard's probes
        for delivery, plan in zip(deliveries, plans, strict=True):
            self.check(delivery, plan)

    def check(self, delivery: Delivery, plan: Plan) -> None:
        to, last = delivery.recipient, self.last.get((delivery.message or "", delivery.recipient.key))
        settled = last is not None and last[1].final
        entries = [each for each in self.binding(to, delivery.stream) if not self.passes(each, delivery)]
        grave = Verdict.SETTLED if settled else Verdict.SUPPRESSED if entries else None
        assert (plan.verdict if plan.verdict in (Verdict.SETTLED, Verdict.SUPPRESSED) else None) is grave
        assert plan.suppression is None or plan.suppression in entries
        assert plan.verdict is not Verdict.SEND or not self.suspends(delivery)
        assert plan.verdict is not Verdict.SEND or last is None or not self.waits(to, *last)
        assert plan.deliver_to == self.leads(to, delivery.stream)

    def active(self, at: datetime) -> dict[tuple[Scope, str], Suppression]:
        return {(each.scope, each.target): each for each in self.store.suppressions() if each.active(at)}

    def binding(self, to: Address, stream: str | None) -> list[Suppression]:
        places = {(Scope.ADDRESS, to.key), (Scope.DOMAIN, to.domain), (Scope.STREAM, f"{to.key}#{stream}")}
        return [each for place, each in self.active(self.now).items() if place in places]

    def passes(self, entry: Suppression, delivery: Delivery) -> bool:
        guess = entry.strength is Strength.WEAK or entry.reason is Category.MAILBOX_FULL
        spared = (self.file, delivery.recipient.domain) == ("sparing", SPARED)
        return entry.source is Source.BOUNCE and (spared or (guess and delivery.stream == WANTED))

    def suspends(self, to: Delivery) -> bool:
        identity, domain = to.sender.domain if isinstance(to.sender, Address) else "-", to.recipient.domain
        keys = {f"{identity}>{PROVIDERS.get(domain, domain)}", f"*>={domain}", f"{identity}#{to.stream or '-'}"}
        return any(each.target in keys and each.active(self.now) for each in self.store.suspensions())

    def waits(self, to: Address, attempt: Attempt, decision: Decision) -> bool:
        frozen = any(each.kind is EvidenceKind.FREEZE for each in decision.evidence)
        stands = not frozen or self.freezes & {"", PROVIDERS.get(to.domain), to.domain}
        early = decision.retry_at is not None and self.now < decision.retry_at
        return attempt.custody is Custody.THEIRS or early or (decision.action is Action.HOLD and bool(stands))

    def leads(self, to: Address, stream: str | None) -> Address | None:
        seen, address = [to.key], to
        for _ in range(5):
            path, state, named = self.notes.get(address.key, ("", None, self.now))
            if state is not ForwardState.APPROVED or self.now - named >= 180 * DAY:
                return address if len(seen) > 1 else None
            address = parse_address(path)
            if address.key in seen or self.binding(address, stream):
                return None
            seen.append(address.key)
        return None

    @invariant()
    def lists_are_what_was_told(self) -> None:
        active = self.active(self.now)
        for place in self.bound:
            assert (active[place].source is Source.BOUNCE, active[place].expires_at) == (False, None)
        for place, each in active.items():
            told = (*place, each.strength, each.expires_at, each.since)
            assert place in self.bound or told in self.said or told in self.imported
        assert all(each.until <= self.suspended[each.target] for each in self.store.suspensions())
        assert {each.key for each in self.store.watches() if each.is_open} == set(self.open)
        assert {each.provider for each in self.store.freezes()} == self.freezes
        notes = {each.address: (each.forward_path.quoted, each.state) for each in self.store.forwards()}
        assert notes == {address: (path, state) for address, (path, state, _) in self.notes.items()}

    @invariant()
    def the_ledger_is_what_was_told(self) -> None:
        kept = {(each.attempt_id, each.recipient): (each.attempt, each.decision) for each in self.store.entries()}
        assert kept == self.told
        with self.store.unit() as unit:
            for (message, recipient), (_, decision) in self.last.items():
                progress = unit.history(HistoryKey(recipient=recipient, message=message)).progress
                assert progress is not None
                assert (progress.attempts, progress.final) == (self.count[message, recipient], decision.final)


class SqliteMachine(EngineMachine):
    def opened(self) -> Store:
        return SqliteStore(Path(self.place.name) / "mail.db")

    @rule()
    def restart(self) -> None:
        before = self.kept()
        self.store.close()
        self.store = self.engine.store = self.opened()
        assert self.kept() == before


_EXAMPLES = max(25, settings().max_examples // 10)
TestMemory, TestSqlite = EngineMachine.TestCase, SqliteMachine.TestCase
TestMemory.settings = settings(max_examples=_EXAMPLES, stateful_step_count=30)
TestSqlite.settings = settings(max_examples=_EXAMPLES // 2, stateful_step_count=30)  # each step is on the disk
