"""An operator's rules file among the others: read with them, compared with what it becomes, replaced at once."""

import difflib
import os
import re
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from policy import RulesUnreadable
from policy.rules.source import RulesFile
from policy.yamlfile import SIZE_LIMIT


def others_around(file: str, others: Sequence[str]) -> tuple[list[RulesFile], bytes, list[RulesFile]]:
    """Return the files below `file`, its own content, and the files above it.

    A file that is one of the others has its place among them; any other one lies on top.

    Raises:
        RulesUnreadable: when one cannot be read.
    """
    content = _read(file)
    place = next((number for number, each in enumerate(others) if _same(each, file)), len(others))
    below, above = ([RulesFile(each, _read(each)) for each in part] for part in (others[:place], others[place + 1 :]))
    return below, content, above


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file, wholly or not at all; its mode stays, and links to it stay links."""
    target = path.resolve(strict=True)
    mode = stat.S_IMODE(target.stat().st_mode)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def difference(old: str, new: str, name: str) -> str:
    """Return what changed as a unified diff; empty when nothing did."""
    before, after = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (old, new))
    lines = difflib.unified_diff(before, after, f"{name} (before)", f"{name} (after)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise RulesUnreadable(f"rules file `{path}` cannot be read: {error.strerror or error}") from None


def _same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
