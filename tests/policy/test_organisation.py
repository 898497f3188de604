"""Laws of organisations: one registered domain is one organisation; a public suffix is nobody's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.organisation import same_organisation
from policy.testing import values

SUFFIXES = ["com", "net", "de", "co.uk", "com.br", "co.jp", "github.io", "xn--p1ai"]  # of countries, and of a host
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
registered = st.builds("{}.{}".format, labels.map("o-{}".format), st.sampled_from(SUFFIXES))
below = st.lists(labels, max_size=3).map(lambda parts: "".join(f"{each}." for each in parts))


@given(domain=registered, one=below, other=below)
def test_all_below_one_registered_domain_is_one_organisation(domain: str, one: str, other: str) -> None:
    assert same_organisation(one + domain, other + domain)


@given(domain=registered, foreign=registered, one=below, other=below)
def test_what_lies_below_another_registered_domain_is_another(domain: str, foreign: str, one: str, other: str) -> None:
    assert same_organisation(one + domain, other + foreign) is (domain == foreign)


@given(suffix=st.sampled_from(SUFFIXES), domain=registered, above=below)
def test_a_public_suffix_is_in_no_organisation_not_even_in_its_own(suffix: str, domain: str, above: str) -> None:
    assert not same_organisation(suffix, suffix)
    assert not same_organisation(suffix, above + domain)
    assert not same_organisation(above + domain, suffix)


@given(one=values.domains(), other=values.domains())
def test_it_does_not_matter_which_comes_first(one: str, other: str) -> None:
    assert same_organisation(one, other) is same_organisation(other, one)


@given(one=below, suffix=st.sampled_from(["example", "localhost", "internal", "no-such-tld"]))
def test_below_a_suffix_that_nobody_knows_there_are_no_organisations(one: str, suffix: str) -> None:
    domain = f"{one}firm.{suffix}"
    assert not same_organisation(domain, domain)


@pytest.mark.parametrize("domain", ["[192.0.2.1]", "[ipv6:2001:db8::1]", "", "."])
def test_an_address_literal_or_nothing_is_in_no_organisation(domain: str) -> None:
    assert not same_organisation(domain, domain)


@given(domain=registered, prefix=labels)
def test_the_end_of_a_name_alone_is_no_kinship(domain: str, prefix: str) -> None:
    assert not same_organisation(domain, prefix + domain)
