"""The tables in PostgreSQL and their numbered migrations, applied under the lock that units take."""

from typing import Any
from zlib import crc32

from psycopg import IsolationLevel

from adapters.stores.postgres_link import Link, Place
from policy.ports import StoreUnavailable

# Steps from one schema to the next, never changed once they were released; the table `migration` has a row for each.
# Texts are compared byte by byte (COLLATE "C"), as Python and SQLite do, whatever the database's language is.
MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE ledger (attempt_id text COLLATE "C", recipient text COLLATE "C", at bigint NOT NULL, value text NOT NULL,
    PRIMARY KEY (attempt_id, recipient));
CREATE INDEX ledger_in_order ON ledger (at, attempt_id, recipient);
CREATE TABLE progress (message text COLLATE "C", recipient text COLLATE "C", value text NOT NULL,
    PRIMARY KEY (message, recipient));
CREATE TABLE success (target text COLLATE "C" PRIMARY KEY, at bigint NOT NULL);
CREATE TABLE strike (target text COLLATE "C", message text COLLATE "C", reason text COLLATE "C", at bigint NOT NULL,
    PRIMARY KEY (target, message, reason));
CREATE INDEX strike_in_order ON strike (target, at, message, reason);
CREATE TABLE suppression (scope text COLLATE "C", target text COLLATE "C", since bigint NOT NULL, value text NOT NULL,
    PRIMARY KEY (scope, target));
CREATE INDEX suppression_in_order ON suppression (since, target, scope);
CREATE TABLE suspension (target text COLLATE "C" PRIMARY KEY, since bigint NOT NULL, value text NOT NULL);
CREATE INDEX suspension_in_order ON suspension (since, target);
CREATE TABLE past_trigger (target text COLLATE "C", rule text COLLATE "C", attempt text COLLATE "C",
    at bigint NOT NULL, PRIMARY KEY (target, rule, attempt));
CREATE INDEX trigger_in_order ON past_trigger (target, at, rule, attempt);
CREATE TABLE watch (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE forward (address text COLLATE "C" PRIMARY KEY, since bigint NOT NULL, value text NOT NULL);
CREATE INDEX forward_in_order ON forward (since, address);
""",
    # The ledger by recipient, domain and message. The domain is what follows the last `@`. The message is cut out of
    # the value instead of reading all of it as JSON: PostgreSQL refuses escapes that other texts in it may hold.
    # Quotes within texts are escaped, so that no text can look like the key.
    r"""
ALTER TABLE ledger ADD COLUMN domain text COLLATE "C", ADD COLUMN message text COLLATE "C";
UPDATE ledger SET domain = substring(recipient from '[^@]*$'), message =
    ('"' || substring(value from '"progress":\{[^{}]*"message":"((?:[^"\\]|\\.)*)"') || '"')::json #>> '{}';
CREATE INDEX ledger_of_recipient ON ledger (recipient, at);
CREATE INDEX ledger_of_domain ON ledger (domain, at);
CREATE INDEX ledger_of_message ON ledger (message, at);
""",
    """
CREATE TABLE throttling (target text COLLATE "C" PRIMARY KEY, since bigint NOT NULL, value text NOT NULL);
CREATE INDEX throttling_in_order ON throttling (since, target);
CREATE TABLE traffic (target text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE learned (domain text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE frozen (provider text COLLATE "C" PRIMARY KEY, value text NOT NULL);
""",
    # Which attempt there it was: for `10 of 500`.
    """
ALTER TABLE past_trigger ADD COLUMN nth bigint NOT NULL DEFAULT 0;
""",
    # From here on an entry may have a short text, which older programs cannot read.
    """
COMMENT ON COLUMN suppression.value IS 'JSON, or a short text that begins with a letter';
""",
)

_LOCKS = 0x6D766472  # "mvdr": our locks among those of all programs that use the database


def lock(place: Place) -> str:
    """Return the statement that waits until no unit of this store is open anywhere, and holds it so till the end."""
    key = crc32(place.schema.encode()) - 2**31  # a signed integer for PostgreSQL
    return f"SELECT pg_advisory_xact_lock({_LOCKS}, {key})"


def prepare(link: Link, place: Place, *, patience: int, must_exist: bool) -> None:
    """Make the schema, or bring it up to date.

    Args:
        patience: how many milliseconds to wait for the lock.
        must_exist: StoreUnavailable when there is none.

    Raises:
        StoreUnavailable: when it is not ours, or of a newer version.
    """
    version = found(link, place)
    if version == len(MIGRATIONS):
        return
    if must_exist and version == 0:
        raise absent(place)
    link.patience = None  # tables may be large
    link.isolation_level = IsolationLevel.READ_COMMITTED  # what is read under the lock must be of now
    with link.transaction():
        _run(link, f"SET LOCAL lock_timeout = {patience}; SET LOCAL statement_timeout = 0; {lock(place)}")
        version = found(link, place)  # somebody may have been faster
        if version == 0:
            _make(link, place)
        _run(link, f'SET LOCAL search_path = "{place.schema}"')
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            _run(link, step)
            link.execute("INSERT INTO migration (number) VALUES (%s)", [number])


def absent(place: Place) -> StoreUnavailable:
    """Return the error for a store that must exist, and does not."""
    return StoreUnavailable(f"no such store: `{place.name}` has no schema `{place.schema}` of ours")


def size(link: Link, place: Place) -> int:
    """Return how many bytes the tables and their indexes take."""
    query = """SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = %s AND relkind = 'r'"""
    return int(_one(link, query, place.schema))


def known(number: int, place: Place) -> int:
    """Return the version; StoreUnavailable when it is newer than this program."""
    if number > len(MIGRATIONS):
        newer = f"has schema {number} of a newer mailverdict; this one reads up to {len(MIGRATIONS)}"
        raise StoreUnavailable(f"store `{place.name}` {newer}")
    return number


def found(link: Link, place: Place) -> int:
    """Return the version of the schema, 0 where there is none."""
    if "migration" not in tables(link, place):
        return 0
    query = f'SELECT coalesce(max(number), 0) FROM "{place.schema}".migration'  # noqa: S608 - checked
    return known(int(_one(link, query)), place)


def _make(link: Link, place: Place) -> None:
    """Make the schema, with the table that counts its versions, where nothing of anybody else's is."""
    encoding = _one(link, "SHOW server_encoding")
    if encoding != "UTF8":
        raise StoreUnavailable(f"store `{place.name}` cannot be made: the database's encoding is {encoding}, not UTF8")
    if tables(link, place):
        raise StoreUnavailable(f"`{place.name}` is no store: schema `{place.schema}` holds another program's tables")
    if not _one(link, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", place.schema):
        _run(
            link, f'CREATE SCHEMA "{place.schema}"'
        )  # not IF NOT EXISTS, which asks for the right to do it in any case
    _run(
        link, f'CREATE TABLE "{place.schema}".migration (number int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())'
    )


def tables(link: Link, place: Place) -> set[str]:
    """Return the names of what is in the schema, ours or not."""
    # Not by to_regclass: it remembers from before the lock that there was nothing.
    query = """SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = %s AND relkind IN ('r', 'p', 'v', 'm', 'f')"""
    return {name for (name,) in link.execute(query, [place.schema]).fetchall()}


def _run(link: Link, statements: str) -> None:
    link.execute(statements.encode())


def _one(link: Link, query: str, *values: str) -> Any:
    ((value,),) = link.execute(query.encode(), values).fetchall()
    return value
