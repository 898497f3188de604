"""From files to a policy: the one place of this wing that reads rules from disk.

The shipped rules lie in the wheel as `policy/rules/shipped.yaml`; in a checkout they are the root's `rules.yaml`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen

from policy.diagnosis.knowledge import shipped_knowledge
from policy.rules.layer import Layer, Names
from policy.rules.layer_reader import read_layer
from policy.rules.policy import Policy
from policy.yamlfile import SIZE_LIMIT, Problem, read_yaml

_HERE = Path(__file__).parent
SHIPPED = "rules.yaml"
BOTTOM = "bottom.yaml"


@frozen
class RulesFile:
    """A rules file's contents, and the name by which messages and decisions call it."""

    name: str
    content: bytes


class RulesError(Exception):
    """Rules that cannot be used; `problems` has every mistake of every file, with its position."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class RulesUnreadable(Exception):
    """A rules file that cannot be read at all; one line says which and why."""


def load_policy(paths: str | Path | Sequence[str | Path] = ()) -> Policy:
    """Return the shipped policy under the operator files `paths` (one, or several with the last one on top).

    Raises:
        RulesError: with every mistake of every file at once.
        RulesUnreadable: when a file cannot be read.
    """
    several = (paths,) if isinstance(paths, str | Path) else paths
    return build_policy([_operator_file(path) for path in several])


def build_policy(files: Sequence[RulesFile]) -> Policy:
    """Return the policy of these operator files, the last one on top, over the shipped rules.

    Raises:
        RulesError: with every mistake of every file at once.
    """
    problems: list[Problem] = []
    stack = [_layer(_bottom_file(), problems, Names())]
    shipped = _shipped_file()
    names = Names().with_layer(stack[0])
    operators: list[Layer] = []
    stack.append(_layer(shipped, problems, names))
    names = names.with_layer(stack[-1])
    for file in files:
        operators.append(_layer(file, problems, names))
        names = names.with_layer(operators[-1])
    if problems:
        raise RulesError(problems)
    knowledge = shipped_knowledge()
    contents = (_bottom_file().content, shipped.content, *(file.content for file in files))
    digest = hashlib.sha256(knowledge.version.encode())
    for content in contents:
        digest.update(len(content).to_bytes(8, "big") + content)
    # `extends: none` in any operator file leaves the shipped rules out; their schedules, routes and providers stay.
    if not all(layer.extends_shipped for layer in operators):
        stack[1] = evolve(stack[1], rules=(), domain_rules={}, provider_rules={})
    return Policy(layers=(*reversed(operators), *reversed(stack)), knowledge=knowledge, version=digest.hexdigest()[:16])


def _layer(file: RulesFile, problems: list[Problem], below: Names) -> Layer:
    own: list[Problem] = []
    layer = read_layer(read_yaml(file.content, file.name, own), file.name, own, below)
    problems.extend(sorted(own, key=lambda problem: (problem.line, problem.column)))
    return layer


def _operator_file(path: str | Path) -> RulesFile:
    try:
        with Path(path).open("rb") as file:
            return RulesFile(str(path), file.read(SIZE_LIMIT + 1))
    except OSError as error:
        raise RulesUnreadable(f"rules file `{path}` cannot be read: {error.strerror or error}") from None


def _shipped_file() -> RulesFile:
    packaged, checkout = _HERE / "shipped.yaml", _HERE.parents[1] / SHIPPED
    return RulesFile(SHIPPED, (packaged if packaged.is_file() else checkout).read_bytes())


def _bottom_file() -> RulesFile:
    return RulesFile(BOTTOM, (_HERE / BOTTOM).read_bytes())
