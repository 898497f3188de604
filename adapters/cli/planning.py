"""`mailverdict plan`: what would happen before a delivery."""

from datetime import datetime
from typing import Any

import click

from adapters.cli.common import (
    USAGE,
    clock,
    fail,
    format_option,
    now_option,
    rules_option,
    store_option,
    the_policy,
    the_store,
)
from adapters.cli.keys import check_veil, keys_option
from policy import NULL_SENDER, Address, Delivery, Engine, Plan, parse_address
from policy.contract import write_forward, write_suppression
from policy.contract.times import write_time
from policy.veil import Veil


@click.command(
    "plan",
    epilog="""\b
Examples:
  mailverdict plan --to jo@example.com
  mailverdict plan --to jo@example.com --to bo@example.com --message-id order-17 --format json""",
)
@click.option("--to", "recipients", multiple=True, required=True, metavar="ADDRESS", help="May be repeated.")
@click.option("--from", "sender", metavar="ADDRESS", help='The envelope sender; "" or <> for the null sender.')
@click.option("--message-id", metavar="ID", help="A message that was tried before; new mail without it.")
@click.option("--stream", metavar="NAME", help="What kind of mail, such as transactional, bulk.")
@now_option
@store_option
@keys_option
@rules_option
@format_option
def plan_command(  # noqa: PLR0913, PLR0917 - one argument an option
    recipients: tuple[str, ...],
    sender: str | None,
    message_id: str | None,
    stream: str | None,
    now: datetime | None,
    store_url: str,
    veil: Veil | None,
    rules: tuple[str, ...],
    form: str,
) -> None:
    """Say whether mail may be sent to these addresses now, when, by which route, and why not."""
    addresses = [address(each) for each in recipients]
    reverse_path = None if sender is None else (NULL_SENDER if sender in ("", "<>") else address(sender))
    policy = the_policy(rules)
    with the_store(store_url, must_exist=True) as store:
        check_veil(store, veil, clock(now))
        engine = Engine(policy, store, veil)
        deliveries = [
            Delivery(recipient=each, sender=reverse_path, message=message_id, stream=stream) for each in addresses
        ]
        plans = engine.plan_all(deliveries, now=clock(now))
    if form == "json":
        from adapters.cli.show import print_json

        print_json([write_plan(each) for each in plans])
    else:
        print_plans(plans)


def address(text: str) -> Address:
    """Read an address given as an option, or end the command."""
    try:
        return parse_address(text)
    except ValueError as error:
        fail(USAGE, str(error))


def write_plan(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "recipient": str(plan.recipient),
        "verdict": plan.verdict.value,
        "not_before": plan.not_before and write_time(plan.not_before),
        "route": plan.route,
        "alone": plan.alone,
        "in_clear": plan.in_clear,
        "why": plan.why,
        "suppression": plan.suppression and write_suppression(plan.suppression),
        "forward": plan.forward and write_forward(plan.forward),
        "deliver_to": plan.deliver_to and str(plan.deliver_to),
        "policy_version": plan.policy_version,
    }


def print_plans(plans: list[Plan], title: str = "") -> None:
    """Plans as a table."""
    from adapters.cli.show import table

    def when(plan: Plan) -> str:
        return f"{plan.not_before:%Y-%m-%d %H:%M:%S}" if plan.not_before else ""

    rows = [(str(each.recipient), each.verdict.value, when(each), each.why) for each in plans]
    table(title, ("recipient", "verdict", "not before (UTC)", "why"), rows)
