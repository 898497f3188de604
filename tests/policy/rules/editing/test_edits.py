"""Edits of rules files: exactly one thing reads differently afterwards, and nothing else looks different."""

import copy
import re
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from policy.rules.editing.edits import EditError, add_rule, disable, enable, set_value, unset_value

SHIPPED = (Path(__file__).parents[4] / "rules.yaml").read_bytes().decode()
BELOW = frozenset(["low-one", "low-two", "low-three", "163"])

PLAIN = ["retry", "5yz", "a b", "😀", "x.y", "7d"]
IN_QUOTES = ["it's", "a, b", "x: y", "# no", "", "550", 'say "no"', "back\\slash"]
GIVEN = [  # what a user gives, and what it reads as
    ("fast", "fast"), ("7d", "7d"), ("a, b", "a, b"), ("'it''s'", "it's"), ('"# not"', "# not"), ("''", ""),
    ("[a, 'b, c']", ["a", "b, c"]), ("{for: 7d, n: [1, 2]}", {"for": "7d", "n": ["1", "2"]}), ("[]", []), ("{}", {}),
    ("😀 yes", "😀 yes"), ("|\n  two\n  lines", "two\nlines"), ("x:y", "x:y"), ("[a,\n b]", ["a", "b"]),
]  # fmt: skip
PATHS = ["note", "owner", "then.schedule", "then.suppress.for", "when.code", "when.not.text", "then.action", "then"]


def read(text: str) -> Any:
    """The oracle: all scalars as strings."""
    return yaml.load(text, Loader=yaml.BaseLoader) or {}  # noqa: S506


def laid(base: Any, keys: list[str], value: Any) -> Any:
    """`base` with `value` under `keys`."""
    tree = place = copy.deepcopy(base)
    for key in keys[:-1]:
        if place.get(key, "") == "":
            place[key] = {}
        place = place[key]
    place[keys[-1]] = value
    return tree


def replaced(old: str, new: str) -> tuple[str, str]:
    """What of `old` became what of `new`, as one stretch."""
    short = min(len(old), len(new))
    head = next((i for i in range(short) if old[i] != new[i]), short)
    tail = next((i for i in range(short - head) if old[-1 - i] != new[-1 - i]), short - head)
    return old[head : len(old) - tail], new[head : len(new) - tail]


def comments(text: str) -> list[str]:
    return re.findall(r"# c[0-9]+/\S*", text)


class Writer:
    """Writes a tree as YAML in any layout; each comment says in whose value it stands."""

    def __init__(self, whims: bytes) -> None:
        self.whims, self.count, self.open_end = cycle(whims), 0, False

    def often(self, times_in_six: int) -> bool:
        return next(self.whims) % 6 >= 6 - times_in_six

    def remark(self, path: str) -> str:
        self.count += 1
        return f"# c{self.count}{path}"

    def scalar(self, text: str) -> str:
        if text in IN_QUOTES and ("'" in text or self.often(3)):
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return text if text not in IN_QUOTES and self.often(4) else "'" + text.replace("'", "''") + "'"

    def flow(self, value: Any, path: str) -> str:
        if isinstance(value, str):
            return self.scalar(value)
        items = [self.flow(each, path) for each in value]
        if isinstance(value, dict):
            items = [
                f"{key}:{' ' * (1 + self.often(1))}{self.flow(each, f'{path}{key}/')}" for key, each in value.items()
            ]
        text = ""
        for number, item in enumerate(items):
            comma = "," if number + 1 < len(items) or self.often(1) else ""
            between = f" {self.remark(path)}\n        " if self.often(1) else " " * self.often(4)
            text += item + comma + between
        return f"[{text}]" if isinstance(value, list) else f"{{{text}}}"

    def note(self, indent: int) -> str:
        pad = "\n" + " " * (indent + 2)
        style = ("|", "|-", ">")[next(self.whims) % 3]  # after `|+` some edits are refused
        return f"{style}{pad}some text: # of\n{pad}two lines" + "\n" * self.often(1)

    def lines(self, pairs: list[tuple[str, Any, str]], indent: int, path: str) -> list[str]:
        """`pairs`: the head (`key:` or `-`), the value, and its path."""
        found = []
        for number, (head, value, inner) in enumerate(pairs):
            pad = " " * indent
            if self.often(1) and (number or head == "-"):
                found.append(pad + self.remark(path) if self.often(4) else "")
            tail = f"   {self.remark(path)}" if self.often(2) else ""
            self.open_end = head == "note:" and self.often(3)
            if self.open_end:
                found.append(f"{pad}{head} {self.note(indent)}")
            elif isinstance(value, str) or not value or self.often(3):
                found.append(f"{pad}{head} {self.flow(value, inner)}{tail}")
            elif head == "-" and isinstance(value, dict):
                found += self.item(value, indent, inner)
            else:
                deeper = 0 if isinstance(value, list) and self.often(2) else 2
                found += [f"{pad}{head}{tail}", *self.block(value, indent + deeper, inner)]
        return found

    def item(self, value: dict[str, Any], indent: int, path: str) -> list[str]:
        lines = self.block(value, indent + 2, path)
        return [" " * indent + "- " + lines[0].lstrip(" "), *lines[1:]]

    def block(self, value: Any, indent: int, path: str) -> list[str]:
        if isinstance(value, dict):
            return self.lines([(f"{key}:", each, f"{path}{key}/") for key, each in value.items()], indent, path)
        return self.lines([("-", each, f"{path}{number}/") for number, each in enumerate(value)], indent, path)

    def file(self, tree: dict[str, Any]) -> str:
        text = self.flow(tree, "/") if self.often(1) else "\n".join(self.block(tree, 0, "/"))
        text = self.remark("/") + "\n" + text if self.often(3) else text
        text += "\n" if self.open_end or self.often(5) else ""
        text += self.remark("/") + "\n" if text.endswith("\n") and self.often(2) else ""
        return "\ufeff" * self.often(1) + (text.replace("\n", "\r\n") if self.often(2) else text)


scalars = st.sampled_from(PLAIN + IN_QUOTES)
conditions = st.dictionaries(
    st.sampled_from(["code", "text", "tag"]), scalars | st.lists(scalars, max_size=3), max_size=3
)


@st.composite
def rules(draw: Callable[[st.SearchStrategy[Any]], Any], names: str) -> list[dict[str, Any]]:
    """A list of rules with ids of their own."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        rule: dict[str, Any] = {"id": f"{names}-{number}"}
        if draw(st.booleans()):
            rule["when"] = draw(conditions)
        rule["then"] = {"action": "retry", **draw(st.fixed_dictionaries({}, optional={"schedule": scalars}))}
        if draw(st.booleans()):
            rule["then"]["suppress"] = draw(st.fixed_dictionaries({}, optional={"for": scalars, "scope": scalars}))
        rule |= draw(st.fixed_dictionaries({}, optional={"note": scalars, "examples": st.lists(scalars, max_size=2)}))
        found.append(rule)
    return found


@st.composite
def files(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """A rules file in any layout."""
    tree: dict[str, Any] = {"mailverdict": "1", "rules": draw(rules("everyone"))}
    if draw(st.booleans()):
        tree["domains"] = {"a.example": {"rules": draw(rules("domain"))}}
    if draw(st.booleans()):
        tree["disable"] = ["low-one", *draw(st.sampled_from([[], ["low-two"]]))]
    if draw(st.booleans()):
        tree["override"] = [{"id": "low-one", "set": {"then": {"schedule": "slow"}}}]
    return Writer(draw(st.binary(min_size=61, max_size=61))).file(tree)


def ids(tree: Any) -> list[tuple[list[Any], int]]:
    """The lists of rules, each with the place of a rule."""
    lists = [tree["rules"], *(each["rules"] for each in tree.get("domains", {}).values())]
    return [(rules, place) for rules in lists for place in range(len(rules))]


@given(files(), st.data())
def test_setting_changes_one_value_and_no_character_elsewhere(text: str, data: st.DataObject) -> None:
    tree = read(text)
    listed, place = data.draw(st.sampled_from(ids(tree)))
    path, (given_, value) = data.draw(st.sampled_from(PATHS)), data.draw(st.sampled_from(GIVEN))
    keys = path.split(".")
    rule = inner = listed[place]
    edited = set_value(text, rule["id"], path, given_)
    for key in keys[:-1]:
        inner = inner.get(key, {})
    fresh = keys[-1] not in inner
    listed[place] = laid(rule, keys, value)
    assert read(edited) == tree
    out, _ = replaced(text, edited)
    assert not (fresh and out), "to add is only to insert"
    where = "" if fresh else f"/{path.replace('.', '/')}/"
    kept = [each for each in comments(text) if not where or where not in each]
    assert [each for each in comments(edited) if each in kept] == kept
    assert set_value(edited, rule["id"], path, given_) == edited
    assert "\n" not in edited.replace("\r\n", "") or "\r\n" not in text


@given(files(), st.data())
def test_unsetting_takes_one_key_out_and_keeps_the_comments_beside_it(text: str, data: st.DataObject) -> None:
    tree = read(text)
    listed, place = data.draw(st.sampled_from(ids(tree)))
    outer, key = data.draw(
        st.sampled_from(
            [(o, k) for o in ("", "when", "then") for k in (listed[place].get(o, {}) if o else listed[place])]
        )
    )
    assume(key != "id")
    path = f"{outer}.{key}" if outer else key
    edited = unset_value(text, listed[place]["id"], path)
    (listed[place][outer] if outer else listed[place]).pop(key)
    assert read(edited) == tree
    kept = [each for each in comments(text) if f"/{path.replace('.', '/')}/" not in each]
    assert [each for each in comments(edited) if each in kept] == kept
    assert edited.endswith("\n") or not text.endswith("\n")


@given(files(), st.sampled_from([("low-three", "then.alert"), ("low-one", "when.code"), ("low-one", "then.schedule")]))
def test_a_rule_of_a_lower_file_is_overridden(text: str, edit: tuple[str, str]) -> None:
    rule_id, path = edit
    tree, edited = read(text), set_value(text, rule_id, path, "ops", BELOW)
    entries = {each["id"]: each for each in tree.get("override", [])}
    entries[rule_id] = laid(entries.get(rule_id, {"id": rule_id}), ["set", *path.split(".")], "ops")
    assert read(edited) == {**tree, "override": list(entries.values())}
    assert comments(edited) == comments(text)
    assert set_value(edited, rule_id, path, "ops", BELOW) == edited
    undone = unset_value(edited, rule_id, path, BELOW)
    if path != "then.schedule":  # it was not there before
        assert read(undone) == tree
    unset = unset_value(undone, rule_id, path, BELOW)
    assert path in next(each["unset"] for each in read(unset)["override"] if each["id"] == rule_id)
    assert unset_value(unset, rule_id, path, BELOW) == unset


@given(files(), st.sampled_from(sorted(BELOW)))
def test_enabling_undoes_disabling(text: str, rule_id: str) -> None:
    tree = read(text)
    assume(rule_id not in tree.get("disable", []))
    edited = disable(text, rule_id, BELOW)
    assert read(edited) == {**tree, "disable": [*tree.get("disable", []), rule_id]}
    assert comments(edited) == comments(text)
    assert replaced(text, edited)[0] == ""
    assert disable(edited, rule_id, BELOW) == edited
    undone = enable(edited, rule_id)
    assert undone == text if "disable" in tree else read(undone) == tree
    assert comments(undone) == comments(text)


NEW_RULES = [
    "{id: new, when: {code: '450'}, then: {action: retry}}",
    "id: new\nwhen:\n  code: '450'\nthen: {action: retry,\n  note: 'a\n  b'}\n",
    "- id: new\n  then:\n  - a\n  - |\n   text\n   # no comment\n\n   more\n",
]


@given(files(), st.sampled_from(NEW_RULES), st.data())
def test_adding_inserts_one_rule(text: str, rule: str, data: st.DataObject) -> None:
    tree, new = read(text), read(rule)
    new = new[0] if isinstance(new, list) else new
    domain = data.draw(st.sampled_from([None, "A.example", "b.example"]))
    listed = tree["rules"]
    if domain:
        name = "a.example" if "domains" in tree and domain == "A.example" else domain
        listed = tree.setdefault("domains", {}).setdefault(name, {"rules": []})["rules"]
    place = data.draw(st.integers(0, len(listed)))
    before = listed[place]["id"] if place < len(listed) else None
    edited = add_rule(text, rule, domain=domain, before=before)
    listed.insert(place, new)
    assert read(edited) == tree
    assert replaced(text, edited)[0] == ""
    assert comments(edited) == comments(text)
    with pytest.raises(EditError, match="rule `new` stands already in line"):
        add_rule(edited, rule)


@given(files())
def test_every_value_of_a_layout_is_found_where_it_stands(text: str) -> None:
    tree = read(text)
    for rule_id in (rules[place]["id"] for rules, place in ids(tree)):
        assert set_value(text, rule_id, "then.action", "retry").count("retry") >= 1
    assert len(set(comments(text))) == len(comments(text))


FILE = """\
mailverdict: 1   # the version
rules:
  # the first
  - id: one            # ours
    when: {code: "450", text: [a, b]}  # why
    then:
      action: retry
      schedule: slow   # so it is

  - id: two
    then: {action: bounce}
disable: [low-one]
"""


@pytest.mark.parametrize(
    ("edit", "old", "new"),
    [
        (lambda t: set_value(t, "one", "then.schedule", "fast"), "schedule: slow   # so", "schedule: fast   # so"),
        (lambda t: set_value(t, "one", "when.code", "[451, 5yz]"), '"450"', '["451", 5yz]'),
        (lambda t: set_value(t, "one", "when.code", "'451'"), '"450"', "'451'"),
        (lambda t: set_value(t, "one", "when.not", "{enhanced: 5.10}"), "b]}", 'b], not: {enhanced: "5.10"}}'),
        (lambda t: set_value(t, "one", "when.text", "a, b"), "[a, b]", '"a, b"'),
        (lambda t: set_value(t, "one", "then", "{action: hold}"),
         "then:\n      action: retry\n      schedule: slow   #", "then: {action: hold}   #"),
        (lambda t: set_value(t, "one", "owner", "Ann, or Bo"), "# so it is\n", "# so it is\n    owner: Ann, or Bo\n"),
        (lambda t: set_value(t, "two", "then.suppress.for", "7d"), "bounce}", "bounce, suppress: {for: 7d}}"),
        (lambda t: unset_value(t, "one", "then.action"), "      action: retry\n", ""),
        (lambda t: unset_value(t, "one", "then.schedule"), "      schedule: slow   # so", "      # so"),
        (lambda t: unset_value(t, "one", "when.code"), 'code: "450", text', "text"),
        (lambda t: unset_value(t, "two", "then.action"), "{action: bounce}", "{}"),
        (lambda t: unset_value(t, "low-two", "then.alert", BELOW), "[low-one]\n",
         "[low-one]\n\noverride:\n  - {id: low-two, unset: [then.alert]}\n"),
        (lambda t: set_value(t, "low-two", "then.alert", "ops", BELOW), "[low-one]\n",
         "[low-one]\n\noverride:\n  - {id: low-two, set: {then: {alert: ops}}}\n"),
        (lambda t: disable(t, "low-two", BELOW), "low-one]", "low-one, low-two]"),
        (lambda t: enable(t, "low-one"), "disable: [low-one]\n", ""),
        (lambda t: unset_value(t, "low-two", "then.alert", BELOW, frozenset(["low-two"])), "low-one]", "low-one]"),
        (lambda t: add_rule(t, "id: new\nthen: {action: hold}  # x"), "bounce}\n",
         "bounce}\n\n  - id: new\n    then: {action: hold}  # x\n"),
        (lambda t: add_rule(t, "{id: new, then: {action: hold}}", before="one"), "  # the first",
         "  - {id: new, then: {action: hold}}\n\n  # the first"),
        (lambda t: add_rule(t, "# late\nid: new", provider="big"), "[low-one]\n",
         "[low-one]\n\nproviders:\n  big:\n    rules:\n      # late\n      - id: new\n"),
    ],
)  # fmt: skip
def test_an_edit_looks_as_if_made_by_hand(edit: Callable[[str], str], old: str, new: str) -> None:
    assert FILE.count(old) == 1
    assert edit(FILE) == FILE.replace(old, new)
    assert edit(FILE.replace("\n", "\r\n")) == FILE.replace(old, new).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "edit", "message"),
    [
        (FILE, lambda t: set_value(t, "low-on", "note", "x", BELOW), "is called `low-on`; did you mean `low-one`?"),
        (FILE, lambda t: set_value(t, "one", "note", "a # b"), "has `# b` outside of it; put a text in quotes"),
        (FILE, lambda t: set_value(t, "one", "note", "a: b"), "the value `a: b` reads as a block"),
        (FILE, lambda t: set_value(t, "one", "note", "[a"), "the value `[a` cannot be read"),
        (FILE, lambda t: set_value(t, "one", "note", "#"), "the value is empty"),
        (FILE, lambda t: set_value(t, "one", "note", "\udcff"), "cannot be read: text is not UTF-8"),
        (FILE, lambda t: set_value(t, "one", "then..x", "y"), "`then..x` is no path in a rule"),
        (FILE, lambda t: set_value(t, "one", "id", "y"), "the `id` of a rule is its name"),
        (FILE, lambda t: set_value(t, "one", "then.action.x", "y"), "`rules.1.then.action` is not a map"),
        (FILE, lambda t: unset_value(t, "one", "then.schedul"), "has no `then.schedul`; did you mean `then.schedule`?"),
        (FILE, lambda t: disable(t, "two", BELOW | {"two"}), "rule `two` stands in this file, in line 10"),
        (FILE, lambda t: disable(t, "low-4", BELOW), "no rule is called `low-4`"),
        (FILE, lambda t: enable(t, "low-tow", BELOW), "no rule is called `low-tow`; did you mean `low-two`?"),
        (FILE, lambda t: add_rule(t, "then: {}"), "a rule is a map with an `id`"),
        (FILE, lambda t: add_rule(t, "id: new", before="tw"), "`rules` has no rule `tw`; did you mean `two`?"),
        (FILE, lambda t: add_rule(t, "id: new", domain="a b"), "a b"),
        (FILE, lambda t: add_rule(t, "id: new", domain="a.b", provider="c"), "not for both"),
        ("rules: [{id: a}]", lambda t: add_rule(t, "id: new # x"), "the comments of the rule have no place"),
        ("a: [", lambda t: enable(t, "x"), "the file cannot be read: line 1, column "),
        ("[a]", lambda t: enable(t, "x"), "a rules file is a map"),
        ("rules: [{id: a}, {id: a}]", lambda t: set_value(t, "a", "note", "x"), "rule `a` stands twice in this file"),
        ("rules:\n- id: a\n  x: |\n    b", lambda t: set_value(t, "a", "owner", "x"), "the layout of the file"),
        ("override: {id: '163', unset: [then]}", lambda t: set_value(t, "163", "then.x", "y", BELOW), "set `then` as"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told(text: str, edit: Callable[[str], str], message: str) -> None:
    with pytest.raises(EditError) as caught:
        edit(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "# nothing yet", "\ufeff# nothing\r\n", "disable:   # none\n", "disable: low-two"]
)
def test_a_file_that_says_nothing_takes_its_first_word(text: str) -> None:
    edited = disable(text, "low-one", BELOW)
    assert read(edited)["disable"] == [*("low-two" for _ in range("low-two" in text)), "low-one"]
    assert all(line in edited for line in text.splitlines() if "low-two" not in line and "disable" not in line)


def test_what_is_said_of_a_key_outlives_it() -> None:
    text = "rules:\n- id: a\n  then: # x\n    # y\n    action: hold  # z\n"
    assert unset_value(text, "a", "then") == "rules:\n- id: a\n  # x\n  # y\n  # z\n"
    assert (
        unset_value("rules:\n- id: a\n  when:\n    x: # y\n    - z", "a", "when.x")
        == "rules:\n- id: a\n  when: {}  # y"
    )


def test_setting_takes_back_what_the_override_unsets() -> None:
    text = "override:\n- id: low-one\n  unset: [then.alert, when.code]\n"
    assert set_value(text, "low-one", "when.code", "550", BELOW) == (
        'override:\n- id: low-one\n  unset: [then.alert]\n  set: {when: {code: "550"}}\n'
    )


def test_each_rule_of_the_shipped_file_can_change_alone() -> None:
    tree = read(SHIPPED)
    for rule in tree["rules"][::12]:
        edited = read(unset_value(SHIPPED, rule["id"], "when"))
        assert edited["rules"] == [
            {k: v for k, v in each.items() if each != rule or k != "when"} for each in tree["rules"]
        ]
        assert replaced(SHIPPED, set_value(SHIPPED, rule["id"], "then.schedule", "Zz."))[1].endswith("Zz.")
