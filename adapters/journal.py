"""One log event an attempt, through structlog, with addresses redacted; silent unless it is asked for.

A library never configures structlog: `journal` is for the shells (the command, the service), which do.
"""

import sys
from typing import Any

import click
from attrs import frozen

from policy import Address, Attempt, Decision, Reply

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Log each attempt to standard error, addresses redacted."
)


@frozen
class Journal:
    """Where attempts are logged; `log` is a structlog logger, or None for silence."""

    log: Any = None

    def decided(self, attempt: Attempt, decision: Decision) -> None:
        """Log `attempt.decided`: the canonical event, with everything needed to find the rest."""
        if self.log is None:
            return
        outcome = attempt.outcome
        self.log.info(
            "attempt.decided",
            attempt_id=attempt.identity,
            message_id=attempt.message,
            recipient=redacted(attempt.recipient),
            mx=attempt.mx,
            command=attempt.command and attempt.command.value,
            outcome=outcome.code if isinstance(outcome, Reply) else outcome.value,
            action=decision.action.value,
            category=decision.category.value,
            suppress=decision.suppress,
            retry_at=decision.retry_at and decision.retry_at.isoformat(),
            rule=str(decision.rule),
            policy_version=decision.policy_version,
        )


def redacted(address: Address | None) -> str | None:
    """Enough to tell addresses of a log apart at a glance, not enough to write to one."""
    return None if address is None else f"{address.local[:1]}***@{address.domain}"


def journal(verbose: bool) -> Journal:
    """The command's journal: JSON lines on standard error when `verbose`, else nothing."""
    if not verbose:
        return Journal()
    import structlog  # 0.2 s

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    return Journal(structlog.get_logger())
