"""The outage guard on trial: a list is mailed every day, people leave, and a provider lies for hours.

    python benchmarks/outage.py [--quick]

The trial uses the pure `watched` of `policy/guard.py` and the plainest pipeline that could be: who fails is suppressed,
unless the guard is open; who was held is mailed again the next day, or sooner as one of the guard's probes. The first
story is Gmail's of 14 and 15 December 2020 (22:16-00:38 and 19:38-23:57 UTC), with 40 % false replies. What must come
out: nobody is lost who is there, everybody is found who is gone, and a quiet week never opens the guard.
"""

import argparse
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from attrs import define, field, frozen

from policy.guard import KNOWN_GOOD, UNDO, UNDO_IN_DOMAIN, Seen, Watch, may_probe, standing, watched

START = datetime(2020, 12, 7, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
PROVIDER = "google"
OWN = "gmail.com"


@frozen(kw_only=True)
class Outage:
    """From `start` to `end` a share of good recipients is refused; of all domains when `domains` is None."""

    start: datetime
    end: datetime
    share: float
    domains: Collection[str] | None = None

    def lies(self, at: datetime, domain: str, chance: float) -> bool:
        """Is this recipient refused though it is there?"""
        there = self.domains is None or domain in self.domains
        return there and self.start <= at < self.end and chance < self.share


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A time in December 2020, UTC."""
    return datetime(2020, 12, day, hour, minute, tzinfo=UTC)


GMAIL = (
    Outage(start=at(14, 22, 16), end=at(15, 0, 38), share=0.4),
    Outage(start=at(15, 19, 38), end=at(15, 23, 57), share=0.4),
)


@frozen(kw_only=True)
class Story:
    """What happens to a list.

    Args:
        hosted: domains of customers of the provider, and how many of the addresses each has; the rest are the
            provider's own.
        churn: the share of addresses that go away each day.
        every: days from one mailing to the next; hours: how long a mailing takes, from `hour` on.
        gone: domains whose mailboxes all go away at a time, for good.
    """

    addresses: int = 100_000
    hosted: Mapping[str, int] = field(factory=dict)
    churn: float = 0.003
    outages: tuple[Outage, ...] = ()
    days: int = 14
    every: int = 1
    hour: int = 0
    hours: float = 24
    gone: Mapping[str, datetime] = field(factory=dict)
    seed: int = 1


@define
class Person:
    """One address: whether it is there, and what the pipeline believes."""

    name: str
    domain: str
    gone_at: datetime | None
    last_success: datetime
    tried_gone: bool = False
    suppressed_at: datetime | None = None


@define
class Trial:
    """A story as it goes, with the guard or without it.

    Args:
        openings: the key, and when it opened; closings: likewise.
    """

    story: Story
    guarded: bool = True
    people: list[Person] = field(factory=list)
    watches: dict[str, Watch] = field(factory=dict)
    held: deque[Person] = field(factory=deque)
    openings: list[tuple[str, datetime]] = field(factory=list)
    closings: list[tuple[str, datetime]] = field(factory=list)
    _lies: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lies = random.Random(self.story.seed + 1)  # noqa: S311 - a trial that can be repeated

    @property
    def lost(self) -> list[Person]:
        """Those who are there and are suppressed."""
        return [each for each in self.people if each.gone_at is None and each.suppressed_at]

    @property
    def missed(self) -> list[Person]:
        """Those who are gone, were mailed after that, and are not suppressed."""
        return [each for each in self.people if each.tried_gone and not each.suppressed_at]

    @property
    def found(self) -> set[str]:
        """Those who are gone and suppressed."""
        return {each.name for each in self.people if each.gone_at and each.suppressed_at}

    def run(self) -> "Trial":
        """Mail everybody on every day of the story."""
        story, chance = self.story, random.Random(self.story.seed)  # noqa: S311 - the same with the guard or without
        self.people = list(_people(story, chance))
        for day in range(0, story.days, story.every):
            begin = START + day * DAY + timedelta(hours=story.hour)
            order = sorted((chance.random(), number) for number in range(len(self.people)))
            for place, number in order:
                self.mail(self.people[number], begin + place * timedelta(hours=story.hours))
        return self

    def mail(self, person: Person, now: datetime) -> None:
        """Mail one, and then a held one when the guard allows a probe."""
        if person.suppressed_at is None:
            self.attempt(person, now)
        for key in [key for key, watch in self.watches.items() if watch.is_open]:
            watch = self.watches[key] = standing(self.watches[key], now)
            if not watch.is_open:
                self.closings.append((key, now))
            elif self.held and (probing := may_probe(watch, now)):
                self.watches[key] = probing
                self.attempt(self.held.popleft(), now)

    def attempt(self, person: Person, now: datetime) -> None:
        """Send, hear the answer, and suppress or hold who fails."""
        gone = person.gone_at is not None and person.gone_at <= now
        person.tried_gone |= gone
        lie = any(each.lies(now, person.domain, self._lies.random()) for each in self.story.outages)
        keys = (PROVIDER,) if person.domain == OWN else (PROVIDER, person.domain)
        since = now - person.last_success
        if self.guarded and since <= KNOWN_GOOD:
            hosted, days = person.domain != OWN, max(1, since.days)
            here = Seen(
                at=now, recipient=person.name, domain=person.domain, failed=gone or lie, hosted=hosted, days=days
            )
            for place, key in enumerate(keys):
                self.look(key, here, is_domain=place > 0)
        if not (gone or lie):
            person.last_success = now
        elif any(key in self.watches and self.watches[key].is_open for key in keys):
            self.held.append(person)
        else:
            person.suppressed_at = now

    def look(self, key: str, here: Seen, *, is_domain: bool) -> None:
        """Show the answer to a watch; when it opens, put aside what the last hour suppressed there."""
        before = self.watches.get(key, Watch(key=key))
        after = self.watches[key] = watched(before, here, is_domain=is_domain)
        if before.is_open and not after.is_open:
            self.closings.append((key, here.at))
        if after.is_open and not before.is_open:
            self.openings.append((key, here.at))
            since = here.at - (UNDO_IN_DOMAIN if is_domain else UNDO)
            for each in self.people:
                if each.suppressed_at and each.suppressed_at >= since and key in (PROVIDER, each.domain):
                    each.suppressed_at = None


def _people(story: Story, chance: random.Random) -> Iterator[Person]:
    domains = [domain for domain, count in story.hosted.items() for _ in range(count)]
    for number in range(story.addresses):
        domain = domains[number] if number < len(domains) else OWN
        gone_at = START + chance.expovariate(story.churn) * DAY if story.churn else None
        end = story.gone.get(domain)
        if end is not None and (gone_at is None or end < gone_at):
            gone_at = end
        stays = gone_at is None or gone_at > START + story.days * DAY
        yield Person(f"{number}@{domain}", domain, None if stays else gone_at, START - story.every * DAY)


STORIES: dict[str, Callable[[int], Story]] = {
    "Gmail, December 2020": lambda size: Story(addresses=size, outages=GMAIL),
    "5 % false replies": lambda size: Story(
        addresses=size, outages=(Outage(start=at(14, 12), end=at(14, 16), share=0.05),)
    ),
    "10 % false replies": lambda size: Story(
        addresses=size, outages=(Outage(start=at(14, 12), end=at(14, 16), share=0.1),)
    ),
    "all of them false": lambda size: Story(
        addresses=size, outages=(Outage(start=at(14, 12), end=at(14, 16), share=1),)
    ),
    "ten minutes": lambda size: Story(
        addresses=size, outages=(Outage(start=at(14, 12), end=at(14, 12, 10), share=0.4),)
    ),
    "in the middle of a mailing of two hours": lambda size: Story(
        addresses=size, hour=12, hours=2, outages=(Outage(start=at(14, 12, 30), end=at(14, 13, 30), share=0.4),)
    ),
    "a small domain at a provider": lambda size: Story(
        addresses=size,
        hosted={"small.example": 12},
        outages=(Outage(start=at(14, 0), end=at(15, 0), share=1, domains=("small.example",)),),
    ),
    "several domains at a provider": lambda size: Story(
        addresses=size,
        hosted={f"customer-{number}.example": 40 for number in range(30)},
        outages=(
            Outage(start=at(14, 0), end=at(15, 0), share=0.9, domains=[f"customer-{n}.example" for n in range(30)]),
        ),
    ),
    "a mailing a week": lambda size: Story(addresses=size, every=7, hour=20, hours=3, days=36, outages=GMAIL),
    "a domain that goes away for good": lambda size: Story(
        addresses=size, hosted={"ends.example": 40}, gone={"ends.example": at(12, 0)}, days=28
    ),
}


def _shown(name: str, story: Story) -> str:
    began = time.perf_counter()
    with_guard, without = Trial(story).run(), Trial(story, guarded=False).run()
    took = time.perf_counter() - began
    opened = ", ".join(f"{key} {when:%d.%m. %H:%M:%S}" for key, when in with_guard.openings) or "never"
    return (
        f"{name}\n  lost {len(with_guard.lost)} (without the guard {len(without.lost)}), found {len(with_guard.found)}"
        f" (without it {len(without.found)}; {len(with_guard.missed)} still held), opened: {opened}; {took:.0f} s"
    )


def main() -> None:
    """Tell every story, then many quiet weeks."""
    parser = argparse.ArgumentParser(description="the outage guard on trial")
    parser.add_argument("--quick", action="store_true", help="lists of 4,000 only, and 5 quiet weeks instead of 20")
    quick = parser.parse_args().quick
    sizes = (4_000,) if quick else (4_000, 100_000)
    for size in sizes:
        print(f"== {size} addresses")
        for name, story in STORIES.items():
            print(_shown(name, story(size)), flush=True)
        weeks = [Trial(Story(addresses=size, days=7, seed=seed)).run() for seed in range(5 if quick else 20)]
        print(f"quiet weeks: {len(weeks)}, openings: {sum(len(week.openings) for week in weeks)}", flush=True)


if __name__ == "__main__":
    main()
