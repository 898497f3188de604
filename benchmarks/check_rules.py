"""Seconds of CPU for loading and checking generated rules files, against what we want of them.

python benchmarks/check_rules.py [rules ...]
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from policy.rules.policy import Policy
from policy.rules.proof.check import check
from policy.rules.source import RulesFile, build_policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNS = 3
NONE = (None, None, None)
TARGETS = {1_000: (None, None, 1.5), 10_000: (2.0, 10.0, None)}  # of loading, of checking, of both


def own_domains(count: int) -> Iterator[str]:
    """Each rule for a domain of its own."""
    for number in range(count):
        yield f"{{domain: customer{number}.example, code: 4yz}}, then: {{action: retry, schedule: limited}}"


def own_texts(count: int) -> Iterator[str]:
    """Each rule for words of its own."""
    for number in range(count):
        yield f'{{text: "limit number {number:05} of theirs", code: 5yz}}, then: {{action: bounce, alert: ops}}'


def mixed(count: int) -> Iterator[str]:
    """Codes, statuses, categories, commands, providers, streams, texts and domains together."""
    providers, streams = ("google", "microsoft", "yahoo", "gmx"), ("bulk", "otp", "news")
    for number in range(count):
        turn, code = number % 4, f'"{450 + number % 5}"'
        if turn == 0:
            when = f"domain: customer{number}.example, code: {code}, stream: {streams[number % 3]}"
        elif turn == 1:
            when = f'text: "limit {number:05}", enhanced: "4.7.{number % 40}", provider: {providers[number // 4 % 4]}'
        elif turn == 2:
            when = f"category: rate-limited, code: 4yz, attempt: {{min: 2}}, sender_domain: brand{number}.example"
        else:
            when = f'mx: "*.host{number}.example", command: [RCPT, DOT], not: {{category: bad-mailbox}}, code: 4yz'
        yield f"{{{when}}}, then: {{action: retry, schedule: limited}}"


KINDS: tuple[Callable[[int], Iterator[str]], ...] = (own_domains, own_texts, mixed)


def written(rules: Iterator[str]) -> RulesFile:
    lines = [f"  - {{id: rule-{number}, when: {each}}}" for number, each in enumerate(rules)]
    return RulesFile("generated.yaml", "\n".join(["mailverdict: 1", "rules:", *lines]).encode())


def seconds(file: RulesFile) -> tuple[float, float]:
    """Of loading, and of checking."""
    start = time.process_time()
    policy: Policy = build_policy([file])
    loaded = time.process_time()
    found = check(policy, now=NOW)
    if found:
        raise SystemExit(f"the file was meant to be without fault: {found[0]}")
    return loaded - start, time.process_time() - loaded


def against(took: float, target: float | None) -> str:
    if target is None:
        return f"{took:6.2f} s"
    return f"{took:6.2f} s ({'within' if took <= target else 'OVER'} {target:g})"


def main() -> None:
    """Print a line for each number of rules and kind: medians."""
    for count in [int(each) for each in sys.argv[1:]] or sorted(TARGETS):
        for kind in KINDS:
            runs = [seconds(written(kind(count))) for _ in range(RUNS)]
            loaded, checked = (statistics.median(each) for each in zip(*runs, strict=True))
            took = zip(
                ("load", "check", "both"), (loaded, checked, loaded + checked), TARGETS.get(count, NONE), strict=True
            )
            told = "  ".join(f"{what} {against(each, target)}" for what, each, target in took)
            sys.stdout.write(f"{count:6} rules  {kind.__name__:12} {told}\n")


if __name__ == "__main__":
    main()
