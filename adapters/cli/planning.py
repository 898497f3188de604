"""`mailverdict plan`: what would happen before a delivery."""

from datetime import datetime
from typing import Any

import click

from adapters.cli.common import (
    FINDINGS,
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
from adapters.cli.keys import check_keys, keys_option
from adapters.cli.lines import Line, groups_of
from policy import NULL_SENDER, Address, Delivery, Engine, Plan, Policy, parse_address
from policy.contract import ContractError, read_delivery, write_forward, write_suppression
from policy.contract.times import write_time
from policy.veil import Veil


@click.command(
    "plan",
    epilog="""\b
Examples:
  mailverdict plan --to jo@example.com
  mailverdict plan --to jo@example.com --to bo@example.com --message-id order-17 --format json
  mailverdict plan --batch deliveries.jsonl > plans.jsonl""",
)
@click.option("--to", "recipients", multiple=True, metavar="ADDRESS", help="May be repeated.")
@click.option(
    "--batch",
    metavar="FILE",
    help="Instead: JSON lines with `recipient`, `sender`, `message_id`, `stream`, `tags`; - is standard input.",
)
@click.option("--from", "sender", metavar="ADDRESS", help='The envelope sender; "" or <> for the null sender.')
@click.option("--message-id", metavar="ID", help="A message that was tried before; new mail without it.")
@click.option("--stream", metavar="NAME", help="What kind of mail, such as transactional, bulk.")
@click.option("--campaign", metavar="NAME", help="The mailing that it belongs to.")
@now_option
@store_option
@keys_option
@rules_option
@format_option
def plan_command(  # noqa: PLR0913, PLR0917 - one argument an option
    recipients: tuple[str, ...],
    batch: str | None,
    sender: str | None,
    message_id: str | None,
    stream: str | None,
    campaign: str | None,
    now: datetime | None,
    store_url: str,
    veil: Veil | None,
    rules: tuple[str, ...],
    form: str,
) -> None:
    """Say whether mail may be sent to these addresses now, when, by which route, and why not."""
    if (batch is None) is (not recipients):
        raise click.UsageError("say to whom: `--to ADDRESS`, or `--batch FILE`")
    if batch is not None:
        _plan_lines(batch, the_policy(rules), store_url, veil, now)
        return
    addresses = [address(each) for each in recipients]
    reverse_path = None if sender is None else (NULL_SENDER if sender in ("", "<>") else address(sender))
    policy = the_policy(rules)
    with the_store(store_url, must_exist=True) as store:
        check_keys(store, veil)
        engine = Engine(policy, store, veil)
        deliveries = [
            Delivery(recipient=each, sender=reverse_path, message=message_id, stream=stream, campaign=campaign)
            for each in addresses
        ]
        plans = engine.plan_all(deliveries, now=clock(now))
    if form == "json":
        from adapters.cli.show import print_json

        print_json([write_plan(each) for each in plans])
    else:
        print_plans(plans)


def _plan_lines(batch: str, policy: Policy, store_url: str, veil: Veil | None, now: datetime | None) -> None:
    """Plan line by line, a group at a time; each line has its answer in its place."""
    from adapters.cli.show import print_json_lines

    bad = 0
    with the_store(store_url, must_exist=True) as store:
        check_keys(store, veil)
        engine = Engine(policy, store, veil)
        for group in groups_of(batch):
            read = [_delivery(line) for line in group]
            plans = iter(engine.plan_all([each for each in read if isinstance(each, Delivery)], now=clock(now)))
            answers = [
                {"id": line.id, **write_plan(next(plans))} if isinstance(each, Delivery) else line.complaint(each)
                for line, each in zip(group, read, strict=True)
            ]
            bad += sum("error" in answer for answer in answers)
            print_json_lines(answers)
    if bad:
        fail(FINDINGS, f"{bad} bad line{'s' if bad > 1 else ''}")


def _delivery(line: Line) -> Delivery | str:
    """What a line asks for, or what is wrong with it."""
    if line.error is not None:
        return line.error
    try:
        return read_delivery(line.document)
    except ContractError as mistake:
        return str(mistake)


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
