"""One decision, and one line of each list, as JSON: the contract's keys in the contract's order."""

from datetime import datetime
from enum import Enum
from typing import Any

import attrs

from policy.contract.times import write_time
from policy.decision import (
    Alert,
    CloseGuard,
    Decision,
    Delivered,
    Effect,
    InClear,
    NoteForward,
    OpenGuard,
    Reconnect,
    Recovered,
    RuleRef,
    Split,
    Strike,
    Suppress,
    Suspend,
    Throttle,
    Trigger,
)
from policy.guard import Watch
from policy.history import ForwardNote, Freeze, Progress, Suppression, Suspension, Throttling

EFFECT_NAMES: dict[type[Effect], str] = {
    Suppress: "suppress",
    Strike: "strike",
    Delivered: "delivered",
    NoteForward: "note-forward",
    Suspend: "suspend",
    Throttle: "throttle",
    Recovered: "recovered",
    Trigger: "trigger",
    OpenGuard: "open-guard",
    CloseGuard: "close-guard",
    Split: "split",
    InClear: "in-clear",
    Reconnect: "reconnect",
    Alert: "alert",
}


def write_decision(decision: Decision, *, id: str | None = None) -> dict[str, Any]:  # noqa: A002 - the contract's key
    """Return the decision as the contract has it.

    Args:
        id: the caller's own, returned as it came; None leaves the key out.
    """
    return {
        **({} if id is None else {"id": id}),
        "action": decision.action.value,
        "final": decision.final,
        "category": decision.category.value,
        "fault": decision.fault.value,
        "suppress": decision.suppress,
        "effects": [{"effect": EFFECT_NAMES[type(effect)], **_plain_fields(effect)} for effect in decision.effects],
        "retry_at": _plain(decision.retry_at),
        "give_up_at": _plain(decision.give_up_at),
        "route": decision.route,
        "rule": _rule(decision.rule),
        "evidence": [_plain_fields(each) for each in decision.evidence],
        "remedy": decision.remedy,
        "policy_version": decision.policy_version,
        "uncertain": decision.uncertain,
        "custody": decision.custody.value,
    }


def write_suppression(suppression: Suppression) -> dict[str, Any]:
    """Return one line of `suppressions list`; `expires_at` is None when only a person releases it."""
    return {
        "address": suppression.target,
        "scope": suppression.scope.value,
        "strength": suppression.strength.value,
        "reason": suppression.reason.value,
        "rule": _rule(suppression.rule),
        "reply": str(suppression.reply),
        "since": write_time(suppression.since),
        "expires_at": _plain(suppression.expires_at),
        "source": suppression.source.value,
        "state": suppression.state.value,
        "provider": suppression.provider,
        "note": suppression.note,
    }


def write_suspension(suspension: Suspension) -> dict[str, Any]:
    """Return a suspension as `states list` shows it; `target` names (our identity, the destination)."""
    return {
        "kind": "suspension",
        "target": suspension.target,
        "reason": suspension.reason.value,
        "rule": _rule(suspension.rule),
        "since": write_time(suspension.since),
        "until": write_time(suspension.until),
        "times": suspension.times,
        "well_at": _plain(suspension.well_at),
    }


def write_throttling(throttling: Throttling) -> dict[str, Any]:
    """Return a throttled destination as `states list` shows it; `rate` is how many in how long, `30/1h`."""
    return {
        "kind": "throttle",
        "target": throttling.target,
        "rate": str(throttling.rate),
        "reason": throttling.reason.value,
        "rule": _rule(throttling.rule),
        "since": write_time(throttling.since),
        "until": write_time(throttling.until),
    }


def write_freeze(freeze: Freeze) -> dict[str, Any]:
    """Return a freeze as `states list` shows it; `target` is a provider, or empty for all mail."""
    return {"kind": "freeze", "target": freeze.provider, "since": write_time(freeze.since), "note": freeze.note}


def write_watch(watch: Watch) -> dict[str, Any]:
    """Return what the outage guard knows of a provider or domain, counted; `since` is None while it is closed."""
    return {
        "kind": "outage-guard",
        "target": watch.key,
        "since": _plain(watch.open_since),
        "failing": len(watch.failing),
        "probes": len(watch.probes),
    }


def write_progress(progress: Progress) -> dict[str, Any]:
    """Return how far a message has come with a recipient; `retry_at` is None when it is not due again."""
    return {
        "attempts": progress.attempts,
        "first_attempt_at": write_time(progress.first_attempt_at),
        "last_at": write_time(progress.last_at),
        "action": progress.action.value,
        "final": progress.final,
        "retry_at": _plain(progress.retry_at),
        "custody": progress.custody.value,
        "guarded": progress.guarded,
        "frozen": progress.frozen,
        "route": progress.route,
        "deliver_by": _plain(progress.deliver_by),
    }


def write_forward(note: ForwardNote) -> dict[str, Any]:
    """Return one line of `forwards list`; `forward_path` is untrusted text."""
    return _plain_fields(note)


def _rule(ref: RuleRef) -> dict[str, Any]:
    """`edited` is there only when an `override` changed the rule."""
    edited = {"edited": list(ref.edited)} if ref.edited else {}
    return {"id": ref.id, "file": ref.file, "line": ref.line, **edited}


def _plain_fields(value: Effect | attrs.AttrsInstance) -> dict[str, Any]:
    """Return the fields of a value that has only scalar ones, in their order."""
    return {each.name: _plain(getattr(value, each.name)) for each in attrs.fields(type(value))}


def _plain(value: object) -> str | int | None:
    match value:
        case None | int():
            return value
        case Enum():
            return str(value.value)
        case datetime():
            return write_time(value)
        case _:
            return str(value)  # text, an address, an untrusted path
