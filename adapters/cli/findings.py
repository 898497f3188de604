"""How findings look: as lines for people, as JSON, as GitHub's workflow commands and as SARIF."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from adapters.cli.common import safe
from policy.rules.describing.codes import GUIDE, meaning_of
from policy.rules.finding import Finding, Level
from policy.text import clean

COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}
_MESSAGE = 2000  # characters of a message that are shown
_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

# What an option of `decide` can say of an attempt; with anything else in it there is no command to try.
_OPTIONS = {
    "recipient": "--to",
    "command": "--command",
    "sender": "--from",
    "mx": "--mx",
    "provider": "--provider",
    "recipients": "--recipients",
    "attempt": "--attempt",
    "stream": "--stream",
}
_USUAL = (("--command", "RCPT"), ("--recipients", "1"), ("--attempt", "1"))
_SILENT = ("reply", "now", "message_id")  # said otherwise, or of no weight
_NO_QUOTING = re.compile(r"[\w@%+=:,./ <>()-]+")


def lines(finding: Finding, rules: Sequence[str]) -> Iterator[str]:
    """The lines for people: what is wrong, and where it can be shown an attempt, and how to try it.

    Args:
        rules: the files that were checked, the last one on top.
    """
    problem = finding.problem
    note = "note: " if finding.level is Level.NOTE else ""
    yield safe(f"{problem.file}:{problem.line}:{problem.column}: {note}{problem.code}: {problem.message}", _MESSAGE)
    if finding.shown:
        yield f"  for example: {safe(finding.shown, _MESSAGE)}"
    command = to_try(finding.witness or {}, rules)
    if command:
        yield f"  try: {command}"


def to_try(witness: Mapping[str, Any], rules: Sequence[str]) -> str:
    """The command that decides an attempt; empty when its options cannot say it."""
    reply = witness.get("reply", "")
    if not reply or witness.keys() - {*_OPTIONS, *_SILENT}:
        return ""
    said = {"command": "unknown", **witness}
    options = [(option, str(said[key])) for key, option in _OPTIONS.items() if key in said]
    words = [word for pair in options if pair not in _USUAL for word in pair]
    words += [word for file in rules for word in ("--rules", file)]
    quoted = " ".join(["mailverdict decide", _in_quotes(reply), *map(shlex.quote, words)])
    return quoted if quoted.isprintable() else ""


def _in_quotes(text: str) -> str:
    return f'"{text}"' if _NO_QUOTING.fullmatch(text) else shlex.quote(text)


def counted(findings: Sequence[Finding]) -> str:
    """How many there are, in a line: `2 errors, 1 warning to mend; 3 notes`."""
    count = {level: sum(each.level is level for each in findings) for level in Level}
    parts = [_number(count[level], level.value) for level in (Level.ERROR, Level.WARNING) if count[level]]
    notes = [_number(count[Level.NOTE], "note")] if count[Level.NOTE] else []
    return "; ".join([f"{', '.join(parts)} to mend" if parts else "no mistakes", *notes])


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def document(finding: Finding) -> dict[str, Any]:
    """One finding as JSON: the keys of the contract, in its order."""
    problem = finding.problem
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
        "level": finding.level.value,
        "witness": None if finding.witness is None else dict(finding.witness),
        "by": list(finding.by),
    }


def workflow_command(finding: Finding) -> str:
    """One finding as GitHub's workflow command, which becomes a mark beside the line."""
    problem = finding.problem
    properties = {
        "file": problem.file,
        "line": problem.line,
        "col": problem.column,
        "title": f"mailverdict: {problem.code}",
    }
    said = ",".join(f"{key}={escaped(clean(str(value)), in_property=True)}" for key, value in properties.items())
    return f"::{_COMMANDS[finding.level]} {said}::{escaped(_whole(finding), in_property=False)}"


def escaped(text: str, *, in_property: bool) -> str:
    """Escape what would end a workflow command, or a property of it, early.

    >>> escaped("50% of a:b", in_property=True)
    '50%25 of a%3Ab'
    """
    for char in "%\r\n:," if in_property else "%\r\n":  # the sign of the escape itself first
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _whole(finding: Finding) -> str:
    """The message with its example."""
    shown = f"; for example {finding.shown}" if finding.shown else ""
    return safe(f"{finding.problem.message}{shown}", _MESSAGE)


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """All findings as one SARIF 2.1.0 log; each code is a rule of it."""
    codes = list(dict.fromkeys(each.problem.code for each in findings))
    driver = {"name": "mailverdict", "rules": [_sarif_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(each, codes.index(each.problem.code)) for each in findings],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _sarif_rule(code: str) -> dict[str, Any]:
    meaning = meaning_of(code)
    text = f"{meaning.says} {meaning.mend}"
    return {
        "id": code,
        "shortDescription": {"text": meaning.says},
        "help": {"text": f"{text} See {GUIDE}#{code}", "markdown": f"{text} [More]({GUIDE}#{code})."},
        "properties": {"guide": f"{GUIDE}#{code}"},
    }


def _sarif_result(finding: Finding, index: int) -> dict[str, Any]:
    problem = finding.problem
    place = {
        "artifactLocation": {"uri": _uri(problem.file)},
        "region": {"startLine": problem.line, "startColumn": problem.column},
    }
    shown = {"witness": dict(finding.witness)} if finding.witness is not None else {}
    return {
        "ruleId": problem.code,
        "ruleIndex": index,
        "level": finding.level.value,
        "message": {"text": _whole(finding)},
        "locations": [{"physicalLocation": place}],
        "properties": {**shown, "by": list(finding.by)},
    }


def _uri(file: str) -> str:
    """A path as SARIF wants it: relative to the checkout as a rule."""
    path = PurePath(file)
    return Path(file).as_uri() if path.is_absolute() else quote(path.as_posix(), errors="surrogateescape")
