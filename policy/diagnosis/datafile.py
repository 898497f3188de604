"""Our own data files beside this module: plain values out, and the digest of all of them.

Their schema is held by tests; a file that cannot be read is a fault of the package, not of its user.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policy.yamlfile import Problem

_HERE = Path(__file__).parent


def data_files() -> tuple[str, ...]:
    """The names of all data files, relative to this folder, in order."""
    return tuple(sorted(path.relative_to(_HERE).as_posix() for path in _HERE.glob("**/*.yaml")))


def read_data(name: str) -> Any:
    """Return what a data file holds, as strings, lists and dicts.

    Raises:
        ValueError: when it is not YAML as `policy.yamlfile` has it.
    """
    from policy.yamlfile import plain, read_yaml  # 25 ms with the parser, at first use

    problems: list[Problem] = []
    node = read_yaml((_HERE / name).read_bytes(), name, problems)
    if problems or node is None:
        raise ValueError("; ".join(map(str, problems)) or f"{name}: empty")
    return plain(node)


@cache
def digest() -> str:
    """A digest of all data files: decisions made with other knowledge have another policy version."""
    whole = hashlib.sha256()
    for name in data_files():
        content = (_HERE / name).read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()
