"""Values as one line of JSON, written straight from their fields: a ledger writes more than it does anything else.

What is written is what `json.dumps(..., sort_keys=True, separators=(",", ":"))` makes of the fields that differ from
their defaults; a test compares the two.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import attrs

from policy.address import Address
from policy.contract.decision import EFFECT_NAMES
from policy.contract.times import write_time
from policy.forward import UntrustedPath
from policy.reply import EnhancedStatus
from policy.text import SafeText
from policy.throttle import Rate

_Writer = Callable[[Any], str]

_MICROSECOND = timedelta(microseconds=1)


def written(value: object) -> str:
    """Return any of our values as one line of JSON."""
    return _WRITERS[type(value)](value)


class _Writers(dict[type, _Writer]):
    """How each kind of value is written; that of a kind with fields is made when the first one comes."""

    def __missing__(self, kind: type) -> _Writer:
        self[kind] = writer = _writer(kind)
        return writer


def _writer(kind: type) -> _Writer:
    if issubclass(kind, Enum):
        texts = {id(each): quoted(each.value) for each in kind}
        return lambda member: texts[id(member)]
    if attrs.has(kind):
        return _record(kind)
    raise TypeError(f"no way to write a {kind.__name__}")


def _record(kind: type[attrs.AttrsInstance]) -> _Writer:
    """One with fields: those that tell something, by name; an effect is told by its own name beside them.

    The writer is a function of our making that names each field, as those of attrs and cattrs are: half the time of a
    loop over the fields.
    """
    lines = ["def write(value):", "    told = []"]
    known: dict[str, Any] = {"writers": _WRITERS}
    effect = next((name for each, name in EFFECT_NAMES.items() if each is kind), None)
    tells: dict[str, str] = {} if effect is None else {"effect": f"    told.append('\"effect\":{quoted(effect)}')"}
    for each in attrs.fields(kind):
        if each.init:
            unless, usual = _unless(each)
            known[f"usual_{each.name}"] = usual
            telling = f"{unless}told.append('\"{each.name}\":' + writers[type(each)](each))"
            tells[each.name] = f"    each = value.{each.name}\n    {telling}"
    lines += [tells[name] for name in sorted(tells)]
    lines.append("    return '{' + ','.join(told) + '}'")
    exec("\n".join(lines), known)  # noqa: S102 - the text is made of the names of our own fields
    writer: _Writer = known["write"]
    return writer


def _unless(field: "attrs.Attribute[Any]") -> tuple[str, object]:
    """The condition under which a field tells something, and its default."""
    usual: object = field.default
    if usual is attrs.NOTHING:
        return "", None
    if isinstance(usual, attrs.Factory):  # type: ignore[arg-type]
        usual = usual.factory()  # type: ignore[attr-defined]
    is_alone = usual is None or isinstance(usual, Enum | bool)  # equal to nothing but itself
    return f"if each {'is not' if is_alone else '!='} usual_{field.name}: ", usual


def _list(values: tuple[object, ...]) -> str:
    return f"[{','.join([_WRITERS[type(each)](each) for each in values])}]"


def _quoted_text(value: object) -> str:
    return quoted(str(value))


_AS_TEXT: dict[type, _Writer] = {
    Address: _quoted_text,
    EnhancedStatus: _quoted_text,
    UntrustedPath: _quoted_text,
}
_WRITERS = _Writers(
    {
        str: quoted,
        SafeText: quoted,
        int: str,
        bool: lambda value: "true" if value else "false",
        type(None): lambda _: "null",
        tuple: _list,
        datetime: lambda at: f'"{write_time(at)}"',
        timedelta: lambda span: str(span // _MICROSECOND),
        Rate: lambda rate: f"[{rate.count},{rate.per // _MICROSECOND}]",
        **_AS_TEXT,
    }
)
