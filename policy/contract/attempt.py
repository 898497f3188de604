"""One attempt as JSON: read strictly, every mistake told at once; written so that reading it gives it back."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Literal, TypeVar

from policy.address import NULL_SENDER, Address, parse_address
from policy.attempt import NAME_LIMIT, Attempt, Command, Custody, Event, Failure, Tls
from policy.contract.mistake import ContractError, unknown
from policy.contract.times import read_time, write_time
from policy.reply import Flaw, Reply, parse_reply
from policy.text import clean

COUNT_LIMIT = 2**31 - 1  # more attempts or recipients than this are a mistake, and would not fit a database's column

_E = TypeVar("_E", bound=Enum)


def read_attempt(document: object) -> Attempt:
    """Read one attempt from what a JSON parser made of it.

    Args:
        document: a dict with the keys of the contract; a key whose value is null counts as absent. `id` may be any
            string: it is the caller's own and no part of the attempt.

    Raises:
        ContractError: with every mistake of the document.

    >>> read_attempt({"reply": "550 5.1.1 no such user", "command": "RCPT", "recipient": "jo@example.org"}).command
    <Command.RCPT: 'RCPT'>
    >>> read_attempt({"reply": "250 ok", "recipent": "jo@example.org"})
    Traceback (most recent call last):
    policy.contract.mistake.ContractError: unknown key `recipent`; did you mean `recipient`?
    """
    if not isinstance(document, dict):
        raise ContractError(["an attempt is a JSON object with keys such as `reply` and `recipient`"])
    said = {key: value for key, value in document.items() if value is not None}
    mistakes = [stranger(key, KEYS) for key in document if key not in KEYS]
    outcomes = [key for key in ("reply", "failure", "event") if key in said]
    if not outcomes:
        mistakes.append("one of `reply`, `failure` and `event` is needed")
    if len(outcomes) > 1:
        mistakes.append(f"`{outcomes[0]}` and `{outcomes[1]}` exclude each other")
    if "event" in said and "recipient" not in said:
        mistakes.append("`event` needs a `recipient`: it is that recipient's own word")
    values: dict[str, Any] = {}
    for key, (name, read) in KEYS.items():
        if key in said:
            try:
                values[name] = read(key, said[key])
            except ValueError as error:
                mistakes.append(str(error))
    if mistakes:
        raise ContractError(mistakes)
    values.pop("id", None)
    return Attempt(**values)


def stranger(key: object, known: Collection[str]) -> str:
    """Return the sentence for a key that is none of `known`."""
    if key == "campaign" and "tags" in known:  # an option of the command has this name
        return 'unknown key `campaign`; write `"tags": {"campaign": "may"}`'
    return unknown("key", key, known)


def write_attempt(attempt: Attempt) -> dict[str, Any]:
    """Return the attempt as the contract has it; what is not stated is left out.

    Reading it gives an equal attempt when it was read from JSON and its replies were well formed; code, status and
    lines are written, the flaws of a reply's form mostly are not. `smtputf8` is no part of the contract. Stores lose
    nothing: they use `dump_entry`.
    """
    outcome = attempt.outcome
    document = {
        "reply": _reply_text(outcome) if isinstance(outcome, Reply) else None,
        "failure": outcome.value if isinstance(outcome, Failure) else None,
        "event": outcome.value if isinstance(outcome, Event) else None,
        "command": attempt.command and attempt.command.value,
        "recipient": attempt.recipient and str(attempt.recipient),
        "sender": None if attempt.sender is None else str(attempt.sender),
        "recipients": attempt.recipients,
        "mx": attempt.mx,
        "provider": attempt.provider,
        "attempt": attempt.number,
        "first_attempt_at": attempt.first_attempt_at and write_time(attempt.first_attempt_at),
        "now": attempt.at and write_time(attempt.at),
        "stream": attempt.stream,
        "tags": dict(attempt.tags) or None,
        "rcpt_reply": attempt.rcpt_reply and _reply_text(attempt.rcpt_reply),
        "custody": attempt.custody.value,
        "deliver_by": attempt.deliver_by and write_time(attempt.deliver_by),
        "tls": attempt.tls and attempt.tls.value,
        "backup_mx": attempt.backup_mx or None,
        "route": attempt.route,
        "attempt_id": attempt.attempt_id,
        "message_id": attempt.message_id,
    }
    return {key: value for key, value in document.items() if value is not None}


def _reply_text(reply: Reply) -> str:
    """Return the reply with its code and the status it stated on each line, lines separated by LF.

    A code that was out of range is written as 000, and so is the code of a reply without one when its text would
    otherwise be read as a code: a reply that had none must never come back as a 550.
    """
    lines = [" ".join(filter(None, (str(reply.stated or ""), line))) for line in reply.lines or ("",)]
    code = "000" if Flaw.CODE_OUT_OF_RANGE in reply.flaws else str(reply.code or "")
    if not code:
        if parse_reply("\n".join(lines)).flaws == (Flaw.NO_CODE,):
            return "\n".join(lines)
        code = "000"
    last = "-" if Flaw.UNTERMINATED in reply.flaws else " "
    marks = ["-"] * (len(lines) - 1) + [last]
    return "\n".join(f"{code}{mark}{line}".rstrip(" ") for mark, line in zip(marks, lines, strict=True))


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{key}` must be a string")
    return value


def _count(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= COUNT_LIMIT:
        raise ValueError(f"`{key}` must be a whole number from 1 to {COUNT_LIMIT}")
    return value


def _yes(key: str, value: object) -> bool:
    if not isinstance(value, bool) and value not in ("true", "false"):
        raise ValueError(f"`{key}` must be true or false")
    return value in (True, "true")


def _time(key: str, value: object) -> datetime:
    try:
        return read_time(_text(key, value))
    except ValueError as error:
        raise _of(key, error) from None


def _reply(key: str, value: object) -> Reply:
    return parse_reply(_text(key, value))


def _address(key: str, value: object) -> Address:
    try:
        return parse_address(_text(key, value))
    except ValueError as error:
        raise _of(key, error) from None


def _sender(key: str, value: object) -> Address | Literal[""]:
    return NULL_SENDER if value in ("", "<>") else _address(key, value)


def _named(kind: type[_E]) -> Callable[[str, object], _E]:
    """Return the reader of one of the names of `kind`."""

    def read(key: str, value: object) -> _E:
        try:
            return kind(_text(key, value))
        except ValueError as error:
            if not isinstance(value, str):
                raise
            raise ValueError(unknown(key, value, (each.value for each in kind))) from error

    return read


def _tags(key: str, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for pair in value.items() for each in pair):
        raise ValueError(f"`{key}` must be an object whose values are strings")
    names: set[str] = set()
    for tag in value:
        name = clean(tag, limit=NAME_LIMIT)
        if name in names:
            raise ValueError(f"`{key}` names `{clean(name, limit=60)}` twice")
        names.add(name)
    return tuple(value.items())


def _of(key: str, error: ValueError) -> ValueError:
    """Return the error with its key named in front, once."""
    words = str(error)
    return error if words.startswith(f"`{key}`") else ValueError(f"`{key}`: {words}")


# The contract's keys in its order: the attribute that each fills, and what reads it.
KEYS: dict[str, tuple[str, Callable[[str, object], Any]]] = {
    "id": ("id", _text),
    "reply": ("outcome", _reply),
    "failure": ("outcome", _named(Failure)),
    "event": ("outcome", _named(Event)),
    "command": ("command", _named(Command)),
    "recipient": ("recipient", _address),
    "sender": ("sender", _sender),
    "recipients": ("recipients", _count),
    "mx": ("mx", _text),
    "provider": ("provider", _text),
    "attempt": ("number", _count),
    "first_attempt_at": ("first_attempt_at", _time),
    "now": ("at", _time),
    "stream": ("stream", _text),
    "tags": ("tags", _tags),
    "rcpt_reply": ("rcpt_reply", _reply),
    "custody": ("custody", _named(Custody)),
    "deliver_by": ("deliver_by", _time),
    "tls": ("tls", _named(Tls)),
    "backup_mx": ("backup_mx", _yes),
    "route": ("route", _text),
    "attempt_id": ("attempt_id", _text),
    "message_id": ("message_id", _text),
}
