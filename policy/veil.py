"""Names under which recipients are kept instead of their addresses, made with keys that are kept elsewhere.

A plain digest of an address hides nothing: whoever has the store tries the addresses that there are. An HMAC (RFC 2104)
cannot be tried without its secret, and gives the same name each time, which is all that a look-up needs. Only the local
part is replaced: domains, providers and destinations are counted and shown as ever.

Decisions are made on what was said, in clear, with the recipient's own past read back to their address; what is kept is
veiled: every mail address in it, and the recipient's local part wherever it stands as a word. Ids that are derived
(`Attempt.identity`, `message`) and the place in a schedule's spread come from what is veiled, so that none of them is
a digest to try addresses on. New entries have the first key's name; entries with an older key's, or in clear from
before there was a key, are found as well.

A forward path is another person's address: where there is a key it is neither kept nor returned.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import Factory, evolve, field, frozen

from policy.address import Address, parse_address
from policy.attempt import Attempt
from policy.decision import Alert, Decision, Delivered, Effect, NoteForward, Strike, Suppress
from policy.diagnosis.category import Category, Evidence, EvidenceKind
from policy.guard import Failing, Watch
from policy.history import History, HistoryKey, PastStrike, Suppression
from policy.reply import Reply
from policy.text import LINE_LIMIT, TEXT_LIMIT, SafeText, clean

LEAST_SECRET = 16  # octets
GONE = "***"
NOT_NOTED = "the server names a new address; there are keys, so it is not noted, and nobody can approve it"

_ID = re.compile(r"[a-z0-9-]{1,16}")  # it stands in a local part, whose 64 octets it must leave room in
_VEILED = re.compile(r"veiled\.[a-z0-9-]{1,16}\.[0-9a-f]{32}")
_SIGN = re.compile("%40|[\uff20\ufe6b]")  # other ways to write an `@`
# As in `policy.redaction`: all before an `@` back to a blank, for there is no end to what may stand in a local part.
_LOCAL_PARTS = re.compile(
    r'(?:"(?:[^"\\@]|\\.|@){0,64}"|(?<![^\s@])[^\s@]++)(?=@(\[[^\]\s]{1,64}\]|[^\s<>@"\',;:()\[\]]*))'
)
_VEILED_ADDRESS = re.compile(rf"({_VEILED.pattern}@[^\s<>]*)")
_TARGET = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^@"]+)@[^@#]+)(#.*|)', re.DOTALL)
_IN_FRONT = re.compile(r'.*[<>()\[\],;:"]')


def is_veiled(local: str) -> bool:
    """Is this local part a name that some key made?

    >>> is_veiled("veiled.k1.0123456789abcdef0123456789abcdef"), is_veiled("veiled.jo")
    (True, False)
    """
    return _VEILED.fullmatch(local) is not None


@frozen
class Key:
    """A secret and what it is called; the id stands in every name that it makes."""

    id: str = field(validator=lambda _, __, value: _check_id(value))
    secret: bytes = field(repr=False)

    @secret.validator
    def _is_long(self, _: object, value: bytes) -> None:
        if len(value) < LEAST_SECRET:
            raise ValueError(f"a secret needs at least {LEAST_SECRET} octets, this one has {len(value)}")

    def name(self, key: str) -> str:
        """Return the local part that stands for an address key's."""
        digest = hmac.digest(self.secret, key.encode("utf-8", "backslashreplace"), hashlib.sha256).hex()
        return f"veiled.{self.id}.{digest[:32]}"


def _check_id(value: str) -> None:
    if not _ID.fullmatch(value):
        raise ValueError(f"key id `{clean(value, limit=40)}` must be 1 to 16 of a-z, 0-9 and `-`")


def _distinct(_: object, __: object, keys: tuple[Key, ...]) -> None:
    if len({each.id for each in keys}) < len(keys):
        raise ValueError("two keys have one id")


@frozen
class Veil:
    """Keys, the first of them current; without any, everything stays as it is.

    >>> veil = Veil((Key("k1", b"sixteen octets .."),))
    >>> veil.address(Address("Jo", "example.org"))
    Address(local='veiled.k1.1632a5c6377276ab0bd336a20853635c', domain='example.org')
    """

    keys: tuple[Key, ...] = field(validator=_distinct)
    _single: "tuple[Veil, ...]" = field(
        init=False,
        eq=False,
        repr=False,
        default=Factory(
            lambda self: tuple(Veil((key,)) for key in self.keys) if len(self.keys) > 1 else (), takes_self=True
        ),
    )

    def address(self, address: Address) -> Address:
        """Return the address with the current key's name for its local part; one that is veiled already stays."""
        local = address.key.removesuffix(f"@{address.domain}")
        if not self.keys:
            return address
        return Address(local if is_veiled(local) else self.keys[0].name(address.key), address.domain)

    def names(self, address: Address) -> tuple[str, ...]:
        """Return the address keys under which it may be kept: by the current key, by older ones, in clear."""
        veiled = (each.address(address).key for each in self._each())
        return tuple(dict.fromkeys((*veiled, address.key)))

    def target(self, target: str) -> str:
        """Return what is suppressed (an address key, with a stream or without; a domain) with the address veiled."""
        return next(self.targets(target))

    def targets(self, target: str) -> Iterator[str]:
        """Yield what a target may be kept under, as `names` does."""
        address, stream = _split(target)
        local, _, domain = address.rpartition("@")
        if not local:
            yield target
            return
        yield from (f"{each}{stream}" for each in self.names(Address(local, domain)))

    def key(self, key: HistoryKey, recipient: Address | None, told: Sequence[str] | None = None) -> HistoryKey:
        """Return where the history of a recipient is found.

        Args:
            told: the ids of the message as `tellings` have them; None: made of the key's.
        """
        if recipient is None or not self.keys:
            return key
        ids = told or [each.ident(key.message, recipient) or "" for each in (*self._each(), UNVEILED)]
        names = (*(each.address(recipient).key for each in self._each()), recipient.key)
        found: dict[str, str] = {}
        for name, message in zip(names, ids, strict=True):
            found.setdefault(name, message)  # a name that was told has no others
        (current, message), *older = found.items()
        return evolve(
            key,
            recipient=current,
            message=None if key.message is None else message,
            aliases=tuple(name for name, _ in older),
            older=() if key.message is None else tuple(each for _, each in older),
        )

    def ident(self, ident: str | None, recipient: Address | None) -> str | None:
        """Return an id with the recipient's address in it, if it is, veiled; the rest is the caller's own words."""
        if ident is None or recipient is None or not self.keys:
            return ident
        return _own_address(recipient).sub(str(self.address(recipient)), ident)

    def attempt(self, attempt: Attempt) -> Attempt:
        """Return the attempt as it is kept."""
        if not self.keys:
            return attempt
        recipient = attempt.recipient
        sender = attempt.sender
        if isinstance(sender, Address) and recipient is not None:  # VERP puts the recipient into it
            sender = evolve(sender, local=_own_address(recipient).sub(GONE, sender.local))

        def hidden(text: str) -> str:
            return self.text(text, recipient)

        return evolve(
            attempt,
            recipient=recipient and self.address(recipient),
            sender=sender,
            outcome=_worded(attempt.outcome, hidden) if isinstance(attempt.outcome, Reply) else attempt.outcome,
            rcpt_reply=attempt.rcpt_reply and _worded(attempt.rcpt_reply, hidden),
            tags=tuple((hidden(name), hidden(value)) for name, value in attempt.tags),
            attempt_id=self.ident(attempt.attempt_id, recipient),
            message_id=self.ident(attempt.message_id, recipient),
        )

    def tellings(self, attempt: Attempt) -> tuple[Attempt, ...]:
        """Return the attempt as it is kept, and as it may have been kept when another key, or none, was current."""
        if not self.keys:
            return (attempt,)
        return (*(each.attempt(attempt) for each in self._each()), attempt)

    def suppression(self, entry: Suppression) -> Suppression:
        """Return an entry that a person or a list brings as it is kept."""
        address, _ = _split(entry.target)
        local, _, domain = address.rpartition("@")
        recipient = Address(local, domain) if local else None
        reply, note = (clean(self.text(each, recipient), limit=TEXT_LIMIT) for each in (entry.reply, entry.note))
        return evolve(entry, target=self.target(entry.target), reply=reply, note=note)

    def text(self, text: str, own: Address | None) -> str:
        """Return the text with each mail address veiled, and without the words that are the local part of `own`."""
        if not self.keys:
            return text
        if "@" in text or _SIGN.search(text):
            text = _LOCAL_PARTS.sub(self._stand_in, _SIGN.sub("@", text))
        words = _own_words(own)
        if not words:
            return text
        pieces = _VEILED_ADDRESS.split(text)  # every other one is what it splits at
        pieces[::2] = (words.sub(GONE, each) for each in pieces[::2])
        return "".join(pieces)

    def lifted(self, history: History, recipient: Address | None) -> History:
        """Return the history with the recipient's names read back to the address."""
        if recipient is None or not self.keys:
            return history
        clear = dict.fromkeys(self.names(recipient), recipient.key)
        return evolve(
            history,
            strikes=self._strikes(history.strikes, recipient, clear),
            suppressions=tuple(evolve(each, target=_renamed(each.target, clear)) for each in history.suppressions),
            watches=tuple(_watch(each, clear) for each in history.watches),
        )

    def _strikes(
        self, strikes: Sequence[PastStrike], recipient: Address, clear: Mapping[str, str]
    ) -> tuple[PastStrike, ...]:
        """An id with the recipient's address in it has as many forms as there are keys; a message strikes once."""
        current, *older = clear
        first: dict[tuple[str, str, Category], PastStrike] = {}
        for each in strikes:
            message = self.ident(each.message, recipient) or ""
            for name in older:
                message = message.replace(name, current)
            target = _renamed(each.target, clear)
            first.setdefault((target, message, each.reason), evolve(each, target=target, message=message))
        return tuple(first.values())

    def decision(self, decision: Decision, recipient: Address | None) -> Decision:
        """Return the decision as it is kept and told."""
        if not self.keys:
            return decision
        veiled = {} if recipient is None else {recipient.key: self.address(recipient).key}
        effects = (self._effect(each, veiled, recipient) for each in decision.effects)
        return evolve(
            decision,
            effects=tuple(each for each in effects if each is not None),
            evidence=tuple(
                Evidence(each.kind, self._safe(each.value, recipient), self.text(_said(each), recipient))
                for each in decision.evidence
            ),
            remedy=self.text(decision.remedy, recipient),
        )

    def watch(self, watch: Watch, recipient: Address | None) -> Watch:
        """Return what the guard remembers as it is kept."""
        if recipient is None or not self.keys:
            return watch
        return _watch(watch, {recipient.key: self.address(recipient).key})

    def _each(self) -> "tuple[Veil, ...]":
        """A veil for each key alone."""
        return self._single or ((self,) if self.keys else ())

    def _safe(self, text: SafeText, recipient: Address | None) -> SafeText:
        return clean(self.text(text, recipient), limit=TEXT_LIMIT)

    def _effect(self, effect: Effect, veiled: Mapping[str, str], recipient: Address | None) -> Effect | None:
        match effect:
            case Suppress() | Strike() | Delivered():
                return evolve(effect, target=_renamed(effect.target, veiled))
            case Alert():
                return evolve(effect, text=self._safe(effect.text, recipient))
            case NoteForward():
                return None
            case _:
                return effect

    def _stand_in(self, found: "re.Match[str]") -> str:
        word, domain = found[0], found[1]
        front = _IN_FRONT.match(word)
        place = front.end() if front and not word.startswith('"') else 0
        local = word[place:]
        if local == GONE or is_veiled(local):
            return word
        try:
            address = parse_address(f"{local}@{domain.rstrip('.!?')}")
        except ValueError:
            return word[:place] + GONE
        return word[:place] + self.address(address).local


UNVEILED = Veil(())


def _said(evidence: Evidence) -> str:
    """What a piece says; of a forward path, which is dropped here, nothing that would only be true of a note."""
    return NOT_NOTED if evidence.kind is EvidenceKind.FORWARD_PATH else evidence.says


def _split(target: str) -> tuple[str, str]:
    """An address key or a domain, and what follows it: nothing, or the stream with its `#`."""
    found = _TARGET.fullmatch(target)
    return (found[1], found[2]) if found else (target, "")


def _renamed(target: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if target == old or target.startswith(f"{old}#"):
            return new + target[len(old) :]
    return target


def _watch(watch: Watch, names: Mapping[str, str]) -> Watch:
    """The same watch when it names none of them: who compares sees that nothing changed."""

    def renamed(several: tuple[Failing, ...]) -> tuple[Failing, ...]:
        return tuple(evolve(each, recipient=names.get(each.recipient, each.recipient)) for each in several)

    if not any(each.recipient in names for each in (*watch.failing, *watch.attempted)):
        return watch
    return evolve(watch, failing=renamed(watch.failing), attempted=renamed(watch.attempted))


def _worded(reply: Reply, words: Callable[[str], str]) -> Reply:
    return evolve(reply, lines=tuple(clean(words(each), limit=LINE_LIMIT) for each in reply.lines))


def _own_address(recipient: Address) -> "re.Pattern[str]":
    """The address as ids and VERP senders hold it."""
    return re.compile(
        rf"(?<!\w){re.escape(recipient.local)}(?:@|=|%40){re.escape(recipient.domain)}(?![\w-])", re.IGNORECASE
    )


def _own_words(own: Address | None) -> "re.Pattern[str] | None":
    """The local part as a word: whole, without its quotes, and without its `+tag`; None: nothing to look for."""
    if own is None or is_veiled(own.local):
        return None
    local = clean(own.local)
    bare = clean(re.sub(r"\\(.)", r"\1", local[1:-1])) if local.startswith('"') else local
    words = [re.escape(each) for each in (local, bare, bare.partition("+")[0]) if len(each) > 1]
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None
