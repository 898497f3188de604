"""A copy of an SQLite store in one file, made while others write: written beside its name, checked, then renamed.

All pages are copied in one step. In WAL that is one snapshot, writers do not wait for it, and it need never begin
again, as a copy in several steps must whenever somebody has written in between.
"""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from adapters.stores.facts import BackupRefused
from policy.ports import StoreUnavailable


def copy(source: sqlite3.Connection, path: Path, target: Path, *, force: bool) -> int:
    """Copy the database of `source`, in the file `path`, into `target`; return its size in bytes.

    Raises:
        BackupRefused: when `target` is there, unless `force`; always when it is in use.
        StoreUnavailable: when it cannot be written, or the copy is damaged; there is none then.
    """
    _refuse(path, target, force=force)
    try:
        number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(number)
        try:
            _fill(source, Path(name), target)
            os.chmod(name, path.stat().st_mode)  # noqa: PTH101 - readable for those who may read the store
            _on_disk(Path(name))
            _refuse(path, target, force=force)
            size = Path(name).stat().st_size
            os.replace(name, target)  # noqa: PTH105
        finally:
            for left in (name, f"{name}-wal", f"{name}-shm", f"{name}-journal"):
                Path(left).unlink(missing_ok=True)
        _on_disk(target.parent)
    except OSError as error:
        raise StoreUnavailable(f"backup `{target}` cannot be written: {error.strerror or error}") from error
    return size


def _refuse(path: Path, target: Path, *, force: bool) -> None:
    if target.exists() and target.samefile(path):
        raise BackupRefused(f"`{target}` is the store itself")
    if target.is_dir():
        raise BackupRefused(f"`{target}` is a directory; name a file in it")
    if Path(f"{target}-wal").exists():  # which would be taken for the copy's own
        raise BackupRefused(f"`{target}` is a database in use: `{target}-wal` lies beside it")
    if target.exists() and not force:
        raise BackupRefused(f"`{target}` exists; `--force` writes over it")


def _fill(source: sqlite3.Connection, part: Path, target: Path) -> None:
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as there:
            source.backup(there)
            there.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
            (found,) = there.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"backup `{target}` failed: {error}") from error
    if found != "ok":
        raise StoreUnavailable(f"backup `{target}` would be damaged, as the store may be: {found}")


def _on_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
