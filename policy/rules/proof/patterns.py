r"""What can be proved about the text conditions of a rule: which hold always or never, and which imply another.

A phrase or a pattern is a regular set of texts: states between characters, and a border (`^`, `$`, `\b`) is a step
that only the characters on its two sides allow. A claim such as "whatever a finds, b finds" is refuted by one text.
Likely texts are tried first, then all at once, shortest first: the states of a and b are followed side by side through
every kind of character, and when they are used up the claim is proved. The texts followed are those that a reply can
have (`_shape_after`) and a few more; so a proof stands, and a text counts when `policy.text` and the engine agree.

Which characters a `[...]`, a `\pL` or a plain `s` takes (without case also `ſ`) is asked of the engine, by halving the
alphabet. Two libraries were compared and not taken: `greenery` reads `^` and `$` as plain characters and needs minutes
for `.*a.{8}b.*`; `interegular` refuses both and `\b`, and reads `[[:alpha:]]` as Python does. Each builds whole
automata before it answers, and cannot be told to give up.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache, lru_cache
from itertools import chain, islice, product
from typing import Literal, TypeAlias

from attrs import frozen

from policy.matching import Pattern, Phrases
from policy.text import TEXT_LIMIT, clean, searchable

TextAtom: TypeAlias = str | Pattern  # as the values of `text` (folded phrases) and of `pattern` are


class Verdict(Enum):
    """In which texts a pattern is found."""

    ALWAYS = "always"
    NEVER = "never"
    NEITHER = "neither"
    NOT_KNOWN = "not-known"


def verdict(pattern: str) -> Verdict:
    """Is the pattern found in every searchable text, in none, or in some?

    >>> verdict("a^b"), verdict("x|"), verdict("user .* unknown")
    (<Verdict.NEVER: 'never'>, <Verdict.ALWAYS: 'always'>, <Verdict.NEITHER: 'neither'>)
    """
    try:
        atoms = (Pattern(pattern),)
        if _witness(atoms, (True,)) is None:
            return Verdict.NEVER
        if _witness(atoms, (False,)) is None:
            return Verdict.ALWAYS
    except (_NotKnown, ValueError):  # a ValueError is a pattern that the engine refuses
        return Verdict.NOT_KNOWN
    return Verdict.NEITHER


def sample(pattern: str) -> str | None:
    """Return a short searchable text that the pattern is found in; None when there is none or none was seen.

    >>> sample("^user [a-z]+ (unknown|disabled)$")
    'user a unknown'
    """
    try:
        return _witness((Pattern(pattern),), (True,))
    except (_NotKnown, ValueError):
        return None


def implies(a: TextAtom, b: TextAtom) -> bool | None:
    """Does b hold in every searchable text in which a holds? None when that is not known.

    >>> implies("mailbox is full", Pattern("box.*full")), implies("x", Pattern("^x"))
    (True, False)
    """
    if isinstance(a, str) and isinstance(b, str) and b in a:
        return True
    return _impossible((a, b), (True, False))


def excludes(a: TextAtom, b: TextAtom) -> bool | None:
    """Is there no searchable text in which both hold, as with `^a` and `^b`? None when that is not known."""
    return _impossible((a, b), (True, True))


def containments(phrases: Sequence[str]) -> list[tuple[int, int]]:
    """Return all pairs (i, j), sorted, of different places in the list where phrase j is part of phrase i."""
    known = Phrases(phrases)
    return [(i, j) for i, phrase in enumerate(phrases) for j in sorted(known.found(phrase)) if i != j]


class _NotKnown(Exception):
    """The pattern is beyond us, or there is too much to follow."""


def _impossible(atoms: tuple[TextAtom, TextAtom], wish: tuple[bool, bool]) -> bool | None:
    try:
        return _witness(atoms, wish) is None
    except (_NotKnown, ValueError):
        return None


def _witness(atoms: tuple[TextAtom, ...], wish: tuple[bool, ...]) -> str | None:
    """Return a text in which those atoms hold that should, and no other; None when it is proved that there is none."""

    def serves(text: str) -> bool:
        is_real = len(text) <= TEXT_LIMIT and searchable(clean(text, limit=TEXT_LIMIT)) == text
        held = [atom in text if isinstance(atom, str) else atom.found(text) for atom in atoms]
        return is_real and held == list(wish)

    guess = next(filter(serves, _guesses(atoms)), None)
    if guess is not None:
        return guess
    found = list(islice(_texts([_Machine(_tree(atom)) for atom in atoms], wish), _CANDIDATES))
    text = next(filter(serves, found), None)
    if text is None and found:  # a text of a shape that no reply has after all
        raise _NotKnown
    return text


@frozen
class _Node:
    """A part of a pattern; a leaf is a border (`^`, `$`, `b`) or the source, flags in front, of one character."""

    kind: Literal["leaf", "row", "choice", "loop", "again"]  # again: a loop after a first time
    leaf: str = ""
    parts: "tuple[_Node, ...]" = ()


_ESCAPE = r"\\(?:[pP](?:\{[^}]*\}|.)|x(?:\{[0-9a-fA-F]+\}|[0-9a-fA-F]{2})|[0-7]{1,3}|.)"
_LETTER = re.compile(rf"\[\^?\]?(?:\[:\^?\w+:\]|{_ESCAPE}|[^\]\\])*\]|{_ESCAPE}|[^\[\\()|*+?]", re.DOTALL)
_GROUP = re.compile(r"\((?:\?P?<\w+>|\?(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?(?P<end>[:)]))?")
_REPEAT = re.compile(r"([*+?]|\{[0-9]+(?:,[0-9]*)?\})\??")
_SIGNS = {"*": "0,", "+": "1,", "?": "0,1"}
_BORDERS = {"^": "^", r"\A": "^", "$": "$", r"\z": "$", r"\b": "b"}
# `\C` is half a character, and `\B` holds inside one (of two octets or more); `\Q` quotes a run of them.
_BEYOND_US = (r"\B", r"\C", r"\Q")
_END, _BAR = re.compile(r"\)|\Z"), re.compile(r"\|")
_GROUPS = 60  # each may be inside the one before


class _Reader:
    """Reads a pattern that the engine takes; so what is wrong in it need not be seen here."""

    def __init__(self, pattern: str) -> None:
        if pattern.count("(") > _GROUPS:
            raise _NotKnown
        self._pattern, self._at = pattern, 0

    def group(self, flags: frozenset[str] = frozenset("i")) -> _Node:
        """Read up to the end of the group and over it; `flags` may change on the way, for the rest of it."""
        rows: list[list[_Node]] = [[]]
        while not self._take(_END):
            if self._take(_BAR):
                rows.append([])
            elif found := self._take(_GROUP):
                inner = (flags | set(found["on"] or "")) - set(found["off"] or "")
                if found["end"] != ")":
                    rows[-1].append(self._repeated(self.group(inner)))
                elif self._take(_REPEAT):  # it repeats what stands before the flags
                    raise _NotKnown
                else:
                    flags = inner
            else:
                rows[-1].append(self._repeated(self._leaf(flags)))
        return _Node("choice", parts=tuple(_Node("row", parts=tuple(row)) for row in rows))

    def _take(self, what: re.Pattern[str]) -> re.Match[str] | None:
        found = what.match(self._pattern, self._at)
        self._at = found.end() if found else self._at
        return found

    def _leaf(self, flags: frozenset[str]) -> _Node:
        found = self._take(_LETTER)
        if found is None or found[0] in _BEYOND_US:
            raise _NotKnown
        if found[0] in _BORDERS:  # without line ends in the text, `(?m)` changes nothing
            return _Node("leaf", _BORDERS[found[0]])
        source = "\\" + found[0] if found[0] in "{}]" else found[0]
        return _Node("leaf", f"(?{'s' * ('s' in flags)}{'i' if 'i' in flags else '-i'}){source}")

    def _repeated(self, part: _Node) -> _Node:
        while found := self._take(_REPEAT):
            low, comma, high = _SIGNS.get(found[1], found[1].strip("{}")).partition(",")
            least, most = int(low), int(high or low)
            maybe = _Node("choice", parts=(part, _Node("row")))
            loop = _Node("again" if least else "loop", parts=(part,))
            more = (loop,) if comma and not high else (maybe,) * (most - least)
            part = _Node("row", parts=(part,) * least + more)
        return part


_PROBES = ("", "x", "0", "user unknown", "?", "é")
_COMMON = "abcdefghijklmnopqrstuvwxyz0123456789 -.,:;!?'\"()[]@{}<>#$%&*+/=\\^_`|~"


def _guesses(atoms: tuple[TextAtom, ...]) -> Iterator[str]:
    likely = [[atom] if isinstance(atom, str) else _likely(atom) for atom in atoms]
    texts = [text for its_texts in likely for text in its_texts]
    yield from texts
    if len(likely) > 1:
        yield from (f"{one} {other}" for pair in product(*likely) for one, other in (pair, pair[::-1]))
    yield from _PROBES
    # what follows an `@` is no address
    yield from (around.format(text) for around in ("x{}", "{}x", "x {} x", "x{}x", "@{}") for text in texts)


@lru_cache(maxsize=256)
def _likely(pattern: Pattern) -> list[str]:
    tree = _tree(pattern)
    texts = [_spelled(tree, branch, preferred) for branch, preferred in product((0, -1), " x")]
    return list(dict.fromkeys([*texts, *map(str.strip, texts)]))


def _spelled(node: _Node, branch: int, preferred: str) -> str:
    """Return a text for `node` that takes this branch of each choice, and this character wherever it may."""
    if node.kind == "leaf":
        return "" if node.leaf in "^$b" else _letter(node.leaf, preferred)
    if node.kind == "again" or (node.kind == "loop" and branch):
        return ""
    parts = (node.parts[branch],) if node.kind == "choice" else node.parts
    return "".join([_spelled(part, branch, preferred) for part in parts])


@lru_cache(maxsize=4096)
def _letter(source: str, preferred: str) -> str:
    """Return a character that this letter of a pattern takes; a blank when none comes to mind."""
    return next(filter(Pattern(source).found, (preferred, *_COMMON, source[-1].lower())), " ")


@cache
def _alphabet() -> str:
    """All characters that a searchable text may have, printable and without a lower case of their own; common first."""
    letters = (char for char in map(chr, range(0x110000)) if char.isprintable() and char.lower() == char)
    return _COMMON + "".join(char for char in letters if char not in _COMMON)


@lru_cache(maxsize=4096)
def _spans(source: str) -> tuple[tuple[int, int], ...]:
    """Return which characters one letter of a pattern takes, as (first, after the last) places in the alphabet."""
    some, every = Pattern(source), Pattern(f"^(?:{source})*$")
    spans: list[tuple[int, int]] = []
    todo = [(0, len(_alphabet()))]
    while todo:
        low, high = todo.pop()
        part = _alphabet()[low:high]
        if every.found(part):
            spans.append((low, high))
        elif some.found(part):
            middle = (low + high) // 2
            todo += [(middle, high), (low, middle)]
    return tuple(spans)


_Side: TypeAlias = Literal["edge", "blank", "word", "other"]  # what stands on one side of a place
# What a character is to an address: it may stand in the local part (l) or the domain (d), or before the address (b).
_ROLES: dict[str, tuple[_Side, str]] = {
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyz0123456789_", ("word", "ld")),
    **dict.fromkeys('<",;()', ("other", "b")),
    **dict.fromkeys(":[]", ("other", "bd")),
    " ": ("blank", "b"),
    ">": ("other", ""),  # one is left after the placeholder, `<address>'jo@example.org`
    "@": ("other", "@"),
    "'": ("other", "l"),
}


@frozen
class _Kind:
    """Characters that no letter of the patterns at hand and no shape tells apart."""

    char: str  # the most common of them
    side: _Side
    role: str
    letters: frozenset[str]  # that take them


def _kinds(sources: frozenset[str]) -> list[_Kind]:
    """Return all kinds of characters, the common first."""
    if len(sources) > _LETTERS:
        raise _NotKnown
    turns: dict[int, set[str]] = {place: set() for place in range(len(_COMMON) + 1)}
    for source in sources:
        for place in chain(*_spans(source)):  # twice where one span ends and another begins: no turn
            turns.setdefault(place, set()).symmetric_difference_update({source})
    letters: frozenset[str] = frozenset()
    kinds: dict[tuple[_Side, str, frozenset[str]], _Kind] = {}
    for place in sorted(turns.keys() - {len(_alphabet())}):
        letters ^= turns[place]
        key = (*_ROLES.get(_alphabet()[place], ("other", "ld")), letters)
        kinds.setdefault(key, _Kind(_alphabet()[place], *key))
    return list(kinds.values())


_Shape: TypeAlias = tuple[_Side, str]  # the last character; how far an address came: "b", "l", "@", or "": not begun


def _shape_after(shape: _Shape, kind: _Kind) -> _Shape | None:
    """Return the shape after one more character; None when a blank is not alone, or when an address would be left."""
    before, address = shape
    if (kind.side == "blank" and before in ("edge", "blank")) or (address == "@" and "d" in kind.role):
        return None
    if kind.role == "@":
        return kind.side, "@" if address == "l" else ""
    if "b" in kind.role:
        return kind.side, "b"
    return kind.side, "l" if address in ("b", "l") and "l" in kind.role else ""


_Places: TypeAlias = frozenset[int] | None  # the states a search is in; None once it has found
_STATES, _LETTERS, _CANDIDATES = 3000, 100, 30
_WORK = 150_000  # about a third of a second


class _Machine:
    """A tree as numbered states, each with the leaf that it asks for (or none) and the states that follow."""

    def __init__(self, tree: _Node) -> None:
        self._asks = [""]
        self._ways: list[tuple[int, ...]] = [()]  # state 0 is the end
        self._reached: dict[tuple[frozenset[int], _Side, _Side], tuple[bool, tuple[int, ...]]] = {}
        self.start = frozenset({self._built(tree, 0)})
        self.letters = frozenset(self._asks) - {"", "^", "$", "b"}
        self.work = 0

    def _state(self, asks: str, *ways: int) -> int:
        if len(self._ways) >= _STATES:
            raise _NotKnown
        self._asks.append(asks)
        self._ways.append(ways)
        return len(self._ways) - 1

    def _built(self, node: _Node, then: int) -> int:
        """Return the first state of `node`, after which it goes on at `then`."""
        if node.kind == "leaf":
            return self._state(node.leaf, then)
        if node.kind == "choice":
            return self._state("", *[self._built(part, then) for part in node.parts])
        if node.kind in ("loop", "again"):
            loop = self._state("")
            self._ways[loop] = (self._built(node.parts[0], loop), then)
            return loop
        for part in reversed(node.parts):
            then = self._built(part, then)
        return then

    def after(self, places: _Places, before: _Side, kind: _Kind) -> _Places:
        """Return the states after one character of this kind; a search may start anywhere, so the first is in it."""
        is_found, waiting = (True, ()) if places is None else self._at(places, before, kind.side)
        self.work += 1 + len(waiting)
        if is_found:
            return None
        return self.start.union(self._ways[state][0] for state in waiting if self._asks[state] in kind.letters)

    def has_found(self, places: _Places, before: _Side) -> bool:
        """Has the search found by the end of the text, which is here?"""
        return places is None or self._at(places, before, "edge")[0]

    def _at(self, places: frozenset[int], before: _Side, after: _Side) -> tuple[bool, tuple[int, ...]]:
        """Return whether the end is reached without another character, and the states that wait for one."""
        key = (places, before, after)
        if key not in self._reached:
            is_border = (before == "word") is not (after == "word")
            is_open = {"": True, "^": before == "edge", "$": after == "edge", "b": is_border}
            seen, todo = set(places), list(places)
            while todo:
                state = todo.pop()
                if is_open.get(self._asks[state], False):
                    todo += [way for way in self._ways[state] if way not in seen]
                    seen.update(self._ways[state])
            self.work += len(seen)
            self._reached[key] = (0 in seen, tuple(state for state in seen if self._asks[state] in self.letters))
        return self._reached[key]


def _tree(atom: TextAtom) -> _Node:
    exactly = atom.pattern if isinstance(atom, Pattern) else "(?-i)" + "".join(f"\\x{{{ord(char):x}}}" for char in atom)
    return _Reader(exactly).group()


def _texts(machines: list[_Machine], wish: tuple[bool, ...]) -> Iterator[str]:
    """Yield texts, the shortest to each state, in which exactly the wished are found; none if there are none."""
    kinds = _kinds(frozenset().union(*(machine.letters for machine in machines)))
    begin: tuple[_Shape, tuple[_Places, ...]] = (("edge", "b"), tuple(machine.start for machine in machines))
    todo, seen = deque([(*begin, "")]), {begin}
    while todo:
        shape, places, text = todo.popleft()
        runs = list(zip(machines, places, wish, strict=True))
        if shape[0] != "blank" and all(run.has_found(at, shape[0]) is wanted for run, at, wanted in runs):
            yield text
        for kind in kinds:
            next_shape = _shape_after(shape, kind)
            if next_shape is None:
                continue
            after = tuple(run.after(at, shape[0], kind) for run, at, _ in runs)
            is_lost = any(at is None and not wanted for at, wanted in zip(after, wish, strict=True))
            if not is_lost and (next_shape, after) not in seen:
                seen.add((next_shape, after))
                todo.append((next_shape, after, text + kind.char))
        if len(seen) + sum(machine.work for machine in machines) > _WORK:
            raise _NotKnown
