"""`mailverdict diff`: which decisions a change of rules changes, each kind with a reply that shows it."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import click

from adapters.cli.common import FINDINGS, clock, format_option, now_option, rules_option, safe, the_policy
from adapters.cli.show import span, strike
from policy import Decision, Policy, RuleRef, load_policy
from policy.contract import write_decision
from policy.contract.decision import EFFECT_NAMES
from policy.decision import Alert, Delivered, Effect, Strike, Suppress, Suspend, Trigger
from policy.rules.proof.change import Change, Pair
from policy.rules.proof.diff import diff
from policy.rules.proof.setting_diff import SettingChange, setting_changes

SHIPPED = ("-", "shipped")
_PAIRS = 3  # of rules that are named in one change
_POSSIBLE = "possible, though no reply was found that shows it:"


@click.command(
    "diff",
    epilog="""\b
Examples:
  mailverdict diff old-rules.yaml my-rules.yaml
  mailverdict diff shipped my-rules.yaml --exit-code""",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@rules_option
@click.option("--exit-code", is_flag=True, help="End with status 1 when anything changes, or possibly does.")
@now_option
@format_option
def diff_command(old: str, new: str, rules: tuple[str, ...], exit_code: bool, now: datetime | None, form: str) -> None:
    """Say which decisions are others under NEW than under OLD, over all possible replies.

    OLD and NEW are rules files over the shipped rules and those of --rules; `shipped` or - stands for no file at all.
    What is not told stays as it is. MAILVERDICT_RULES does not count here.
    """
    at = clock(now)
    before, after = _policy(old, rules), _policy(new, rules)
    changes, settings = diff(before, after, now=at), list(setting_changes(before, after))
    if form == "json":
        from adapters.cli.show import print_json

        print_json([*(_document(each) for each in changes), *(_setting_document(each) for each in settings)])
    else:
        _print(changes, settings, at)
    if (changes or settings) and exit_code:
        sys.exit(FINDINGS)


def _policy(file: str, rules: Sequence[str]) -> Policy:
    files = [*rules] if file in SHIPPED else [*rules, file]
    return the_policy(files) if files else load_policy()


def _print(changes: Sequence[Change], settings: Sequence[SettingChange], now: datetime) -> None:
    """Blocks of what is shown, then what no rule does, then what is only possible."""
    shown = [each for each in changes if each.witness is not None]
    possible = [each for each in changes if each.witness is None]
    blocks = [list(_lines(each, now)) for each in shown]
    if settings:
        blocks.append([each.says for each in settings])
    if possible:
        blocks.append([_POSSIBLE, *(f"  {'; '.join(each.says)}{_by(each.pairs)}" for each in possible)])
    for number, block in enumerate(blocks):
        click.echo("\n".join([*([""] if number else []), *(_line(each) for each in block)]))
    counts = (len(shown), "shown"), (len(settings), "of settings"), (len(possible), "possible")
    click.echo(_counted(counts) if blocks else "nothing changes", err=True)


def _line(text: str) -> str:
    indent = len(text) - len(text.lstrip(" "))
    return " " * indent + safe(text, 2000)


def _counted(counts: Sequence[tuple[int, str]]) -> str:
    whole = sum(count for count, _ in counts)
    parts = (f"{count} {what}" for count, what in counts if count)
    return f"{whole} change{'' if whole == 1 else 's'}: {', '.join(parts)}"


def _lines(change: Change, now: datetime) -> Iterator[str]:
    yield "; ".join(change.says)
    yield f"  rules: {_rules(change.pairs)}"
    yield f"  for example: {change.witness}"
    if change.before is not None and change.after is not None:
        before, after = (dict(_told(each, now)) for each in (change.before, change.after))
        differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        for name, said in (("before", before), ("after", after)):
            kept = [text for key, text in said.items() if key in differing or key == "action"]
            yield f"  {name}: {', '.join(kept)}"


def _by(pairs: Sequence[Pair]) -> str:
    return f": {_rules(pairs)}" if pairs else ""


def _rules(pairs: Sequence[Pair]) -> str:
    """The rules that decided and those that decide now; a rule that stayed is named once."""
    told = [str(new) if old == new else f"{old} -> {new}" for old, new in pairs[:_PAIRS]]
    more = len(pairs) - _PAIRS
    return ", ".join([*told, *([f"and {more} more"] if more > 0 else [])])


def _told(decision: Decision, now: datetime) -> Iterator[tuple[str, str]]:
    """What people want to know of a decision, by key: equal texts are not told twice."""
    yield "action", decision.action.value
    yield "category", f"category {decision.category.value}"
    yield "fault", f"fault {decision.fault.value}"
    if decision.retry_at is not None:
        yield "retry", f"retry in {span(decision.retry_at - now)}"
    if decision.give_up_at is not None:
        yield "give up", f"give up in {span(decision.give_up_at - now)}"
    if decision.route is not None:
        yield "route", f"route {decision.route}"
    for effect in decision.effects:
        text = _effect(effect, now)
        yield from [(text, text)] if text else []
    if decision.remedy:
        yield "remedy", f"remedy `{decision.remedy}`"


def _effect(effect: Effect, now: datetime) -> str:
    match effect:
        case Suppress():
            lasting = f"for {span(effect.until - now)}" if effect.until else "until it is released"
            return f"suppress the {effect.scope.value} {lasting} ({effect.strength.value})"
        case Strike():
            return f"{strike(effect)} against the {effect.scope.value}"
        case Suspend():
            return f"suspend the destination for {span(effect.until - now)}"
        case Trigger():
            return f"count {effect.count} of {effect.needed}"
        case Alert():
            return f"alert {effect.to}"
    return "" if isinstance(effect, Delivered) else EFFECT_NAMES[type(effect)]


def _document(change: Change) -> dict[str, Any]:
    """One change as JSON; `witness` is null when it is only possible."""
    return {
        "says": list(change.says),
        "rules": [{"old": _ref(old), "new": _ref(new)} for old, new in change.pairs],
        "witness": None if change.witness is None else change.witness.document(),
        "before": None if change.before is None else write_decision(change.before),
        "after": None if change.after is None else write_decision(change.after),
        "about": "decisions",
    }


def _setting_document(change: SettingChange) -> dict[str, Any]:
    """The same of what no rule says; `about` is the section of a file that does, and there is nothing to decide."""
    return {"says": [change.says], "rules": [], "witness": None, "before": None, "after": None, "about": change.about}


def _ref(ref: RuleRef) -> dict[str, Any]:
    return {
        "id": ref.id,
        "file": ref.file,
        "line": ref.line,
        **({"edited": list(ref.edited)} if ref.edited else {}),
    }
