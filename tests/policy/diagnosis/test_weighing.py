"""The weighing: what counts, what decides, and what a reply may look like without changing it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.attempt import Command
from policy.diagnosis import weighing
from policy.diagnosis.category import Category, EvidenceKind
from policy.diagnosis.knowledge import shipped_knowledge
from policy.diagnosis.weighing import Weighing, near_misses, weigh
from policy.reply import Reply, parse_reply
from policy.testing.replies import parsed_replies, wire_replies

KNOWLEDGE = shipped_knowledge()
COMMANDS = st.sampled_from([None, *Command])
# What people's servers say, in our words; enough of each matter to mix them.
SENTENCES = st.lists(
    st.sampled_from(
        ["no such user", "mailbox full", "blocked", "looks like spam", "SPF", "try again later", "relay access denied",
         "your IP is on a blocklist", "too many connections", "sender rejected", "thank you", "for jo", "not found"]
    ),
    max_size=4,
)  # fmt: skip


def weighed(text: str, command: Command | None = Command.RCPT, provider: str | None = None) -> Weighing:
    return weigh(KNOWLEDGE, parse_reply(text), command, provider, None)


@given(SENTENCES, COMMANDS, st.sampled_from(["450", "550", "554 5.7.1", "550 5.1.1", "577"]))
def test_the_category_with_the_most_points_decides(said: list[str], command: Command | None, head: str) -> None:
    weighing = weighed(f"{head} {', '.join(said)}", command)
    totals = dict(weighing.points)
    if weighing.deciding is None:
        assert not totals
        return
    assert totals[weighing.deciding.category] == max(totals.values())


@given(SENTENCES, COMMANDS)
def test_saying_it_twice_is_no_proof(said: list[str], command: Command | None) -> None:
    once = " hello ".join(said)  # a word between, so that no two sentences make a third
    once, twice = weighed(f"550 {once}", command), weighed(f"550 {once} hello {once}", command)
    assert once.points == twice.points


@given(SENTENCES, COMMANDS, st.sampled_from([str.upper, str.lower, str.title, lambda text: text + "   "]))
def test_case_and_trailing_blanks_do_not_weigh(said: list[str], command: Command | None, change: object) -> None:
    text = f"550 {' '.join(said)}"
    assert weighed(change(text), command).points == weighed(text, command).points  # type: ignore[operator]


@given(SENTENCES, COMMANDS)
def test_neither_do_line_breaks_nor_neutral_lines(said: list[str], command: Command | None) -> None:
    whole = weighed(f"550 {' ; '.join(said)}", command)
    split = weighed("".join(f"550-{each}\r\n" for each in said) + "550 bye", command)
    assert whole.points == split.points


@given(wire_replies(), COMMANDS, st.sampled_from([None, "google", "microsoft", "nobody"]))
def test_any_bytes_are_weighed(raw: bytes, command: Command | None, provider: str | None) -> None:
    reply = parse_reply(raw)
    weighing = weigh(KNOWLEDGE, reply, command, provider, None)
    assert all(each.evidence.value.isprintable() for each in weighing.spoken)
    assert all(reason for _, reason in near_misses(KNOWLEDGE, reply, command, provider, None))


def test_another_class_in_the_status_weighs_like_no_status() -> None:
    assert weighed("550 4.2.2 no such user").points == weighed("550 5.0.0 no such user").points


def test_of_equal_points_the_one_that_excuses_the_recipient_wins() -> None:
    weighing = weighed("550 no such user, rejected as spam", Command.DOT)
    totals = dict(weighing.points)
    assert totals[Category.SPAM_CONTENT] == totals[Category.BAD_MAILBOX]
    assert weighing.points[0][0] is Category.SPAM_CONTENT


def test_the_reply_of_another_host_inside_this_one_counts_as_its_status() -> None:
    weighing = weighed("554 mx.example said: 550 5.1.1 refused there", Command.DOT)
    assert any(each.evidence.kind is EvidenceKind.ENHANCED_STATUS and each.by == "5.1.1" for each in weighing.spoken)


def test_what_almost_matched_says_why_it_did_not() -> None:
    reply = parse_reply("550 sender verify failed: unknown user")
    reasons = {each.id: reason for each, reason in near_misses(KNOWLEDGE, reply, Command.RCPT, None, None)}
    assert "speaks against it" in reasons["user-unknown"]


@pytest.mark.parametrize(
    ("text", "command", "category"),
    [
        ("550 5.7.1 No such user", Command.RCPT, Category.BAD_MAILBOX),
        ("550 5.1.1 Blocked, see Spamhaus", Command.RCPT, Category.REPUTATION_BLOCK),
        ("550 5.2.1 Mailbox unavailable. Your IP is listed on a blocklist", Command.RCPT, Category.REPUTATION_BLOCK),
        ("550", Command.RCPT, Category.BAD_MAILBOX),
        ("550 5.7.1", Command.RCPT, Category.POLICY_OTHER),
    ],
)
def test_words_outweigh_the_status_and_the_status_the_code(text: str, command: Command, category: Category) -> None:
    assert weighed(text, command).points[0][0] is category


@given(st.lists(st.tuples(parsed_replies(), COMMANDS, st.sampled_from([None, "google", "microsoft"])), max_size=4))
def test_what_was_weighed_before_changes_nothing(asked: list[tuple[Reply, Command | None, str | None]]) -> None:
    negative = [each for each in asked if each[0].klass in (4, 5)]
    fresh = []
    for reply, command, provider in negative:
        weighing.weighed.cache_clear()
        fresh.append(weigh(KNOWLEDGE, reply, command, provider, None))
    assert [weigh(KNOWLEDGE, *each, None) for each in (*negative, *negative)] == [*fresh, *fresh]


@given(st.data())
def test_replies_that_say_the_same_weigh_the_same_whatever_their_ids(data: st.DataObject) -> None:
    said = data.draw(SENTENCES)
    ids = data.draw(st.lists(st.from_regex(r"[0-9A-F]{12}", fullmatch=True), min_size=2, max_size=2))
    weighing.weighed.cache_clear()
    first, second = (weighed(f"550 5.0.0 {'; '.join(said)}; {each}") for each in ids)
    assert first == second
    assert weighing.weighed.cache_info().misses == 1
