"""Suppression lists of providers: what their records come to, what is passed over, and our own list there and back."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from adapters.logs.alike_rows import AlikeRows
from adapters.logs.records import bare, guarded
from adapters.logs.suppression_lists import COLUMNS, OURS, TABLES, Listed, cells, read_list
from policy.address import Address
from policy.contract import write_suppression
from policy.decision import Scope, Strength
from policy.history import EntryState, Source, Suppression
from policy.testing import values

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SES = """{
    "SuppressedDestinationSummaries": [
        {
            "EmailAddress": "Ann@x.example",
            "Reason": "BOUNCE",
            "LastUpdateTime": "2021-04-20T13:51:35.155000+00:00"
        },
        {"EmailAddress": "bo@x.example", "Reason": "COMPLAINT", "LastUpdateTime": 1618926695.155}
    ],
    "NextToken": "x"
}"""
POSTMARK = {
    "Suppressions": [
        {
            "EmailAddress": "ann@x.example",
            "SuppressionReason": "HardBounce",
            "Origin": "Recipient",
            "CreatedAt": "2021-04-20T09:51:35-04:00",
        },
        {"EmailAddress": "bo@x.example", "SuppressionReason": "SpamComplaint", "Origin": "Recipient"},
        {"EmailAddress": "cy@x.example", "SuppressionReason": "ManualSuppression", "Origin": "Recipient"},
        {"EmailAddress": "di@x.example", "SuppressionReason": "ManualSuppression", "Origin": "Customer"},
    ]
}
MAILGUN_BOUNCES = {
    "items": [
        {
            "address": "ann@x.example",
            "code": "550",
            "error": "No such mailbox",
            "created_at": "Tue, 20 Apr 2021 13:51:35 GMT",
        }
    ],
    "paging": {"next": "https://x.example/next"},
}


def read(text: str | list[Any] | dict[str, Any], of: str) -> list[Listed]:
    raw = text if isinstance(text, str) else json.dumps(text)
    return list(read_list(io.BytesIO(raw.encode()), of=of, name="list.txt", now=NOW))


def entries(text: str | list[Any] | dict[str, Any], of: str) -> list[Suppression]:
    listed = read(text, of)
    assert [each.error for each in listed] == [""] * len(listed)
    return [each.suppression for each in listed if each.suppression]


@pytest.mark.parametrize(
    ("of", "text", "sources"),
    [
        ("ses", SES, ["import", "complaint"]),
        (
            "ses",
            "Email Address,Reason,Last Update Time\nann@x.example,BOUNCE,2021-04-20 13:51:35 UTC\n",
            ["import"],
        ),
        (
            "sendgrid-bounces",
            [{"created": 1618926695, "email": "ann@x.example", "reason": "550 5.1.1 no", "status": "5.1.1"}],
            ["import"],
        ),
        ("sendgrid-bounces", "status,reason,email,created\n5.1.1,550 no,ann@x.example,1618926695\n", ["import"]),
        (
            "sendgrid-spam-reports",
            [{"created": 1618926695, "email": "ann@x.example", "ip": "192.0.2.1"}],
            ["complaint"],
        ),
        ("sendgrid-spam-reports", "email,ip,created\nann@x.example,192.0.2.1,1618926695\n", ["complaint"]),
        ("sendgrid-unsubscribes", [{"created": 1618926695, "email": "ann@x.example"}], ["unsubscribe"]),
        ("sendgrid-unsubscribes", "email,created\nann@x.example,1618926695\n", ["unsubscribe"]),
        ("mailgun-bounces", MAILGUN_BOUNCES, ["import"]),
        (
            "mailgun-bounces",
            'address,code,error,created_at\nann@x.example,550,no,"Tue, 20 Apr 2021 13:51:35 UTC"\n',
            ["import"],
        ),
        (
            "mailgun-complaints",
            {"items": [{"address": "ann@x.example", "count": 2, "created_at": "Tue, 20 Apr 2021 13:51:35 -0000"}]},
            ["complaint"],
        ),
        ("mailgun-complaints", "address,created_at\nann@x.example,2021-04-20T13:51:35Z\n", ["complaint"]),
        (
            "mailgun-unsubscribes",
            {"items": [{"address": "ann@x.example", "tags": ["*"], "created_at": "Tue, 20 Apr 2021 13:51:35 GMT"}]},
            ["unsubscribe"],
        ),
        ("mailgun-unsubscribes", "address,created_at\nann@x.example,2021-04-20T13:51:35Z\n", ["unsubscribe"]),
        ("postmark", POSTMARK, ["import", "complaint", "unsubscribe", "manual"]),
        (
            "postmark",
            "EmailAddress,SuppressionReason,Origin,CreatedAt\n"
            "ann@x.example,HardBounce,Recipient,2021-04-20T09:51:35-04:00\n",
            ["import"],
        ),
    ],
)
def test_each_form_of_each_provider_is_read(of: str, text: Any, sources: list[str]) -> None:
    found = entries(text, of)
    assert [each.source.value for each in found] == sources
    first = found[0]
    assert (first.target, first.since.replace(microsecond=0)) == (
        "ann@x.example",
        datetime(2021, 4, 20, 13, 51, 35, tzinfo=UTC),
    )
    assert (first.rule.id, first.rule.file) == (f"import-{of}", "list.txt")
    assert all((each.source is Source.IMPORT) is (each.strength is Strength.STRONG) for each in found)
    assert all(each.active(NOW) and each.expires_at is None for each in found)


def test_every_table_is_tried_above() -> None:
    (mark,) = (each for each in test_each_form_of_each_provider_is_read.pytestmark if each.name == "parametrize")
    assert {each[0] for each in mark.args[1]} | {"sendgrid-blocks"} == set(TABLES)


def test_an_import_quotes_what_the_other_server_said() -> None:
    assert [str(each.reply) for each in entries(MAILGUN_BOUNCES, "mailgun-bounces")] == ["550 No such mailbox"]


@pytest.mark.parametrize(
    ("of", "record", "why"),
    [
        ("sendgrid-blocks", {"email": "a@x.example", "reason": "550 blocked", "status": "5.7.1"}, "a block"),
        (
            "sendgrid-bounces",
            {"email": "a@x.example", "reason": "452 full", "status": "4.2.2"},
            "a failure for the time",
        ),
        ("mailgun-bounces", {"address": "a@x.example", "code": 421, "error": "later"}, "a failure for the time"),
        ("mailgun-unsubscribes", {"address": "a@x.example", "tags": ["news"]}, "an unsubscribe from some mail"),
    ],
)
def test_what_means_nothing_against_an_address_is_passed_over(of: str, record: dict[str, Any], why: str) -> None:
    (listed,) = read([record], of)
    assert listed.suppression is None
    assert listed.error == ""
    assert listed.passed.startswith(why)


@pytest.mark.parametrize(
    ("of", "record", "error"),
    [
        ("ses", {"EmailAddress": "a@x.example"}, "record has no `Reason`"),
        (
            "ses",
            {"EmailAddress": "a@x.example", "Reason": "BOUNSE"},
            "unknown Reason `bounse`; did you mean `bounce`?",
        ),
        ("ses", {"Reason": "BOUNCE", "E": "a"}, "record has no `EmailAddress`; it has `Reason`, `E`"),
        ("ses", {"EmailAddress": "a@", "Reason": "BOUNCE"}, "`a@` is not a mail address"),
        ("sendgrid-unsubscribes", {"email": "a@x.example", "created": "soon"}, "`soon` is not a time"),
        ("sendgrid-unsubscribes", {"email": "a@x.example", "created": "2021-99-01"}, "`2021-99-01` is not a time"),
        ("sendgrid-unsubscribes", {"email": None}, "`` is not a mail address"),
        (OURS, {"address": "a@x.example", "sorce": "manual"}, "unknown key `sorce`; did you mean `source`?"),
    ],
)
def test_a_bad_record_is_one_clear_error_and_the_rest_goes_on(of: str, record: dict[str, Any], error: str) -> None:
    fine = {"ses": {"EmailAddress": "b@x.example", "Reason": "BOUNCE"}, OURS: {"address": "b@x.example"}}
    bad, good = read([record, fine.get(of, {"email": "b@x.example"})], of)
    assert error in bad.error
    assert (bad.suppression, bad.passed) == (None, "")
    assert good.suppression is not None


def test_a_time_to_come_is_now() -> None:
    (entry,) = entries([{"email": "a@x.example", "created": 4_000_000_000}], "sendgrid-unsubscribes")
    assert entry.since == NOW


def ours() -> st.SearchStrategy[Suppression]:
    """Entries as our list holds them."""
    targets = st.one_of(
        st.tuples(values.domains(), st.just(Scope.DOMAIN)),
        st.tuples(values.addresses().map(lambda address: address.key), st.just(Scope.ADDRESS)),
    )
    return st.builds(
        lambda entry, target, edited, **rest: evolve(
            entry, target=target[0], scope=target[1], rule=evolve(entry.rule, edited=edited), **rest
        ),
        values.suppressions(),
        targets,
        st.lists(st.sampled_from(["my.yaml:3", "a; b.yaml:14"]), max_size=2).map(tuple),
        source=st.sampled_from(Source),
        state=st.sampled_from(EntryState),
        provider=st.just("") | values.names(),
        note=st.sampled_from(["", "asked by phone", "=1+1", "'quoted", "-"]),
    )


@given(st.lists(ours(), max_size=4))
def test_our_own_list_comes_back_from_csv_and_json(suppressions: list[Suppression]) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([COLUMNS, *map(cells, suppressions)])
    assert entries(file.getvalue(), OURS) == suppressions
    assert entries("\n".join(json.dumps(write_suppression(each)) for each in suppressions), OURS) == suppressions


@given(st.lists(values.addresses(), max_size=6), st.sampled_from(["json", "csv", "lines"]))
def test_any_addresses_come_back_from_each_form(addresses: list[Address], form: str) -> None:
    keys = [each.key for each in addresses]
    file = io.StringIO()
    if form == "csv":
        csv.writer(file).writerows([["address"], *([guarded(each)] for each in keys)])
    elif form == "json":
        file.write("\n".join(json.dumps({"address": each}) for each in keys))
    else:
        keys = [each for each in keys if bare(each) == each]  # `'=a@x.example` is a cell that a guard stands before
        file.write("\n".join(keys))
    assert [each.target for each in entries(file.getvalue(), OURS)] == keys


def test_a_list_without_a_header_is_of_addresses_and_domains() -> None:
    for first in ("jo@x.example", "y.example", "address"):
        found = [each.target for each in entries(f"{first}\n\n bo@x.example \nx.example\n", OURS)]
        assert found == [first, "bo@x.example", "x.example"][first == "address" :]


NAMES = ["EmailAddress", "email", "address", "Reason", "created", "created_at", "tags", "rule", "code"]


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON says, under names that tables know."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
        max_leaves=9,
    )


@given(st.sampled_from([OURS, *TABLES]), json_values())
def test_any_json_comes_to_entries_errors_or_nothing_and_no_exception(of: str, document: Any) -> None:
    for each in read([document], of):
        assert [each.suppression is not None, bool(each.error), bool(each.passed)].count(True) == 1
        assert each.error.isprintable()


def test_the_edge_of_times_is_no_exception() -> None:
    for text in ("9" * 10, "0", "Tue, 99 Apr 2021 13:51:35 GMT", "2999-12-31", "0001-01-01T00:00:00Z"):
        (listed,) = read([{"email": "a@x.example", "created": text}], "sendgrid-unsubscribes")
        assert bool(listed.error) is not (listed.suppression is not None)
    assert timedelta(0) <= NOW - entries([{"email": "a@x.example", "created": "0"}], "sendgrid-unsubscribes")[0].since


CELLS = {
    "address": [
        "a@x.example",
        "B.c@X.example",
        " a@x.example",
        "x.example",
        "'=a@x.example",
        "",
        '"q r"@x.example',
        "@",
    ],
    "email": ["a@x.example", "B.c@X.example", " a@x.example ", "<a@x.example>", "x.example", ""],
    "since": ["2021-04-20T13:51:35Z", "2021-04-20T13:51:35.5+02:00", "2999-01-01T00:00:00Z", "", " ", "soon"],
    "created": ["1618926695", "2021-04-20", "2999-01-01", "", "soon"],
    "scope": ["", "address", "domain"],
    "reason": ["", "bad-mailbox", "550 no"],
    "status": ["5.1.1", "4.2.2", ""],
    "rule_line": ["", "7", "x"],
    "rule": ["", "r"],
}


@given(st.data(), st.sampled_from([OURS, "sendgrid-bounces", "sendgrid-unsubscribes"]))
def test_the_short_way_with_rows_gives_what_the_long_way_does(data: st.DataObject, of: str) -> None:
    names = [*data.draw(st.lists(st.sampled_from(sorted(CELLS)), max_size=4)), "address" if of == OURS else "email"]
    rows = data.draw(st.lists(st.tuples(*(st.sampled_from(CELLS[name]) for name in names)), max_size=8))
    file = io.StringIO()
    csv.writer(file).writerows([names, *rows])
    short = read(file.getvalue(), of)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AlikeRows, "entry", lambda *_: None)
        patched.setattr(AlikeRows, "entries", lambda *_: None)
        assert read(file.getvalue(), of) == short


def test_a_guard_against_formulas_is_taken_away_in_the_short_way_too() -> None:
    assert [each.target for each in entries("address\na@x.example\n'=b@x.example\n'c@x.example\n", OURS)] == [
        "a@x.example",
        "=b@x.example",
        "'c@x.example",
    ]
