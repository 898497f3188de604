"""Laws of sending: only who may be sent to is sent to, and what came of it is kept, recipient by recipient."""

from collections.abc import Callable
from datetime import timedelta

import attrs
import pytest

from adapters.mailers.skeleton import SkeletonMailer
from adapters.stores.memory import MemoryStore
from policy.address import Address, parse_address
from policy.attempt import Command
from policy.decision import Action
from policy.engine import Engine
from policy.planning import Verdict
from policy.ports import MailerSetup, StoreUnavailable
from policy.rules.source import load_policy
from policy.sending import Sent, send
from policy.testing.scenarios import NOW
from policy.transaction import Envelope, Transaction

SHIPPED = load_policy()
JO, MO, BO = (parse_address(f"{local}@example.org") for local in ("jo", "mo", "bo"))
DAY = timedelta(days=1)
YES = {Command.DATA: "354 go ahead", Command.DOT: "250 2.0.0 queued"}


class Remote:
    """The other side: says what it is told to say to a command or a recipient, and remembers what it was asked."""

    def __init__(self, **said: str) -> None:
        self.said = said
        self.asked: list[str] = []

    def __call__(self, command: Command, argument: str | bytes) -> str:
        to = str(argument).partition("@")[0] if command is Command.RCPT else command.value
        self.asked.append(to)
        answer = self.said.get(to, YES.get(command, "250 2.1.5 ok"))
        if answer == "lost":
            raise ConnectionResetError
        return answer


def envelope(*recipients: Address) -> Envelope:
    return Envelope(sender=parse_address("news@sender.example"), recipients=recipients, content=b"Hi", message_id="m")


def sent(
    engine: Engine, remote: Remote, *recipients: Address, attempt_id: str = "a1", after: timedelta = timedelta(0)
) -> dict[str, tuple[Verdict, Action | None]]:
    rows = send(engine, SkeletonMailer(remote), envelope(*recipients), now=NOW + after, attempt_id=attempt_id)
    return {row.recipient.local: (row.plan.verdict, row.decision.action if row.decision else None) for row in rows}


@pytest.fixture
def engine() -> Engine:
    return Engine(SHIPPED, MemoryStore())


def test_each_recipient_gets_a_row_in_order_with_a_decision_of_its_own(engine: Engine) -> None:
    remote = Remote(mo="550 5.1.1 User unknown", bo="251 User not local; will forward to <bo@new.example>")
    rows = sent(engine, remote, JO, MO, BO)
    assert list(rows) == ["jo", "mo", "bo"]
    assert rows == {
        "jo": (Verdict.SEND, Action.ACCEPT),
        "mo": (Verdict.SEND, Action.HARD_BOUNCE),
        "bo": (Verdict.SEND, Action.ACCEPT_AND_NOTE_FORWARD),
    }
    assert [note.address for note in engine.store.forwards()] == [BO.key]
    assert [each.target for each in engine.store.suppressions()] == [MO.key]


def test_who_is_suppressed_is_not_sent_to(engine: Engine) -> None:
    sent(engine, Remote(mo="550 5.1.1 User unknown"), MO)
    remote = Remote()
    again = attrs.evolve(envelope(JO, MO), message_id="other")
    rows = send(engine, SkeletonMailer(remote), again, now=NOW, attempt_id="a2")
    assert [(row.plan.verdict, row.decision is None) for row in rows] == [
        (Verdict.SEND, False),
        (Verdict.SUPPRESSED, True),
    ]
    assert "mo" not in remote.asked


def test_nobody_to_send_to_is_no_connection(engine: Engine) -> None:
    sent(engine, Remote(), JO)
    remote = Remote()
    assert sent(engine, remote, JO, attempt_id="a2") == {"jo": (Verdict.SETTLED, None)}
    assert remote.asked == []


def test_a_retry_is_sent_when_it_is_due_and_to_those_alone_who_need_it(engine: Engine) -> None:
    remote = Remote(mo="450 4.7.1 Greylisted")
    assert sent(engine, remote, JO, MO)["mo"] == (Verdict.SEND, Action.RETRY)
    assert sent(engine, remote, JO, MO, attempt_id="a2")["mo"] == (Verdict.WAIT, None)
    later = Remote()
    assert sent(engine, later, JO, MO, attempt_id="a3", after=DAY) == {
        "jo": (Verdict.SETTLED, None),
        "mo": (Verdict.SEND, Action.ACCEPT),
    }
    assert "jo" not in later.asked


def test_one_mailbox_named_twice_is_sent_to_once(engine: Engine) -> None:
    remote = Remote()
    assert len(sent(engine, remote, JO, parse_address("JO@Example.org"))) == 1
    assert [each.lower() for each in remote.asked].count("jo") == 1


def test_a_connection_lost_after_the_dot_is_retried_and_told_as_uncertain(engine: Engine) -> None:
    (row,) = send(engine, SkeletonMailer(Remote(DOT="lost")), envelope(JO), now=NOW, attempt_id="a1")
    assert row.decision is not None
    assert (row.decision.action, row.decision.uncertain) == (Action.RETRY, True)


def test_a_try_that_was_made_sends_nothing_again_and_finds_its_decision(engine: Engine) -> None:
    first = sent(engine, Remote(jo="450 4.7.1 Greylisted"), JO)
    again = Remote()
    assert sent(engine, again, JO, after=DAY)["jo"][1] == first["jo"][1]
    assert again.asked == []


def test_the_forward_path_of_a_251_is_not_sent_to(engine: Engine) -> None:
    sent(engine, Remote(jo="251 will forward to <jo@new.example>"), JO)
    remote = Remote()
    rows = send(
        engine, SkeletonMailer(remote), attrs.evolve(envelope(JO), message_id="other"), now=NOW, attempt_id="a2"
    )
    assert [row.recipient for row in rows] == [JO]
    assert rows[0].plan.forward is not None


class Broken:
    """A mailer that fails, or a store that is closed under it."""

    def __init__(self, fails: Callable[[], None]) -> None:
        self.fails = fails

    def deliver(self, envelope: Envelope) -> Transaction:
        self.fails()
        return SkeletonMailer(Remote()).deliver(envelope)


def test_a_mailer_that_cannot_start_leaves_nothing_behind(engine: Engine) -> None:
    def fails() -> None:
        raise MailerSetup("no such host")

    with pytest.raises(MailerSetup):
        send(engine, Broken(fails), envelope(JO), now=NOW, attempt_id="a1")
    assert list(engine.store.entries()) == []


def test_a_store_that_fails_after_the_delivery_is_told(engine: Engine) -> None:
    with pytest.raises(StoreUnavailable):
        send(engine, Broken(engine.store.close), envelope(JO), now=NOW, attempt_id="a1")


def test_a_store_that_fails_before_it_lets_nothing_be_sent(engine: Engine) -> None:
    engine.store.close()
    remote = Remote()
    with pytest.raises(StoreUnavailable):
        send(engine, SkeletonMailer(remote), envelope(JO), now=NOW, attempt_id="a1")
    assert remote.asked == []


def test_a_row_shows_the_attempt_that_was_made(engine: Engine) -> None:
    rows: tuple[Sent, ...] = send(engine, SkeletonMailer(Remote()), envelope(JO, MO), now=NOW, attempt_id="a1")
    assert [row.attempt.recipient if row.attempt else None for row in rows] == [JO, MO]
    assert {row.attempt.identity for row in rows if row.attempt} == {"a1"}
