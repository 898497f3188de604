"""From a box to an attempt: a real reply that falls into it, so that a claim can be tried and shown.

A box says which codes, meanings, hosts and times there may be; the wordings come from the examples of the signatures,
since a meaning cannot be asked for, only caused. Candidates are made the plausible ones first and a bounded number;
whoever asks tries each, and the first that bears out is the witness.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice, product
from typing import Any

from attrs import evolve, frozen

from policy.address import NULL_SENDER, Address, parse_address
from policy.attempt import Attempt, Command, Event, Failure, Outcome
from policy.contract import write_attempt
from policy.decision import Action
from policy.diagnosis.category import Diagnosis
from policy.diagnosis.diagnose import diagnose
from policy.history import History, Progress
from policy.reply import Reply, parse_reply
from policy.rules.policy import Policy
from policy.rules.proof import space as at
from policy.rules.proof.boxes import Box
from policy.rules.proof.causes import Cause, causes_by_meaning
from policy.rules.proof.patterns import sample
from policy.rules.proof.space import Abstraction
from policy.rules.rule import Facts, Rule

LOOKS = 800  # candidates for one box
_TRIED_LATER = 4  # of those that do not bear out at the first attempt
TRIES = 40  # of them, that are likely and tried
_CAUSES = 12  # of one meaning
_USUAL_CODES = (
    550, 450, 250, 554, 421, 451, 452, 552, 551, 251, 553, 535, 530, 220, 354, 252, 556, 521, 454, 471, 571, 577,
)  # fmt: skip
_USUAL_COMMANDS = (Command.RCPT, Command.DOT, None, Command.MAIL, Command.DATA)
_PATH = "User not local; will forward to <jo@new.example>"
_NOT_SMTP = "hello"


@frozen
class Witness:
    """An attempt, and the past that it comes with."""

    attempt: Attempt
    history: History

    def document(self) -> dict[str, Any]:
        """As the JSON contract has it; what the past is goes beside it."""
        said = {
            key: value
            for key, value in write_attempt(self.attempt).items()
            if (key, value) not in (("recipients", 1), ("custody", "ours"))
        }
        if self.history.last_success is not None:
            said["delivered_before"] = True
        if self.history.progress is not None and self.history.progress.split:
            said["split_before"] = True
        if self.history.progress is not None and self.history.progress.clear:
            said["clear_before"] = True
        return said

    def __str__(self) -> str:
        """In one line, for people."""
        said = self.document()
        what = next((said.pop(key) for key in ("reply", "failure", "event") if said.get(key)), "")
        command = said.pop("command", None)
        told = f"`{' '.join(what.split()) or 'an empty reply'}`" + (f" to {command}" if command else "")
        if self.attempt.command is None and isinstance(self.attempt.outcome, Reply):
            told += " to a command nobody knows"
        extra = [
            f"{key} {value if value != '' else '<>'}"
            for key, value in said.items()
            if key not in ("now", "first_attempt_at", "tags", "message_id") and (key, value) != ("attempt", 1)
        ]
        if self.attempt.first_attempt_at and self.attempt.at and self.attempt.first_attempt_at < self.attempt.at:
            extra.append(f"first tried {self.attempt.at - self.attempt.first_attempt_at} ago")
        extra += [f"tag {key}={value}" for key, value in self.attempt.tags]
        return ", ".join([told, *extra])


class Witnesses:
    """Makes attempts out of boxes of one abstraction, for the policy that it was made for."""

    def __init__(self, abstraction: Abstraction, policy: Policy, now: datetime) -> None:
        self._abstraction, self._policy, self._now = abstraction, policy, now
        self._causes = causes_by_meaning(policy.knowledge)
        self._diagnosed: dict[Any, Diagnosis] = {}
        self._masks: Mapping[int, int] = {}

    def find(
        self,
        box: Box,
        asked: Box,
        rules: Sequence[Rule],
        bears_out: Callable[[Witness], bool],
        *,
        looks: int = LOOKS,
    ) -> Witness | None:
        """Return the first candidate that bears out; None when none of a bounded number does.

        Args:
            box: what the search left free, a part of `asked`.
            asked: the box that was asked about; its flags are those that must be set.
            rules: those that must hold; it spares trying what cannot bear out.
            looks: how many candidates are made.
        """
        self._masks = box.masks
        flags = [flag for flag, mask in asked.masks.items() if flag >= at.FLAGS and mask == 2]
        if len(box.masks) < 200:
            flags += [flag for flag, mask in box.masks.items() if flag >= at.FLAGS and mask == 2 and flag not in flags]
        likely = (each for each in islice(self._candidates(flags), looks) if self._likely(each, rules))
        tried = []
        for each in islice(likely, TRIES):
            if bears_out(each):
                return each
            tried.append(each)
        later = (self._later(each, number) for each in tried[:_TRIED_LATER] for number in self._numbers())
        return next((each for each in later if bears_out(each)), None)

    def _numbers(self) -> list[int]:
        """Later attempts: two schedules may begin alike."""
        atoms = self._abstraction.dimensions[at.NUMBER].atoms
        first = self._one(at.NUMBER)
        end = min((each for each in atoms if each > first), default=first + 100)
        return [number for number in (first + 1, first + 3, first + 9) if number < end]

    def _later(self, witness: Witness, number: int) -> Witness:
        first = witness.attempt.first_attempt_at or self._now - timedelta(hours=number)
        return evolve(witness, attempt=evolve(witness.attempt, number=number, first_attempt_at=first))

    def _likely(self, witness: Witness, rules: Sequence[Rule]) -> bool:
        """Does it mean what is asked for, and do the rules hold?"""
        attempt = witness.attempt
        provider = self._policy.provider_of(attempt)
        domain = attempt.recipient and attempt.recipient.domain
        key = (str(attempt.outcome), attempt.command, provider, domain)
        if key not in self._diagnosed:
            self._diagnosed[key] = diagnose(self._policy.knowledge, attempt, provider)
        facts = _facts(witness, self._diagnosed[key], provider, self._now)
        return all(rule.holds(facts) for rule in rules)

    def _candidates(self, flags: list[int]) -> Iterator[Witness]:
        names = {place: key for key, place in self._abstraction.flags.items()}
        texts, tags = [], []
        for flag in flags:
            key, value = names[flag]
            if key == "tag":
                tags.append(value)
            else:
                texts.append(value if key == "text" else sample(value) or "")
        recipients = list(islice(self._domains(at.DOMAIN), 2))
        for outcome, command, provider in self._outcomes(" ".join(texts)):
            for recipient in recipients:
                if recipient is not None or not isinstance(outcome, Event):  # an event names its recipient
                    yield self._witness(outcome, command, provider, recipient, tuple(tags))

    def _outcomes(self, words: str) -> Iterator[tuple[Outcome, Command | None, str | None]]:
        """Outcomes with the command that they answer and the provider, the plausible ones first."""
        outcomes = self._some(at.OUTCOME, _USUAL_CODES, 6)
        commands = self._some(at.COMMAND, _USUAL_COMMANDS, 5)
        providers = self._some(at.PROVIDER, (None,), 2)
        yield from product((each for each in outcomes if isinstance(each, Failure | Event)), commands, providers)
        if at.VOID in outcomes:
            void = parse_reply(" ".join(filter(None, (_NOT_SMTP, words))))
            yield from product([void], commands, providers)
        numbers = [each for each in outcomes if isinstance(each, int)]
        causes = list(self._likely_causes())
        for width, cause in product((1, 3, 6), causes):  # a little of each cause, then more of it
            codes = [each for each in cause.codes if self._allows(at.OUTCOME, each)]
            codes = codes or [each for each in numbers if cause.fits(each)]
            asked = [each for each in cause.commands if self._allows(at.COMMAND, each)] or commands
            theirs = [each for each in cause.providers if self._allows(at.PROVIDER, each)] or providers
            for code, status in product(codes[:width], self._statuses_for(cause)[: 2 * width]):
                said = (str(code), status and f"{code // 100}{status[1:]}", cause.text, words)
                reply = parse_reply(" ".join(filter(None, said)))
                yield from product([reply], asked[:width], theirs[:width])

    def _likely_causes(self) -> Iterator[Cause]:
        """What may cause one of the meanings asked for, of each meaning in turn."""
        if self._masks.get(at.FORWARD_PATH) == 2:
            yield Cause(text=_PATH)
            return
        meanings = list(self._abstraction.dimensions[at.MEANING].allowed(self._masks.get(at.MEANING)))
        yield Cause()
        known = [self._causes.get(each, ()) for each in meanings]
        for turn in range(_CAUSES):
            yield from (each[turn] for each in known if turn < len(each))

    def _statuses_for(self, cause: Cause) -> list[str | None]:
        if cause.status is not None:
            return [cause.status]
        usual = self._some(at.ENHANCED, (None,), 3)
        return [*usual[:1], cause.beside, *usual[1:]] if cause.beside else usual

    def _allows(self, dimension: int, atom: Any) -> bool:
        mask = self._masks.get(dimension)
        place = self._abstraction.dimensions[dimension].place.get(atom)
        return place is not None and (mask is None or bool(mask >> place & 1))

    def _some(self, dimension: int, usual: tuple[Any, ...], count: int) -> list[Any]:
        """Some of the atoms allowed, the usual ones first."""
        mask = self._masks.get(dimension)
        first = [each for each in usual if mask is None or mask & self._abstraction.dimensions[dimension].of([each])]
        rest = (each for each in self._abstraction.dimensions[dimension].allowed(mask) if each not in first)
        return list(islice([*first, *islice(rest, count)], max(count, 1)))

    def _domains(self, dimension: int) -> Iterator[str | None]:
        """Names allowed; one that no rule names first, none at all last."""
        atoms = list(self._abstraction.dimensions[dimension].allowed(self._masks.get(dimension)))
        named = [atom for atom in atoms if atom not in (None, at.NULL)]
        yield from (*named[::-1], *(atom for atom in atoms if atom is None))

    def _one(self, dimension: int) -> Any:
        """The first atom allowed."""
        return next(self._abstraction.dimensions[dimension].allowed(self._masks.get(dimension)))

    def _last(self, dimension: int) -> Any:
        """None, or what comes closest to saying nothing."""
        return list(self._abstraction.dimensions[dimension].allowed(self._masks.get(dimension)))[-1]

    def _sender(self) -> Address | Any:
        allowed = list(self._abstraction.dimensions[at.SENDER].allowed(self._masks.get(at.SENDER)))
        if None in allowed or allowed == [at.NULL]:
            return None if None in allowed else NULL_SENDER
        return parse_address(f"news@{allowed[0]}")

    def _witness(
        self,
        outcome: Outcome,
        command: Command | None,
        provider: str | None,
        domain: str | None,
        tags: tuple[tuple[str, str], ...],
    ) -> Witness:
        number, age = self._one(at.NUMBER), self._one(at.AGE)
        first = self._now - age
        split, clear, delivered = self._one(at.SPLIT), self._one(at.CLEAR), self._one(at.DELIVERED)
        attempt = Attempt(
            outcome=outcome,
            command=command,
            recipient=None if domain is None else parse_address(f"jo@{domain}"),
            sender=self._sender(),
            recipients=1 if self._one(at.RECIPIENTS) else 2,
            mx=self._last(at.MX),
            provider=provider,
            number=number,
            first_attempt_at=first if age else None,
            at=self._now,
            stream=self._last(at.STREAM),
            tags=tags,
            custody=self._one(at.CUSTODY),
            backup_mx=self._one(at.BACKUP),
            message_id="a-message",
        )
        progress = _past(attempt, first, split=split, clear=clear) if split or clear else None
        success = self._now - timedelta(days=30) if delivered else None
        return Witness(attempt, History(progress=progress, last_success=success))


def _facts(witness: Witness, diagnosis: Diagnosis, provider: str | None, now: datetime) -> Facts:
    """What rules see of a witness, of which the diagnosis is known."""
    attempt, history = witness.attempt, witness.history
    return Facts(
        attempt=attempt,
        diagnosis=diagnosis,
        provider=provider,
        number=attempt.number or 1,
        now=now,
        age=now - (attempt.first_attempt_at or now),
        delivered_before=history.last_success is not None,
        split_before=history.progress is not None and history.progress.split,
        clear_before=history.progress is not None and history.progress.clear,
    )


def _past(attempt: Attempt, first: datetime, *, split: bool, clear: bool) -> Progress:
    """A past in which the message was told to go to this recipient alone, or in clear."""
    return Progress(
        message=attempt.message,
        recipient=attempt.recipient.key if attempt.recipient else "",
        attempts=(attempt.number or 1) - 1,
        first_attempt_at=first,
        held=timedelta(0),
        last_at=first,
        action=Action.RETRY,
        final=False,
        retry_at=None,
        split=split,
        clear=clear,
    )
