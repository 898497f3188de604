"""What the engine needs of the world, as Protocols; the contracts are prose here and tests in `policy.testing`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, Unpack

from policy.alike import Alike
from policy.forward import ForwardState
from policy.guard import Watch
from policy.history import Entry, ForwardNote, Freeze, History, HistoryKey, Learned, Suppression, Suspension, Throttling
from policy.ledger import Asked
from policy.retention import Old, Pruned
from policy.throttle import Traffic
from policy.transaction import Envelope, Transaction


class StoreUnavailable(Exception):
    """The store cannot be reached, read or written; one line says what and where.

    Nothing of the unit was kept; only where the medium is lost while it commits may that be unknown, and the line says
    so. Observing again is safe either way: an attempt counts once.
    """


class Unit(Protocol):
    """One store transaction: it sees its own writes, and others see all of it or nothing."""

    def recorded(self, attempt_id: str, recipient: str) -> Entry | None:
        """Return the ledger's entry under this key; None when there is none."""

    def foresee(self, attempts: Iterable[tuple[str, str]], keys: Iterable[HistoryKey]) -> None:
        """Hear what `recorded` and `history` will be asked, so as to read it together; nothing else comes of it."""

    def history(self, key: HistoryKey) -> History:
        """Return what is known under `key`; parts whose key is None stay empty."""

    def commit(self, entry: Entry) -> None:
        """Append `entry` to the ledger, keep its progress, and perform each effect that remembers something:
        Suppress, Strike, Delivered, NoteForward, Suspend, Throttle, Recovered, Trigger, OpenGuard. The key must be new
        (ValueError otherwise).

        - Suppress: one entry a (scope, target); a new one replaces it unless the old one is active and stronger,
          or as strong and expires later, or not of a bounce.
        - Strike: one a (target, message, reason); a repeated one keeps the first time.
        - Delivered: last success is the latest seen; strikes of the target up to then are removed, and a *weak*
          suppression of a bounce is released.
        - NoteForward: one note an address; the same path keeps its first time and its state, unless a rule approves
          what no person rejected; another path replaces it and is pending again, or approved.
        - Suspend: the later time wins. Throttle: the slower rate, while it lasts.
        - Recovered: the suspension is over, and recovers from then on.
        - Trigger: one a (target, rule, attempt); the newest are kept.
        - OpenGuard: active suppressions of bounces at that key, younger than `guard.UNDO`, are quarantined.
        """

    def watch(self, watch: Watch) -> None:
        """Keep what the guard remembers; it replaces the watch of its key."""

    def put(self, suppression: Suppression) -> bool:
        """Keep an entry that a person or an import makes; False when one stands against it, and nothing is kept."""

    def put_all(
        self, entries: Sequence[Alike], *, unless: Callable[[Suppression, Suppression], bool]
    ) -> Sequence[bool]:
        """Put entries in order; return for each whether it was put, False where `unless(old, new)` spoke against it. An
        old one is what the place held, or an earlier one of these."""

    def undo(
        self,
        *,
        since: datetime,
        provider: str | None,
        rule: str | None,
        now: datetime,
        after: Suppression | None = None,
        count: int | None = None,
    ) -> list[Suppression]:
        """Release the active entries of bounces from `since` on, of one provider or rule where it is named; return
        them as they were. Strikes of their targets are removed. With a `count` about so many are released, those
        behind `after`, by `policy.shelf.young_order`."""

    def cancel(self, target: str, now: datetime) -> bool:
        """End what holds mail to a destination back: suspension, recovery, throttling; False when there is none."""

    def learned(self, domain: str) -> Learned | None:
        """Return which provider was last seen to take the domain's mail; None: never seen."""

    def learn(self, learned: Learned) -> None:
        """Keep which provider takes a domain's mail; it replaces what was."""

    def count(self, traffic: Traffic) -> None:
        """Keep what is known of the traffic to a destination; it replaces what was."""

    def freeze(self, new: Freeze) -> None:
        """Keep a person's word that nothing is to be bounced or suppressed; an earlier one for the same stands."""

    def lift(self, provider: str) -> Freeze | None:
        """Take it back; return it, None when there is none."""

    def frozen(self, provider: str) -> Freeze | None:
        """Return the freeze of a provider or domain, of all mail for an empty one; None: there is none."""

    def streams_of(self, address: str) -> Sequence[Suppression]:
        """Return what stands against single streams to an address (a key), active or not, by target."""

    def release(self, target: str) -> int:
        """Release every suppression of `target` (an address key or a domain) that is not released yet, and remove its
        strikes; return how many there were, active or not."""

    def judge(self, address: str, path: str, state: ForwardState) -> bool:
        """Keep what a person said of the forward `path` noted for `address` (a key); False when another one, or none,
        is noted by now: what nobody has read must not be approved."""

    def prune(self, kind: type[Old], *, before: datetime, after: Old | None, count: int) -> Pruned:
        """Remove what `policy.retention` calls older than `before` among the next `count` values of a kind; `after` is
        where the step before ended (`Pruned.last`), None at the beginning. An attempt whose line is gone is new when it
        comes again."""

    def erase(self, recipient: str, *, suppressions: bool) -> dict[str, int]:
        """Remove what is kept under an address key: its lines of the ledger, progress, strikes, last success, forward
        note and what the guard's watches remember of it, and with `suppressions` its entries, those of single streams
        too, whoever made them. Return how many there were, by `policy.retention.ERASED`."""


class Store(Protocol):
    """Where attempts, suppressions, strikes, forward notes and suspensions are kept.

    Every method raises StoreUnavailable, and nothing else, when the medium fails. Lists are ordered by (time, key).
    """

    def unit(self) -> AbstractContextManager[Unit]:
        """Open a transaction: committed, durably, when the block ends; rolled back when it raises."""

    def suppressions(self, *, since: datetime | None = None) -> Iterator[Suppression]:
        """All entries from then on, expired ones too, by (since, target)."""

    def forwards(self) -> Iterator[ForwardNote]:
        """All notes, by (since, address)."""

    def suspensions(self) -> Iterator[Suspension]:
        """All of them, past ones too, by (since, target)."""

    def freezes(self) -> Iterator[Freeze]:
        """All that stand, by provider."""

    def throttlings(self) -> Iterator[Throttling]:
        """All of them, past ones too, by (since, target)."""

    def watches(self) -> Iterator[Watch]:
        """All that the guard remembers, by key."""

    def entries(self, **asked: Unpack[Asked]) -> Iterator[Entry]:
        """The lines of the ledger that are meant, by (at, attempt_id, recipient); the keywords are those of
        `policy.ledger.Cut`, and each goes through an index."""

    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""


class Mailer(Protocol):
    """Something that hands a message to a remote MTA and tells what each side said.

    A mailer never raises for what a remote host does or fails to do: that is in the Transaction. It sends to each
    recipient at most once in a call, and it does not retry.
    """

    def deliver(self, envelope: Envelope) -> Transaction:
        """Try once to deliver `envelope` and return what happened, recipient by recipient."""


class MailerSetup(Exception):
    """The mailer cannot start for a reason of ours: bad options, an address that cannot be put on the wire."""
