"""How the reply that a report quotes is found among the words around it."""

import pytest

from adapters.logs.diagnostic import command_in, entries, read_diagnostic
from policy import Command


@pytest.mark.parametrize(
    ("value", "said", "command"),
    [
        ("smtp; 550 5.1.1 no (in reply to RCPT TO command)", "550 5.1.1 no", Command.RCPT),
        (
            "X-Postfix; host mx.a.example[192.0.2.1] said: 550 no (in reply to MAIL FROM command)",
            "550 no",
            Command.MAIL,
        ),
        ("smtp; host a.example[192.0.2.1] refused to talk to me: 554 5.7.1 no", "554 5.7.1 no", Command.CONNECT),
        (
            "smtp; SMTP error from remote mail server after RCPT TO:<jo@a.example>: 550 no",
            "550 no",
            Command.RCPT,
        ),
        (
            "smtp; SMTP error from remote mailer after end of data: host mx.a.example [192.0.2.1]: 554 spam",
            "554 spam",
            Command.DOT,
        ),
        ("SMTP;550", "550", None),
        ("smtp; 550 5.1.1 see line 550 there", "550 5.1.1 see line 550 there", None),
    ],
)
def test_the_wrapping_of_a_reply_is_taken_off_and_names_the_command(
    value: str, said: str, command: Command | None
) -> None:
    diagnostic = read_diagnostic(value)
    assert (str(diagnostic.reply), diagnostic.command) == (said, command)


@pytest.mark.parametrize(
    "value", ["", ";", "smtp;", "smtp; 5500 x", "smtp; 650 x", "smtp; ５５０ x", "x-unix; 550 x", "550 x"]
)
def test_what_is_no_smtp_reply_is_none(value: str) -> None:
    assert read_diagnostic(value).reply is None


def test_lines_that_were_joined_are_broken_at_the_replys_own_code_only() -> None:
    reply = read_diagnostic("smtp; 550-5.1.1 one 550-5.1.1 two 551 550 5.1.1 three 550 four").reply
    assert reply is not None
    assert [*map(str, reply.lines)] == ["one", "two 551", "three 550 four"]


def test_the_text_for_people_is_read_recipient_by_recipient() -> None:
    said = entries("Hello.\n\n<Jo@example.org>: host a said: no\n    more\n\n  bo@example.org\n    host b: yes\n")
    assert said == {"jo@example.org": "host a said: no more", "bo@example.org": "host b: yes"}


def test_a_text_that_names_nobody_says_nothing() -> None:
    assert entries("Your mail failed.\n") == {}


@pytest.mark.parametrize("words", ["", "(in reply to XYZZY command)", "error from remote mail server after lunch: 550"])
def test_words_that_name_no_command_give_none(words: str) -> None:
    assert command_in(words) is None
