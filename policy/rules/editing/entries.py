"""Lists in a rules file by what is in them: made when they are missing, gone with their last word."""

from policy.rules.editing.rules_text import EditError, RulesText, is_empty
from policy.rules.editing.splice import drop, insert, put
from policy.rules.editing.tree import Address
from policy.rules.editing.written import Value, listed, word, words
from policy.yamlfile import Scalar, Sequence


def with_item(source: RulesText, address: Address, value: Value, before: int | None) -> str:
    """With an item more in a list, which is made when it is missing."""
    span = source.at(address)
    if span is None or is_empty(span) or (isinstance(span.node, Sequence) and not span.parts):
        return put(source, address, listed(value))
    return insert(source, address, value, before)


def words_at(source: RulesText, address: Address) -> list[str]:
    """A list of words; a single word is a list of one."""
    span = source.at(address)
    if span is None or is_empty(span):
        return []
    items = span.node.items if isinstance(span.node, Sequence) else (span.node,)
    if not all(isinstance(each, Scalar) for each in items):
        raise EditError(f"`{address[-1]}` is not a list of words")
    return [each.text for each in items if isinstance(each, Scalar)]


def with_word(source: RulesText, address: Address, text: str) -> str:
    """With a word more in a list of words, which is made when it is missing."""
    said, span = words_at(source, address), source.at(address)
    if text in said:
        return source.text
    if span is not None and isinstance(span.node, Sequence) and said:
        return insert(source, address, word(text))
    return put(source, address, words(*said, text))


def without_word(source: RulesText, address: Address, text: str) -> str:
    """With a word less in a list of words; the list goes with the last one."""
    said = words_at(source, address)
    return drop(source, address if len(said) == 1 else (*address, said.index(text)))
