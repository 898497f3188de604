"""The laws of suggestions: seldom, bounded, and never against a domain that may well be right."""

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import parse_domain
from policy.diagnosis import typos
from policy.diagnosis.typos import suggestion
from policy.yamlfile import plain, read_yaml

_NODE = read_yaml((Path(typos.__file__).parent / "domains.yaml").read_bytes(), "domains.yaml", [])
assert _NODE is not None
_FILE: Any = plain(_NODE)
WELL_KNOWN = [domain for line in _FILE["well_known"] for domain in line]
REAL = _FILE["real"]
TYPOS = [(typo, meant) for meant, wrongs in _FILE["typos"].items() for typo in wrongs]
ENDINGS = [(wrong, right) for right, wrongs in _FILE["endings"].items() for wrong in wrongs]

_PLAUSIBLE = """
mail.com email.com ymail.com gmx.com live.co.uk aol.de me.com mac.com hey.com pm.me ya.ru q.com qq.com at.net
att.net wp.pl o2.pl op.pl vp.pl example.org example.com hostmail.com hmail.com web.com bol.com uol.com box.net
fox.net ee.com live.in gmx.us yahoo.ch tin.it tim.it iol.it gail.com cox.com never.com lookout.com key.com free.de
gmail.com.example.org mail.gmial.com company.co company.cm a.con gmaıl.com [192.0.2.1]
"""
_KEYS = string.ascii_lowercase + string.digits + ".-"


@st.composite
def mistyped(draw: st.DrawFn) -> str:
    """A well-known domain with up to three keys changed, added, left out or swapped."""
    domain: str = draw(st.sampled_from(WELL_KNOWN))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(domain) - 1))
        change = draw(st.sampled_from(("put", "drop", "add", "swap")))
        key = draw(st.sampled_from(_KEYS))
        middle = {"put": key, "drop": "", "add": key + domain[at], "swap": domain[at : at + 2][::-1]}[change]
        domain = (domain[:at] + middle + domain[at + (2 if change == "swap" else 1) :]) or "a"
    return domain


@given(st.one_of(st.text(max_size=300), mistyped()))
def test_any_text_has_an_answer_and_it_is_none_or_another_domain_that_is_well_known(domain: str) -> None:
    meant = suggestion(domain)
    assert meant is None or (meant in WELL_KNOWN and meant != domain.lower().removesuffix("."))


@given(mistyped())
def test_a_suggestion_is_not_corrected_again(domain: str) -> None:
    meant = suggestion(domain)
    assert meant is None or suggestion(meant) is None


@given(mistyped())
def test_case_and_a_trailing_dot_do_not_count(domain: str) -> None:
    assert suggestion(domain) == suggestion(domain.upper())
    if not domain.endswith("."):
        assert suggestion(domain) == suggestion(domain + ".")


@given(st.sampled_from(WELL_KNOWN + REAL))
def test_a_domain_that_is_well_known_or_listed_as_real_is_never_corrected(domain: str) -> None:
    assert suggestion(domain) is None
    assert suggestion(domain.upper()) is None


@pytest.mark.parametrize(
    "domain",
    _PLAUSIBLE.split(),
)
def test_a_plausible_other_domain_is_never_corrected(domain: str) -> None:
    assert suggestion(domain) is None


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gamil.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmial.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("hotnail.com", "hotmail.com"),
        ("hotmal.co.uk", "hotmail.co.uk"),
        ("yaho.com", "yahoo.com"),
        ("yhaoo.com", "yahoo.com"),
        ("yhaoo.com.br", "yahoo.com.br"),
        ("yahoo.con.br", "yahoo.com.br"),
        ("outlok.com", "outlook.com"),
        ("iclould.com", "icloud.com"),
        ("web.ed", "web.de"),
        ("gmx.ed", "gmx.de"),
        ("orange.rf", "orange.fr"),
        ("lapsote.net", "laposte.net"),
        ("t-onlien.de", "t-online.de"),
        ("seznma.cz", "seznam.cz"),
        ("protonmial.con", "protonmail.com"),
        ("sbcgolbla.net", "sbcglobal.net"),
    ],
)
def test_common_typing_errors_are_told(domain: str, meant: str) -> None:
    assert suggestion(domain) == meant


def test_the_table_is_of_domains_and_says_nothing_twice() -> None:
    for listed in (WELL_KNOWN, REAL, [typo for typo, _ in TYPOS], [wrong for wrong, _ in ENDINGS]):
        assert sorted(listed) == sorted(set(listed))
        assert [parse_domain(each) for each in listed] == listed
    assert not set(WELL_KNOWN) & set(REAL)
    assert not {typo for typo, _ in TYPOS} & {*WELL_KNOWN, *REAL}
    assert {meant for _, meant in TYPOS} <= set(WELL_KNOWN)


def test_no_well_known_domain_has_an_ending_that_no_domain_has() -> None:
    endings = {domain.partition(".")[2] for domain in WELL_KNOWN + REAL}
    assert not endings & {wrong for wrong, _ in ENDINGS}
    assert {right for _, right in ENDINGS} <= endings


@pytest.mark.parametrize(("typo", "meant"), TYPOS)
def test_every_entry_of_the_table_counts(typo: str, meant: str) -> None:
    assert suggestion(typo) == meant


@pytest.mark.parametrize("domain", REAL)
def test_every_domain_listed_as_real_would_else_be_corrected(domain: str) -> None:
    name, _, ending = domain.partition(".")
    near = [known for known in WELL_KNOWN if known.partition(".")[2] == ending]
    assert any(typos._is_slip(name, known.partition(".")[0]) for known in near)


def test_letters_that_only_lower_case_makes_ascii_are_no_domain() -> None:
    assert suggestion("outlook.con") == "outlook.com"
    assert suggestion("outloo\N{KELVIN SIGN}.con") is None


def domains(*well_known: str) -> typos._Domains:
    names = {"example": tuple(domain.partition(".")[0] for domain in well_known)}
    return typos._Domains(well_known=frozenset(well_known), real=frozenset(), typos={}, endings={}, names=names)


def test_of_two_well_known_domains_that_stand_near_each_other_neither_is_corrected() -> None:
    near = domains("postkarte.example", "postkarten.example")
    assert typos._mended("postkarte.example", near) is None
    assert typos._mended("postkarten.example", near) is None


def test_where_two_domains_could_be_meant_none_is_suggested() -> None:
    assert typos._mended("postkart.example", domains("postkarte.example")) == "postkarte.example"
    assert typos._mended("postkart.example", domains("postkarte.example", "postkarts.example")) is None


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_distance_is_symmetric_and_naught_for_equals_only(one: str, other: str) -> None:
    apart = typos._distance(one, other, swap=1)
    assert apart == typos._distance(other, one, swap=1)
    assert (apart == 0) == (one == other)
    assert abs(len(one) - len(other)) <= apart <= typos._distance(one, other, swap=2) <= max(len(one), len(other))
