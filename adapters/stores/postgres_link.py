"""A connection to PostgreSQL: where it leads, how long it waits, and what is wrong with it in one line.

Nothing here shows a password: messages name host and database only, and a URL that cannot be read is never quoted.
"""

import re
from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import unquote

import psycopg
from attrs import field, frozen
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from adapters.stores import StoreUrlError
from policy.text import clean

_T = TypeVar("_T")

SCHEMA = "mailverdict"  # where our tables are, unless the URL says otherwise

# A peer that vanished is noticed within half a minute, on both sides; the URL may say otherwise.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "fallback_application_name": "mailverdict",
}

_FORM = "use `postgresql://user@host/database`, and in names and passwords `%40` for `@`, `%2F` for `/`, `%25` for `%`"


@frozen
class Place:
    """Where a store is.

    Args:
        name: what messages show, without user and password.
        schema: of our tables, in that database.
    """

    name: str
    schema: str
    _parameters: dict[str, Any] = field(repr=False)

    def link(self) -> "Link":
        """Return a new connection; psycopg.OperationalError when there is none to be had."""
        # UTF-8 whatever the environment says; transactions are begun and ended in so many words.
        return Link.connect(**{**_DEFAULTS, **self._parameters, "client_encoding": "utf8"}, autocommit=True)

    def hidden(self, text: str) -> str:
        """Return the text without the password."""
        password = self._parameters.get("password")
        return text.replace(password, "***") if password else text


def parse_place(url: str) -> Place:
    """Read the URL of libpq; the parameter `schema` is ours.

    Raises:
        StoreUrlError: when it names no place; the message shows nothing of it.
    """
    front, _, query = url.partition("?")
    ours = [each for each in query.split("&") if each.startswith("schema=")]
    rest = "&".join(each for each in query.split("&") if each and each not in ours)
    schema = unquote(ours[-1].removeprefix("schema=")) if ours else SCHEMA
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema) or schema.startswith("pg_"):
        raise StoreUrlError("a schema is named by small letters, digits and `_`, and not `pg_...`")
    try:
        parameters = conninfo_to_dict(f"{front}?{rest}" if rest else front)
    except psycopg.ProgrammingError:
        raise StoreUrlError(f"this `postgresql:` URL cannot be read; {_FORM}") from None  # the cause quotes passwords
    host, port, database = (str(parameters.get(key) or "") for key in ("host", "port", "dbname"))
    # What libpq makes of `jo:pa@ss@db` and `jo:pa/ss@db`: half a password is then a host, a port or a database.
    if "@" in host + database or not re.fullmatch(r"[0-9,]*", port):
        raise StoreUrlError(f"this `postgresql:` URL is ambiguous; {_FORM}")
    return Place(_name(host, port, database, schema), schema, parameters)


def _name(host: str, port: str, database: str, schema: str) -> str:
    socket = host.startswith(("/", "@"))
    asked = [f"host={host}"] * socket + [f"schema={schema}"] * (schema != SCHEMA)
    front = "" if socket else host
    return clean(f"postgresql://{front}{':' * bool(port)}{port}/{database}{'?' * bool(asked)}{'&'.join(asked)}")


class Silent(psycopg.OperationalError):
    """The server has taken the question and says nothing."""


class Link(psycopg.Connection[TupleRow]):
    """A connection whose every answer must come within `patience` seconds; None: whenever it comes.

    Keep-alives notice a host that is gone; a server that is stopped, or a proxy that has lost its other side, answers
    those and nothing else.
    """

    patience: float | None = None

    def wait(self, gen: PQGen[_T], *rest: Any, **options: Any) -> _T:
        """Wait as psycopg does, not for ever."""
        return super().wait(gen if self.patience is None else _timed(gen, self.patience), *rest, **options)


def _timed(gen: PQGen[_T], patience: float) -> Generator[Any, Any, _T]:
    end = monotonic() + patience
    try:
        wish = next(gen)
        while True:
            ready = yield wish
            if not ready and monotonic() > end:
                raise Silent("the server does not answer")
            wish = gen.send(ready)
    except StopIteration as done:
        value: _T = done.value
        return value


# SQLSTATE, or the two digits of its class.
_FAULTS = {
    "23": "holds rows that another program has changed",
    "25006": "cannot be written: the server, or this user's transactions, are read-only",
    "40": "was in use by another program at the same rows",
    "42501": "may not be used by this user",
    "53100": "cannot grow: the server's disk is full",
    "53200": "failed: the server is out of memory",
    "53300": "cannot be reached: the server has no connection to spare",
    "55P03": "is locked by another process",
    "57014": "took too long to answer",
    "57P": "cannot be reached: the server stops, or has just started",
}

# A refused connection has no SQLSTATE, only words; those of a server that speaks another language are quoted.
_REFUSALS = (
    (r"authentication failed|no password supplied|role .* does not exist|no pg_hba.conf entry", "refuses this user"),
    (r"database .* does not exist", "cannot be opened: the server has no such database"),
    (r"too many clients|remaining connection slots", _FAULTS["53300"]),
    (r"permission denied", _FAULTS["42501"]),
    (r"starting up|shutting down", _FAULTS["57P"]),
)


def fault(error: psycopg.Error, place: Place) -> str:
    """Return what is wrong, in the words that follow a store's name."""
    if isinstance(error, Silent):
        return f"cannot be reached: {error}"
    if error.sqlstate is not None:
        said = clean(error.diag.message_primary or "", limit=200)
        known = next((_FAULTS[each] for size in (5, 3, 2) if (each := error.sqlstate[:size]) in _FAULTS), "failed")
        return place.hidden(f"{known}: {said}" if known == "failed" else known)
    words = clean(place.hidden(str(error)), limit=200)
    return next((said for pattern, said in _REFUSALS if re.search(pattern, words)), f"cannot be reached: {words}")
