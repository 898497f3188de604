"""Reply codes that are not unknown, for the law about those that are (law 5)."""

from collections.abc import Iterator

from policy.rules.policy import Policy


def named_codes(policy: Policy) -> Iterator[int]:
    """Codes of which the standards, the knowledge or a rule say something of their own."""
    yield from (251, 551)
    yield from (code for code, _ in policy.knowledge.codes)
    yield from (code for signature in policy.knowledge.signatures for code in signature.codes)
    for rule in policy.rules:
        for condition in rule.when:
            for each in condition.values[0] if condition.key == "not" else (condition,):
                for low, _, high in (code.partition("-") for code in each.values if each.key == "code"):
                    if low.isdigit():
                        yield from range(int(low), int(high or low) + 1)
