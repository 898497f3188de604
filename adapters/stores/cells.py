"""What the cells of a row hold: times as microseconds since 1970, and values as the JSON of `policy.contract.entry`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from policy.contract.entry import load
from policy.contract.mistake import ContractError
from policy.ports import StoreUnavailable

_T = TypeVar("_T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def loaded(text: str, kind: type[_T], name: str) -> _T:
    """Read a kept value.

    Raises:
        StoreUnavailable: when it is damaged, or of a version that knows more; `name` is the store's.
    """
    with readable(name):
        return load(text, kind)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """What cannot be read in the block is a fault of the store."""
    try:
        yield
    except ContractError as error:
        raise StoreUnavailable(f"store `{name}` holds a value that cannot be read: {error}") from error


def micros(moment: datetime) -> int:
    """Return a time as rows keep it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """Return the time that a row keeps."""
    return _EPOCH + micros * _MICROSECOND
