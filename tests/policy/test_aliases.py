"""Laws of several names of one recipient: whatever keys come and go, decisions are those without a change."""

from datetime import timedelta

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from policy.address import Address, parse_address
from policy.attempt import Attempt, Command
from policy.decision import Decision
from policy.engine import Engine
from policy.planning import Verdict
from policy.reply import parse_reply
from policy.rules.source import load_policy
from policy.testing.nameless import nameless
from policy.testing.scenarios import NOW, RECIPIENTS, SENDERS
from policy.veil import Key, Veil

SHIPPED = load_policy()
JO = parse_address("jo.longname@example.org")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, SECOND, THIRD = (Key(f"k{n}", f"secret number {n} of many octets".encode()) for n in (1, 2, 3))
VEIL = Veil((FIRST,))
VEILS: list[Veil | None] = [None, VEIL, Veil((SECOND, FIRST)), Veil((THIRD, SECOND, FIRST))]


def attempt(text: str, id_: str, *, to: Address) -> Attempt:
    return Attempt(outcome=parse_reply(text), command=Command.RCPT, recipient=to, sender=SENDERS[2], attempt_id=id_)


def _rotated(several: list[Attempt], places: list[int], veils: list[Veil | None]) -> tuple[list[Decision], MemoryStore]:
    """What is decided when the keys change before each attempt of `places`."""
    store, decided = MemoryStore(), list[Decision]()
    for place, each in enumerate(several):
        veil = veils[sum(place >= change for change in places)]
        decided.append(Engine(SHIPPED, store, veil).observe(each, now=NOW))
    return decided, store


_ANSWERS = st.sampled_from(
    [
        *[("452 4.2.2 mailbox full", Command.RCPT)] * 4, *[("450 4.1.1 no such user", Command.RCPT)] * 2,
        ("250 ok", Command.DOT), ("550 5.1.1 no such user", Command.RCPT), ("550 5.2.1 mailbox disabled", Command.RCPT),
        ("550 user unknown", None), ("450 4.7.1 Greylisted", Command.RCPT),
    ]
)  # fmt: skip
_telling = st.tuples(
    _ANSWERS,
    st.sampled_from([JO, JO, JO, RECIPIENTS[0]]),
    st.sampled_from([timedelta(0), HOUR, 24 * HOUR, 72 * HOUR, 30 * 24 * HOUR]),
    st.sampled_from(["m1", "m2", "m3", "jo.longname@example.org/1", None]),
    st.sampled_from([None, NOW, NOW - HOUR]),
)


@st.composite
def _long_past(draw: st.DrawFn) -> list[Attempt]:
    at, several = NOW, list[Attempt]()
    for place, ((text, command), to, after, message, first) in enumerate(draw(st.lists(_telling, max_size=14))):
        at += after
        told = attempt(text, f"a{place}", to=to)
        several.append(
            evolve(told, command=command, at=at, message_id=message, first_attempt_at=first if message else None)
        )
    return several


@settings(max_examples=max(60, settings().max_examples))
@given(_long_past(), st.lists(st.integers(0, 14), min_size=3, max_size=3).map(sorted))
def test_whatever_is_told_and_whenever_keys_change_decisions_are_those_without_a_change(
    several: list[Attempt], places: list[int]
) -> None:
    plain, usual = _rotated(several, [], [VEIL])
    rotated, changed = _rotated(several, places, VEILS)
    assert list(map(nameless, rotated)) == list(map(nameless, plain))
    late = several[-1].at if several else None
    veil = VEILS[sum(len(several) > change for change in places)]
    for each in (JO, RECIPIENTS[0]):
        for message in ("m1", "new"):
            one, other = (
                Engine(SHIPPED, store, keys).plan(each, now=late or NOW, message=message)
                for store, keys in ((usual, VEIL), (changed, veil))
            )
            assert (_goes(one.verdict), one.route) == (_goes(other.verdict), other.route)


def _goes(verdict: Verdict) -> Verdict:
    """When exactly its turn is comes from the name."""
    return Verdict.SEND if verdict is Verdict.WAIT else verdict
