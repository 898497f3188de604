"""Stores by their URL; each store is one file here and passes `policy.testing.store_contract`."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from policy.ports import Store
from policy.text import clean

if TYPE_CHECKING:
    from adapters.stores.facts import StoreFacts

_ALLOWED = (
    "`sqlite:///relative.db` (three slashes), `sqlite:////absolute.db` (four), `postgresql://user@host/database`"
    " or `memory:`"
)


class KeptStore(Store, Protocol):
    """A store with what its operator asks of it; every method raises StoreUnavailable when the medium fails."""

    def schema(self) -> int | None:
        """Return the version of the schema that is there, and leave it so; 0 where there is none yet, None where there
        never is one. A unit brings it up to date."""

    def facts(self) -> "StoreFacts":
        """Say how much is kept, and leave the schema as it is."""

    def backup(self, target: Path, *, force: bool = False) -> int:
        """Copy what is committed now into a new file, while others go on writing; return its size in bytes.

        Raises:
            BackupRefused: when this store has no such copy, or the file may not be written over.
        """


class StoreUrlError(ValueError):
    """A store's URL that names no store; the message says what is allowed."""


def open_store(url: str, *, must_exist: bool = False) -> KeptStore:
    """Return the store that `url` names; files and databases are opened, and filled, at the first use.

    Args:
        must_exist: a store that is not there is an error instead of a new, empty one (for commands that only read); at
            once where it is a file, at the first use where it is a database.

    Raises:
        StoreUrlError: when the URL names no store.
        StoreUnavailable: with `must_exist`, when there is no such file.
    """
    scheme, colon, rest = url.partition(":")
    if url == "memory:":
        from adapters.stores.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite" and colon:
        from adapters.stores.sqlite import SqliteStore

        return SqliteStore(_path(url, rest), must_exist=must_exist)
    if scheme in ("postgresql", "postgres") and colon:
        return _postgres(url, must_exist=must_exist)
    # Only the scheme is shown: what follows may hold a password.
    shown = clean(scheme if colon else url, limit=80)
    raise StoreUrlError(f"`{shown}` names no store; use {_ALLOWED}")


def _postgres(url: str, *, must_exist: bool) -> KeptStore:
    try:
        from adapters.stores.postgres import PostgresStore
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        install = "pip install 'mailverdict[postgres]'"
        raise StoreUrlError(f"stores of kind `postgresql` need psycopg; `{install}`") from error
    return PostgresStore(url, must_exist=must_exist)


def _path(url: str, rest: str) -> Path:
    path = rest.removeprefix("///")
    if path == rest or not path or path == ":memory:" or not path.isprintable():
        raise StoreUrlError(f"`{clean(url, limit=80)}` names no file; use {_ALLOWED}")
    return Path(path)
