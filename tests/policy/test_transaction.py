"""Laws of folding a transaction: one verdict a recipient, and nobody is delivered who was not."""

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import Address
from policy.attempt import Attempt, Command, Failure, Outcome
from policy.reply import Flaw, Reply, parse_reply
from policy.transaction import Envelope, Transaction, fold

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
JO, MO, BO = (Address(local, "x.example") for local in ("jo", "mo", "bo"))
YES = parse_reply("250 2.1.5 ok")
FORWARD = parse_reply("251 User not local; will forward to <jo@new.example>")
NO = parse_reply("550 5.1.1 no such user")
LATER = parse_reply("450 4.7.1 greylisted")
QUEUED = parse_reply("250 2.0.0 queued")
FULL = parse_reply("552 5.2.2 full")
GOING = parse_reply("421 4.3.2 going")


def transaction(
    rcpt_replies: dict[Address, Reply],
    ended: tuple[Command, Outcome] | None,
    *unasked: Address,
    lmtp_replies: tuple[Reply, ...] = (),
) -> Transaction:
    envelope = Envelope(sender="", recipients=(*rcpt_replies, *unasked), content=b"", message_id="m")
    return Transaction(
        envelope=envelope, rcpt_replies=tuple(rcpt_replies.items()), ended=ended, lmtp_replies=lmtp_replies
    )


def verdicts(given_: Transaction) -> list[tuple[Command | None, Outcome]]:
    return [(each.command, each.outcome) for each in folded(given_)]


def folded(given_: Transaction) -> list[Attempt]:
    return list(fold(given_, at=WHEN, attempt_id="t"))


def out_of_step(reply: Reply) -> Reply:
    return attrs.evolve(reply, flaws=(*reply.flaws, Flaw.OUT_OF_STEP))


replies = st.builds(
    lambda code, flaws: Reply(code, flaws=tuple(flaw for flaw in Flaw if flaw in flaws)),
    st.none() | st.integers(200, 599) | st.sampled_from([250, 251, 252, 354, 421, 450, 550]),
    st.sets(st.sampled_from(Flaw), max_size=2),
)
endings = st.none() | st.tuples(st.sampled_from(Command), replies | st.sampled_from(Failure))


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    """Any transaction, likely or not: recipients in any order, some asked, LMTP or not."""
    count = draw(st.integers(1, 6))
    recipients = [Address(f"r{number}", "x.example") for number in range(count)]
    asked = draw(st.permutations(recipients))[: draw(st.integers(0, count))]
    return Transaction(
        envelope=Envelope(sender="", recipients=tuple(recipients), content=b"", stream="bulk", tags=(("a", "b"),)),
        mx=draw(st.none() | st.just("mx.example")),
        rcpt_replies=tuple((address, draw(replies)) for address in asked),
        ended=draw(endings),
        lmtp_replies=tuple(draw(st.lists(replies, max_size=count))),
        smtputf8=draw(st.booleans()),
    )


@given(transactions())
def test_there_is_one_attempt_a_recipient_in_the_envelopes_order(given_: Transaction) -> None:
    attempts = folded(given_)
    assert [attempt.recipient for attempt in attempts] == list(given_.envelope.recipients)
    assert {(each.mx, each.at, each.attempt_id, each.stream, each.tags, each.smtputf8) for each in attempts} == {
        (given_.mx, WHEN, "t", "bulk", (("a", "b"),), given_.smtputf8)
    }


@given(transactions())
def test_who_is_refused_keeps_the_own_reply(given_: Transaction) -> None:
    own = {address.key: reply for address, reply in given_.rcpt_replies}
    for attempt in folded(given_):
        assert attempt.recipient is not None
        reply = own.get(attempt.recipient.key)
        if reply is not None and (reply.klass != 2 or Flaw.OUT_OF_STEP in reply.flaws):
            assert (attempt.command, attempt.outcome) == (Command.RCPT, reply)


@given(transactions())
def test_only_who_was_accepted_at_rcpt_has_a_verdict_from_the_message(given_: Transaction) -> None:
    accepted = {
        address.key
        for address, reply in given_.rcpt_replies
        if reply.klass == 2 and Flaw.OUT_OF_STEP not in reply.flaws
    }
    for attempt in folded(given_):
        assert attempt.recipient is not None
        assert attempt.command not in (Command.DATA, Command.DOT) or attempt.recipient.key in accepted


@given(transactions())
def test_a_void_reply_to_rcpt_is_never_an_acceptance(given_: Transaction) -> None:
    void = attrs.evolve(
        given_, rcpt_replies=tuple((address, out_of_step(reply)) for address, reply in given_.rcpt_replies)
    )
    assert all(attempt.command not in (Command.DATA, Command.DOT) for attempt in folded(void))


@given(transactions())
def test_the_reply_to_rcpt_stays_beside_a_later_verdict(given_: Transaction) -> None:
    own = {address.key: reply for address, reply in given_.rcpt_replies}
    for attempt in folded(given_):
        assert attempt.recipient is not None
        if attempt.command in (Command.DATA, Command.DOT):
            assert attempt.rcpt_reply == own[attempt.recipient.key]
        else:
            assert attempt.rcpt_reply in (None, own.get(attempt.recipient.key))


@pytest.mark.parametrize("outcome", [QUEUED, FULL, Failure.LOST_AFTER_DOT])
def test_who_is_accepted_has_what_ended_the_transaction(outcome: Outcome) -> None:
    given_ = transaction({JO: FORWARD, MO: NO, BO: YES}, (Command.DOT, outcome))
    assert verdicts(given_) == [(Command.DOT, outcome), (Command.RCPT, NO), (Command.DOT, outcome)]
    assert [each.rcpt_reply for each in folded(given_)] == [FORWARD, None, YES]
    assert [each.recipients for each in folded(given_)] == [2, 2, 2]


def test_the_whole_transactions_refusal_is_everybodys() -> None:
    assert verdicts(transaction({}, (Command.MAIL, LATER), JO, MO)) == [(Command.MAIL, LATER)] * 2


def test_one_recipients_421_is_not_the_others_reply() -> None:
    given_ = transaction({JO: YES, MO: GOING}, (Command.RCPT, GOING), BO)
    not_attempted = (Command.RCPT, Failure.NOT_ATTEMPTED)
    assert verdicts(given_) == [not_attempted, (Command.RCPT, GOING), not_attempted]


def test_a_connection_lost_at_rcpt_is_everybodys_but_who_was_refused_before() -> None:
    given_ = transaction({JO: YES, MO: NO}, (Command.RCPT, Failure.RESET), BO)
    assert verdicts(given_) == [(Command.RCPT, Failure.RESET), (Command.RCPT, NO), (Command.RCPT, Failure.RESET)]


def test_who_was_not_asked_is_not_attempted_when_all_others_were_refused() -> None:
    given_ = transaction({JO: NO}, None, MO)
    assert verdicts(given_) == [(Command.RCPT, NO), (Command.RCPT, Failure.NOT_ATTEMPTED)]


@pytest.mark.parametrize("outcome", [QUEUED, FULL, Failure.LOST_AFTER_DOT])
def test_who_was_not_asked_is_not_attempted_when_others_got_the_message(outcome: Outcome) -> None:
    given_ = transaction({JO: YES}, (Command.DOT, outcome), MO)
    assert verdicts(given_) == [(Command.DOT, outcome), (Command.RCPT, Failure.NOT_ATTEMPTED)]


def test_lmtp_gives_each_accepted_recipient_the_own_reply_in_the_order_of_rcpt() -> None:
    given_ = transaction({JO: YES, MO: NO, BO: YES}, (Command.DOT, QUEUED), lmtp_replies=(FULL, QUEUED))
    assert verdicts(given_) == [(Command.DOT, FULL), (Command.RCPT, NO), (Command.DOT, QUEUED)]
    assert [each.recipients for each in folded(given_)] == [1, 1, 1]


def test_lmtp_with_too_few_replies_leaves_the_rest_with_what_ended_the_transaction() -> None:
    given_ = transaction({JO: YES, BO: YES}, (Command.DOT, Failure.LOST_AFTER_DOT), lmtp_replies=(QUEUED,))
    assert verdicts(given_) == [(Command.DOT, QUEUED), (Command.DOT, Failure.LOST_AFTER_DOT)]
