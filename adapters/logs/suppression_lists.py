"""Suppression lists as files have them: our own, and those that mail providers export; one table a provider.

A provider's table says where a record has its address and its time, and which words of it mean what. What means nothing
against an address (a block, a failure for now, an unsubscribe from one kind of mail) is passed over and counted.

Sources: the API references of Amazon SES (`ListSuppressedDestinations`), Twilio SendGrid (`/v3/suppression/...`),
Mailgun (`/v3/{domain}/bounces`, `complaints`, `unsubscribes`) and Postmark (`/message-streams/{id}/suppressions/dump`);
their CSV files name the same fields.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from attrs import evolve, frozen

from adapters.logs.alike_rows import AlikeRows
from adapters.logs.csv_rows import Header, Record, Rows
from adapters.logs.records import bare, guarded, pieces
from policy.address import parse_address
from policy.alike import Alike, alike
from policy.attempt import moment
from policy.contract import ContractError, read_suppression, write_suppression
from policy.contract.mistake import unknown
from policy.contract.times import read_time
from policy.decision import RuleRef, Scope, Strength
from policy.diagnosis.category import Category
from policy.history import Source, Suppression
from policy.text import TEXT_LIMIT, clean


@frozen
class Kind:
    """What sort of entry a record makes."""

    source: Source
    strength: Strength
    reason: Category


BOUNCE = Kind(Source.IMPORT, Strength.STRONG, Category.BAD_MAILBOX)
COMPLAINT = Kind(Source.COMPLAINT, Strength.PERMANENT, Category.UNKNOWN)
UNSUBSCRIBE = Kind(Source.UNSUBSCRIBE, Strength.PERMANENT, Category.UNKNOWN)
BY_HAND = Kind(Source.MANUAL, Strength.PERMANENT, Category.UNKNOWN)
_BLOCK = "a block says nothing against an address"
_FOR_NOW = "a failure for the time being says little against an address"
_SOME_MAIL = "an unsubscribe from some mail is not one from all"
_COLUMNS_TOLD = 20
_UNSAID = "(none)"  # the word of fields that a record does not have


@frozen(kw_only=True)
class Table:
    """How one provider writes its list. Names of fields match in any case, with or without blanks and underscores.

    Args:
        address, at: the fields of the address and of the time.
        inside: the key of the array in the provider's JSON object.
        by: the fields whose words say what a record is, joined with `/`.
        kinds: what the words, or the longest beginning of them that is here, mean: a kind, or why it is passed over.
        reply: the fields of what the other server said.
    """

    address: str = "email"
    at: str = "created"
    inside: str = ""
    by: tuple[str, ...] = ()
    kinds: Mapping[str, Kind | str]
    reply: tuple[str, ...] = ()


TABLES = {
    "ses": Table(
        address="EmailAddress",
        at="LastUpdateTime",
        inside="SuppressedDestinationSummaries",
        by=("Reason",),
        kinds={"bounce": BOUNCE, "complaint": COMPLAINT},
    ),
    "sendgrid-bounces": Table(by=("status",), kinds={"": BOUNCE, "4": _FOR_NOW}, reply=("reason",)),
    "sendgrid-blocks": Table(kinds={"": _BLOCK}),
    "sendgrid-spam-reports": Table(kinds={"": COMPLAINT}),
    "sendgrid-unsubscribes": Table(kinds={"": UNSUBSCRIBE}),
    "mailgun-bounces": Table(
        address="address",
        at="created_at",
        inside="items",
        by=("code",),
        kinds={"": BOUNCE, "4": _FOR_NOW},
        reply=("code", "error"),
    ),
    "mailgun-complaints": Table(address="address", at="created_at", inside="items", kinds={"": COMPLAINT}),
    "mailgun-unsubscribes": Table(
        address="address",
        at="created_at",
        inside="items",
        by=("tags",),
        kinds={"*": UNSUBSCRIBE, _UNSAID: UNSUBSCRIBE, "": _SOME_MAIL},
    ),
    "postmark": Table(
        address="EmailAddress",
        at="CreatedAt",
        inside="Suppressions",
        by=("SuppressionReason", "Origin"),
        kinds={
            "hardbounce": BOUNCE,
            "spamcomplaint": COMPLAINT,
            "manualsuppression/recipient": UNSUBSCRIBE,
            "manualsuppression": BY_HAND,
        },
    ),
}
OURS = "mailverdict"
COLUMNS = (
    "address", "scope", "strength", "reason", "rule", "rule_file", "rule_line", "rule_edited", "reply", "since",
    "expires_at", "source", "state", "provider", "note",
)  # fmt: skip


@frozen(kw_only=True)
class Listed:
    """What one record of a list comes to: an entry, an error with its code, or why it is passed over.

    Args:
        line: where the record begins, counted from 1.
    """

    line: int
    suppression: Suppression | None = None
    error: str = ""
    code: str = ""
    passed: str = ""


def read_list(stream: BinaryIO, *, of: str, name: str, now: datetime) -> Iterator[Listed]:
    """Yield what the records of a list come to, in order.

    Args:
        of: whose list it is, `OURS` or a name of `TABLES`.
        name: the file's, which the entries quote.
        now: the time of records that state none.
    """
    for found in _read(stream, of=of, name=name, now=now):
        if isinstance(found, Listed):
            yield found
        else:
            line, entries = found
            yield from (Listed(line=number, suppression=each.whole) for number, each in enumerate(entries, line))


def read_alike(stream: BinaryIO, *, of: str, name: str, now: datetime) -> Iterator[Sequence[Alike] | Listed]:
    """Yield what `read_list` does, with entries as stores take millions of them; `Listed` is then no entry."""
    for found in _read(stream, of=of, name=name, now=now):
        yield found if isinstance(found, Listed) else found[1]


def _read(stream: BinaryIO, *, of: str, name: str, now: datetime) -> Iterator[tuple[int, Sequence[Alike]] | Listed]:
    """Yield entries of lines that follow each other, with the first one's, and what is no entry."""
    table = TABLES.get(of)
    reader = _Reader(table, RuleRef(f"import-{of}", clean(name), 0), now)
    for each in pieces(stream, inside=table.inside if table else ""):
        match each:
            case Header():
                yield from reader.under(each)
                if reader.is_lost:
                    return
            case Rows():
                entries = reader.short.entries(each)
                yield from [(each.line, entries)] if entries is not None else reader.one_by_one(each)
            case _:
                yield reader.found(each)


class _Reader:
    """What the records of one list come to; of CSV in the short way where there is one."""

    def __init__(self, table: Table | None, rule: RuleRef, now: datetime) -> None:
        self._table, self._rule, self._now = table, rule, now
        self._header = Header(0, ())
        self.short = _short_way(table, now)
        self.is_lost = False  # the columns are not known, so no row can be read

    def under(self, header: Header) -> Iterator[tuple[int, Sequence[Alike]] | Listed]:
        """Hear what the columns are; yield what is to be told of them."""
        self._header = header
        sign = _other_separator(self._table, header.names)
        if sign:
            self.is_lost = True
            error = f"the columns are separated by {sign}; a list has commas between them"
            yield Listed(line=header.line, error=error, code="no-commas")
            return
        if self._table is None and len(header.names) == 1 and header.names != ("address",):
            # A list without a header: one address a line, the first of them here.
            self._header = Header(header.line, ("address",))
            if header.names[0].strip():
                yield self.found(self._header.record(header.line, header.names))
        error = _strange(self._table, self._header.names)
        if error:
            self.is_lost = True
            yield Listed(line=header.line, error=error, code="unknown-columns")
        self.short.under(self._header.names)

    def one_by_one(self, rows: Rows) -> Iterator[tuple[int, Sequence[Alike]] | Listed]:
        """Yield what each row comes to."""
        for line, cells in enumerate(rows.cells, rows.line):
            entry = self.short.entry(line, cells)
            if entry is not None:
                yield line, (entry,)
            elif any(cells):
                found = self.found(self._header.record(line, cells))
                if not isinstance(found, Listed):
                    self.short.learn(cells, found[1][0])
                yield found

    def found(self, record: Record) -> tuple[int, Sequence[Alike]] | Listed:
        """Return what a record comes to in the long way."""
        listed = _listed(self._table, record, self._rule, self._now)
        return listed if listed.suppression is None else (record.line, (alike(listed.suppression),))


def _strange(table: Table | None, names: Sequence[str]) -> str:
    """Say what is wrong with the columns; empty when nothing is."""
    if table is None:
        fits = "address" in names and not set(names).difference(COLUMNS, ("",))
        wanted = f"known are {_quoted(COLUMNS)}; if it is a provider's list, say `--from {'|'.join(TABLES)}`"
    else:
        needed = (
            [table.address, *table.by[:1]] if _UNSAID not in table.kinds and "" not in table.kinds else [table.address]
        )
        fits = set(map(_plain, needed)) <= set(map(_plain, names))
        wanted = f"needed are {_quoted(needed)}"
    return "" if fits else f"the columns are {_quoted(names[:_COLUMNS_TOLD])}; {wanted}"


def _other_separator(table: Table | None, names: Sequence[str]) -> str:
    """What stands between the names of columns in place of commas, for a person; empty when commas do."""
    known = {_plain(each) for each in (COLUMNS if table is None else (table.address, table.at, *table.by))}
    for sign, called in (("\t", "tabs"), (";", "`;`"), ("|", "`|`")):
        words = names[0].split(sign) if len(names) == 1 else ()
        if len(words) > 1 and not known.isdisjoint(map(_plain, words)):
            return called
    return ""


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{clean(each, limit=40)}`" for each in words)


def _short_way(table: Table | None, now: datetime) -> AlikeRows:
    if table is None:
        return AlikeRows("address", "since", plain=str, time=lambda text: read_time(text) if text else now)
    return AlikeRows(
        _plain(table.address),
        _plain(table.at),
        plain=_plain,
        time=lambda text: min(_time(text, now), now),
        numbered=True,
    )


def _listed(table: Table | None, record: Record, rule: RuleRef, now: datetime) -> Listed:
    if record.fields is None:
        return Listed(line=record.line, error=record.error, code="bad-record")
    try:
        if table is not None:
            return _of_provider(table, record, evolve(rule, line=record.line), now)
        document = _document(record.fields) if record.from_csv else dict(record.fields)
        return Listed(line=record.line, suppression=read_suppression(document, now=now))
    except ContractError as error:
        return Listed(line=record.line, error=str(error), code="bad-entry")
    except ValueError as error:
        return Listed(line=record.line, error=clean(str(error), limit=400), code="bad-entry")


def cells(suppression: Suppression) -> list[str]:
    """Return an entry as the row of our CSV under `COLUMNS`; reading it gives the same entry."""
    document = write_suppression(suppression)
    rule = document.pop("rule")
    edited = json.dumps(rule["edited"]) if "edited" in rule else ""
    document |= {"rule": rule["id"], "rule_file": rule["file"], "rule_line": rule["line"], "rule_edited": edited}
    return [guarded("" if document[each] is None else str(document[each])) for each in COLUMNS]


def _document(fields: Mapping[str, str]) -> dict[str, Any]:
    """A row of our CSV as the document that it was written from."""
    given: dict[str, Any] = {key: bare(cell) for key, cell in fields.items()}
    rule = {name: given.pop(key) for key, name in _RULE_CELLS.items() if key in given}
    if not rule:
        return given
    if "line" in rule:
        rule["line"] = int(rule["line"]) if re.fullmatch(r"[0-9]{1,9}", rule["line"]) else rule["line"]
    if "edited" in rule:
        try:
            rule["edited"] = json.loads(rule["edited"])
        except (ValueError, RecursionError):
            raise ValueError("`rule_edited` is not a JSON array of strings") from None
    return {**given, "rule": {"id": "", **rule}}


_RULE_CELLS = {"rule": "id", "rule_file": "file", "rule_line": "line", "rule_edited": "edited"}


def _of_provider(table: Table, record: Record, rule: RuleRef, now: datetime) -> Listed:
    fields = {_plain(key): value for key, value in (record.fields or {}).items()}
    kind = _kind(table, fields)
    if isinstance(kind, str):
        return Listed(line=record.line, passed=kind)
    if _plain(table.address) not in fields:
        known = ", ".join(f"`{clean(str(each), limit=40)}`" for each in list(record.fields or ())[:8])
        raise ValueError(f"record has no `{table.address}`; it has {known or 'nothing'}")
    reply = " ".join(_said(fields.get(_plain(each))) for each in table.reply)
    suppression = Suppression(
        target=parse_address(_said(fields[_plain(table.address)])).key,
        scope=Scope.ADDRESS,
        strength=kind.strength,
        reason=kind.reason,
        rule=rule,
        reply=clean(reply, limit=TEXT_LIMIT),
        since=min(_time(fields.get(_plain(table.at)), now), now),
        expires_at=None,
        source=kind.source,
    )
    return Listed(line=record.line, suppression=suppression)


def _kind(table: Table, fields: Mapping[str, Any]) -> Kind | str:
    words = "/".join(_word(fields.get(_plain(each))) for each in table.by)
    fitting = [each for each in table.kinds if words.startswith(each)]
    if fitting:
        return table.kinds[max(fitting, key=len)]
    if words.startswith(_UNSAID):
        raise ValueError(f"record has no `{table.by[0]}`")
    raise ValueError(unknown(table.by[0], words, table.kinds))


def _plain(name: object) -> str:
    return re.sub(r"[\s_-]", "", str(name)).lower()


def _said(value: object) -> str:
    return "" if value is None else str(value).strip()


def _word(value: object) -> str:
    """What a field says, for comparison; `["*"]` is `*`, as an array and as the text of one."""
    told = ",".join(map(str, value)) if isinstance(value, list) else _said(value)
    return re.sub(r"[\s\"'\[\]]", "", told).lower() or _UNSAID


def _time(value: object, now: datetime) -> datetime:
    """Read a time as these lists write it: RFC 3339, RFC 5322, seconds since 1970; one without an offset is UTC."""
    text = _said(value)
    if not text:
        return now
    shown = clean(text, limit=40)
    try:
        if re.fullmatch(r"[0-9]{1,10}(\.[0-9]+)?", text):
            return moment(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(text)))
        if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return read_time(_with_offset(text))
        mail_time = parsedate_to_datetime(text)
        return moment(mail_time if mail_time.tzinfo else mail_time.replace(tzinfo=UTC))
    except (ValueError, OverflowError, IndexError, TypeError):
        raise ValueError(f"`{shown}` is not a time that these lists write") from None


def _with_offset(text: str) -> str:
    day, _, rest = text.replace(" UTC", "Z").replace(" ", "T", 1).partition("T")
    clock = rest.replace(" ", "") or "00:00:00"
    return f"{day}T{clock}" if re.search(r"[Zz]|[+-][0-9]{2}:?[0-9]{2}$", clock) else f"{day}T{clock}Z"
