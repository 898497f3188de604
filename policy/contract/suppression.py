"""One entry of a suppression list, read from JSON: what `write_suppression` writes, or as little as an address."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

from policy.address import parse_address, parse_bare_domain, parse_domain
from policy.attempt import name
from policy.contract.mistake import ContractError, unknown
from policy.contract.times import read_reckoned_time, read_time
from policy.decision import RuleRef, Scope, Strength
from policy.diagnosis.category import Category
from policy.history import EntryState, Source, Suppression, stream_of, stream_target
from policy.text import TEXT_LIMIT, clean

_T = TypeVar("_T", bound=Enum)

UNRULED = RuleRef("import", "", 0)  # an entry that names no rule came from somebody's list
KEYS = (
    "address", "scope", "strength", "reason", "rule", "reply", "since", "expires_at", "source", "state", "provider",
    "note",
)  # fmt: skip
_RULE_KEYS = ("id", "file", "line", "edited")


def read_suppression(document: object, *, now: datetime) -> Suppression:
    """Return the entry that a plain dict describes.

    All but `address` may be absent: the entry is then one of an import, permanent, from `now` on. A word without `@` is
    a domain when it has a dot; one without is a domain only where `scope` says so.

    Args:
        now: the time of an entry that says none.

    Raises:
        ContractError: with every mistake of the document.
    """
    if not isinstance(document, dict):
        raise ContractError(["an entry is a JSON object"])
    given = {key: value for key, value in document.items() if value is not None}
    mistakes = [unknown("key", key, KEYS) for key in given if key not in KEYS]

    def read(key: str, reader: Callable[[str, Any], Any], default: Any) -> Any:
        if key not in given:
            return default
        try:
            return reader(key, given[key])
        except ValueError as error:
            mistakes.append(str(error))
            return default

    scope = read("scope", _word(Scope), scope_of(str(given.get("address", ""))))
    fields = {
        "target": read("address", _target(scope, parse_domain if "scope" in given else parse_bare_domain), ""),
        "scope": scope,
        "strength": read("strength", _word(Strength), Strength.PERMANENT),
        "reason": read("reason", _word(Category), Category.UNKNOWN),
        "rule": read("rule", _rule, UNRULED),
        "reply": read("reply", _text, clean("")),
        "since": read("since", _moment, now),
        "expires_at": read("expires_at", _end, None),
        "source": read("source", _word(Source), Source.IMPORT),
        "state": read("state", _word(EntryState), EntryState.ACTIVE),
        "provider": read("provider", _text, ""),
        "note": read("note", _text, ""),
    }
    if "address" not in given:
        mistakes.append("`address` is needed")
    if mistakes:
        raise ContractError(mistakes)
    return Suppression(**fields)


def scope_of(target: str) -> Scope:
    """Return what a target is of, by its form: a stream to an address, an address, else a domain.

    >>> scope_of("jo@example.org#news"), scope_of("jo@example.org"), scope_of("example.org")
    (<Scope.STREAM: 'stream'>, <Scope.ADDRESS: 'address'>, <Scope.DOMAIN: 'domain'>)
    """
    return Scope.STREAM if stream_of(target) else Scope.ADDRESS if "@" in target else Scope.DOMAIN


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{key}` must be a string")
    return clean(value, limit=TEXT_LIMIT)


def _word(kind: type[_T]) -> Callable[[str, Any], _T]:
    def read(key: str, value: object) -> _T:
        words = {each.value: each for each in kind}
        word = _text(key, value)
        if word not in words:
            raise ValueError(unknown(key, word, words))
        return words[word]

    return read


def _target(scope: Scope, read_domain: Callable[[str], str]) -> Callable[[str, Any], str]:
    def read(key: str, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"`{key}` must be a string")
        try:
            if scope is Scope.STREAM:
                found = stream_of(value)
                stream = name(found[1]) if found is not None else None
                if found is None or stream is None:
                    raise ValueError("write the address and the stream, `jo@example.org#news`")
                return stream_target(found[0].key, stream)
            return parse_address(value).key if scope is Scope.ADDRESS else read_domain(value)
        except ValueError as error:
            raise ValueError(f"`{key}`: {error}") from None

    return read


def _time(read: Callable[[str], datetime]) -> Callable[[str, Any], datetime]:
    def read_named(key: str, value: object) -> datetime:
        try:
            return read(_text(key, value))
        except ValueError as error:
            raise ValueError(f"`{key}`: {error}") from None

    return read_named


_moment, _end = _time(read_time), _time(read_reckoned_time)  # what we export says ends that we reckoned


def _rule(key: str, value: object) -> RuleRef:
    if not isinstance(value, dict):
        raise ValueError(f"`{key}` must be an object")
    strange = [each for each in value if each not in _RULE_KEYS]
    if strange:
        raise ValueError(f"`{key}`: {unknown('key', strange[0], _RULE_KEYS)}")
    line, edited = value.get("line", 0), value.get("edited", [])
    if type(line) is not int or line < 0:
        raise ValueError(f"`{key}.line` must be a whole number")
    if not isinstance(edited, list):
        raise ValueError(f"`{key}.edited` must be an array of strings")
    places = tuple(_text(f"{key}.edited", each) for each in edited)
    return RuleRef(_text(f"{key}.id", value.get("id")), _text(f"{key}.file", value.get("file", "")), line, places)
