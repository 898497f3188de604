"""Values as stores keep them: JSON text from which the same value comes back, flaws of replies and all.

The text is deterministic (sorted keys, no blanks, ASCII), and what equals its default is left out, since a ledger of
10 million lines is mostly defaults. Reading is strict: a key, a name or a type that this version does not know is an
error, never a guess.
"""

import json
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from cattrs import Converter, transform_error
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.strategies import configure_tagged_union
from cattrs.v import format_exception

from policy.address import NULL_SENDER, Address
from policy.attempt import Event, Failure, Outcome
from policy.contract.decision import EFFECT_NAMES
from policy.contract.mistake import ContractError, not_json
from policy.contract.times import read_reckoned_time, write_time
from policy.contract.writing import written
from policy.decision import Effect
from policy.forward import UntrustedPath
from policy.history import Entry
from policy.reply import EnhancedStatus, Reply
from policy.text import TEXT_LIMIT, SafeText, clean
from policy.throttle import Rate

_T = TypeVar("_T")

_MICROSECOND = timedelta(microseconds=1)
_WORDS: dict[str, Outcome] = {each.value: each for kind in (Failure, Event) for each in kind}


def dump_entry(entry: Entry) -> str:
    """Return the entry as one line of JSON; `load_entry` gives it back."""
    return dump(entry)


def load_entry(text: str) -> Entry:
    """Read what `dump_entry` wrote.

    Raises:
        ContractError: when the text is damaged, or was written by a version that knows more than this one.
    """
    return load(text, Entry)


def dump(value: object) -> str:
    """Return any of our values as one line of JSON; equal values give equal text."""
    return written(value)


def load(text: str, kind: type[_T]) -> _T:
    """Read a value of type `kind` that `dump` wrote.

    Raises:
        ContractError: as `load_entry`.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError([f"kept text is not JSON: {not_json(error)}"]) from error
    try:
        return _CONVERTER.structure(document, kind)
    except Exception as error:
        # cattrs groups whatever the hooks and validators raised: all of it is the text's fault, none is ours.
        found = transform_error(error, path=kind.__name__.lower(), format_exception=_said)
        raise ContractError([clean(each, limit=200) for each in found]) from error


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, omit_if_default=True)
    for scalar in (str, int, bool):
        converter.register_structure_hook(scalar, _exactly)
    converter.register_unstructure_hook(datetime, write_time)
    converter.register_structure_hook(datetime, lambda text, _: read_reckoned_time(_exactly(text, str)))
    converter.register_unstructure_hook(timedelta, lambda span: span // _MICROSECOND)
    converter.register_structure_hook(timedelta, lambda count, _: _exactly(count, int) * _MICROSECOND)
    converter.register_unstructure_hook(Rate, lambda rate: [rate.count, rate.per // _MICROSECOND])
    converter.register_structure_hook(Rate, lambda pair, _: Rate(pair[0], _exactly(pair[1], int) * _MICROSECOND))
    converter.register_structure_hook(SafeText, lambda text, _: _safe(text))
    for kind in (EnhancedStatus, Address, UntrustedPath):
        converter.register_unstructure_hook(kind, str)
    converter.register_structure_hook(EnhancedStatus, lambda text, _: _status(text))
    converter.register_structure_hook(Address, lambda text, _: _address(text))
    converter.register_structure_hook(UntrustedPath, lambda text, _: UntrustedPath(_safe(text)))
    converter.register_structure_hook(
        Address | Literal[""] | None,
        lambda text, _: text if text in (None, NULL_SENDER) else _address(text),
    )
    converter.register_structure_hook(
        Outcome, lambda value, _: _word(value) if isinstance(value, str) else converter.structure(value, Reply)
    )
    configure_tagged_union(Effect, converter, tag_generator=EFFECT_NAMES.__getitem__, tag_name="effect")
    return converter


def _said(error: BaseException, kind: type | None) -> str:
    """Return what is wrong with one value, without the names of our types."""
    if isinstance(error, (KeyError, ForbiddenExtraKeysError)):
        return format_exception(error, kind)
    return clean(str(error), limit=80) or "not a valid value"


def _exactly(value: object, kind: type[_T]) -> _T:
    if type(value) is not kind:
        raise ValueError(f"not a {kind.__name__}")
    return value


def _safe(text: object) -> SafeText:
    return clean(_exactly(text, str), limit=TEXT_LIMIT)


def _status(text: object) -> EnhancedStatus:
    return EnhancedStatus(*map(int, _exactly(text, str).split(".")))


def _word(text: str) -> Outcome:
    if text not in _WORDS:
        raise ValueError(f"`{clean(text, limit=40)}` is no failure and no event")
    return _WORDS[text]


def _address(text: object) -> Address:
    # Not parsed again: what was once accepted stays what it was, even when the grammar of a later version is closer.
    local, at, domain = _exactly(text, str).rpartition("@")
    if not at:
        raise ValueError("not an address")
    return Address(local, domain)


_CONVERTER: Converter = _converter()
