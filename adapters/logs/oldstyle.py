"""Bounces from before RFC 3464, whose recipients stand in the text only: flufl.bounce knows the forms of many MTAs."""

import importlib
import logging
from collections.abc import Iterable
from email import message_from_bytes

from policy.address import Address, parse_address

_READ_LIMIT = 262_144  # octets: the recipients come before the returned message


class ScannerMissing(Exception):
    """flufl.bounce, which the extra `dsn` brings, is not installed."""


def old_recipients(raw: bytes) -> tuple[Address, ...]:
    """Return the failed recipients that an old-style bounce names, in the order of their keys; () when it names none.

    Raises:
        ScannerMissing: when flufl.bounce cannot be imported.
    """
    try:
        scanner = importlib.import_module("flufl.bounce")
    except ImportError as error:
        raise ScannerMissing from error
    logging.getLogger("flufl.bounce").addHandler(logging.NullHandler())  # or it prints what it stumbles over
    try:
        groups: Iterable[Iterable[bytes]] = scanner.all_failures(message_from_bytes(raw[:_READ_LIMIT]))
        found = {address.key: address for group in groups for each in group if (address := _address(each))}
    except Exception:  # many parsers that others wrote meet bytes that strangers wrote: no answer is an answer
        return ()
    return tuple(found[key] for key in sorted(found))


def _address(raw: bytes | str) -> Address | None:
    try:
        return parse_address(raw.decode() if isinstance(raw, bytes) else raw)
    except ValueError:
        return None
