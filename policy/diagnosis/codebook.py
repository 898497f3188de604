"""What a reply code or an enhanced status means, for people, and in what two of them differ.

The codebook is prose with a reference: it explains, and decides nothing. What a status means comes from the knowledge
(`statuses.yaml`), so that the two cannot say different things; the rest is in `codebook.yaml` and `statusbook.yaml`,
read at first use. A code that no standard has gets the meaning of its class (RFC 5321 4.2).
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from attrs import field, frozen

from policy.diagnosis.category import Category, Fault, Weight
from policy.diagnosis.datafile import read_data
from policy.diagnosis.knowledge import Finding, shipped_knowledge
from policy.reply import EnhancedStatus
from policy.text import clean

_CODE = re.compile(r"[2-5][0-9]{2}")


@frozen(kw_only=True)
class ReplyClass:
    """A first digit: `says` and `act` are what it says and asks for, in a few words."""

    name: str
    says: str
    act: str
    meaning: str
    todo: str
    ref: str


@frozen(kw_only=True)
class CodeEntry:
    """A reply code; `whose` has more than one fault where the code alone leaves it open."""

    code: str
    name: str
    meaning: str
    when: str
    todo: str
    commands: tuple[str, ...]
    whose: tuple[Fault, ...]
    origin: str
    ref: str
    warning: str


@frozen(kw_only=True)
class StatusEntry:
    """Where an enhanced status of the registry is at home; `codes`: beside it, the ordinary one of each class first."""

    codes: tuple[str, ...]
    commands: tuple[str, ...]
    when: str
    ref: str
    warning: str


@frozen(kw_only=True, eq=False)
class Codebook:
    """All of it: statuses are keyed by `X.1.1`, differences by the pair of labels."""

    classes: Mapping[int, ReplyClass]
    subjects: Mapping[int, str]
    whose: Mapping[Fault, tuple[str, str]]  # whose matter that is, and what to look at
    codes: Mapping[str, CodeEntry]
    statuses: Mapping[str, StatusEntry]
    pairs: Mapping[frozenset[str], str]


@frozen
class Asked:
    """A reply as somebody asks about it: a code (200-599), an enhanced status, or both."""

    code: int | None
    status: EnhancedStatus | None = None

    def __attrs_post_init__(self) -> None:
        if self.code is None and self.status is None:
            raise ValueError("a reply code or an enhanced status is needed")

    @property
    def klass(self) -> int:
        """The first digit; the code's where the two differ (RFC 2034 4)."""
        return int(str(self)[0])

    def __str__(self) -> str:
        return " ".join(str(each) for each in (self.code, self.status) if each is not None)


@frozen(kw_only=True)
class Explanation:
    """What the codebook says of a reply.

    Args:
        known: the codebook has it; False when only its class (and subject) speaks.
        says_more: of a code with a status, which of the two says more, and why; empty for one alone.
        commands: what it may answer, see the codebook; () where no standard says.
        carrier: the code with which a status usually comes in this class.
        warnings: what is easily misread, the providers' own meanings last.
    """

    asked: Asked
    known: bool
    klass: ReplyClass
    name: str
    meaning: str
    when: str
    todo: str
    whose: tuple[Fault, ...]
    commands: tuple[str, ...]
    ref: str
    carrier: int
    says_more: str = ""
    subject: str = ""
    warnings: tuple[str, ...] = field(default=())


def read_asked(words: Sequence[str]) -> tuple[Asked, ...]:
    """Read codes and statuses; a status right after a code belongs to the same reply.

    Raises:
        ValueError: for a word that is neither, with a hint.

    >>> [str(each) for each in read_asked(["550", "5.7.1", "251"])]
    ['550 5.7.1', '251']
    """
    asked: list[Asked] = []
    for word in (part for each in words for part in each.split()):
        if _CODE.fullmatch(word):
            asked.append(Asked(int(word)))
            continue
        status = _status(word)
        if asked and asked[-1].status is None:
            asked[-1] = Asked(asked[-1].code, status)
        else:
            asked.append(Asked(None, status))
    return tuple(asked)


def _status(word: str) -> EnhancedStatus:
    try:
        return EnhancedStatus.parse(word)
    except ValueError:
        shown = clean(word, limit=40)
    if re.fullmatch(r"[0-9]+", word):
        hint = "three digits, the first of them 2, 3, 4 or 5, such as 550"
        raise ValueError(f"`{shown}` is no reply code: it has {hint}")
    if re.fullmatch(r"[0-9]+(\.[0-9]*)+", word):
        hint = "three numbers without leading zeros, the first of them 2, 4 or 5, such as 5.7.1"
        raise ValueError(f"`{shown}` is no enhanced status: it has {hint}")
    raise ValueError(f"`{shown}` is neither a reply code such as 550 nor an enhanced status such as 5.7.1")


def explain(asked: Asked) -> Explanation:
    """Return what the codebook says of `asked`. Total: what nobody has defined is explained by its class."""
    if asked.status is None:
        return _explained_code(str(asked.code))
    if asked.code is None:
        return _explained_status(asked.status)
    return _together(asked, _explained_code(str(asked.code)), _explained_status(asked.status))


def _explained_code(code: str) -> Explanation:
    asked, entry = Asked(int(code)), codebook().codes.get(code)
    if entry is None:
        beware = "An unknown code counts as its first digit says, and never against an address."
        return _nobodys(asked, "a code that no RFC has", ref="RFC 5321 4.2.1", carrier=int(code), warnings=(beware,))
    return Explanation(
        asked=asked,
        known=True,
        klass=codebook().classes[asked.klass],
        name=entry.name,
        meaning=entry.meaning,
        when=entry.when,
        todo=entry.todo,
        whose=entry.whose,
        commands=entry.commands,
        ref=entry.ref,
        carrier=int(code),
        warnings=tuple(filter(None, [entry.warning])),
    )


_CARRIERS = {2: 250, 4: 451, 5: 550}  # where the registry names no code of the class


def _explained_status(status: EnhancedStatus) -> Explanation:
    book, asked = codebook(), Asked(None, status)
    klass, subject = book.classes[status.klass], book.subjects.get(status.subject, "")
    entry = book.statuses.get(f"X.{status.subject}.{status.detail}")
    finding = shipped_knowledge().status(status, None)
    if entry is None or finding is None:
        return _nobodys(
            asked,
            "a status that no RFC has",
            ref="RFC 3463 2",
            carrier=_CARRIERS[status.klass],
            subject=subject,
            warnings=_providers(status),
        )
    return Explanation(
        asked=asked,
        known=True,
        klass=klass,
        name=finding.meaning,
        meaning=f"{finding.meaning[0].upper()}{finding.meaning[1:]}. {klass.meaning}",
        when=entry.when,
        todo=_status_todo(status, finding, klass),
        whose=(finding.fault if status.klass != 2 else Fault.NONE,),
        commands=entry.commands,
        ref=entry.ref,
        carrier=next((int(each) for each in entry.codes if int(each[0]) == status.klass), _CARRIERS[status.klass]),
        subject=subject,
        warnings=(*filter(None, [entry.warning]), *_providers(status)),
    )


def _nobodys(
    asked: Asked, name: str, *, ref: str, carrier: int, subject: str = "", warnings: tuple[str, ...] = ()
) -> Explanation:
    """What no standard has, explained by its class."""
    klass = codebook().classes[asked.klass]
    return Explanation(
        asked=asked,
        known=False,
        klass=klass,
        name=name,
        meaning=f"Only its class is known, no RFC and no registry has it. {klass.meaning}",
        when="Whoever sends it made it up, or uses it in a sense of their own.",
        todo=klass.todo,
        whose=(Fault.NONE,),
        commands=(),
        ref=f"no RFC; class by {ref}",
        carrier=carrier,
        subject=subject,
        warnings=warnings,
    )


def _status_todo(status: EnhancedStatus, finding: Finding, klass: ReplyClass) -> str:
    """A success needs nothing, a transient failure time first; for good, what the knowledge advises."""
    remedy = finding.remedy if finding.category is not Category.UNKNOWN else ""
    if status.klass == 2 or not remedy:
        return klass.todo
    return remedy if status.klass == 5 else f"{klass.todo} If it lasts: {remedy}"


def _providers(status: EnhancedStatus) -> tuple[str, ...]:
    """What providers mean by it, where that is not what the registry says."""
    own = shipped_knowledge().provider_statuses
    found = ((provider, finding) for (provider, key), finding in own.items() if key == str(status))
    return tuple(f"{name.title()} uses {status} in a sense of its own: {finding.meaning}." for name, finding in found)


def _together(asked: Asked, code: Explanation, status: Explanation) -> Explanation:
    """A code with a status: one of them says more, and gives its name, its matter and its advice to both."""
    more, why = _says_more(code, status)
    return Explanation(
        asked=asked,
        known=code.known and status.known,
        klass=code.klass,
        name=more.name,
        meaning=f"{code.asked}: {code.meaning} {status.asked}: {status.meaning}",
        when=f"{code.asked}: {code.when} {status.asked}: {status.when}",
        # Where they agree the code's advice is written for this code, the status's for a whole category.
        todo=code.todo if set(code.whose) == set(more.whose) else more.todo,
        whose=more.whose,
        commands=code.commands or status.commands,
        ref=f"{code.asked}: {code.ref}; {status.asked}: {status.ref}",
        carrier=code.carrier,
        says_more=why,
        subject=status.subject,
        warnings=(*code.warnings, *status.warnings),
    )


def _says_more(code: Explanation, status: Explanation) -> tuple[Explanation, str]:
    """Which of the two says more, and why in one sentence."""
    stated = status.asked.status
    if stated is None or code.asked.klass != stated.klass:
        counts = f"; it counts as {code.asked.klass}.0.0" if code.asked.klass != 3 else " (a 3yz has no status at all)"
        return code, f"{code.asked} counts: {stated} is of another class, which RFC 2034 4 forbids{counts}."
    if not status.known or (stated.subject, stated.detail) == (0, 0):
        return code, f"{code.asked} says more: {stated} tells no more than the class."
    if stated.detail == 0 and len(code.whose) == 1:
        return code, f"{code.asked} says more: {stated} only names a field, {status.subject}."
    if len(code.whose) > 1:
        why = f"{stated} says more: {code.asked} alone leaves open whose matter it is, {stated} says {status.name}."
    elif set(code.whose) == set(status.whose):
        why = f"The two agree; {stated} says more exactly what it is: {status.name}."
    else:
        why = f"{stated} says more: it is the particular one, {status.name}."
    finding = shipped_knowledge().status(stated, None)
    vague = finding is not None and finding.weight is Weight.WEAK
    return status, why + (" It is vague itself: the wording of the reply weighs more than either." if vague else "")


def difference(first: Explanation, second: Explanation) -> str:
    """Return the key difference of two replies in one or two sentences: the codebook's own, or made from class,
    subject and whose matter they are."""
    if first.asked == second.asked:
        return f"None: both are {first.asked}."
    for one, other in _labels(first.asked, second.asked):
        if (written := codebook().pairs.get(frozenset((one, other)))) is not None:
            return written
    if first.asked.klass != second.asked.klass:
        return f"{_is(first)}, {_is(second)}. After {_so(first)}; after {_so(second)}."
    both = f"Both are a {first.klass.name} ({first.klass.says})"
    if set(first.whose) != set(second.whose):
        so = f"After {_so(first)}; after {_so(second)}." if first.asked.klass == 5 else f"After both {first.klass.act}."
        return f"{both}, but {_matter(first)}, and {_matter(second)}. {so}"
    if set(first.whose) != {Fault.NONE}:
        both += f" and a matter of {matter(first.whose)}"
    about = first.subject != second.subject
    return f"{both}. {_says(first, about=about)}; {_says(second, about=about)}."


def _labels(first: Asked, second: Asked) -> list[tuple[str, str]]:
    """Under what a written difference may stand: both have a status, of one code or of none; or neither has."""
    if first.status is None and second.status is None:
        return [(str(first.code), str(second.code))]
    if first.status is not None and second.status is not None and first.code == second.code:
        return [(str(first.status), str(second.status))]
    return []


def matter(whose: Sequence[Fault]) -> str:
    """Whose matter it is, in words; several are alternatives."""
    return _either([codebook().whose[each][0] for each in whose])


def _is(each: Explanation) -> str:
    return f"{each.asked} is a {each.klass.name} ({each.klass.says}: {each.name})"


def _says(each: Explanation, *, about: bool) -> str:
    return f"{each.asked} says: {each.name}" + (f" (about {each.subject})" if about and each.subject else "")


def _matter(each: Explanation) -> str:
    return f"{each.asked} ({each.name}) is a matter of {matter(each.whose)}"


def _so(each: Explanation) -> str:
    look = _either([codebook().whose[fault][1] for fault in each.whose])
    return f"{each.asked} {each.klass.act}" + (f": look at {look}" if each.asked.klass == 5 else "")


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


@cache
def codebook() -> Codebook:
    """Read the data files; the same value each time."""
    book, statuses = read_data("codebook.yaml"), read_data("statusbook.yaml")
    entries = (CodeEntry(**_tuples(each, whose=Fault)) for each in book["codes"])
    return Codebook(
        classes={int(each.pop("class")): ReplyClass(**each) for each in book["classes"]},
        subjects={int(each["subject"]): each["name"] for each in book["subjects"]},
        whose={Fault(each["fault"]): (each["matter"], each["look"]) for each in book["whose"]},
        codes={entry.code: entry for entry in entries},
        statuses={each.pop("status"): StatusEntry(**_tuples({"warning": "", **each})) for each in statuses},
        pairs={frozenset(each["pair"]): each["difference"] for each in book["pairs"]},
    )


def _tuples(entry: dict[str, Any], **types: type) -> dict[str, Any]:
    """The entry with its lists as tuples of `types` (str where none is given)."""
    return {
        key: tuple(map(types.get(key, str), value)) if isinstance(value, list) else value
        for key, value in entry.items()
    }
