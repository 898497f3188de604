"""One delivery to be planned, as JSON: read strictly, every mistake told at once."""

from typing import Any

from policy.contract.attempt import KEYS, stranger
from policy.contract.mistake import ContractError
from policy.planning import Delivery

# Keys of an attempt that a delivery has too; the rest is not known before it.
_KEYS = {key: KEYS[key] for key in ("id", "recipient", "sender", "message_id", "stream", "tags")}
_FIELDS = {"message_id": "message"}
_TIMES = ("at", "now", "time")


def read_delivery(document: object) -> Delivery:
    """Read what a JSON parser made of a delivery; a key whose value is null counts as absent.

    Raises:
        ContractError: with every mistake of the document.

    >>> read_delivery({"recipient": "jo@example.org", "stream": "news"}).stream
    'news'
    >>> read_delivery({"recipent": "jo@example.org"})
    Traceback (most recent call last):
    policy.contract.mistake.ContractError: unknown key `recipent`; did you mean `recipient`?; `recipient` is needed
    """
    if not isinstance(document, dict):
        raise ContractError(["a delivery is a JSON object with keys such as `recipient` and `stream`"])
    said = {key: value for key, value in document.items() if value is not None}
    mistakes = [_stranger(key) for key in document if key not in _KEYS]
    if "recipient" not in said:
        mistakes.append("`recipient` is needed")
    values: dict[str, Any] = {}
    for key, (_, read) in _KEYS.items():
        if key in said:
            try:
                values[_FIELDS.get(key, key)] = read(key, said[key])
            except ValueError as error:
                mistakes.append(str(error))
    if mistakes:
        raise ContractError(mistakes)
    values.pop("id", None)
    tags = dict(values.pop("tags", ()))
    return Delivery(**values, campaign=tags.get("campaign"))


def _stranger(key: object) -> str:
    if key in _TIMES:
        return f"unknown key `{key}`: all deliveries are planned for one time, that of `--now` or the clock's"
    return stranger(key, _KEYS)
