"""`mailverdict suppressions`: added, shown, released, undone, exported and imported, by the same rules everywhere."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from adapters.cli import listing, undoing
from adapters.cli.app import cli
from adapters.stores import open_store
from policy import curating
from policy.history import EntryState, Source
from policy.testing.store_lines import suppression

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
OTHER = ("--store", "sqlite:///other.db")
NOON = ("--now", "2026-01-01T12:00:00Z")
GONE = {"reply": "550 5.1.1 no such user", "command": "RCPT"}
FULL = {"reply": "550", "command": "RCPT"}


@pytest.fixture
def past(run: Run, lines: Lines) -> None:
    """Three that bounced, at nine, ten and eleven; one that complained and one by hand."""
    told = [
        {**GONE, "recipient": "ann@gmail.com", "now": "2026-01-01T09:00:00Z"},
        {**GONE, "recipient": "bo@x.example", "now": "2026-01-01T10:00:00Z"},
        {**FULL, "recipient": "cy@x.example", "now": "2026-01-01T11:00:00Z"},
    ]
    run("observe", "--batch", lines(*told), *STORE)
    run("suppressions", "add", "di@x.example", "--source", "complaint", *NOON, *STORE)
    run("suppressions", "add", "z.example", "--note", "=cmd|' /C calc'!A0", *NOON, *STORE)


@pytest.fixture
def listed(document: Document) -> Callable[..., list[str]]:
    """The targets that the list shows."""
    return lambda *words, store=STORE: [
        each["address"] for each in document("suppressions", "list", *words, *NOON, *store)
    ]


ALL = ["ann@gmail.com", "bo@x.example", "cy@x.example", "di@x.example", "z.example"]


def test_what_is_added_by_hand_binds_for_ever_and_says_who_said_so(document: Document, run: Run) -> None:
    words = ("suppressions", "add", "Jo@x.example", "X.example", "--note", "asked\x1b[2J by phone")
    added = document(*words, *NOON, *STORE)
    assert added == [{"address": "jo@x.example", "added": True}, {"address": "x.example", "added": True}]
    assert [each["added"] for each in document(*words, *STORE)] == [False, False]
    jo, domain = document("suppressions", "list", "--now", "2099-01-01T00:00:00Z", *STORE)
    assert (jo["source"], jo["strength"], jo["expires_at"], jo["note"]) == (
        "manual",
        "permanent",
        None,
        "asked?[2J by phone",
    )
    assert (jo["scope"], domain["scope"]) == ("address", "domain")
    assert run("plan", "--to", "bo@x.example", *STORE).stdout.count("suppressed") >= 1


@pytest.mark.usefixtures("past")
def test_a_list_can_be_cut_by_time_provider_and_rule(listed: Any) -> None:
    assert listed() == ALL
    assert listed("--since", "2026-01-01T10:00:00Z") == listed("--since", "2h") == ALL[1:]
    assert listed("--provider", "google") == ["ann@gmail.com"]
    assert listed("--provider", "x.example") == ["bo@x.example", "cy@x.example"]
    assert listed("--rule", "no-such-mailbox", "--since", "3h") == ["ann@gmail.com", "bo@x.example"]


@pytest.mark.usefixtures("past")
def test_what_was_released_is_listed_among_all_only(listed: Any, run: Run) -> None:
    run("suppressions", "remove", "bo@x.example", *STORE)
    assert "bo@x.example" not in listed()
    assert listed("--all") == ALL


@pytest.mark.usefixtures("past")
def test_show_tells_all_that_is_known_of_an_address(document: Document, run: Run, lines: Lines) -> None:
    full = {"reply": "452 4.2.2 full", "command": "RCPT", "recipient": "full@z.example", "message_id": "m"}
    run("observe", "--batch", lines({**full, "now": "2026-01-01T09:00:00Z"}), *STORE)
    (shown,) = document("suppressions", "show", "FULL@z.example", *NOON, *STORE)
    assert list(shown) == ["address", "suppressed", "suppressions", "strikes", "last_success"]
    assert [each["address"] for each in shown["suppressions"]] == ["z.example"]  # its domain's
    assert [each["message_id"] for each in shown["strikes"]] == ["m"]
    text = run("suppressions", "show", "bo@x.example", "nobody@y.example", *NOON, *STORE).stdout
    assert "bo@x.example: suppressed" in text
    assert "550 5.1.1 no such user" in text
    assert "nobody@y.example: not suppressed" in text


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_export_imported_elsewhere_gives_the_same_list_once_or_twice(
    form: str, document: Document, run: Run
) -> None:
    exported = run("suppressions", "export", "--format", form, *NOON, *STORE).stdout
    Path("list").write_text(exported)
    for kept in (5, 0):
        count = document("suppressions", "import", "list", *NOON, *OTHER)
        assert count == {"kept": kept, "stands": 5 - kept, "over": 0, "passed": 0, "bad": 0, "passed_over": {}}
        assert run("suppressions", "export", "--format", form, *NOON, *OTHER).stdout == exported
    one, other = (document("suppressions", "list", *NOON, *store) for store in (STORE, OTHER))
    assert one == other


@pytest.mark.usefixtures("past")
def test_an_export_has_a_json_line_or_a_row_for_each_entry_and_no_formulas(run: Run) -> None:
    exported = run("suppressions", "export", *NOON, *STORE).stdout.splitlines()
    assert [json.loads(each)["address"] for each in exported] == ALL
    rows = list(csv.DictReader(io.StringIO(run("suppressions", "export", "--format", "csv", *NOON, *STORE).stdout)))
    assert [each["address"] for each in rows] == ALL
    assert rows[-1]["note"].startswith("'=cmd")


@pytest.mark.usefixtures("past")
def test_an_import_takes_nothing_away(listed: Any, run: Run) -> None:
    run("suppressions", "remove", "bo@x.example", *STORE)
    Path("list").write_text(run("suppressions", "export", "--all", *NOON, *STORE).stdout)
    run("suppressions", "add", "bo@x.example", *NOON, *STORE)
    assert "1 left out" in run("suppressions", "import", "list", *NOON, *STORE).stdout
    assert "bo@x.example" in listed()


def test_bad_lines_are_told_the_rest_is_kept_and_the_status_is_1(run: Run, listed: Any) -> None:
    many = "".join(f"a{n}@x.example\n" for n in range(1201))
    Path("list").write_text(f"address\nno\x1baddress\n{many}")
    result = run("suppressions", "import", "list", *NOON, *STORE, status=1)
    assert "1201 kept, 0 were there already, 1 bad" in result.stdout
    assert result.stderr.startswith("list:2: bad-entry: `address`: ")
    assert "\x1b" not in result.output
    assert len(listed()) == 1201


@pytest.mark.parametrize("form", ["address\n{}", "{}"])
def test_a_bare_word_is_no_domain_and_the_rows_around_it_are_kept(form: str, run: Run, listed: Any) -> None:
    rows = 'junk\nx.example\n=evil\n"q u"@example.com\n10.5\n[192.0.2.1]\n'
    Path("list").write_text(form.format("a@x.example\n" + rows))
    result = run("suppressions", "import", "list", *NOON, *STORE, status=1)
    assert [each.split("`")[3] for each in result.stderr.splitlines()] == ["junk", "=evil", "10.5"]
    assert listed() == ['"q u"@example.com', "[192.0.2.1]", "a@x.example", "x.example"]


def test_a_word_without_a_dot_is_not_added_either_but_what_is_there_can_be_removed(run: Run, listed: Any) -> None:
    assert "`junk` is neither" in run("suppressions", "add", "junk", *STORE, status=2).stderr
    Path("list").write_text('{"address": "junk", "scope": "domain"}')
    run("suppressions", "import", "list", *NOON, *STORE)
    assert listed() == ["junk"]
    assert "junk: released" in run("suppressions", "remove", "junk", *STORE).stdout


def test_columns_that_nobody_knows_are_one_error_that_says_what_is_known(run: Run, listed: Any) -> None:
    Path("list").write_text("email,why\n" + "a@x.example,no\n" * 300)
    (error,) = run("suppressions", "import", "list", *NOON, *STORE, status=1).stderr.splitlines()
    assert error.startswith("list:1: unknown-columns: the columns are `email`, `why`; known are `address`, `scope`")
    assert "`--from ses|sendgrid-bounces|" in error
    (error,) = run("suppressions", "import", "list", "--from", "ses", *STORE, status=1).stderr.splitlines()
    assert error == "list:1: unknown-columns: the columns are `email`, `why`; needed are `EmailAddress`, `Reason`"
    assert listed() == []


def test_a_provider_s_list_comes_from_standard_input_or_a_file(run: Run, listed: Any, document: Document) -> None:
    Path("blocks").write_text('[{"email": "a@x.example", "status": "5.7.1", "reason": "blocked", "created": 1}]')
    Path("spam").write_text('[{"email": "b@x.example", "created": 1}]')
    count = document("suppressions", "import", "--from", "sendgrid-blocks", "blocks", *STORE)
    assert (count["kept"], count["passed"], list(count["passed_over"].values())) == (0, 1, [1])
    run("suppressions", "import", "--from", "sendgrid-spam-reports", "spam", *STORE)
    assert listed() == ["b@x.example"]


def test_a_file_that_is_not_there_is_unavailable(run: Run) -> None:
    result = run("suppressions", "import", "nowhere", *STORE, status=3)
    assert result.stderr == "mailverdict: `nowhere` cannot be read: No such file or directory\n"


@pytest.mark.usefixtures("past")
def test_after_an_undo_nothing_of_that_rule_binds_and_all_else_does(document: Document, listed: Any) -> None:
    asked = ("suppressions", "undo", "--rule", "no-such-mailbox", *NOON, *STORE)
    meant = document(*asked, "--dry-run")
    assert listed() == ALL
    assert document(*asked, "--yes") == meant
    assert [each["address"] for each in meant] == ["ann@gmail.com", "bo@x.example"]
    assert listed("--rule", "no-such-mailbox") == []
    assert listed() == ["cy@x.example", "di@x.example", "z.example"]
    assert document(*asked, "--yes") == []


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("how", ["--dry-run", "--yes"])
def test_an_undo_in_groups_tells_each_entry_once(
    how: str, document: Document, listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoing, "GROUP", 1)
    monkeypatch.setattr(curating, "_PAGE", 1)
    undone = document("suppressions", "undo", "--since", "12h", how, *NOON, *STORE)
    assert [each["address"] for each in undone] == ["ann@gmail.com", "bo@x.example", "cy@x.example"]
    assert listed() == (ALL if how == "--dry-run" else ALL[3:])


@pytest.mark.usefixtures("past")
def test_an_undo_of_everything_spares_what_people_said(listed: Any, run: Run) -> None:
    assert "3 released" in run("suppressions", "undo", "--since", "12h", "--yes", *NOON, *STORE).stdout
    assert listed() == ["di@x.example", "z.example"]


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(("answer", "left"), [("y\n", 4), ("n\n", 5)])
def test_on_a_terminal_an_undo_shows_what_it_means_and_asks(
    answer: str, left: int, listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoing, "is_attended", lambda: True)
    words = ["suppressions", "undo", "--provider", "google", *NOON, *STORE]
    result = CliRunner().invoke(cli, words, input=answer)
    assert result.exit_code == 0
    assert "ann@gmail.com" in result.output
    assert "Release this 1?" in result.output
    assert len(listed()) == left


@pytest.mark.usefixtures("past")
def test_where_nobody_can_be_asked_an_undo_needs_yes_and_it_always_needs_a_limit(run: Run, listed: Any) -> None:
    assert not listing.is_attended()
    assert "--yes" in run("suppressions", "undo", "--since", "2h", *NOON, *STORE, status=2).stderr
    assert "say what to undo" in run("suppressions", "undo", "--yes", *NOON, *STORE, status=2).stderr
    assert listed() == ALL


@pytest.mark.parametrize("said", ["2", "h", "yesterday", "2026-01-01", "-2h", "2h2"])
def test_what_is_neither_a_time_nor_a_span_is_a_usage_error(said: str, run: Run) -> None:
    assert "--since" in run("suppressions", "list", "--since", said, "--store", "memory:", status=2).stderr


def test_a_span_that_no_calendar_holds_is_a_usage_error(run: Run) -> None:
    for said in ("999999w", "99999999999999d", "1h999999999999999999w"):
        told = run("suppressions", "list", "--since", said, "--store", "memory:", status=2).stderr
        assert f"'--since': `{said}` is too long ago" in told


@pytest.mark.usefixtures("past")
def test_an_undo_of_nothing_says_what_the_guard_had_put_aside_before(run: Run) -> None:
    store = open_store(STORE[1])
    with store.unit() as unit:
        for target in ("a@gmail.com", "b@gmail.com"):
            aside = suppression(target=target, source=Source.BOUNCE)
            unit.put(evolve(aside, provider="google", state=EntryState.QUARANTINED))
    store.close()
    asked = ("suppressions", "undo", "--provider", "google", *NOON, *STORE)
    said = "google: 2 were quarantined already by the outage guard, and bind nobody\n"
    assert "quarantined" not in run(*asked, "--dry-run").stdout
    assert run(*asked, "--yes").stdout == "1 released\n"
    assert run(*asked, "--dry-run").stdout == f"nothing to release\n{said}"
    assert json.loads(run(*asked, "--dry-run", "--format", "json").stdout) == []
    assert "quarantined" not in run("suppressions", "undo", "--provider", "x.example", "--yes", *NOON, *STORE).stdout


def test_what_was_entered_by_hand_says_so_with_its_note_and_names_no_rule(run: Run) -> None:
    run("suppressions", "add", "jo@x.example", "--note", "asked by phone", *NOON, *STORE)
    run("suppressions", "add", "bo@x.example", "--source", "complaint", *NOON, *STORE)
    shown = run("suppressions", "show", "jo@x.example", "bo@x.example", *NOON, *STORE).stdout
    assert [each.strip() for each in shown.splitlines() if "why" in each] == [
        "why: entered by hand: asked by phone",
        "why: a complaint, entered by hand",
    ]
    assert shown.count("asked by phone") == 1
    head, entry = (
        each
        for each in run("suppressions", "list", *NOON, *STORE).stdout.splitlines()
        if "reply" in each or "jo@" in each
    )
    assert head.split()[-3:] == ["reply", "or", "note"]
    assert entry.strip().endswith("asked by phone")


@pytest.mark.parametrize(("sign", "called"), [(";", "`;`"), ("\t", "tabs"), ("|", "`|`")])
@pytest.mark.parametrize("whose", [("address{}source", "mailverdict"), ("email{}created", "sendgrid-bounces")])
def test_a_list_with_other_signs_than_commas_is_one_error_that_says_so(
    sign: str, called: str, whose: tuple[str, str], run: Run, listed: Any
) -> None:
    header, of = whose
    Path("list").write_text(header.format(sign) + f"\na@x.example{sign}manual\n" * 3)
    (error,) = run("suppressions", "import", "list", "--from", of, *STORE, status=1).stderr.splitlines()
    assert error == f"list:1: no-commas: the columns are separated by {called}; a list has commas between them"
    assert listed() == []


def test_a_plain_list_takes_quoted_names_trailing_blanks_and_any_sign_that_an_address_has(
    run: Run, listed: Any
) -> None:
    Path("list").write_text('"q r"@p.example\nbo@p.example \na|b@p.example\n')
    assert run("suppressions", "import", "list", *STORE).stdout.startswith("3 kept")
    assert listed() == ['"q r"@p.example', "a|b@p.example", "bo@p.example"]


@pytest.mark.parametrize("content", ["", "\n \n", "address,source\n", "[]"])
def test_a_list_with_nothing_in_it_is_told_as_that(content: str, run: Run) -> None:
    Path("list").write_text(content)
    assert run("suppressions", "import", "list", *STORE).stderr == "mailverdict: there is no entry in `list`\n"
