"""`mailverdict code`: what a reply code or an enhanced status means, and what the present rules do with it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import combinations, groupby
from typing import Any

import click
from attrs import frozen

from adapters.cli.common import USAGE, fail, format_option, rules_option, the_policy
from policy import Attempt, Command, Decision, History, Policy, Reply, decide
from policy.diagnosis.codebook import Explanation, difference, explain, matter, read_asked

AT_ONCE = 4  # replies that one call explains; more would not be read
_AT = datetime(2026, 1, 1, tzinfo=UTC)  # any time: the action and the rule do not depend on it
_WIDTH = 120  # characters, where the output is no terminal
_UNKNOWN = "unknown"


@frozen(kw_only=True)
class Ruled:
    """What the rules do with a bare reply to one command; None: the command is not known."""

    command: Command | None
    reply: Reply
    decision: Decision


@click.command(
    "code",
    epilog="""\b
Examples:
  mailverdict code 251
  mailverdict code 550 5.7.1
  mailverdict code 251 550
  mailverdict code 5.1.1 5.7.1 --format json
  mailverdict code 552 --rules my-rules.yaml""",
)
@click.argument("codes", nargs=-1, required=True, metavar="CODE...")
@rules_option
@format_option
def code_command(codes: tuple[str, ...], rules: tuple[str, ...], form: str) -> None:
    """Say what a reply CODE (550) or enhanced status (5.7.1) means, when one sees it, and what to do.

    A status right after a code is the same reply's. Two replies are shown side by side, with their key difference.
    What the rules do is decided on the bare reply, without any text, for each command that may give it.
    """
    try:
        asked = read_asked(codes)
    except ValueError as error:
        fail(USAGE, str(error))
    if not 1 <= len(asked) <= AT_ONCE:
        fail(USAGE, f"{len(asked)} replies are asked for; name 1 to {AT_ONCE}, such as `mailverdict code 251 550`")
    policy = the_policy(rules)
    explained = [explain(each) for each in asked]
    ruled = [list(_ruled(policy, each)) for each in explained]
    if form == "json":
        from adapters.cli.show import print_json

        print_json(_document(explained, ruled, policy))
    else:
        _print(explained, ruled)


def _ruled(policy: Policy, explanation: Explanation) -> Iterator[Ruled]:
    """Decide the bare reply for each command of a delivery that may give it."""
    reply = Reply(explanation.carrier, stated=explanation.asked.status)
    for command in _of_a_delivery(explanation.commands):
        attempt = Attempt(outcome=reply, command=command, at=_AT)
        yield Ruled(command=command, reply=reply, decision=decide(policy, attempt, History(), now=_AT, spread=0.5))


def _of_a_delivery(commands: Sequence[str]) -> list[Command | None]:
    """The commands that a delivery uses; where no standard names one, that it is not known (and the usual ones)."""
    if not commands:
        return [Command.RCPT, Command.DOT, None]
    return [each for each in Command if "any" in commands or each.value in commands] or [None]


def _document(explained: Sequence[Explanation], ruled: Sequence[Sequence[Ruled]], policy: Policy) -> dict[str, Any]:
    return {
        "replies": [
            _write(each) | {"rules": [_write_ruled(row) for row in rows]}
            for each, rows in zip(explained, ruled, strict=True)
        ],
        "differences": [
            {"between": [str(first.asked), str(second.asked)], "difference": difference(first, second)}
            for first, second in combinations(explained, 2)
        ],
        "policy_version": policy.version,
    }


def _write(each: Explanation) -> dict[str, Any]:
    return {
        "reply": str(each.asked),
        "code": each.asked.code,
        "status": each.asked.status and str(each.asked.status),
        "known": each.known,
        "class": each.klass.name,
        "name": each.name,
        "meaning": each.meaning,
        "says_more": each.says_more or None,
        "when": each.when,
        "todo": each.todo,
        "whose": [fault.value for fault in each.whose],
        "commands": list(each.commands),
        "ref": each.ref,
        "warnings": list(each.warnings),
    }


def _write_ruled(row: Ruled) -> dict[str, Any]:
    rule = row.decision.rule
    return {
        "command": row.command and row.command.value,
        "reply": str(row.reply),
        "action": row.decision.action.value,
        "category": row.decision.category.value,
        "suppress": row.decision.suppress,
        "rule": {"id": rule.id, "file": rule.file, "line": rule.line},
    }


def _print(explained: Sequence[Explanation], ruled: Sequence[Sequence[Ruled]]) -> None:
    if len(explained) == 2:
        _print_columns(explained)
    else:
        for each in explained:
            _print_columns([each])
    _print_differences(explained)
    _print_rules(ruled)


def _print_columns(explained: Sequence[Explanation]) -> None:
    """One or two replies, a column each; a row that is empty for all is left out."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=len(explained) > 1)
    table.add_column("", style="dim", no_wrap=True)
    for each in explained:
        head = Text(f"{each.asked}  {each.name}", style=f"bold {_COLOURS[each.asked.klass]}")
        table.add_column(head, ratio=1, overflow="fold")
    for cells in zip(*map(_rows, explained), strict=True):
        if any(text for _, text in cells):
            table.add_row(cells[0][0], *(Text(text) for _, text in cells))
    _out().print(table)


_COLOURS = {2: "green", 3: "cyan", 4: "yellow", 5: "red"}


def _rows(each: Explanation) -> list[tuple[str, str]]:
    about = f"; about {each.subject}" if each.subject else ""
    commands = ", ".join(each.commands).replace("any", "any command")
    return [
        ("class", f"{each.klass.name}: {each.klass.says}{about}"),
        ("means", each.meaning),
        ("together", each.says_more),
        ("when", each.when),
        ("do", each.todo),
        ("whose", f"a matter of {matter(each.whose)}" if each.asked.klass in (4, 5) else ""),
        ("answers", commands or "no standard says which command"),
        ("beware", "\n".join(each.warnings)),
        ("see", each.ref),
    ]


def _print_differences(explained: Sequence[Explanation]) -> None:
    from rich.text import Text

    for first, second in combinations(explained, 2):
        between = f" between {first.asked} and {second.asked}" if len(explained) > 2 else ""
        _out().print(
            Text(f"Key difference{between}: ", style="bold") + Text(difference(first, second), style="not bold")
        )
        _out().print()


def _print_rules(ruled: Sequence[Sequence[Ruled]]) -> None:
    """What the rules do: commands with one answer share a line."""
    from adapters.cli.show import coloured, table

    rows = []
    for own in ruled:
        for _, group in groupby(own, key=lambda row: (row.decision.action, row.decision.rule, row.decision.category)):
            same = list(group)
            decision = same[0].decision
            commands = ", ".join(row.command.value if row.command else _UNKNOWN for row in same)
            action = coloured(decision.action)
            rows.append((commands, str(same[0].reply), action, decision.category.value, str(decision.rule)))
    title = "What the present rules do, with no text to go by"
    table(title, ("command", "reply", "action", "category", "rule"), rows)


def _out() -> Any:
    """The console of all output; wrapped where it is no terminal, too, since these are columns."""
    from adapters.cli.show import console

    out = console()
    if not out.is_terminal:
        out.width, out.soft_wrap = _WIDTH, False
    return out
