"""How decisions look: one as a short card, several as a table, all of them as JSON. Colours are decoration only."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from policy import Action, Attempt, Custody, Decision, Event, Reply
from policy.decision import (
    Alert,
    InClear,
    NoteForward,
    Reconnect,
    Recovered,
    Split,
    Strike,
    Suppress,
    Suspend,
    Throttle,
)
from policy.diagnosis.category import EvidenceKind
from policy.text import TEXT_LIMIT, clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

COLOURS = {
    Action.ACCEPT: "green",
    Action.ACCEPT_AND_NOTE_FORWARD: "green",
    Action.RETRY: "yellow",
    Action.HOLD: "magenta",
    Action.BOUNCE: "red",
    Action.HARD_BOUNCE: "bold red",
    Action.DISCARD: "red",
}
_NARROW = 16  # columns that a cell to be copied has at least
_PROVISIONAL = {
    Action.ACCEPT: "accepted so far; only the final dot settles it",
    Action.ACCEPT_AND_NOTE_FORWARD: "accepted so far; the new address is noted, nothing else changes",
}
_SAID = {
    Event.COMPLAINT: "the reader complained of it; that settles nothing, the message keeps the fate that it had",
    Event.UNSUBSCRIBE: "the reader unsubscribed; that settles nothing, the message keeps the fate that it had",
}
_BRIEF = {
    Action.ACCEPT: "delivered",
    Action.ACCEPT_AND_NOTE_FORWARD: "delivered",
    Action.BOUNCE: "this message only",
    Action.DISCARD: "dropped, answered to nobody",
    Action.HOLD: "waits for a person",
}
_SETTLED = {
    Action.ACCEPT: "delivered: the other side has taken the message over",
    Action.ACCEPT_AND_NOTE_FORWARD: "delivered; the new address is noted, nothing else changes",
    Action.HOLD: "held: a person must act first; nothing is bounced, no time runs",
    Action.BOUNCE: "bounce this message; the address stays usable",
    Action.HARD_BOUNCE: "bounce this message and suppress the address",
    Action.DISCARD: "drop it with a log line: mail with the null sender is answered to nobody",
}


def print_json(document: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()


def print_json_lines(documents: Iterable[object]) -> None:
    """Print one document a line, at once."""
    sys.stdout.writelines(json.dumps(document, separators=(",", ":")) + "\n" for document in documents)
    sys.stdout.flush()


def console() -> "Console":
    """Where text goes: with colours only on a terminal, and never with NO_COLOR."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False, markup=False)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence["str | Text"]], *, whole: str | None = None
) -> None:
    """Print a table; texts from outside are never read as markup. The column `whole` is folded last of all."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    out = console()
    if not out.is_terminal:
        out.width = int(width) if (width := os.environ.get("COLUMNS", "")).isdecimal() and len(width) < 5 else 160
        out.soft_wrap = False
    shown = Table(title=clean(title) or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:  # an address or a rule that is cut short is of no use
        shown.add_column(column, overflow="fold", no_wrap=column == whole)

    def text(column: str, cell: "str | Text") -> Text:
        if isinstance(cell, Text):
            return cell
        said = clean(cell, limit=TEXT_LIMIT)
        return Text(_folded(said, max(out.width // 4, _NARROW)) if column == whole else said)

    for row in rows:
        shown.add_row(*(text(column, cell) for column, cell in zip(columns, row, strict=True)))
    out.print(shown)


def _folded(text: str, width: int) -> str:
    return "\n".join(text[start : start + width] for start in range(0, len(text), width))


def coloured(action: Action) -> "Text":
    """The action's name in its colour."""
    from rich.text import Text

    return Text(action.value, style=COLOURS[action])


def print_decision(decision: Decision, attempt: Attempt, *, now: datetime) -> None:
    """Print one decision as a card: what, until when, why, which rule, what to check."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    out = console()
    to = f"  to {attempt.recipient}" if attempt.recipient else ""
    out.print(coloured(decision.action) + Text(f"{to}  {said(attempt)}", style="dim"))
    card = Table.grid(padding=(0, 2))
    card.add_column(style="dim", no_wrap=True)
    card.add_column(overflow="fold")
    for name, lines in _card(decision, attempt, now):
        card.add_row(name, Text("\n".join(clean(line, limit=TEXT_LIMIT) for line in lines)))
    out.print(Padding(card, (0, 0, 0, 2)))


def _card(decision: Decision, attempt: Attempt, now: datetime) -> Iterable[tuple[str, Sequence[str]]]:
    yield "what", [what(decision, attempt), *effects(decision)]
    if decision.retry_at is not None and decision.give_up_at is not None:
        wait = span(decision.retry_at - now)
        yield "when", [f"next try {moment(decision.retry_at)}, in {wait}, by route `{decision.route}`"]
        yield "until", [f"give up {moment(decision.give_up_at)}"]
    spoke = [f"{each.kind.value} «{each.value}»: {each.says}" for each in decision.evidence]
    yield "why", [f"{decision.category.value}, fault: {decision.fault.value}", *spoke]
    yield "rule", [str(decision.rule)]
    if decision.remedy:
        yield "check", [decision.remedy]
    yield "policy", [decision.policy_version]


def what(decision: Decision, attempt: Attempt) -> str:
    """One line for a person: what happens to this message."""
    if isinstance(attempt.outcome, Event):
        return _SAID[attempt.outcome]
    if decision.action is Action.RETRY:
        advice = " (advice: they retry by themselves)" if decision.custody is Custody.THEIRS else ""
        doubt = "; it may have arrived already" if decision.uncertain else ""
        return f"try again later{advice}{doubt}"
    if decision.action is Action.ACCEPT_AND_NOTE_FORWARD and decision.forward_path is None:
        named = any(each.kind is EvidenceKind.FORWARD_PATH for each in decision.evidence)
        forward = "the new address is not noted, for there are keys" if named else "the reply names no usable address"
        return f"{_SETTLED[Action.ACCEPT] if decision.final else 'accepted so far'}; {forward}"
    words = _SETTLED if decision.final or decision.action not in _PROVISIONAL else _PROVISIONAL
    return words[decision.action]


def brief(decision: Decision, now: datetime) -> str:
    """The same in a few words, for a table, with what else happens."""
    words = [_BRIEF[decision.action]] if decision.action in _BRIEF else []
    if decision.retry_at is not None:
        words = [f"again in {span(decision.retry_at - now)}"]
    return "; ".join([*words, *effects(decision)])


def said(attempt: Attempt) -> str:
    """What the other side said, or what happened instead; beside the final reply what RCPT said, if not 250."""
    outcome = attempt.outcome
    if not isinstance(outcome, Reply):
        return f"({outcome.value})"
    command = f"{attempt.command.value}: " if attempt.command else ""
    earlier = f"RCPT: {attempt.rcpt_reply} / " if attempt.rcpt_reply and attempt.rcpt_reply.code != 250 else ""
    return f"{earlier}{command}{str(outcome) or '(nothing)'}"


def effects(decision: Decision) -> list[str]:
    """What else happens, a line each."""
    lines = []
    for effect in decision.effects:
        match effect:
            case Suppress():
                until = f"until {moment(effect.until)}" if effect.until else "until it is released"
                lines.append(f"suppress {effect.target or 'the address'} {until} ({effect.strength.value})")
            case Strike():
                lines.append(f"{strike(effect)} against {effect.target or 'the address'}")
            case NoteForward():
                trusted = "approved by the rule" if effect.approved else "untrusted, waits for approval"
                lines.append(f"note `{effect.forward_path}` ({trusted})")
            case Suspend():
                lines.append(f"suspend {effect.target} until {moment(effect.until)}")
            case Throttle():
                lines.append(f"no faster than {effect.rate} to {effect.target} until {moment(effect.until)}")
            case Recovered():
                lines.append(f"{effect.target} is well again")
            case InClear():
                lines.append("without TLS, which does not work there")
            case Split():
                lines.append("in a transaction of its own")
            case Reconnect():
                lines.append("on a new connection, not counted as an attempt")
            case Alert():
                lines.append(f"tell {effect.to}")
            case _:
                pass  # that a delivery is remembered needs no line
    return lines


def strike(effect: Strike) -> str:
    """Which strike of how many; one that is enough, and suppresses nobody, is what the outage guard makes of it."""
    if effect.count < effect.needed:
        return f"strike {effect.count} of {effect.needed}"
    return "strike in place of a suppression (the outage guard is open)"


def moment(at: datetime) -> str:
    """A time as people read it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(wait: timedelta) -> str:
    """A wait as people say it: its two largest units.

    >>> span(timedelta(hours=4, minutes=5, seconds=6))
    '4h 5m'
    """
    seconds = max(0, round(wait.total_seconds()))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
