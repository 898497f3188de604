"""The contract of `policy.ports.Mailer`, as tests to inherit.

Subclass `MailerContract` in a test module and say how to make the mailer and the world that it talks to:

    class TestMyMailer(MailerContract):
        @contextmanager
        def opened(self, world: World) -> Iterator[Opened]:
            arrived: list[Arrived] = []
            yield Opened(mailer=MyMailer(...), arrived=arrived)

A mailer that speaks SMTP itself inherits `SmtpMailerContract`, which adds what only shows on the wire.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
from attrs import field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.address import Address, parse_address
from policy.attempt import Attempt, Command, Failure
from policy.ports import Mailer
from policy.reply import Flaw, Reply, parse_reply
from policy.transaction import Envelope, fold

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)

# What is said: text (its lines are ended by the world), octets as they are, or None: the connection is lost instead.
Said = str | bytes | None


@frozen(kw_only=True)
class World:
    """What the other side says; to all that is not named it says yes.

    Args:
        rcpt: by recipient address.
        replies: by command; CONNECT is the greeting, DOT the end of the message.
    """

    rcpt: Mapping[str, Said] = field(factory=dict)
    replies: Mapping[Command, Said] = field(factory=dict)


@frozen(kw_only=True)
class Arrived:
    """A message whose last octet the other side has received, whatever it then said."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


@frozen(kw_only=True)
class Opened:
    """A mailer, the world it talks to, and what arrives there; `arrived` grows."""

    mailer: Mailer
    arrived: Sequence[Arrived]


@frozen(kw_only=True)
class Seen:
    """What one `deliver` led to: one attempt a recipient by local part, and the messages that arrived."""

    attempts: Mapping[str, Attempt]
    arrived: tuple[Arrived, ...]
    content: bytes

    def said(self, local: str) -> str:
        """The code of the reply that settled it for `local`, or the failure's name."""
        outcome = self.attempts[local].outcome
        return str(outcome.code) if isinstance(outcome, Reply) else outcome.value

    def copies(self) -> Counter[str]:
        """How many messages arrived for each recipient, by local part."""
        return Counter(each.partition("@")[0] for message in self.arrived for each in message.recipients)


SENDER = parse_address("app@sender.example")
CONTENT = b"From: app@sender.example\r\nSubject: hello\r\n\r\nGood morning.\r\n"

NONSENSE = (
    b"hello I am not SMTP\r\n",
    b"\r\n",
    b"550\r\n",
    b"999 what\r\n",
    b"000 what\r\n",
    b"199 what\r\n",
    b"\xef\xbc\x95\xef\xbc\x95\xef\xbc\x90 fullwidth\r\n",
    b"5_5_0 what\r\n",
    b"-550 what\r\n",
    b"550 \x1b[2J\x00\xff\xfe\r\n",
    b"354 go ahead\r\n",
    b"250-a\r\nno code\r\n550 b\r\n",
    b"550 " + b"x" * 40_000 + b"\r\n",
)


def recipient(local: str) -> Address:
    """The address by which the contract knows `local`."""
    return parse_address(f"{local}@rcpt.example")


class MailerContract:
    """What holds for every mailer, whatever it sends with."""

    def opened(self, world: World) -> AbstractContextManager[Opened]:
        """Return a mailer that talks to `world`; to be written by the subclass."""
        raise NotImplementedError

    def deliver(
        self, *locals_: str, rcpt: Mapping[str, Said] | None = None, replies: Mapping[Command, Said] | None = None
    ) -> Seen:
        """Deliver one message to these recipients in a world that says this, and fold what came of it."""
        world = World(rcpt={str(recipient(local)): said for local, said in (rcpt or {}).items()}, replies=replies or {})
        return self.deliver_to(world, tuple(map(recipient, locals_)))

    def deliver_to(self, world: World, recipients: tuple[Address, ...], content: bytes = CONTENT) -> Seen:
        """As `deliver`, with whole addresses; checks what holds in every world."""
        envelope = Envelope(sender=SENDER, recipients=recipients, content=content, message_id="m1")
        with self.opened(world) as opened:
            transaction = opened.mailer.deliver(envelope)
            arrived = tuple(opened.arrived)
        attempts = list(fold(transaction, at=WHEN, attempt_id="t1"))
        assert [attempt.recipient for attempt in attempts] == list(recipients), "one attempt a recipient, in order"
        seen = Seen(attempts={a.recipient.local: a for a in attempts if a.recipient}, arrived=arrived, content=content)
        assert all(copies == 1 for copies in seen.copies().values()), "nobody gets a second copy"
        for attempt in attempts:
            if _is_delivered(attempt):
                assert attempt.recipient is not None
                assert seen.copies()[attempt.recipient.local] == 1, "who counts as delivered has got the message"
        return seen

    def test_who_is_accepted_gets_the_message_and_the_reply_to_the_final_dot(self) -> None:
        seen = self.deliver("jo", "mo", replies={Command.DOT: "250 2.0.0 queued as 17"})
        assert seen.copies() == {"jo": 1, "mo": 1}
        for attempt in seen.attempts.values():
            assert (attempt.command, attempt.outcome) == (Command.DOT, parse_reply("250 2.0.0 queued as 17"))
            assert attempt.mx is not None

    def test_who_is_to_be_written_to_in_clear_is_written_to_as_ever_where_there_is_no_tls(self) -> None:
        envelope = Envelope(sender=SENDER, recipients=(recipient("jo"),), content=CONTENT, in_clear=True)
        with self.opened(World()) as opened:
            (attempt,) = fold(opened.mailer.deliver(envelope), at=WHEN, attempt_id="t1")
            assert [each.recipients for each in opened.arrived] == [(str(recipient("jo")),)]
        assert _is_delivered(attempt)

    @pytest.mark.parametrize(
        "said",
        [
            "251 User not local; will forward to <jo@new.example>",
            "251 2.1.5 User not local; will forward to <jo@new.example>",
            "252 2.5.0 Cannot VRFY user, but will accept message and attempt delivery",
            "250",
            "259 2.1.5 a code that nobody knows",
        ],
    )
    def test_every_2yz_to_rcpt_is_a_yes_and_is_kept_word_for_word(self, said: str) -> None:
        seen = self.deliver("jo", rcpt={"jo": said})
        assert seen.copies() == {"jo": 1}
        assert (seen.attempts["jo"].command, seen.said("jo")) == (Command.DOT, "250")
        assert seen.attempts["jo"].rcpt_reply == parse_reply(said)

    @pytest.mark.parametrize(
        "said",
        [
            "550 5.1.1 no such user",
            "550 Requested action not taken: mailbox unavailable",
            "550-5.7.26 This mail has been blocked\n550-5.7.26 as its sender is unauthenticated.\n550 5.7.26 q1",
            "551 5.1.6 User not local; please try <jo@new.example>",
            "450 4.7.1 greylisted, try again in 300 seconds",
            "452 4.2.2 over quota",
            "550",
        ],
    )
    def test_who_is_refused_has_the_own_reply_and_the_others_get_the_message(self, said: str) -> None:
        seen = self.deliver("mo", "jo", "bo", rcpt={"jo": said})
        assert (seen.attempts["jo"].command, seen.attempts["jo"].outcome) == (Command.RCPT, parse_reply(said))
        assert seen.copies() == {"mo": 1, "bo": 1}
        assert (seen.said("mo"), seen.said("bo")) == ("250", "250")
        assert seen.attempts["mo"].recipients == 2

    def test_when_all_are_refused_no_message_is_sent_and_each_has_the_own_reply(self) -> None:
        seen = self.deliver("jo", "mo", rcpt={"jo": "550 5.1.1 no such user", "mo": "450 4.7.1 later"})
        assert seen.arrived == ()
        assert (seen.said("jo"), seen.said("mo")) == ("550", "450")
        assert {attempt.command for attempt in seen.attempts.values()} == {Command.RCPT}

    @pytest.mark.parametrize("said", ["554 5.7.1 rejected as spam", "451 4.3.0 queue file write error"])
    def test_a_refusal_at_the_final_dot_reaches_accepted_recipients_only(self, said: str) -> None:
        seen = self.deliver("jo", "mo", rcpt={"jo": "550 5.1.1 no such user"}, replies={Command.DOT: said})
        assert (seen.attempts["mo"].command, seen.attempts["mo"].outcome) == (Command.DOT, parse_reply(said))
        assert (seen.attempts["jo"].command, seen.said("jo")) == (Command.RCPT, "550")

    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_a_421_to_one_recipient_refuses_no_other(self, position: int) -> None:
        locals_ = ["jo", "mo", "bo"]
        seen = self.deliver(*locals_, rcpt={locals_[position]: "421 4.7.0 too many connections"})
        assert seen.arrived == ()
        expected = ["421" if each == position else "not-attempted" for each in range(3)]
        assert [seen.said(local) for local in locals_] == expected

    @pytest.mark.parametrize("command", [Command.CONNECT, Command.MAIL, Command.DATA])
    @pytest.mark.parametrize("said", ["554 5.7.1 no mail from you", "421 4.3.2 try again later"])
    def test_a_refusal_of_the_whole_transaction_is_the_outcome_of_each_recipient(
        self, command: Command, said: str
    ) -> None:
        seen = self.deliver("jo", "mo", replies={command: said})
        assert seen.arrived == ()
        for attempt in seen.attempts.values():
            assert (attempt.command, attempt.outcome) == (command, parse_reply(said))

    @pytest.mark.parametrize("said", ["250 2.0.0 ok", "251 ok", "350 go on", "355 go on"])
    def test_without_a_354_the_message_is_not_sent(self, said: str) -> None:
        seen = self.deliver("jo", replies={Command.DATA: said})
        assert seen.arrived == ()
        assert (seen.attempts["jo"].command, seen.attempts["jo"].outcome) == (Command.DATA, parse_reply(said))

    def test_a_connection_lost_after_the_dot_is_neither_success_nor_failure(self) -> None:
        seen = self.deliver("jo", "mo", rcpt={"mo": "550 5.1.1 no such user"}, replies={Command.DOT: None})
        assert (seen.attempts["jo"].command, seen.said("jo")) == (Command.DOT, Failure.LOST_AFTER_DOT.value)
        assert seen.said("mo") == "550"
        assert seen.copies() == {"jo": 1}

    @pytest.mark.parametrize("command", [Command.CONNECT, Command.MAIL, Command.DATA])
    def test_a_connection_lost_before_the_dot_is_a_failure_of_that_command(self, command: Command) -> None:
        seen = self.deliver("jo", replies={command: None})
        assert (seen.attempts["jo"].command, seen.said("jo")) == (command, Failure.RESET.value)

    def test_a_connection_lost_at_one_recipient_keeps_the_refusals_before_it(self) -> None:
        seen = self.deliver("jo", "mo", "bo", rcpt={"jo": "550 5.1.1 no such user", "mo": None})
        assert [seen.said(local) for local in ("jo", "mo", "bo")] == ["550", "reset", "reset"]
        assert seen.arrived == ()

    @pytest.mark.parametrize("said", NONSENSE)
    def test_a_nonsense_reply_to_rcpt_is_a_value_and_no_acceptance(self, said: bytes) -> None:
        seen = self.deliver("jo", rcpt={"jo": said})
        assert isinstance(seen.attempts["jo"].outcome, Reply)
        assert seen.arrived == ()

    @pytest.mark.parametrize("command", [Command.CONNECT, Command.MAIL, Command.DATA, Command.DOT])
    @pytest.mark.parametrize("said", [each for each in NONSENSE if not each.startswith(b"354")])
    def test_a_nonsense_reply_to_any_command_is_a_value_and_no_delivery(self, command: Command, said: bytes) -> None:
        seen = self.deliver("jo", replies={command: said})
        assert seen.attempts["jo"].command is command
        assert not _is_delivered(seen.attempts["jo"])

    # Each subclass is another `self`, which Hypothesis would otherwise take for a mistake.
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(code=st.integers(0, 999), text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
    def test_any_reply_to_rcpt_is_kept_and_only_a_2yz_accepts(self, code: int, text: str) -> None:
        said = f"{code:03} {text}".replace("\r", "").replace("\n", "")
        seen = self.deliver("jo", "mo", rcpt={"jo": said})
        accepted = parse_reply(said).klass == 2
        assert seen.copies()["jo"] == accepted
        assert (seen.attempts["jo"].rcpt_reply if accepted else seen.attempts["jo"].outcome) == parse_reply(said)


class SmtpMailerContract(MailerContract):
    """What holds besides for a mailer that speaks SMTP: the octets, and replies that come too many or out of turn."""

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (CONTENT, CONTENT),
            (b"a: b\r\n\r\n.\r\n..\r\n.x\r\n", b"a: b\r\n\r\n.\r\n..\r\n.x\r\n"),
            (b"a: b\r\n\r\nno final line end", b"a: b\r\n\r\nno final line end\r\n"),
            (b"a: b\n\nbare\nline\n.\nfeeds\n", b"a: b\r\n\r\nbare\r\nline\r\n.\r\nfeeds\r\n"),
            (
                b"a: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@x.example>\r\n",
                b"a: b\r\n\r\nx\r\n.\r\nMAIL FROM:<evil@x.example>\r\n",
            ),
            (b"a: b\r\rbare returns\r.\r", b"a: b\r\n\r\nbare returns\r\n.\r\n"),
            (b".", b".\r\n"),
            (b"", b""),
            (b"a: b\r\n\r\n\xff\x00\xe4\r\n", b"a: b\r\n\r\n\xff\x00\xe4\r\n"),
            (b"a: b\r\n\r\n" + b".\r\n" * 70_000, b"a: b\r\n\r\n" + b".\r\n" * 70_000),
        ],
    )
    def test_the_message_arrives_octet_by_octet_with_crlf_line_ends(self, content: bytes, expected: bytes) -> None:
        seen = self.deliver_to(World(), (recipient("jo"),), content)
        assert [message.content for message in seen.arrived] == [expected]

    def test_the_envelope_arrives_as_it_is(self) -> None:
        odd = tuple(map(parse_address, ("a..b@x.example", '"a b"@x.example', '"a@b"@x.example', "Jo+x@[192.0.2.1]")))
        world = World()
        with self.opened(world) as opened:
            opened.mailer.deliver(Envelope(sender="", recipients=odd, content=CONTENT))
            assert [(each.sender, each.recipients) for each in opened.arrived] == [("", tuple(map(str, odd)))]

    @pytest.mark.parametrize("more", [b"250 2.0.0 queued\r\n", b"x", b"\r\n", b"550 5.1.1 no such user\r\n"])
    @pytest.mark.parametrize("first", [b"250 2.1.5 ok\r\n", b"550 5.1.1 no such user\r\n"])
    def test_octets_that_nobody_asked_for_void_the_reply_and_end_the_transaction(
        self, first: bytes, more: bytes
    ) -> None:
        seen = self.deliver("jo", "mo", rcpt={"jo": first + more})
        outcome = seen.attempts["jo"].outcome
        assert isinstance(outcome, Reply)
        assert Flaw.OUT_OF_STEP in outcome.flaws
        assert seen.said("mo") == Failure.NOT_ATTEMPTED.value
        assert seen.arrived == ()

    def test_a_354_with_more_behind_it_is_not_followed_by_the_message(self) -> None:
        seen = self.deliver("jo", replies={Command.DATA: b"354 go ahead\r\n250 2.0.0 queued\r\n"})
        assert seen.arrived == ()
        assert seen.attempts["jo"].command is Command.DATA

    def test_more_than_one_reply_to_the_final_dot_is_no_delivery(self) -> None:
        seen = self.deliver("jo", replies={Command.DOT: b"250 2.0.0 queued\r\n250 2.0.0 queued\r\n"})
        assert not _is_delivered(seen.attempts["jo"])

    def test_a_farewell_right_behind_the_final_reply_leaves_the_delivery_alone(self) -> None:
        seen = self.deliver("jo", replies={Command.DOT: b"250 2.0.0 queued\r\n421 4.3.2 shutting down\r\n"})
        assert _is_delivered(seen.attempts["jo"])


def _is_delivered(attempt: Attempt) -> bool:
    outcome = attempt.outcome
    return (
        attempt.command is Command.DOT
        and isinstance(outcome, Reply)
        and outcome.klass == 2
        and Flaw.OUT_OF_STEP not in outcome.flaws
    )
