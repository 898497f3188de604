"""Plain trees (dicts, lists, strings) with one thing changed: what a file must read as after an edit."""

from typing import Any

Address = tuple[str | int, ...]  # keys and places in lists, from the root


def value_at(tree: Any, address: Address) -> Any:
    """What is at `address`, which must be there."""
    for step in address:
        tree = tree[step]
    return tree


def with_value(tree: Any, address: Address, value: Any) -> Any:
    """Return `tree` with `value` at `address`; maps on the way are made, also of keys without a value.

    >>> with_value({"a": [{"b": ""}]}, ("a", 0, "b", "c"), "x")
    {'a': [{'b': {'c': 'x'}}]}
    """
    if not address:
        return value
    step, *rest = address
    if isinstance(step, int):
        return [*tree[:step], with_value(tree[step], tuple(rest), value), *tree[step + 1 :]]
    tree = tree or {}
    return {**tree, step: with_value(tree.get(step), tuple(rest), value)}


def without_value(tree: Any, address: Address) -> Any:
    """Return `tree` without what is at `address`; maps and lists around it stay.

    >>> without_value({"a": [{"b": "x"}]}, ("a", 0, "b"))
    {'a': [{}]}
    """
    step, *rest = address
    if rest:
        return with_value(tree, (step,), without_value(tree[step], tuple(rest)))
    if isinstance(step, int):
        return tree[:step] + tree[step + 1 :]
    return {key: value for key, value in tree.items() if key != step}
