"""`mailverdict states freeze` and `lift`, and the list with freezes, throttles and recoveries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
NOON, LATER = ("--now", "2026-01-01T12:00:00Z"), ("--now", "2026-01-01T12:30:00Z")
PAIR = "y.example>x.example"
GONE, SLOW, YES = "550 5.1.1 User unknown", "451 4.7.1 You are sending too fast", "250 2.0.0 queued"
SLOWER = """
mailverdict: 1
rules:
  - {id: slower, when: {text: slower}, then: {action: retry, throttle: {rate: 60/1h, for: 2h}}}
"""


@pytest.fixture
def tell(run: Run, lines: Lines) -> Callable[..., str]:
    """Observe a reply to jo@x.example, and return what is to be done."""
    Path("slower.yaml").write_text(SLOWER)

    def tell_(reply: str, now: tuple[str, str] = NOON, recipient: str = "jo@x.example", message: str = "m") -> str:
        said = {"reply": reply, "command": "DOT" if reply == YES else "RCPT", "now": now[1], "message_id": message}
        batch = lines({**said, "recipient": recipient, "sender": "news@y.example"})
        result = run("observe", "--batch", batch, "--rules", "slower.yaml", *STORE)
        return result.stdout.partition('"action":"')[2].partition('"')[0]

    return tell_


@pytest.fixture
def states(document: Document) -> Callable[..., dict[str, dict[str, Any]]]:
    """The states of the list, by their target."""
    return lambda *words: {each["target"]: each for each in document("states", "list", *words, *STORE)}


# ---- freezes -------------------------------------------------------------------------------------------------------


def test_a_freeze_of_all_mail_makes_a_store_and_holds_what_would_bounce(
    run: Run, tell: Any, document: Document
) -> None:
    assert document("states", "freeze", *NOON, *STORE) == {"target": "all mail", "frozen": True}
    assert tell(GONE) == "hold"
    assert document("suppressions", "list", "--all", *NOON, *STORE) == []
    assert document("states", "lift", *STORE) == {"target": "all mail", "lifted": True}
    assert tell(GONE, LATER) == "hard-bounce"


def test_a_freeze_of_a_provider_or_a_domain_holds_that_mail_only(run: Run, tell: Any) -> None:
    run("states", "freeze", "--provider", "google", *NOON, *STORE)
    run("states", "freeze", "--provider", "x.example", *NOON, *STORE)
    assert [tell(GONE, recipient=each) for each in ("jo@gmail.com", "jo@x.example", "jo@z.example")] == [
        "hold",
        "hold",
        "hard-bounce",
    ]
    run("states", "lift", "--provider", "x.example", *STORE)
    assert [tell(GONE, LATER, each) for each in ("bo@gmail.com", "bo@x.example")] == ["hold", "hard-bounce"]


def test_who_freezes_twice_is_told_and_the_first_word_stands(run: Run, states: Any) -> None:
    run("states", "freeze", "--note", "first", *NOON, *STORE)
    again = run("states", "freeze", "--note", "second", *LATER, *STORE, status=1)
    assert again.stdout == "all mail: is frozen already\n"
    assert [(each["since"], each["note"]) for each in states().values()] == [(NOON[1], "first")]


def test_what_is_not_frozen_cannot_be_lifted(run: Run, document: Document, states: Any) -> None:
    run("states", "freeze", *NOON, *STORE)
    shown = run("states", "lift", "--provider", "google", *STORE, status=1).stdout
    assert shown == "google: is not frozen\n  frozen: all mail since 2026-01-01 12:00:00 UTC\n"
    assert document("states", "lift", "--provider", "google", *STORE, status=1) == {"target": "google", "lifted": False}
    assert [each["kind"] for each in states().values()] == ["freeze"]
    assert run("states", "lift", *STORE).stdout == "all mail: lifted\n"
    assert states() == {}


def test_lifting_makes_no_store(run: Run) -> None:
    assert run("states", "lift", *STORE, status=3).stderr == "mailverdict: no such store: `mail.db`\n"
    assert not Path("mail.db").exists()


def test_a_freeze_is_listed_with_its_note_and_without_what_could_move_a_cursor(run: Run, states: Any) -> None:
    run("states", "freeze", "--note", "says no\x1b[2J to all", *NOON, *STORE)
    run("states", "freeze", "--provider", "G Mail", *NOON, *STORE)
    everything, named = states().values()
    assert list(everything) == ["kind", "target", "since", "note", "active", "why"]
    assert (everything["kind"], everything["target"], everything["since"]) == ("freeze", "", NOON[1])
    assert everything["why"] == "no mail is bounced, and nobody is suppressed for it: says no?[2J to all"
    assert (named["target"], named["active"], named["note"]) == ("google", True, "")
    shown = run("states", "list", *NOON, *STORE).stdout
    assert "\x1b" not in shown
    assert [line.split()[:3] for line in shown.splitlines() if "freeze" in line] == [
        ["freeze", "all", "mail"],
        ["freeze", "google", "2026-01-01"],
    ]
    assert shown.count("it is lifted") == 2


def test_what_a_freeze_held_is_said_by_the_plan_until_it_is_lifted(run: Run, tell: Any, document: Document) -> None:
    run("states", "freeze", *NOON, *STORE)
    tell(GONE)
    asked = ("plan", "--to", "jo@x.example", "--message-id", "m", *LATER, *STORE)
    (held,) = document(*asked)
    why = "all mail is frozen since 2026-01-01 12:00 UTC, until `mailverdict states lift`"
    assert (held["verdict"], held["why"]) == ("held", why)
    run("states", "lift", *STORE)
    assert document(*asked)[0]["verdict"] == "send"


def test_what_is_held_by_the_freeze_of_a_provider_names_the_command_that_ends_it(
    run: Run, tell: Any, document: Document
) -> None:
    run("states", "freeze", "--provider", "google", *NOON, *STORE)
    tell(GONE, recipient="jo@gmail.com")
    (held,) = document("plan", "--to", "jo@gmail.com", "--message-id", "m", *LATER, *STORE)
    command = held["why"].partition("until `mailverdict ")[2].partition("`")[0]
    assert run(*command.split(), *STORE).stdout == "google: lifted\n"


def test_who_freezes_one_domain_of_a_provider_is_told_so(run: Run) -> None:
    shown = run("states", "freeze", "--provider", "gmail.com", *NOON, *STORE).stdout
    assert shown == (
        "gmail.com: frozen\n  gmail.com is one domain of google; `--provider google` freezes all of them\n"
    )
    assert run("states", "freeze", "--provider", "x.example", *NOON, *STORE).stdout == "x.example: frozen\n"


def test_a_freeze_is_lifted_under_any_name_and_said_under_its_own(run: Run, document: Document) -> None:
    run("states", "freeze", "--provider", "google", *NOON, *STORE)
    assert run("states", "lift", "--provider", "gmail", *STORE).stdout == "google: lifted\n"
    shown = run("states", "lift", "--provider", "gmail", *STORE, status=1).stdout
    assert shown == "google: is not frozen\n  nothing is frozen\n"


@pytest.mark.parametrize(("name", "said"), [("gmail", "google"), ("no-one", "no-one"), ("no\x1b one", "no? one")])
def test_who_lifts_what_is_not_frozen_is_told_what_is(name: str, said: str, run: Run) -> None:
    run("states", "freeze", "--provider", "gmail.com", *NOON, *STORE)
    shown = run("states", "lift", "--provider", name, *STORE, status=1).stdout
    assert shown == f"{said}: is not frozen\n  frozen: gmail.com since 2026-01-01 12:00:00 UTC\n"


def test_broken_rules_keep_nobody_from_freezing_lifting_and_listing(run: Run) -> None:
    Path("broken.yaml").write_text("mailverdict: 1\nrulez: []\n")
    env = {"MAILVERDICT_RULES": "broken.yaml"}
    run("states", "freeze", *NOON, *STORE, env=env)
    listed = run("states", "list", *NOON, *STORE, env=env)
    assert "all mail" in listed.stdout
    assert "limits are not shown" in listed.stderr
    run("states", "lift", *STORE, env=env)


# ---- limits --------------------------------------------------------------------------------------------------------


def test_the_limits_of_the_rules_are_listed_with_their_place(document: Document, run: Run) -> None:
    Path("gentle.yaml").write_text(
        "mailverdict: 1\nlimits:\n  gentle:\n    rate: 60/1h\ndomains:\n  p.example: {defaults: {limit: gentle}}\n"
    )
    run("states", "freeze", *NOON, *STORE)
    run("states", "lift", *STORE)
    (limit,) = document("states", "list", "--rules", "gentle.yaml", *NOON, *STORE)
    why = "mail to p.example goes at 60/1h from each sender's domain: limit gentle (gentle.yaml:3)"
    assert limit == {
        "kind": "limit", "target": "p.example", "since": None, "name": "gentle", "rate": "60/1h",
        "file": "gentle.yaml", "line": 3, "active": True, "why": why,
    }  # fmt: skip
    assert why in run("states", "list", "--rules", "gentle.yaml", *NOON, *STORE).stdout
    assert document("states", "list", *NOON, *STORE) == []


# ---- throttles and recoveries --------------------------------------------------------------------------------------


def test_a_throttle_is_listed_while_it_lasts_and_can_be_cancelled(run: Run, tell: Any, states: Any) -> None:
    tell("450 slower please")
    (throttle,) = states(*LATER).values()
    assert (throttle["kind"], throttle["target"], throttle["rate"]) == ("throttle", PAIR, "60/1h")
    assert (throttle["since"], throttle["until"]) == (NOON[1], "2026-01-01T14:00:00Z")
    assert throttle["why"].startswith("mail from y.example to x.example goes at 60/1h: ")
    shown = run("states", "list", *LATER, *STORE).stdout
    assert "throttle" in shown
    assert "60/1h" in shown
    over = ("--now", throttle["until"])
    assert states(*over) == {}
    assert [each["active"] for each in states("--all", *over).values()] == [False]
    assert run("states", "cancel", PAIR, *LATER, *STORE).stdout == f"{PAIR}: cancelled\n"
    assert states(*LATER) == {}


def test_a_suspension_that_is_over_is_listed_as_recovering_until_it_is_well(
    run: Run, tell: Any, states: Any, document: Document
) -> None:
    tell(SLOW)
    assert states(*NOON)[PAIR]["recovering_at"] is None
    recovering = states(*LATER)[PAIR]
    assert (recovering["kind"], recovering["active"], recovering["recovering_at"]) == ("suspension", True, "1/1m")
    assert recovering["why"] == "mail from y.example to x.example recovers, 1/1m now"
    (line,) = [each for each in run("states", "list", *LATER, *STORE).stdout.splitlines() if PAIR in each]
    assert line.split()[0] == "recovery"
    assert "it is well" in line
    tell(YES, LATER, message="n")
    assert states(*LATER) == {}
    assert states("--all", *LATER)[PAIR]["well_at"] == LATER[1]


def test_a_recovery_can_be_cancelled(run: Run, tell: Any, states: Any, document: Document) -> None:
    tell(SLOW)
    asked = ("plan", "--to", "bo@x.example", "--to", "al@x.example", "--from", "news@y.example", *LATER, *STORE)
    assert [each["verdict"] for each in document(*asked)] == ["send", "wait"]
    run("states", "cancel", PAIR, *LATER, *STORE)
    assert [each["verdict"] for each in document(*asked)] == ["send", "send"]
    assert states(*LATER) == {}
