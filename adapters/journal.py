"""Log events of attempts, through structlog: one for each decision, one for each alert; silent unless asked for.

A library never configures structlog: `journal` is for the shells (the command, the service), which do. Every text in
an event is one printable line of bounded length, and by default without mail addresses.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any

import click
from attrs import frozen

from policy import Address, Attempt, Decision, Reply
from policy.decision import Alert, CloseGuard, OpenGuard, Strike, Suspend
from policy.redaction import TEXT_SHOWN, ident_without_addresses, redacted, without_addresses
from policy.text import clean

__all__ = ["Journal", "journal", "log_addresses_option", "redacted", "verbose_option"]

MOST = 16  # elements of a list in an event

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Log each attempt to standard error, addresses redacted."
)
log_addresses_option = click.option(
    "--log-addresses", is_flag=True, help="Log as `--verbose` does, with mail addresses in clear."
)


@frozen
class Journal:
    """Where attempts are logged.

    Args:
        log: a structlog logger; None: silence.
        addresses: mail addresses are shown in clear.
    """

    log: Any = None
    addresses: bool = False

    def decided(
        self, attempt: Attempt, decision: Decision, *, provider: str | None = None, known: bool = False
    ) -> None:
        """Log `attempt.decided`, the canonical event, and `alert.raised` for each alert.

        Args:
            provider: as the policy calls it; None when it is not known.
            known: the attempt came again; nothing was decided or done anew, and alerts were raised before.
        """
        if self.log is None:
            return
        own = [each for each in (attempt.recipient, attempt.sender) if isinstance(each, Address)]
        shown = _clear if self.addresses else partial(without_addresses, own=own)
        ident = _clear if self.addresses else partial(ident_without_addresses, own=own)
        common = {
            "attempt_id": ident(attempt.identity),
            "message_id": ident(attempt.message),
            "recipient": attempt.recipient and (str if self.addresses else redacted)(attempt.recipient),
            "known": known,
            "rule": str(decision.rule),
        }
        said = shown(str(attempt.outcome)) if isinstance(attempt.outcome, Reply) else None
        event = {**common, "provider": provider, "reply": said, **_told(attempt, decision)}
        self.log.info("attempt.decided", **self._safe(event))
        for effect in decision.effects:
            if isinstance(effect, Alert):
                alert = {**common, "to": effect.to, "text": shown(effect.text), "remedy": shown(decision.remedy)}
                self.log.warning("alert.raised", **self._safe(alert))

    def _safe(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return _mapped(fields, _clear if self.addresses else without_addresses)


def _clear(text: str) -> str:
    return clean(text, limit=TEXT_SHOWN)


def _mapped(fields: Mapping[str, Any], shown: Callable[[str], str]) -> dict[str, Any]:
    """Return the fields with every text in them passed through `shown`, and long lists cut."""
    return {key: _each(each, shown) for key, each in fields.items()}


def _each(value: Any, shown: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return str(shown(value))
    if isinstance(value, Mapping):
        return _mapped(value, shown)
    if isinstance(value, list | tuple):
        return [_each(each, shown) for each in value[:MOST]]
    return value


def _told(attempt: Attempt, decision: Decision) -> dict[str, Any]:
    """What an event says of a decision besides its ids and its rule."""
    outcome = attempt.outcome
    return {
        "mx": attempt.mx,
        "command": attempt.command and attempt.command.value,
        "outcome": outcome.code if isinstance(outcome, Reply) else outcome.value,
        "action": decision.action.value,
        "category": decision.category.value,
        "fault": decision.fault.value,
        "suppress": decision.suppress,
        "retry_at": decision.retry_at and decision.retry_at.isoformat(),
        **_changes(decision),
        "policy_version": decision.policy_version,
    }


def _changes(decision: Decision) -> dict[str, Any]:
    """What the decision remembers for the next ones."""
    effects = decision.effects
    suspension = next((each for each in effects if isinstance(each, Suspend)), None)
    return {
        "strikes": [
            f"{each.scope.value} {each.reason.value} {each.count}/{each.needed}"
            for each in effects
            if isinstance(each, Strike)
        ],
        "suspension": suspension
        and {"target": suspension.target, "until": suspension.until.isoformat(), "times": suspension.times},
        "guard": list(_guard_changes(decision)),
    }


def _guard_changes(decision: Decision) -> Iterator[str]:
    for each in decision.effects:
        if isinstance(each, OpenGuard):
            yield f"opened {each.key}"
        elif isinstance(each, CloseGuard):
            yield f"closed {each.key}"


def journal(verbose: bool, addresses: bool = False) -> Journal:
    """The command's journal: JSON lines on standard error when either is asked for, else nothing."""
    if not (verbose or addresses):
        return Journal()
    import structlog  # 0.2 s

    def safe(_: Any, __: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        """The last look at every event, also at those that others log here, such as `rules.refused`."""
        return _mapped(event, _clear if addresses else without_addresses)

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            safe,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    return Journal(structlog.get_logger(), addresses)
