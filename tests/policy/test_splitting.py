"""A split, a hold and a foreign queue: what the next round of a message does about them."""

from datetime import UTC, datetime, timedelta

from adapters.mailers.skeleton import SkeletonMailer
from adapters.stores.memory import MemoryStore
from policy import (
    Action,
    Attempt,
    Command,
    Custody,
    Engine,
    Envelope,
    Verdict,
    load_policy,
    parse_address,
    parse_reply,
    send,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
JO, BO, AL, ED = (parse_address(f"{name}@dest.example") for name in ("jo", "bo", "al", "ed"))
US = parse_address("us@ours.example")


def engine() -> Engine:
    return Engine(load_policy(), MemoryStore())


def told(reply: str, **more: object) -> Attempt:
    given = {"command": Command.DOT, "recipient": JO, "sender": US, "message_id": "m", "at": NOW, **more}
    return Attempt(outcome=parse_reply(reply), attempt_id=f"a{given['at']}", **given)  # type: ignore[arg-type]


def willing(heard: list[str]) -> SkeletonMailer:
    """A mailer whose other side takes everything; what it hears goes into `heard`."""

    def ask(command: Command, argument: str | bytes) -> str:
        if command in (Command.RCPT, Command.DOT):
            heard.append(str(argument) if command is Command.RCPT else ".")
        return "354 go on" if command is Command.DATA else "250 ok"

    return SkeletonMailer(ask)


def test_who_is_split_goes_alone_and_the_others_together() -> None:
    at, heard = engine(), list[str]()
    for each in (JO, BO):
        at.observe(told("550 5.1.1 No such user", recipients=4, recipient=each), now=NOW)
    envelope = Envelope(sender=US, recipients=(JO, AL, BO, ED), content=b"hi", message_id="m")
    sent = send(at, willing(heard), envelope, now=LATER, attempt_id="second")
    assert heard == [str(AL), str(ED), ".", str(JO), ".", str(BO), "."]
    assert [str(each.recipient) for each in sent if each.decision and each.decision.final] == [
        *map(str, (JO, AL, BO, ED))
    ]


def test_who_is_held_is_sent_to_when_a_person_says_so() -> None:
    at, heard = engine(), list[str]()
    at.observe(told("535 5.7.8 bad credentials", command=Command.AUTH), now=NOW)
    envelope = Envelope(sender=US, recipients=(JO,), content=b"hi", message_id="m")
    (held,) = send(at, willing(heard), envelope, now=LATER, attempt_id="second")
    assert (held.plan.verdict, held.decision, heard) == (Verdict.HELD, None, [])
    verdicts = frozenset({Verdict.SEND, Verdict.HELD})
    (sent,) = send(at, willing(heard), envelope, now=LATER, attempt_id="third", verdicts=verdicts)
    assert sent.decision
    assert sent.decision.final


def test_after_a_split_the_same_reply_bounces() -> None:
    at = engine()
    first = at.observe(told("550 5.1.1 No such user", recipients=2), now=NOW)
    again = at.observe(told("550 5.1.1 No such user", recipients=2, at=LATER), now=LATER)
    assert (first.action, again.action) == (Action.RETRY, Action.BOUNCE)


def test_a_message_that_was_greylisted_first_is_split_all_the_same() -> None:
    at = engine()
    at.observe(told("450 4.7.1 Greylisted", command=Command.RCPT), now=NOW)
    assert at.observe(told("550 5.1.1 No such user", recipients=2, at=LATER), now=LATER).action is Action.RETRY


def test_a_message_in_a_foreign_queue_is_never_sent_by_us() -> None:
    at = engine()
    at.observe(told("451 4.3.0 later", custody=Custody.THEIRS), now=NOW)
    assert at.plan(JO, now=NOW + timedelta(days=9), sender=US, message="m").verdict is Verdict.THEIRS
    assert at.plan(JO, now=NOW, sender=US, message="another").verdict is Verdict.SEND


def test_no_later_word_of_a_first_attempt_moves_the_give_up_time() -> None:
    at = engine()
    first = at.observe(told("451 later", first_attempt_at=NOW), now=NOW)
    again = at.observe(told("451 later", first_attempt_at=LATER, at=LATER), now=LATER)
    assert first.give_up_at == again.give_up_at
