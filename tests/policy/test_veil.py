"""Laws of the veil: the same decisions, other names, and nobody's address in what is kept."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from attrs import evolve
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adapters.stores import open_store
from adapters.stores.memory import MemoryStore
from policy.address import Address, parse_address
from policy.attempt import Attempt, Command, Event
from policy.decision import Alert, Decision, Scope, Strength, Strike, Trigger
from policy.engine import AttemptConflict, Engine
from policy.history import Source
from policy.planning import Verdict
from policy.redaction import redacted, without_addresses
from policy.reply import Reply, parse_reply
from policy.rules.source import load_policy
from policy.testing import values
from policy.testing.nameless import nameless
from policy.testing.scenarios import NOW, RECIPIENTS, SENDERS, attempts
from policy.testing.store_lines import suppression
from policy.text import clean
from policy.veil import GONE, UNVEILED, Key, Veil, is_veiled

SHIPPED = load_policy()
FIRST, SECOND = Key("k1", b"one secret of many octets"), Key("k2", b"another secret of octets")
VEIL, ROTATED = Veil((FIRST,)), Veil((SECOND, FIRST))
JO = parse_address("jo.longname@example.org")
HOUR = timedelta(hours=1)


def engine(veil: Veil | None = VEIL) -> Engine:
    return Engine(SHIPPED, MemoryStore(), veil)


def attempt(text: str, id_: str | None = "a1", command: Command = Command.RCPT, *, to: Address = JO) -> Attempt:
    return Attempt(outcome=parse_reply(text), command=command, recipient=to, sender=SENDERS[2], at=NOW, attempt_id=id_)


# ---- names ----------------------------------------------------------------------------------------------------------


@given(values.addresses())
def test_a_name_is_an_address_that_keeps_its_domain_and_is_veiled_once(address: Address) -> None:
    name = VEIL.address(address)
    assert (name.domain, is_veiled(name.local)) == (address.domain, True)
    assert parse_address(str(name)) == name == VEIL.address(name)
    assert name.key == str(name)


@given(values.addresses(), st.data())
def test_two_spellings_with_one_key_have_one_name_and_other_keys_have_others(
    address: Address, data: st.DataObject
) -> None:
    swapped = "".join(
        each.swapcase() if each.isascii() and data.draw(st.booleans()) else each for each in address.local
    )
    other = Address(swapped, address.domain)
    assert (VEIL.address(other) == VEIL.address(address)) is (other.key == address.key)
    assert VEIL.address(Address(f"x{address.local}", address.domain)) != VEIL.address(address)


@given(values.addresses(), st.binary(min_size=16, max_size=64))
def test_another_secret_gives_other_names(address: Address, secret: bytes) -> None:
    assume(secret.rstrip(b"\0") != FIRST.secret)  # HMAC fills short secrets with zeros
    assert Veil((Key("k1", secret),)).address(address) != VEIL.address(address)


def test_a_veiled_name_in_capitals_is_the_same_name() -> None:
    name = VEIL.address(JO)
    assert VEIL.address(Address(name.local.upper(), name.domain)) == name


def test_the_current_name_comes_first_and_older_ones_and_the_address_follow() -> None:
    assert ROTATED.names(JO) == (ROTATED.address(JO).key, VEIL.address(JO).key, JO.key)
    assert ROTATED.address(JO) == Veil((SECOND,)).address(JO) != VEIL.address(JO)
    assert UNVEILED.names(JO) == (JO.key,)


@pytest.mark.parametrize("target", ["#news", "#a@b#c", "#", ""])
def test_a_target_keeps_its_stream(target: str) -> None:
    assert VEIL.target(f"{JO}{target}") == f"{VEIL.address(JO)}{target}"
    assert VEIL.target("example.org") == "example.org"
    quoted = parse_address('"a#b@c"@example.org')
    assert VEIL.target(f"{quoted}{target}") == f"{VEIL.address(quoted)}{target}"


@pytest.mark.parametrize(
    ("id_", "secret"),
    [("", b"x" * 16), ("K1", b"x" * 16), ("a.b", b"x" * 16), ("k" * 17, b"x" * 16), ("k1", b"x" * 15)],
)
def test_a_key_that_makes_no_good_names_is_refused(id_: str, secret: bytes) -> None:
    with pytest.raises(ValueError, match=r"key id|a secret needs"):
        Key(id_, secret)


def test_two_keys_of_one_id_are_refused_and_no_secret_is_shown() -> None:
    with pytest.raises(ValueError, match="one id"):
        Veil((FIRST, Key("k1", b"x" * 16)))
    assert "secret of" not in repr(VEIL)


# ---- attempts -------------------------------------------------------------------------------------------------------


@given(attempts())
def test_the_veil_of_an_attempt_is_idempotent(one: Attempt) -> None:
    veiled = VEIL.attempt(one)
    assert VEIL.attempt(veiled) == veiled
    assert UNVEILED.attempt(one) is one


@pytest.mark.parametrize(
    "said",
    [
        "<{0}@example.org>: unknown", "{0}@example.org", "user {0} unknown", "'{0}' is no user", "{0}%40example.org",
        "sorry:{0}@elsewhere.example", "VERP bounce+{0}=example.org@us.example", "[{0}]", "for {0}\uff20example.org",
        'the "{0}"@example.org', "x@{0}@example.org", "{0}", "<<{0}>>", "http://x.example/?to={0}", "({0}@[192.0.2.1])",
    ],
)  # fmt: skip
def test_no_form_of_the_recipient_is_left_in_a_reply(said: str) -> None:
    for local in ("jo.longname", "Jo.LongName+tag", '"jo.longname"'):
        one = attempt(f"550 5.1.1 {said.format(local.strip(chr(34)))}", to=Address(local, "example.org"))
        assert isinstance(one.outcome, Reply)
        veiled = VEIL.attempt(evolve(one, rcpt_reply=one.outcome))
        assert "longname" not in repr(veiled).lower()


def test_another_persons_address_is_veiled_by_its_own_name() -> None:
    veiled = VEIL.attempt(attempt("550 <ed@example.org> unknown"))
    assert str(veiled.outcome) == f"550 <{VEIL.address(parse_address('ed@example.org'))}> unknown"


def test_ids_and_a_verp_sender_name_nobody() -> None:
    sender = parse_address("bounce+jo.longname=example.org@us.example")
    one = evolve(attempt("550 no"), attempt_id="q1-Jo.LongName@example.org", message_id="m-jo.longname%40example.org")
    veiled = VEIL.attempt(evolve(one, sender=sender, tags=(("to", "jo.longname"),)))
    assert "longname" not in repr(veiled).lower()
    assert str(veiled.sender) == f"bounce+{GONE}@us.example"
    assert veiled.attempt_id == f"q1-{VEIL.address(JO)}"


@given(attempts())
def test_derived_ids_come_from_what_is_veiled(one: Attempt) -> None:
    one = evolve(one, attempt_id=None, message_id=None, recipient=JO)
    other = Veil((Key("k1", b"x" * 16),))  # a digest of the address would be the same
    assert VEIL.attempt(one).identity not in (one.identity, other.attempt(one).identity)
    assert VEIL.attempt(one).message not in (one.message, other.attempt(one).message)


# ---- decisions ------------------------------------------------------------------------------------------------------


_several = st.lists(attempts(), max_size=8).map(
    lambda several: [
        evolve(each, at=NOW + place * HOUR, attempt_id=f"a{place}", sender=SENDERS[place % 3])
        for place, each in enumerate(several)
    ]
)


@settings(max_examples=max(10, settings().max_examples // 4))
@given(_several)
def test_decisions_with_a_veil_are_those_without_but_for_names(several: list[Attempt]) -> None:
    clear, veiled = engine(None), engine()
    plain = clear.observe_all(several, now=NOW)
    hidden = veiled.observe_all(several, now=NOW)
    for one, other in zip(plain, hidden, strict=True):
        assert isinstance(one, Decision)
        assert isinstance(other, Decision)
        assert nameless(one) == nameless(other)
    for each in RECIPIENTS:
        here, there = (of.plan(each, now=NOW + 720 * HOUR, message="message-1") for of in (clear, veiled))
        assert (here.recipient, here.verdict, here.route) == (there.recipient, there.verdict, there.route)
    assert len(list(clear.store.suppressions())) == len(list(veiled.store.suppressions()))


def test_strikes_add_up_and_a_guard_knows_its_recipients_behind_the_veil() -> None:
    of, plain = engine(), engine(None)
    several = [
        evolve(attempt("452 4.2.2 mailbox full", f"a{day}"), at=NOW + day * timedelta(days=2), message_id=f"m{day}")
        for day in range(6)
    ]
    many = [
        evolve(attempt(text, f"{text[:3]}{n}", command, to=Address(f"user{n}", "gmail.com")), at=NOW + after)
        for text, command, after in (("250 ok", Command.DOT, HOUR), ("550 5.1.1 no such user", Command.RCPT, 25 * HOUR))
        for n in range(40)
    ]
    for each in (of, plain):
        each.observe_all(several + many, now=NOW)
    found, wanted = list(of.store.suppressions()), list(plain.store.suppressions())
    assert [each.state for each in found] == [each.state for each in wanted]
    assert any(each.target == VEIL.address(JO).key for each in found)
    (google,), (usual,) = ([each for each in e.store.watches() if each.key == "google"] for e in (of, plain))
    assert google.is_open
    assert usual.is_open
    wanted_names = {VEIL.address(parse_address(each.recipient)).key for each in usual.failing}
    assert {each.recipient for each in google.failing} == wanted_names


def test_what_an_operator_spares_in_clear_is_spared() -> None:
    from policy.rules.source import RulesFile, build_policy

    text = f"mailverdict: 1\nextends: shipped\nnever_suppress: [{JO}]\n"
    of = Engine(build_policy([RulesFile("r.yaml", text.encode())]), MemoryStore(), VEIL)
    assert not of.observe(attempt("550 5.1.1 no such user"), now=NOW).suppress
    assert engine().observe(attempt("550 5.1.1 no such user"), now=NOW).suppress


def test_a_forward_path_is_neither_kept_nor_told() -> None:
    of = engine()
    decision = of.observe(attempt("251 User not local; will forward to <new.person@new.example>"), now=NOW)
    assert decision.action.value == "accept-and-note-forward"
    assert decision.forward_path is None
    assert list(of.store.forwards()) == []
    assert "new.person" not in repr(list(of.store.entries()))


def test_no_words_of_a_decision_name_anybody() -> None:
    words = clean("jo.longname and <ed.longname@example.org>")
    made = engine(None).observe(attempt("550 5.1.1 no such user"), now=NOW)
    evidence = tuple(evolve(each, value=words, says=str(words)) for each in made.evidence)
    of_people = (each for each in made.effects if not isinstance(each, Trigger))
    effects = (*of_people, Alert(to="ops", text=words), Strike(
        target=f"{JO}#news", scope=Scope.STREAM, reason=made.category, count=1, needed=2
    ))  # fmt: skip
    veiled = VEIL.decision(evolve(made, evidence=evidence, effects=effects, remedy=str(words)), JO)
    assert len(veiled.effects) == len(effects)
    assert "longname" not in repr(veiled)
    assert repr(veiled).count("veiled.k1.") == 2 * len(evidence) + 1 + len(effects)


def test_the_same_again_is_known_and_other_content_a_conflict() -> None:
    of, one = engine(), attempt("550 5.1.1 no such user")
    assert of.observe(one, now=NOW) == of.observe(one, now=NOW)
    assert of.recorded("a1", JO) is not None
    assert isinstance(of.observe_all([attempt("550 5.1.1 otherwise")], now=NOW)[0], AttemptConflict)
    assert len(list(of.store.entries())) == 1


def test_the_spread_of_a_retry_is_no_digest_of_the_address() -> None:
    late = attempt("451 4.3.0 try again later")
    veils = (None, VEIL, Veil((Key("k1", b"x" * 16),)))
    assert len({engine(each).observe(late, now=NOW).retry_at for each in veils}) == len(veils)


# ---- keys that come and go ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, VEIL], ids=["in clear", "an older key"])
def test_what_was_kept_before_a_new_key_still_binds(before: Veil | None) -> None:
    store = MemoryStore()
    first = Engine(SHIPPED, store, before).observe(attempt("550 5.1.1 no such user"), now=NOW)
    late = Engine(SHIPPED, store, ROTATED)
    assert late.plan(JO, now=NOW).verdict is Verdict.SUPPRESSED
    assert late.observe(attempt("550 5.1.1 no such user"), now=NOW) == first  # known: nothing is decided twice
    assert late.recorded("a1", JO) is not None
    Engine(SHIPPED, store, before).observe(attempt("450 4.7.1 Greylisted", "b", to=RECIPIENTS[0]), now=NOW)
    again = evolve(attempt("450 4.7.1 Greylisted", "c", to=RECIPIENTS[0]), at=NOW + HOUR)
    late.observe(again, now=NOW)
    assert {each.recipient for each in store.entries()} == {
        (before or UNVEILED).address(JO).key,
        (before or UNVEILED).address(RECIPIENTS[0]).key,
        ROTATED.address(RECIPIENTS[0]).key,
    }


def test_a_message_goes_on_counting_its_attempts_under_a_new_key() -> None:
    store = MemoryStore()
    for number, veil in enumerate([None, VEIL, ROTATED]):
        one = evolve(attempt("450 4.7.1 Greylisted", f"a{number}"), message_id="m", at=NOW + number * HOUR)
        Engine(SHIPPED, store, veil).observe(one, now=NOW)
    assert [each.progress.attempts for each in store.entries()] == [1, 2, 3]
    assert {each.progress.first_attempt_at for each in store.entries()} == {NOW}


# ---- what is on the disk --------------------------------------------------------------------------------------------

_LOCALS = st.from_regex(r"[xyz]q[0-9]{4}[a-z]{0,4}(\+t[0-9]{3})?", fullmatch=True)  # by chance in nothing else
_SAID = st.sampled_from(
    [
        "550 5.1.1 <{0}@{1}>: unknown", "550 5.1.1 user {0} unknown", "452 4.2.2 {0} is full", "421 {0}@{1} later",
        "251 User not local; will forward to <{0}@{1}>", "250 2.1.5 {0} ok", "551 try {0}", "550 spam from {0}@{1} to",
    ]
)  # fmt: skip


@st.composite
def _told(draw: st.DrawFn) -> tuple[str, Attempt]:
    local = draw(_LOCALS)
    spelt = draw(st.sampled_from([local, local.upper(), f'"{local}"']))
    domain = draw(st.sampled_from(["gmail.com", "example.org"]))
    outcome = draw(st.sampled_from(Event) | _SAID.map(lambda said: parse_reply(said.format(local, domain))))
    return local, evolve(
        draw(attempts()),
        outcome=outcome,
        command=draw(st.sampled_from(Command)),
        recipient=parse_address(f"{spelt}@{domain}"),
        rcpt_reply=draw(st.none() | _SAID.map(lambda said: parse_reply(said.format(local, domain)))),
    )


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(_told(), min_size=1, max_size=5))
def test_no_clear_local_part_is_in_the_bytes_of_the_store(told: list[tuple[str, Attempt]], tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    for old in tmp_path.glob("mail.db*"):
        old.unlink()
    store = open_store(f"sqlite:///{path}")
    of = Engine(SHIPPED, store, VEIL)
    of.observe_all([each for _, each in told], now=NOW)
    for _, each in told:
        assert each.recipient is not None
        of.plan(each.recipient, now=NOW, message=each.message_id)
        with store.unit() as unit:
            unit.put(VEIL.suppression(evolve(suppression(target=each.recipient.key, source=Source.IMPORT))))
    store.close()
    with sqlite3.connect(path) as link:
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.close()
    kept = path.read_bytes().lower()
    assert b"veiled.k1." in kept
    assert [local for local, _ in told if local.partition("+")[0].encode() in kept] == []


def test_an_entry_that_a_person_brings_is_veiled_with_its_words() -> None:
    entry = evolve(suppression(target=f"{JO}#news", source=Source.MANUAL), scope=Scope.STREAM)
    veiled = VEIL.suppression(evolve(entry, note=clean("jo.longname phoned"), strength=Strength.PERMANENT))
    assert veiled.target == f"{VEIL.address(JO)}#news"
    assert veiled.note == f"{GONE} phoned"


def test_logs_show_a_veiled_name_whole() -> None:
    name = VEIL.address(JO)
    assert redacted(name) == str(name)
    assert without_addresses(f"550 <{name}> and <ed@example.org>", [name]) == f"550 <{name}> and <e***@example.org>"
    assert attrs.fields_dict(Engine)["veil"].default is None
