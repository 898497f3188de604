"""Seconds of CPU for asking of every rule of a list whether it can decide.

python benchmarks/proof_boxes.py [rules ...]
"""

import random
import sys
import time
from collections.abc import Callable

from policy.rules.proof.boxes import IMPOSSIBLE, Box, Claim, Cover, Space

CODES, CATEGORIES, PROVIDERS = 400, 40, 60
Rules = tuple[Space, list[Claim]]


def own_domains(count: int) -> Rules:
    """Each rule for its own domain; atom 0 is every other domain."""
    return Space((CODES, count + 1)), [Claim(rule, Box({1: 2 << rule})) for rule in range(count)]


def own_markers(count: int) -> Rules:
    """Each rule for its own marker."""
    return Space((CODES, *[2] * count)), [Claim(rule, Box({rule + 1: 2})) for rule in range(count)]


def mixed(count: int) -> Rules:
    """Conditions on code, category, provider and markers, then 51 general ones; a failure has no code."""
    draw = random.Random(1)  # noqa: S311
    sizes = (CODES + 1, CATEGORIES, PROVIDERS, *[10] * 20, *[2] * (count // 4))
    claims = [
        Claim(IMPOSSIBLE, Box({0: 1, 3: 1})),
        Claim(IMPOSSIBLE, Box({0: ((1 << CODES) - 1) << 1, 3: (1 << 10) - 2})),
    ]
    for rule in range(count - 51):
        masks = {0: 2 << draw.randrange(CODES), 1: 1 << draw.randrange(CATEGORIES), 2: 1 << draw.randrange(PROVIDERS)}
        if rule % 3 == 0:
            masks[draw.randrange(3, 23)] = draw.randrange(1, 1 << 10)
        if rule % 4 == 0:
            masks[23 + rule // 4] = 1 + draw.randrange(2)
        for dimension in draw.sample(sorted(masks), draw.randint(0, 1)):
            del masks[dimension]
        claims.append(Claim(rule, Box(masks)))
    classes = [((1 << 100) - 1) << 1 + 100 * each for each in range(4)]
    general = [Box({0: each, 2: 1 << provider}) for each in classes for provider in range(11)]
    general += [*(Box({0: each}) for each in classes), Box({0: 1}), Box({1: 1}), Box()]
    return Space(sizes), claims + [Claim(count - 51 + each, box) for each, box in enumerate(general)]


def hidden(count: int) -> Rules:
    """A general rule in the middle of narrow ones, which hides the second half of them."""
    draw = random.Random(2)  # noqa: S311
    sizes = (4, CODES, CATEGORIES, PROVIDERS, *[2] * count)
    claims = []
    for rule in range(count):
        masks = {0: 4, 1: 1 << draw.randrange(CODES), 2: 1 << draw.randrange(CATEGORIES), 4 + rule: 2}
        claims.append(Claim(rule, Box({0: 4} if rule == count // 2 else masks)))
    return Space(sizes), claims


def hidden_by_many(count: int) -> Rules:
    """A tenth of the rules take a code and a provider each; the rest are hidden, each by some of these together."""
    draw = random.Random(3)  # noqa: S311
    first = [Box({0: 1 << each % 10, 1: 1 << each // 10}) for each in range(count // 10)]
    rest = [Box({1: 1 << draw.randrange(count // 100), 2: 1 << draw.randrange(40)}) for _ in range(count - len(first))]
    return Space((10, count // 100, 40)), [Claim(rule, box) for rule, box in enumerate(first + rest)]


LISTS: tuple[tuple[str, Callable[[int], Rules]], ...] = (
    ("(a) own domains", own_domains),
    ("(b) own markers", own_markers),
    ("(c) mixed, 51 general", mixed),
    ("(d) hidden by one", hidden),
    ("(e) hidden by ten", hidden_by_many),
)


def main() -> None:
    """Print a line for each list and number of rules."""
    for count in [int(each) for each in sys.argv[1:]] or [1_000, 10_000]:
        for name, rules in LISTS:
            space, claims = rules(count)
            start = time.process_time()
            cover = Cover(space, claims)
            built = time.process_time()
            free = sum(cover.free(each.box, each.owner) is not None for each in claims if each.owner != IMPOSSIBLE)
            asked = time.process_time()
            line = f"{count:6} rules  {name:22} built {built - start:6.2f} s  asked {asked - built:6.2f} s"
            sys.stdout.write(f"{line}  {free} can decide, {count - free} cannot\n")


if __name__ == "__main__":
    main()
