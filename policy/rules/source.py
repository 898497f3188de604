"""From files to a policy: the one place of this wing that reads rules from disk.

The shipped rules lie in the wheel as `policy/rules/shipped.yaml`; in a checkout they are the root's `rules.yaml`.
"""

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from policy.diagnosis.knowledge import Knowledge, shipped_knowledge
from policy.rules.layer import Layer, Names, without_rules
from policy.rules.layer_reader import read_layer
from policy.rules.policy import Policy
from policy.rules.stack import stacked
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
    return build_policy([RulesFile(str(path), content_of(path)) for path in several])


def build_policy(files: Sequence[RulesFile]) -> Policy:
    """Return the policy of these operator files, the last one on top, over the shipped rules.

    Raises:
        RulesError: with every mistake of every file at once.
    """
    with _in_one_go():
        return _built(files)


def _built(files: Sequence[RulesFile]) -> Policy:
    problems: list[Problem] = []
    files = [RulesFile(called(file.name), file.content) for file in files]
    named = Names()
    layers: list[Layer] = []
    names: list[Names] = []
    for file in (_bottom_file(), shipped_file(), *files):
        layer = _layer(file, problems, named)
        named = named.with_layer(layer)
        # `extends: none` in any operator file leaves the shipped rules out; their schedules, routes and providers stay.
        layers.append(layer)
        names.append(named)
    places = {layer.file: place for place, layer in reversed([*enumerate(layers)])}  # of a file given twice, the first
    if not all(layer.extends_shipped for layer in layers[2:]):
        layers[1] = without_rules(layers[1])
    # Edits are of the rules below: those of the first file that has mistakes are tried on sound ones.
    sound = len(layers) if not problems else 1 + min(places[each.file] for each in problems)
    rules = stacked(layers[:sound], names[:sound], problems)
    if problems:
        problems.sort(key=lambda each: (places[each.file], each.line, each.column))
        raise RulesError(problems)
    knowledge = shipped_knowledge()
    return Policy(
        layers=tuple(reversed(layers)),
        rules=rules,
        knowledge=knowledge,
        version=_version(knowledge, (_bottom_file(), shipped_file(), *files)),
    )


@contextmanager
def _in_one_go() -> Iterator[None]:
    """Let the garbage collector wait: a large file makes a million objects that all stay, and it would count them
    over and over (a third of the time)."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def called(name: str) -> str:
    """Return how an operator's file is called in messages and decisions: nobody takes his `rules.yaml` for ours."""
    return f"./{name}" if name in (SHIPPED, BOTTOM) else name


def _version(knowledge: Knowledge, files: Sequence[RulesFile]) -> str:
    digest = hashlib.sha256(knowledge.version.encode())
    for file in files:
        digest.update(len(file.content).to_bytes(8, "big") + file.content)
    return digest.hexdigest()[:16]


def _layer(file: RulesFile, problems: list[Problem], below: Names) -> Layer:
    own: list[Problem] = []
    layer = read_layer(read_yaml(file.content, file.name, own), file.name, own, below)
    problems.extend(sorted(own, key=lambda problem: (problem.line, problem.column)))
    return layer


def content_of(path: str | Path, *, what: str = "rules file") -> bytes:
    """Return what a file says, cut just past the size that any may have.

    Args:
        what: how messages call the file.

    Raises:
        RulesUnreadable: when it cannot be read, or would be waited for without end.
    """
    if str(path) == "-":
        raise RulesUnreadable(f"{what} `-` cannot be read: for standard input write `/dev/stdin`")
    try:
        # To open a FIFO waits for a writer. Those of the shell, `/dev/stdin` and `<(...)`, have theirs.
        if not Path(path).is_relative_to("/dev") and Path(path).is_fifo():
            raise RulesUnreadable(f"{what} `{path}` cannot be read: it is a FIFO, not a file")
        with Path(path).open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise RulesUnreadable(f"{what} `{path}` cannot be read: {error.strerror or error}") from error


def shipped_file() -> RulesFile:
    """The shipped rules."""
    packaged, checkout = _HERE / "shipped.yaml", _HERE.parents[1] / SHIPPED
    return RulesFile(SHIPPED, (packaged if packaged.is_file() else checkout).read_bytes())


def _bottom_file() -> RulesFile:
    return RulesFile(BOTTOM, (_HERE / BOTTOM).read_bytes())
